"""12,000 small files into one gzip layer: the whole build, and peers that make a compressed tar of the same files.

Ours reads and hashes every file first, hashes tar and blob, and writes an image; tar and gzip only make the archive.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import struct
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import measure
from measure import Run

FILES = 12_000
SECONDS = 4.0  # on two cores


def tree(folder: Path) -> int:
    """Files like those of installed packages: sizes around 9 kB with a long tail, text that compresses to a third."""
    source = random.Random(1)
    words = ["".join(source.choices("etaoinshrdlu_", k=source.randrange(2, 11))) for _ in range(4000)]
    total = start(folder)
    for number in range(FILES):
        size = min(int(source.lognormvariate(8.2, 1.3)), 1 << 20)
        text = " ".join(source.choices(words, k=size // 6 + 1)).encode()[:size]
        place = folder / f"package{number % 240}" / f"part{number % 7}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"module_{number}.py").write_bytes(text)
        total += size
    return total


def start(folder: Path) -> int:
    """A program to start: an image of which nothing could start is refused."""
    folder.mkdir()
    program = folder / "start"
    program.write_bytes(static_program())
    program.chmod(0o755)
    return program.stat().st_size


def static_program() -> bytes:
    """The smallest ELF program of this machine: headers, and one part to load. Nobody runs it."""
    machine = {"x86_64": 62, "aarch64": 183}.get(os.uname().machine, 62)
    size, address = 64 + 56, 0x400000
    header = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, address + size, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, address, address, size, size, 4096)


def base(folder: Path) -> None:
    """An OCI layout with an image of one empty layer, by hand: ours builds upon it, umoci starts from it."""
    import json

    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(kind: str, data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    empty = bytes(1024)
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(empty).hexdigest()}"]}
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = {"architecture": architecture, "os": "linux", "config": {}, "rootfs": rootfs,
              "history": [{"created_by": "nothing"}]}  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put("config.v1+json", json.dumps(config).encode()),
        "layers": [put("layer.v1.tar", empty)],
    }
    root = {**put("manifest.v1+json", json.dumps(manifest).encode()),
            "annotations": {"org.opencontainers.image.ref.name": "latest"}}  # fmt: skip
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def biggest(layout: Path) -> Path:
    return max((layout / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)


def peers(files: Path, work: Path) -> dict[str, tuple[Callable[[], Run], Callable[[], Path]]]:
    """For each peer that is there: how it is run, and where what it made is then."""
    out = work / "peer.tar.gz"
    image = work / "umoci"

    def shell(command: str) -> Callable[[], Run]:
        return lambda: measure.run(["sh", "-c", f"tar -C {files} -cf - . | {command} > {out}"])

    def python() -> Run:
        script = (
            f"import tarfile; t = tarfile.open({str(out)!r}, 'w:gz', compresslevel=6); "
            f"t.add({str(files)!r}, arcname='.'); t.close()"
        )
        return measure.run([measure.PROGRAM[0], "-c", script])

    def umoci() -> Run:
        shutil.rmtree(image, ignore_errors=True)
        shutil.copytree(work / "base", image)
        return measure.run(["umoci", "insert", "--image", f"{image}:latest", str(files), "/app"])

    found: dict[str, tuple[Callable[[], Run], Callable[[], Path]]] = {}
    for program in ("gzip", "pigz"):
        if shutil.which("tar") and shutil.which(program):
            found[f"tar | {program} -6"] = (shell(f"{program} -6"), lambda: out)
    found["Python's tarfile, level 6"] = (python, lambda: out)
    if shutil.which("umoci"):
        found["umoci insert"] = (umoci, lambda: biggest(image))
    return found


def main() -> None:
    runs = measure.arguments(3).runs
    measure.title("12,000 small files into a layer")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        files = work / "files"
        total = tree(files)
        base(work / "base")
        print(f"  {FILES} files, {total / 1e6:.0f} MB\n")

        def ours() -> Run:
            for made in (work / "image", work / "cache"):
                shutil.rmtree(made, ignore_errors=True)
            command = ["build", str(files), "--kind", "directory", "--base", f"oci:{work / 'base'}",
                       "--cmd", '["/app/start"]', "--output", f"oci:{work / 'image'}",
                       "--cache-dir", str(work / "cache"), "-q"]  # fmt: skip
            return measure.run([*measure.PROGRAM, *command])

        name = "ociassemble build, nothing cached"
        actions = {name: (ours, lambda: biggest(work / "image")), **peers(files, work)}
        sizes: dict[str, int] = {}

        def sized(what: str) -> Run:
            action, made = actions[what]
            cost = action()
            sizes[what] = made().stat().st_size
            return cost

        turns = measure.alternate({what: (lambda _, what=what: sized(what)) for what in actions}, runs)
        found = {what: measure.median(costs) for what, costs in turns.items()}
        for what, cost in found.items():
            measure.cost(what, cost, f"{sizes[what] / 1e6:.1f} MB made")
        with tarfile.open(biggest(work / "image")) as archive:
            assert sum(member.isfile() for member in archive) == FILES + 1
        print()
        measure.finish(measure.target("ociassemble build", found[name].seconds, SECONDS, "s"))


if __name__ == "__main__":
    main()
