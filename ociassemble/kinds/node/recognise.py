"""Whether a folder is a Node application: asked of every folder, so without the grammars that reading it needs."""

from __future__ import annotations

from ociassemble.kinds.protocol import Recognition
from ociassemble.project.tree import ProjectTree

NAME = "node"
FILE = "package.json"


def recognise(tree: ProjectTree) -> Recognition | None:
    """By its package.json."""
    return Recognition(NAME, FILE) if tree.has(FILE) else None
