"""One path that will be packed, and its bytes (specs/behaviour/packing.md, PACK-10 and PACK-20)."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from ociassemble.oci.digest import Digest
from ociassemble.project import inside
from ociassemble.project import walk as walking


class TreeFile(NamedTuple):
    """One path that will be packed."""

    path: str  # relative to the folder, "/"-separated
    kind: Literal["file", "directory", "symlink"]
    mode: int = 0o644  # 0o755 for folders and for files that anyone may execute, 0o777 for symlinks
    size: int = 0
    digest: Digest | None = None  # of a file
    target: str = ""  # of a symlink


def tree_file(item: walking.Found, digests: Mapping[str, Digest]) -> TreeFile:
    """What was found, with the mode it has in an image. `digests` are those of files, by path."""
    mode = item.seen.mode
    if stat.S_ISDIR(mode):
        return TreeFile(item.path, "directory", 0o755)
    if stat.S_ISLNK(mode):
        return TreeFile(item.path, "symlink", 0o777, target=item.target)
    return TreeFile(item.path, "file", 0o755 if mode & 0o111 else 0o644, item.seen.size, digests[item.path])


def content(folder: Path, file: TreeFile) -> Callable[[], Iterator[bytes]]:
    """The bytes of a file below `folder`, from the beginning each time it is called: exactly `file.size` of them.

    They are hashed while they are read: `ChangedError` if they are not what was hashed when the tree was read.
    """

    def read_again() -> Iterator[bytes]:
        hasher, left = hashlib.sha256(), file.size
        try:
            with inside.Root(folder) as root, inside.opened(root, file.path) as (descriptor, seen):
                if seen.size != file.size:
                    raise inside.changed(file.path)
                for block in walking.blocks(descriptor, file.size):
                    left -= len(block)
                    if left < 0:
                        break
                    hasher.update(block)
                    yield block
        except OSError as error:
            raise inside.translate(error, file.path) from error
        if left or file.digest is None or hasher.hexdigest() != file.digest.hex:
            raise inside.changed(file.path)

    return read_again
