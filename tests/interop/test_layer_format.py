"""Programs of others read the layers we write, we read the archives they write, and no CPU changes a byte."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ociassemble.content import compress
from ociassemble.formats import tar
from tests.content.test_compress import DATA, packed
from tests.peers import find, require

pytestmark = pytest.mark.interop


def archive() -> bytes:
    """A layer with one of everything."""
    parts = [tar.header("app", "directory", mode=0o755)]
    names = [
        "app/main.py",
        "app/" + "n" * 96,
        "app/" + "d" * 100 + "/" + "n" * 100,
        "app/é" + "ü" * 100,
        "app/ b\n'\"\\",
    ]
    parts.append(tar.header("app/" + "d" * 100, "directory", mode=0o1777))
    for number, name in enumerate(names):
        body = DATA[number : number + 700 * number]
        parts += [tar.header(name, mode=0o755, size=len(body)), body, tar.padding(len(body))]
    parts.append(tar.header("app/link", "symlink", target="../" + "t/" * 80 + "x"))
    parts.append(tar.header("app/hard", "hardlink", target="app/é" + "ü" * 100))
    parts.append(tar.header("app/owned", uid=1000650000, gid=70000))
    return b"".join(parts) + tar.END


def run(*command: str | Path, input: bytes = b"", cwd: Path | None = None) -> bytes:
    done = subprocess.run(command, input=input, capture_output=True, cwd=cwd, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"
    assert done.stderr == b"", done.stderr
    return done.stdout


def described(data: bytes) -> list[tuple[object, ...]]:
    """What an archive says, according to our reader."""
    return [
        (m.path, m.kind, m.mode, m.uid, m.gid, m.size, m.target, m.mtime, hashlib.sha256(b"".join(m.chunks())).digest())
        for m in tar.read(io.BytesIO(data))
    ]


@pytest.mark.spec("LAYER-22")
def test_programs_for_gzip_read_it() -> None:
    blob = packed(DATA, compress.codec("gzip"), jobs=2)
    programs = [path for name in ("gzip", "pigz", "unpigz", "igzip") if (path := find(name))]
    assert programs, "not even gzip is here"
    for program in programs:
        assert run(program, "-d", "-c", input=blob) == DATA
        run(program, "-t", input=blob)


@pytest.mark.spec("LAYER-1", "LAYER-2")
def test_programs_for_tar_read_it(tmp_path: Path) -> None:
    data = archive()
    expected = described(data)
    for program in [path for name in ("tar", "bsdtar") if (path := find(name))]:
        target = tmp_path / Path(program).name
        target.mkdir()
        names = run(program, "-tf", "-", input=data).splitlines()
        assert len(names) == len(expected)
        run(program, "-xf", "-", "--no-same-owner", "-C", target, input=data)
        for path, kind, _, _, _, size, text, mtime, digest in expected:
            here = target / str(path)
            if kind == "symlink":
                assert here.readlink() == Path(str(text))
            elif kind == "file":
                assert hashlib.sha256(here.read_bytes()).digest() == digest
                assert (here.stat().st_size, here.stat().st_mtime) == (size, mtime)
            elif kind == "hardlink":
                assert here.samefile(target / str(text))
            else:
                assert here.is_dir()


@pytest.mark.spec("LAYER-24")
def test_gnu_tar_finds_nothing_to_say_about_the_owners() -> None:
    listing = run(require("tar").path, "--numeric-owner", "-tvf", "-", input=archive()).decode()
    assert "1000650000/70000" in listing
    assert listing.count(" 0/0 ") == len(listing.splitlines()) - 1


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the awkward names and kinds that archives have in the wild."""
    root = tmp_path_factory.mktemp("tree")
    (root / "sub" / ("d" * 120)).mkdir(parents=True)
    (root / "sub" / ("d" * 120) / ("n" * 120)).write_bytes(DATA[:5000])
    (root / "é ü").write_bytes(b"")
    (root / "a\nb").write_bytes(b"newline")
    (root / ("x" * 100)).write_bytes(b"exactly 100")
    (root / "hard").hardlink_to(root / ("x" * 100))
    (root / "soft").symlink_to("../" + "t/" * 80)
    (root / "dangling").symlink_to("/nowhere")
    (root / "sub").chmod(0o1777)
    os.utime(root / "hard", (1.5, -86400.25))
    return root


FORMATS = ["v7", "oldgnu", "gnu", "ustar", "posix"]


@pytest.mark.spec("LAYER-33", "LAYER-34")
@pytest.mark.parametrize("format", FORMATS)
def test_we_read_what_gnu_tar_writes(tree: Path, format: str, tmp_path: Path) -> None:
    peer = require("tar")
    out = tmp_path / "out.tar"
    leave = ["--exclude=" + "n" * 120, "--exclude=soft", "--exclude=" + "x" * 100] if format in ("v7", "ustar") else []
    command = [peer.path, f"--format={format}", "--sort=name", *leave, "-cf", str(out), "-C", str(tree), "."]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0 or format in ("v7", "ustar"), done.stderr
    ours = described(out.read_bytes())
    with tarfile.open(out) as theirs:
        kinds = {b"0": "file", b"\0": "file", b"5": "directory", b"2": "symlink", b"1": "hardlink"}
        expected = []
        for info in theirs:
            path = "/".join(part for part in info.name.split("/") if part != ".")
            link = info.linkname.removeprefix("./") if info.islnk() else info.linkname
            content = theirs.extractfile(info).read() if info.isreg() else b""  # type: ignore[union-attr]
            size = info.size if info.isreg() else 0
            row = (path, kinds[info.type], info.mode, info.uid, info.gid, size, link)
            expected.append((*row, hashlib.sha256(content).digest()))
    assert [(*row[:7], row[8]) for row in ours] == expected
    assert len(ours) >= 5


MODELS = {
    "x86_64": ("qemu-x86_64-static", ("qemu64", "Nehalem", "Haswell", "max")),
    "aarch64": ("qemu-aarch64-static", ("cortex-a53", "cortex-a72", "neoverse-n1", "max")),
}
PROGRAM = """
import hashlib, sys
from ociassemble._pool import Cores
from ociassemble.content import compress
from ociassemble.content.writer import CompressingWriter
data = sys.stdin.buffer.read()
for text in ("gzip:3", "gzip:9", "zstd:9"):
    hashed = hashlib.sha256()
    with CompressingWriter(hashed.update, compress.parse(text), cores=Cores(1)) as writer:
        writer.write(data)
        writer.finish()
    print(text, hashed.hexdigest())
"""


@pytest.mark.spec("LAYER-24")
@pytest.mark.parametrize("number", range(4))
def test_the_cpu_changes_nothing(number: int) -> None:
    """zlib-ng picks its code by the CPU: an old model has none of what this machine's own run used."""
    emulator, models = MODELS.get(platform.machine(), ("qemu-user for this machine", ("",) * 4))
    peer = require(emulator)
    python = str(Path(sys.executable).resolve())
    folders = os.pathsep.join(path for path in sys.path if path)
    environment = {"PYTHONPATH": folders, "PATH": os.environ.get("PATH", "")}
    expected = "".join(
        f"{text} {hashlib.sha256(packed(DATA, compress.parse(text))).hexdigest()}\n"
        for text in ("gzip:3", "gzip:9", "zstd:9")
    )
    done = subprocess.run(
        [peer.path, "-cpu", models[number], python, "-S", "-c", PROGRAM],
        input=DATA, env=environment, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout.decode() == expected, done.stderr.decode(errors="replace")
