"""Durations as Go reads them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import UsageError
from ociassemble.project.duration import nanoseconds


@pytest.mark.spec("MERGE-9")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("0s", 0),
        ("1ms", 10**6),
        ("30s", 30 * 10**9),
        ("1m30s", 90 * 10**9),
        ("1.5h", 5400 * 10**9),
        ("1.25s", 1_250_000_000),
        ("1000000ns", 10**6),
        ("2501h", 2501 * 3600 * 10**9),
    ],
)
def test_durations(text: str, expected: int) -> None:
    assert nanoseconds(text, "x") == expected


@pytest.mark.spec("MERGE-9")
@pytest.mark.parametrize(
    "text", ["", "30", "s", "1 s", "-1s", "+1s", "1d", "1e3s", ".5s", "1us", "3000h", "\uff11s", "9" * 30 + "s"]
)
def test_no_durations(text: str) -> None:
    with pytest.raises(UsageError):
        nanoseconds(text, "`interval`")


@given(st.text(max_size=20))
def test_any_text(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert nanoseconds(text, "x") >= 0
