"""Seconds since 1970 as an image states them."""

from __future__ import annotations

import pytest

from ociassemble.plan.created import CONSTANT, EpochError, from_epoch, rfc3339


@pytest.mark.spec("DIGEST-24")
def test_seconds_become_a_time() -> None:
    assert from_epoch("0", "SOURCE_DATE_EPOCH") == "1970-01-01T00:00:00Z"
    assert from_epoch("253402300799", "SOURCE_DATE_EPOCH") == "9999-12-31T23:59:59Z"
    assert rfc3339(CONSTANT) == "1980-01-02T00:00:00Z"


@pytest.mark.spec("DIGEST-24")
@pytest.mark.parametrize("text", ["", "-1", "1.5", "253402300800", "\uff11", "9" * 5000], ids=lambda text: text[:20])
def test_what_is_no_such_number_is_named(text: str) -> None:
    with pytest.raises(EpochError, match=r"^SOURCE_DATE_EPOCH is `.{0,40}`"):
        from_epoch(text, "SOURCE_DATE_EPOCH")
