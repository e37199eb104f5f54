"""The guard over the hundred most downloaded packages of Python's index, as if each file were the project's own."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from ociassemble.project import reading
from ociassemble.project.secrets import Guard

# In the order of downloads; the wheels that Python 3.11 on x86-64 Linux takes, by name, version, sha256 and size.
WHEELS = json.loads((Path(__file__).parent / "most-downloaded-wheels.json").read_text())


def test_the_list_is_frozen() -> None:
    assert len(WHEELS) == len({wheel["name"] for wheel in WHEELS}) == 100
    assert all(wheel["filename"].endswith(".whl") and len(wheel["sha256"]) == 64 for wheel in WHEELS)


@pytest.mark.packages
@pytest.mark.long
@pytest.mark.spec("SECRET-15", "SECRET-17")
def test_nothing_is_found_in_them(tmp_path: Path) -> None:
    pins = tmp_path / "requirements.txt"
    pins.write_text("".join(f"{one['name']}=={one['version']} --hash=sha256:{one['sha256']}\n" for one in WHEELS))
    place = tmp_path / "project"
    subprocess.run(
        [Path(sys.executable).parent / "uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes",
         "--only-binary", ":all:", "--target", place, "--python", sys.executable, "--python-version", "3.11",
         "--python-platform", "x86_64-manylinux_2_34", "--link-mode", "copy", "-r", pins],
        check=True,
    )  # fmt: skip
    tree = reading.read(place)
    assert sum(file.size for file in tree.files) > 700_000_000
    assert [warning for warning in tree.warnings if "secrets" in warning] == []
    # What a build leaves out unasked is not looked at above.
    for path in place.rglob("*"):
        if path.is_file() and tree.packed(name := path.relative_to(place).as_posix()) is None:
            guard = Guard(name)
            guard.feed(path.read_bytes())
            assert guard.finish(partial(path.open, "rb")).findings == (), name
