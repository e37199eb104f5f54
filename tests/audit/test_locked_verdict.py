"""What a lock says of the proof, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ociassemble.registry.server import serve
from ociassemble.testing import images
from ociassemble.testing.images import program
from tests.debian_archive import elf
from tests.hostile.test_elf import made
from tests.interop.commands import Commands
from tests.layer.wheel_builder import WHEEL, wheel

INTERPRETER = b"/ld.so\0"


def python() -> images.Image:
    """A base whose Python is a program of the loader /ld.so."""
    at = 64 + 2 * 56
    start = made(segments=[(3, at, at, len(INTERPRETER)), (1, 0, 0, 300)])[:at] + INTERPRETER.ljust(200, b"\0")
    files: dict[str, images.Content] = {
        "ld.so": program(elf("ld.so")),
        "etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
        "usr/bin/python3.13": program(start),
        "usr/lib/x86_64-linux-gnu/libc.so.6": program(),
        "var/lib/dpkg/status.d/libc6": "Package: libc6\nVersion: 2.41-12\n",
    }
    execution = {"Entrypoint": ["/usr/bin/python3.13"], "User": "65532"}
    return images.image([images.layer(files)], execution=execution)


@pytest.mark.spec("PROVE-20")
def test_what_a_lock_records(tmp_path: Path) -> None:
    """The library that a dependency lacks; not the application's own troubles, which come and go with its files."""
    (tmp_path / "wheels").mkdir()
    lacking = {"foo_bar/native.so": elf("native.so", ["libnone.so.1"]), "foo_bar-1.0.dist-info/WHEEL": WHEEL}
    (tmp_path / "wheels" / "foo_bar-1.0-py3-none-any.whl").write_bytes(wheel(lacking))
    app = tmp_path / "app"
    app.mkdir()
    (app / "requirements.txt").write_text("foo-bar==1.0\n")
    (app / "main.py").write_text("print()\n")
    (app / "extra.so").write_bytes(elf("extra.so", ["libown.so.1"]))
    ociassemble = Commands(tmp_path, UV_NO_INDEX="1", UV_FIND_LINKS=str(tmp_path / "wheels"))

    def verdict() -> dict[str, Any]:
        document = json.loads((app / "ociassemble.lock").read_bytes())
        found: dict[str, Any] = document["platforms"]["linux/amd64"]["verdict"]
        return found

    with serve("127.0.0.1", 0, tmp_path / "registry") as registry:
        images.push(python(), f"{registry.host}/base:1")
        asked = ("--base", f"{registry.host}/base:1", "--platform", "linux/amd64")
        told = ociassemble("lock", app, *asked).err
        first = verdict()
        (app / "main.py").write_text("import signal\n")
        (app / "extra.so").unlink()
        ociassemble("lock", app, *asked, "--check")
        changed = (app / "ociassemble.lock").read_text().replace("libnone.so.1", "libelse.so.1")
        (app / "ociassemble.lock").write_text(changed)
        again = ociassemble("build", app, "--locked", *asked, "-o", f"oci:{tmp_path / 'out'}").err

    assert [(item["code"], item["severity"]) for item in first["findings"]] == [("prove.library-missing", "warning")]
    assert "of foo_bar: needs `libnone.so.1`" in first["findings"][0]["message"]
    for text in ("libnone.so.1", "libown.so.1"):
        assert text in told
    assert "libelse.so.1" in again, "it is the lock's word that is told"
    assert "libnone.so.1" not in again
