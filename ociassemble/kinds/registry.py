"""The kinds there are, and which of them a folder is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ociassemble.errors import ProjectError, UsageError
from ociassemble.kinds.binary import recognise as binary
from ociassemble.kinds.directory import Directory
from ociassemble.kinds.node import recognise as node
from ociassemble.kinds.protocol import ApplicationKind, Recognition
from ociassemble.kinds.python import recognise as python
from ociassemble.project.tree import ProjectTree

_PLANNED = ("java",)


class KindError(ProjectError):
    """No kind, or more than one, claims the folder."""

    code = "project.kind"


class _Known(NamedTuple):
    """A kind, before anybody needs more of it than whether a folder is one."""

    name: str
    recognise: Callable[[ProjectTree], Recognition | None]
    load: Callable[[], ApplicationKind]


# A kind comes with the grammars of its files: only that of the folder is imported.
def _python() -> ApplicationKind:
    from ociassemble.kinds.python.kind import Python

    return Python()


def _node() -> ApplicationKind:
    from ociassemble.kinds.node.kind import Node

    return Node()


def _binary() -> ApplicationKind:
    from ociassemble.kinds.binary.kind import Binary

    return Binary()


# In the order in which they are asked; `directory` takes whatever nobody else wants.
_KINDS = (
    _Known(python.NAME, python.recognise, _python),
    _Known(node.NAME, node.recognise, _node),
    _Known(binary.NAME, binary.recognise, _binary),
    _Known(Directory.name, Directory().recognise, Directory),
)


def kinds() -> tuple[ApplicationKind, ...]:
    """All kinds there are."""
    return tuple(kind.load() for kind in _KINDS)


def choose(tree: ProjectTree, wanted: str) -> tuple[ApplicationKind, Recognition]:
    """The kind that was asked for, or the one that recognises the folder ("auto")."""
    if wanted != "auto":
        for kind in _KINDS:
            if kind.name == wanted:
                return kind.load(), Recognition(kind.name, "--kind or settings")
        known = ", ".join(kind.name for kind in _KINDS)
        later = " yet" if wanted in _PLANNED else ""
        raise UsageError(f"there is no kind `{wanted}`{later}", hint=f"kinds: {known}")
    claims = [(kind, claim) for kind in _KINDS[:-1] if (claim := kind.recognise(tree)) is not None]
    claims = [(kind, claim) for kind, claim in claims if not claim.weak] or claims
    if len(claims) > 1:
        raise KindError(
            f"`{tree.root}` could be several kinds of application",
            details=[f"{claim.kind}: {claim.evidence}" for _, claim in claims],
            hint=f"say which: `--kind {claims[0][0].name}`",
        )
    if claims:
        return claims[0][0].load(), claims[0][1]
    if tree.alone:
        # One file is a program: why it is none is better said than that a folder of one file starts nothing.
        return _binary(), Recognition(binary.NAME, "one file")
    last = Directory()
    return last, last.recognise(tree) or Recognition(last.name, "nothing else recognises it")
