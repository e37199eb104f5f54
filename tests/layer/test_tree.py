"""Parts of a node_modules folder in a layer: what locking packs, and nothing else."""

from __future__ import annotations

import io
from typing import Any

import pytest

from ociassemble.content.spool import Spool
from ociassemble.errors import FormatError
from ociassemble.formats import tar
from ociassemble.layer import tree
from ociassemble.layer.tree import TreeFormatError
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import TarSource


def laid_out(data: bytes) -> list[tuple[Any, ...]]:
    source = TarSource(ArtifactRef(Digest.of(data), len(data), "node_modules+a.tar"), "/app/node_modules/a")
    with Spool() as spool:
        found = tree.entries(io.BytesIO(data), source, spool)
        return [(item.path, item.kind, item.mode, item.target, b"".join(item.content())) for item in found]


def archive(*members: bytes) -> bytes:
    return b"".join(members) + tar.END


@pytest.mark.spec("PNPM-6")
def test_files_and_links_below_their_place() -> None:
    body = b"1" + tar.padding(1)

    found = laid_out(
        archive(tar.header("a/run", mode=0o4700, size=1) + body, tar.header("b", "symlink", target="a/run"))
    )

    assert found == [
        ("app/node_modules/a/a/run", "file", 0o755, "", b"1"),
        ("app/node_modules/a/b", "symlink", 0o644, "a/run", b""),
    ]


@pytest.mark.parametrize(
    "header",
    [
        tar.header("a", "directory"),
        tar.header("a", "hardlink", target="b"),
        tar.header("a").replace(b"a", b"/a", 1),
    ],
    ids=["folder", "hard link", "absolute"],
)
def test_what_locking_does_not_write(header: bytes) -> None:
    with pytest.raises(FormatError):
        laid_out(archive(header))


def test_a_refusal_says_what_it_is() -> None:
    with pytest.raises(TreeFormatError, match="directory"):
        laid_out(archive(tar.header("a", "directory")))


def test_a_tar_that_is_cut_off() -> None:
    with pytest.raises(FormatError):
        laid_out(tar.header("a", size=1000) + b"1")
