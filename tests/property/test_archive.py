"""Archives with bytes changed: what is read is what was written, or our own error; never anything else."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.errors import Error
from ociassemble.operations.images import validate
from ociassemble.progress import Progress
from ociassemble.testing import images
from ociassemble.transports.archive import ArchiveDestination, OciArchiveSource
from ociassemble.transports.dockerarchive import DockerArchiveSource
from ociassemble.transports.members import Archive
from ociassemble.transports.transfer import write

NAME = "registry.example/app:v1"


@functools.cache
def good() -> tuple[bytes, images.Image]:
    made = images.image([images.layer({"a": "b"}), images.layer({"c": "d" * 600})], execution={"Cmd": ["/a"]})
    with tempfile.TemporaryDirectory() as folder:
        place = ArchiveDestination(f"{folder}/x.tar", "docker", NAME)
        write(made.node, place, progress=Progress(), jobs=1)
        return Path(f"{folder}/x.tar").read_bytes(), made


edits = st.lists(st.tuples(st.integers(0, 1 << 30), st.binary(min_size=1, max_size=16)), min_size=1, max_size=3)


@pytest.mark.spec("ARCH-6", "ARCH-8")
@given(edits=edits, cut=st.integers(0, 1 << 30) | st.none())
@settings(max_examples=150)
def test_changed_bytes(edits: list[tuple[int, bytes]], cut: int | None) -> None:
    data, made = good()
    changed = bytearray(data)
    for at, value in edits:
        at %= len(changed)
        changed[at : at + len(value)] = value
    del changed[cut % len(changed) if cut is not None else len(changed) :]
    with tempfile.NamedTemporaryFile() as file:
        file.write(changed)
        file.flush()
        for source in (OciArchiveSource(Archive(file.name)), DockerArchiveSource(Archive(file.name))):
            try:
                node = source.read()
                report = validate(node)
            except Error:
                continue
            if not report.findings and node.descriptor.digest == made.digest:
                assert node.raw == made.manifest.raw
