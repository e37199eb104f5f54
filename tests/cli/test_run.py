"""`run`, as far as it gets without a runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.cli import main
from ociassemble.testing import images


def no_command(folder: Path) -> str:
    made = images.image([images.layer({"x": "y"})], platform="linux/amd64", execution={})
    return images.lay_out(made, folder / "image", "v1")


def test_an_image_without_a_start_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = no_command(tmp_path)
    assert main(["--cache-dir", str(tmp_path / "cache"), "run", name]) == 2
    said = capsys.readouterr().err
    assert "has no start command" in said and "-- PROGRAM ARGS" in said


def test_a_platform_that_the_image_is_not_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = no_command(tmp_path)
    assert main(["--cache-dir", str(tmp_path / "cache"), "run", name, "--platform", "linux/arm64"]) == 4
    assert "has no linux/arm64 variant" in capsys.readouterr().err
