"""A tar archive that locking made of a folder -> entries of a layer (specs/behaviour/pnpm-yarn.md)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import BinaryIO

from ociassemble.content.spool import Spool
from ociassemble.errors import FormatError
from ociassemble.formats import tar
from ociassemble.formats.zip import show
from ociassemble.layer.entry import Entry
from ociassemble.plan.plan import TarSource


class TreeFormatError(FormatError):
    """A tar archive with something in it that locking does not write."""

    code = "integrity.format.tree"


def entries(stream: BinaryIO, source: TarSource, spool: Spool) -> Iterator[Entry]:
    """The files and symlinks of the tar in `stream` (verified) at and below `source.path`, in the archive's order.

    All of `stream` is read before the first entry comes; contents are in `spool`.
    """
    folder, name = source.path.strip("/"), source.artifact.filename
    found: list[Entry] = []
    for member in tar.read(stream):
        parts = member.name.split("/")
        if member.kind not in ("file", "symlink") or member.name != posixpath.normpath(member.name) or ".." in parts:
            raise TreeFormatError(f"`{name}` holds {show(member.name)} ({member.kind}), which locking does not write")
        made = Entry(f"{folder}/{member.name}", member.kind, origin=f"packages in {name}")
        if member.kind == "symlink":
            found.append(made._replace(target=member.target))
        else:
            mode = 0o755 if member.mode & 0o111 else 0o644
            content = spool.keep(member.size, member.chunks())
            found.append(made._replace(mode=mode, size=member.size, content=content))
    yield from found
