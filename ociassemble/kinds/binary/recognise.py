"""Whether a folder may be one of a program: asked of every folder, so without the grammars that reading it needs."""

from __future__ import annotations

from ociassemble.kinds.protocol import Recognition
from ociassemble.project.tree import ProjectTree

NAME = "binary"
_MAGIC = b"\x7fELF"
# Below the top, what `find` looks into begins with one of these, or with a folder that is named after a platform.
_FOLDERS = frozenset({"dist", "bin", "build", "out", "release", "_output", "artifacts", "zig-out", "target"})


def recognise(tree: ProjectTree) -> Recognition | None:
    """By one program: at the top of the folder, or (weaker evidence) where build tools put it."""
    likely = (file.path for file in tree.files if file.kind == "file" and _likely(file.path))
    if not any(tree.part(path, 0, len(_MAGIC)) == _MAGIC for path in likely):
        return None
    from ociassemble.kinds.binary.kind import claim

    return claim(tree)


def _likely(path: str) -> bool:
    """Whether a program can be at this path: never False where `find` would look."""
    first, below, _ = path.partition("/")
    return not below or first in _FOLDERS or "linux" in first.lower()
