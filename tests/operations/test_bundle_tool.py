"""What is said of the tool's wheels in a bundle: how they are installed, and on what they run."""

from __future__ import annotations

import platform
import subprocess
import tarfile
from pathlib import Path

import pytest

from ociassemble.operations.bundle_tool import install_commands, made_for
from ociassemble.transports import parts
from tests.transports.bundles import file

PURE = "click-8.1.8-py3-none-any.whl"


@pytest.mark.spec("BUNDLE-9")
@pytest.mark.parametrize(
    ("wheels", "said"),
    [
        ([PURE], ""),
        ([PURE, "a-1.0-cp313-cp313-manylinux_2_28_x86_64.whl"], " (glibc 2.28 or newer)"),
        # Of one wheel the least that it names, of all wheels the most.
        (["a-1.0-cp39-abi3-manylinux_2_17_x86_64.manylinux_2_34_x86_64.whl"], " (glibc 2.17 or newer)"),
        (
            ["a-1.0-cp313-cp313-manylinux2014_x86_64.whl", "b-1.0-cp313-cp313-manylinux2010_x86_64.whl"],
            " (glibc 2.17 or newer)",
        ),
        (["a-1.0-cp313-cp313-manylinux_2_5_x86_64.manylinux1_x86_64.whl"], " (glibc 2.5 or newer)"),
        (["a-1.0-cp313-cp313-musllinux_1_2_x86_64.whl"], ""),
    ],
)
def test_on_what_it_runs(wheels: list[str], said: str) -> None:
    files = [file(name.encode(), name, kind="tool") for name in wheels]
    files.append(file(b"x", "other-1.0-cp313-cp313-manylinux_2_99_x86_64.whl"))  # of the application

    found = made_for(files)

    version = ".".join(platform.python_version_tuple()[:2])
    assert found == f"CPython {version} on Linux {platform.machine()}{said}"


@pytest.mark.spec("BUNDLE-9")
@pytest.mark.parametrize("in_parts", [False, True])
def test_the_command_unpacks_the_wheels(tmp_path: Path, in_parts: bool) -> None:
    place = tmp_path / "it's a bundle"
    (tmp_path / PURE).write_bytes(b"wheel" * 50_000)
    with tarfile.open(place, "w") as archive:
        archive.add(tmp_path / PURE, f"tool/{PURE}")
        archive.add(tmp_path / PURE, "other")
    if in_parts:
        data = place.read_bytes()
        place.unlink()
        assert len(parts.write(place, [data], 1 << 16, len(data))) > 2

    unpack, install = install_commands(place, in_parts=in_parts)
    subprocess.run(unpack, shell=True, cwd=tmp_path, check=True)

    assert [path.name for path in (tmp_path / "tool").iterdir()] == [PURE]
    assert (tmp_path / "tool" / PURE).read_bytes() == b"wheel" * 50_000
    assert not (tmp_path / "other").exists()
    assert install.endswith(" -m pip install --no-index --find-links tool ociassemble")
