"""What goes into a layer: entries of an image's file system, before they are a tar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

Kind = Literal["file", "directory", "symlink", "hardlink"]
Content = Callable[[], Iterable[bytes]]  # blocks of the file, from the beginning, each time it is called


def nothing() -> Iterable[bytes]:
    """The content of an empty file and of everything that is not a file."""
    return ()


def constant(data: bytes) -> Content:
    """The content of a file held in memory."""
    return lambda: (data,)


class Entry(NamedTuple):
    """One path of the image.

    `path` is relative to the image's root, `/`-separated, normalised: no leading slash, no `.`, `..` or empty
    part. `size` is in bytes and is exactly what `content` yields. `target` is the link text of a symlink (as it
    will stand in the image) or the path (like `path`) that a hardlink shares. `origin` names the entry's source
    for people ("wheel flask-3.1.3-py3-none-any.whl").
    """

    path: str
    kind: Kind = "file"
    mode: int = 0o644
    size: int = 0
    content: Content = nothing
    target: str = ""
    uid: int = 0
    gid: int = 0
    origin: str = ""

    @classmethod
    def held(cls, path: str, data: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0, origin: str) -> Entry:
        """A file held in memory."""
        return cls(path, mode=mode, size=len(data), content=constant(data), uid=uid, gid=gid, origin=origin)
