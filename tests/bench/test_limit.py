"""The libraries alone do what the product does: the same hashes of files, the same bytes from the same stream."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import limit
import pytest
import stack
from measure import REPOSITORY

from ociassemble._pool import Cores
from ociassemble.content import compress
from ociassemble.content.compress import BLOCK
from ociassemble.content.memory import MemoryStore
from ociassemble.content.writer import BlobWriter

SOURCE = random.Random(5)
CONTENTS = [b"", b"x", (SOURCE.randbytes(3000).hex() * 120).encode(), SOURCE.randbytes(BLOCK - 7), bytes(3 * BLOCK)]


@pytest.mark.parametrize("name", ["gzip", "zstd", "gzip:1", "none"])
@pytest.mark.parametrize("contents", [CONTENTS, [bytes(BLOCK)], [b"a" * (2 * BLOCK)], [b""]], ids=range(4))
def test_a_stream_has_the_digests_that_the_product_gives_it(name: str, contents: list[bytes]) -> None:
    codec = compress.parse(name)
    mine = limit.stream(iter(contents), codec)
    with BlobWriter(MemoryStore().ingest(), codec, cores=Cores(2)) as writer:
        for content in contents:
            writer.write(content)
        theirs = writer.finish()
    assert (mine.diff_id, mine.digest) == (theirs.diff_id.hex, theirs.digest.hex)
    assert (mine.size, mine.compressed) == (theirs.tar_size, theirs.size)
    assert mine.files == tuple(hashlib.sha256(content).digest() for content in contents)


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    return [stack.wheel(tmp_path, name, (number + 1) << 18) for number, name in enumerate(stack.NAMES)]


def test_files_have_the_hashes_that_record_names(wheels: list[Path]) -> None:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            [record] = [name for name in names if name.endswith("/RECORD")]
            rows = {row[0]: row for row in csv.reader(io.StringIO(archive.read(record).decode()))}
        assert set(rows) == set(names)
        hashes = limit.stream(limit.members(wheel), compress.parse("gzip")).files
        for name, digest in zip(names, hashes, strict=True):
            if name != record:
                assert rows[name][1] == "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.parametrize("jobs", [1, 2, 3, 6])
def test_every_wheel_is_in_one_share(wheels: list[Path], jobs: int) -> None:
    parts = limit.shares(wheels, jobs)
    assert len(parts) == jobs
    assert sorted(path for part in parts for path in part) == sorted(wheels)


def test_two_processes_do_the_same_as_one(wheels: list[Path]) -> None:
    def told(jobs: int) -> dict[str, int]:
        command = [sys.executable, limit.__file__, "gzip", str(jobs), *map(str, wheels)]
        done = subprocess.run(command, check=True, capture_output=True, env={"PYTHONPATH": str(REPOSITORY)})
        found: dict[str, int] = json.loads(done.stdout)
        return found

    one = told(1)
    assert told(2) == one
    with zipfile.ZipFile(wheels[0]) as archive:
        assert one["files"] == 4 * len(archive.namelist())
    assert one["unpacked"] > sum(range(1, 5)) << 18 > one["compressed"] > 0
