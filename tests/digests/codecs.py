"""What each codec makes of one fixed input: the part of a digest that only libraries and CPUs could change.

Run as a program (`python -m tests.digests.codecs [JOBS]`) it prints that: so it runs on other CPUs and Pythons.
"""

from __future__ import annotations

import hashlib
import json
import sys

from ociassemble.content import compress
from ociassemble.content.writer import CompressingWriter
from tests.digests.fixture import noise, prose

# Every level that is a default, and the ends of the ranges.
CODECS = ("gzip:1", "gzip:3", "gzip:6", "gzip:9", "zstd:1", "zstd:9", "none")
# Text, noise, repetition, and more blocks than threads.
SAMPLE = prose("codec", 900_000) + noise("codec", 200_000) + b"na" * 150_000 + prose("codec", 100_000)


def digests(jobs: int) -> dict[str, str]:
    """sha256 of the compressed sample, by codec identity."""
    found = {}
    for text in CODECS:
        codec = compress.parse(text)
        hashed = hashlib.sha256()
        with CompressingWriter(hashed.update, codec, jobs=jobs) as writer:
            writer.write(SAMPLE)
            writer.finish()
        found[codec.identity] = hashed.hexdigest()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(digests(int(sys.argv[1]) if len(sys.argv) > 1 else 1)) + "\n")
