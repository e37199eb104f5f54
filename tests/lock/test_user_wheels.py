"""Wheels the user built: they win in the resolver, and are inputs of the lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.kinds.protocol import ResolveRequest
from ociassemble.lock.application import WheelFileError, recognise
from ociassemble.lock.resolve import _overrides
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.progress import Progress
from ociassemble.project.reading import read
from ociassemble.project.settings import Settings

PLATFORMS = (Platform.parse("linux/amd64"),)


def test_a_wheel_is_an_input_by_its_name_and_bytes(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "main.py").write_text("")
    wheel = tmp_path / "thing-1-py3-none-any.whl"
    wheel.write_bytes(b"first")
    settings = Settings(wheels=(wheel,))
    first = recognise(read(app), settings, PLATFORMS, Progress()).asked.inputs
    assert first[wheel.name] == Digest.of(b"first")
    wheel.write_bytes(b"second")
    assert recognise(read(app), settings, PLATFORMS, Progress()).asked.inputs[wheel.name] == Digest.of(b"second")


def test_a_wheel_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("")
    missing = tmp_path / "thing-1-py3-none-any.whl"
    with pytest.raises(WheelFileError, match="cannot read the wheel"):
        recognise(read(tmp_path), Settings(wheels=(missing,)), PLATFORMS, Progress())


def test_the_resolver_takes_the_users_wheels_for_their_names() -> None:
    assert _overrides({"b-x": Path("/w/b x.whl"), "a": Path("/w/a.whl")}) == (
        b"a @ file:///w/a.whl\nb-x @ file:///w/b%20x.whl\n"
    )
    assert ResolveRequest("python", "requirements", "r", ()).provided == ()
