"""What the libraries alone need for the work of a cold build: a floor under any builder made of them.

    python bench/limit.py CODEC JOBS WHEEL...

Every member of every wheel is inflated and hashed (for its RECORD); all of it, as one stream a wheel, is hashed (the
diff_id), compressed with the product's codec, and hashed again (the digest). No tar, no scripts, no metadata, no
inspection; nothing is written, nothing is sent. JOBS processes share the wheels, the biggest first, so that no lock of
Python's is waited for. Prints a JSON object: files, bytes unpacked, bytes compressed.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from zlib_ng import zlib_ng

from ociassemble.content import compress
from ociassemble.content.compress import Codec


class Stream(NamedTuple):
    """What came of one wheel: the hashes of its files, of all of them in a row, and of that compressed."""

    files: tuple[bytes, ...]
    diff_id: str
    digest: str
    size: int
    compressed: int


def members(wheel: Path) -> Iterator[bytes]:
    """Each file's content, in the archive's order."""
    with wheel.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
        for entry in entries:
            at = entry.header_offset
            name, extra = (int.from_bytes(data[at + n : at + n + 2], "little") for n in (26, 28))
            start = at + 30 + name + extra
            raw = data[start : start + entry.compress_size]
            if entry.compress_type == zipfile.ZIP_STORED:
                yield raw
            elif entry.file_size <= 1 << 26:
                yield zlib_ng.decompress(raw, -15, entry.file_size or 1)
            else:
                raise SystemExit(f"error: {entry.filename} is too big to be held in memory")


def stream(contents: Iterator[bytes], codec: Codec) -> Stream:
    """One stream of these contents through the product's encoder, in blocks of the codec's size."""
    plain, packed = hashlib.sha256(), hashlib.sha256()
    encoder = compress.encoder(codec)
    hashes: list[bytes] = []
    size = compressed = 0
    before, waiting, length = b"", bytearray(), codec.block or compress.BLOCK

    def put(data: bytes) -> None:
        nonlocal compressed
        packed.update(data)
        compressed += len(data)

    def block(data: bytes, last: bool) -> None:
        nonlocal before
        plain.update(data)
        encoder.passed(data)
        put(encoder.encode(data, before, last))
        before = data

    put(encoder.start())
    for content in contents:
        hashes.append(hashlib.sha256(content).digest())
        size += len(content)
        waiting += content
        done = len(waiting) - len(waiting) % length
        for at in range(0, done, length):
            block(bytes(waiting[at : at + length]), False)
        del waiting[:done]
    block(bytes(waiting), True)
    put(encoder.finish())
    return Stream(tuple(hashes), plain.hexdigest(), packed.hexdigest(), size, compressed)


def shares(wheels: Sequence[Path], jobs: int) -> list[list[Path]]:
    """The wheels in `jobs` parts of about the same size: the biggest first, each to whoever has least."""
    parts: list[list[Path]] = [[] for _ in range(jobs)]
    weights = [0] * jobs
    for wheel in sorted(wheels, key=lambda wheel: (-wheel.stat().st_size, wheel.name)):
        least = weights.index(min(weights))
        parts[least].append(wheel)
        weights[least] += wheel.stat().st_size
    return parts


def work(wheels: Sequence[Path], codec: Codec) -> dict[str, int]:
    """Every wheel of one share; sums."""
    done = [stream(members(wheel), codec) for wheel in wheels]
    return {
        "files": sum(len(one.files) for one in done),
        "unpacked": sum(one.size for one in done),
        "compressed": sum(one.compressed for one in done),
    }


def main(arguments: Sequence[str]) -> None:
    codec, jobs = compress.parse(arguments[0]), int(arguments[1])
    parts = shares([Path(name) for name in arguments[2:]], jobs)
    compress.encoder(codec)  # its library is imported once
    children = []
    for part in parts[1:]:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            status = 1
            try:
                os.write(writing, json.dumps(work(part, codec)).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        children.append((process, reading))
    found = work(parts[0], codec)
    for process, reading in children:
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        if os.waitpid(process, 0)[1]:
            raise SystemExit("error: a part of the work failed")
        for name, value in json.loads(text).items():
            found[name] += value
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
