"""One source of a `LayerPlan` -> what it brings into a layer, read from its materials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ociassemble.content.spool import Spool
from ociassemble.layer.entry import Content, Entry
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import (
    ArchiveSource,
    DebSource,
    DerivedSource,
    DirectorySource,
    FileItem,
    FilesSource,
    LinkSource,
    NpmSource,
    Source,
    TarSource,
    TextSource,
    TrustSource,
    WheelSource,
)


class Materials(NamedTuple):
    """Where the content of a plan's sources is read from."""

    artifact: Callable[[ArtifactRef], BinaryIO]  # verified and seekable
    file: Callable[[FileItem], Content]  # a file of the project, verified while it is read
    scratch: Path | None = None  # a folder for temporary files, instead of the system's


def entries(source: Source, materials: Materials, stack: ExitStack, spool: Spool) -> Iterable[Entry]:
    """The entries of one source, in its order; what they are read from is closed with `stack`, or once it is read."""
    if isinstance(source, WheelSource):
        from ociassemble.layer import wheel

        return wheel.entries(stack.enter_context(materials.artifact(source.artifact)), source)
    if isinstance(source, NpmSource):
        return _npm(source, materials, spool)
    if isinstance(source, TarSource):
        return _tree(source, materials, spool)
    if isinstance(source, DebSource):
        from ociassemble.layer import deb

        return deb.entries(stack.enter_context(materials.artifact(source.artifact)), source)
    if isinstance(source, DerivedSource):
        from ociassemble.layer import derived

        return derived.entries(source, materials.artifact)
    if isinstance(source, ArchiveSource):
        from ociassemble.layer import archive

        return archive.entries(source, materials.artifact)
    if isinstance(source, TrustSource):
        from ociassemble.layer import trust

        return trust.entries(source, materials.artifact)
    if isinstance(source, FilesSource):
        return (_file(item, materials) for item in source.items)
    if isinstance(source, TextSource):
        path, data = source.path.lstrip("/"), source.text.encode()
        return (Entry.held(path, data, mode=source.mode, uid=source.uid, gid=source.gid, origin="ociassemble"),)
    if isinstance(source, DirectorySource):
        path = source.path.strip("/")
        return (Entry(path, "directory", source.mode, uid=source.uid, gid=source.gid, origin="ociassemble"),)
    if isinstance(source, LinkSource):
        return (Entry(source.path.lstrip("/"), "symlink", target=source.target, origin="ociassemble"),)
    raise AssertionError(f"a source of an unknown type: {source!r:.100}")


def _npm(source: NpmSource, materials: Materials, spool: Spool) -> Iterator[Entry]:
    from ociassemble.layer import npm

    # Closed before the next one is opened: node_modules may hold more packages than a process may hold files open.
    with materials.artifact(source.artifact) as stream:
        yield from npm.entries(stream, source, spool)


def _tree(source: TarSource, materials: Materials, spool: Spool) -> Iterator[Entry]:
    from ociassemble.layer import tree

    with materials.artifact(source.artifact) as stream:
        yield from tree.entries(stream, source, spool)


def _file(item: FileItem, materials: Materials) -> Entry:
    path = item.path.strip("/")
    origin = f"the project's `{item.source or path}`"
    if item.kind == "file":
        return Entry(
            path,
            mode=item.mode,
            size=item.size,
            content=materials.file(item),
            uid=item.uid,
            gid=item.gid,
            origin=origin,
        )
    return Entry(path, item.kind, item.mode, target=item.target, uid=item.uid, gid=item.gid, origin=origin)
