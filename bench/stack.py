"""Wheels that are as big as those of machine learning: few files, hundreds of MiB each, half of it compressible."""

from __future__ import annotations

import base64
import hashlib
import random
import zipfile
from pathlib import Path

NAMES = ("bench-stack-one", "bench-stack-two", "bench-stack-three", "bench-stack-four")
BLOCK = 1 << 20


def wheel(folder: Path, name: str, size: int) -> Path:
    """A valid wheel of `size` bytes unpacked, in three big files and small ones; its name decides the content."""
    module = name.replace("-", "_")
    source = random.Random(name)
    path = folder / f"{module}-1.0-py3-none-any.whl"
    about = f"{module}-1.0.dist-info"
    small = {
        f"{module}/__init__.py": b"SIZE = %d\n" % size,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = []
    # A few blocks over and over, each time with another beginning: as quick to make as to write.
    blocks = [(source.randbytes(BLOCK // 4).hex() + " " * (BLOCK // 2)).encode() for _ in range(8)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part, share in (("big", 0.7), ("middle", 0.25), ("rest", 0.05)):
            place = f"{module}/{part}.bin"
            left = int(size * share)
            with archive.open(zipfile.ZipInfo(place, (2024, 1, 1, 0, 0, 0)), "w", force_zip64=True) as file:
                number, done = 0, hashlib.sha256()
                while left > 0:
                    block = (b"%16d" % number + blocks[number % len(blocks)][16:])[:left]
                    file.write(block)
                    done.update(block)
                    left -= len(block)
                    number += 1
            record.append(line(place, done.digest(), int(size * share)))
        for place, content in small.items():
            archive.writestr(zipfile.ZipInfo(place, (2024, 1, 1, 0, 0, 0)), content)
            record.append(line(place, hashlib.sha256(content).digest(), len(content)))
        lines = "".join([*record, f"{about}/RECORD,,\n"])
        archive.writestr(zipfile.ZipInfo(f"{about}/RECORD", (2024, 1, 1, 0, 0, 0)), lines)
    return path


def line(place: str, digest: bytes, size: int) -> str:
    """A line of RECORD (binary distribution format)."""
    return f"{place},sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')},{size}\n"
