"""What each codec makes of one fixed input: the part of a digest that only libraries and CPUs could change.

Run as a program (`python -m tests.digests.codecs [JOBS]`) it prints that: so it runs on other CPUs and Pythons.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys

from ociassemble._pool import Cores
from ociassemble.content import compress
from ociassemble.content.codec import Role
from ociassemble.content.writer import CompressingWriter
from tests.digests.fixture import noise, prose

# Every level that is a default, and the ends of the ranges.
CODECS = ("gzip:1", "gzip:3", "gzip:6", "gzip:9", "zstd:1", "zstd:3", "zstd:9", "none")
ROLES: tuple[Role, ...] = ("base", "dependency")  # their encoders of gzip differ
# Text, noise, repetition, and more blocks than threads.
SAMPLE = prose("codec", 900_000) + noise("codec", 200_000) + b"na" * 150_000 + prose("codec", 100_000)
# What zstd cuts into jobs, and a block of nothing but noise, which gzip stores.
LONG = SAMPLE + noise("long", 1_500_000) + prose("long", 3_000_000)


def digests(jobs: int) -> dict[str, str]:
    """sha256 of the compressed sample, by codec identity; of the long one where blocks are longer than 256 KiB."""
    found = {}
    for text, role in itertools.product(CODECS, ROLES):
        codec = compress.parse(text, role)
        hashed = hashlib.sha256()
        with CompressingWriter(hashed.update, codec, cores=Cores(jobs)) as writer:
            writer.write(LONG if codec.block > compress.BASE_BLOCK else SAMPLE)
            writer.finish()
        found[codec.identity] = hashed.hexdigest()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(digests(int(sys.argv[1]) if len(sys.argv) > 1 else 1)) + "\n")
