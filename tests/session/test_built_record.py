"""What is remembered of a build, and how it is said."""

from __future__ import annotations

from typing import Any

import pytest

from ociassemble.content.memory import MemoryStore
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import (
    ArchiveFile,
    ArchiveSource,
    DebSource,
    DerivedSource,
    DirectorySource,
    FileItem,
    FilesSource,
    LayerPlan,
    LinkSource,
    NpmSource,
    PythonScheme,
    Source,
    TarSource,
    TextSource,
    TrustSource,
    WheelSource,
)
from ociassemble.session.built_record import KIND, MAX_SOURCES, in_words, recall, sources_of

SHA = Digest.of(b"")


def ref(name: str) -> ArtifactRef:
    return ArtifactRef(SHA, 1, name)


def words(*sources: Source) -> str:
    return in_words(sources_of(LayerPlan(title="x", role="application", sources=sources)))


WHEEL = WheelSource(ref("a-1-py3-none-any.whl"), PythonScheme("/s", "/usr", "/usr/bin/python3", "3.13"))


@pytest.mark.spec("EXPLAIN-4")
@pytest.mark.parametrize(
    ("sources", "text"),
    [
        ((WHEEL,), "a-1-py3-none-any.whl"),
        ((WHEEL, WHEEL), "a-1-py3-none-any.whl and 1 more wheel"),
        ((NpmSource(ref("x-1.tgz"), "/app/node_modules/x"),) * 3, "x-1.tgz and 2 more packages"),
        ((TarSource(ref("x.tar"), "/app/node_modules/x"),), "x.tar"),
        ((DebSource(ref("libc6_2.deb"), "libc6"),), "libc6_2.deb"),
        ((DerivedSource("ld.so.cache", ()),), "ld.so.cache"),
        ((TrustSource("/etc/ssl/certs/ca.crt", None, "PEM"),), "certificates in /etc/ssl/certs/ca.crt"),
        ((ArchiveSource((ArchiveFile("bin/node", "/bin/node", SHA, 9),), ()),), "1 file of an upstream release"),
        ((FilesSource((FileItem("/app", "directory"), FileItem("/app/a", "file", digest=SHA, size=3))),
          TextSource("/a", "x"), DirectorySource("/b"), LinkSource("/c", "a")),
         "1 file of the project; /a and 2 more paths"),
        ((), ""),
    ],
)  # fmt: skip
def test_inputs_in_words(sources: tuple[Source, ...], text: str) -> None:
    assert words(*sources) == text


@pytest.mark.spec("EXPLAIN-4")
def test_a_record_stays_small() -> None:
    many = tuple(NpmSource(ref(f"x-{number}.tgz"), "/x") for number in range(2000))
    found = sources_of(LayerPlan(title="x", role="dependency", sources=many))

    assert len(found) == MAX_SOURCES + 1
    assert found[-1] == {"type": "more", "count": 2000 - MAX_SOURCES}


@pytest.mark.spec("EXPLAIN-4")
@pytest.mark.parametrize(
    "raw", [b"", b"{", b"3", b"[]", b'{"version":1,"layers":1}', b'{"version":2,"layers":[]}', b"\xff"]
)
def test_what_is_no_record_is_none(raw: bytes) -> None:
    store = MemoryStore()
    assert recall(store, SHA) is None
    store.put_record(KIND, SHA.hex, raw)
    assert recall(store, SHA) is None


@pytest.mark.parametrize("source", [{}, {"type": 1}, {"type": "more", "count": "x"}, {"type": "files", "count": []}])
def test_odd_sources_are_said_somehow(source: dict[str, Any]) -> None:
    assert isinstance(in_words([source]), str)
