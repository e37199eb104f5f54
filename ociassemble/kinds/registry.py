"""The kinds there are, and which of them a folder is."""

from __future__ import annotations

from ociassemble.errors import ProjectError, UsageError
from ociassemble.kinds.binary import Binary
from ociassemble.kinds.directory import Directory
from ociassemble.kinds.node import Node
from ociassemble.kinds.protocol import ApplicationKind, Recognition
from ociassemble.kinds.python import Python
from ociassemble.project.tree import ProjectTree

# In the order in which they are asked; `directory` takes whatever nobody else wants.
KINDS: tuple[ApplicationKind, ...] = (Python(), Node(), Binary(), Directory())
_PLANNED = ("java",)


class KindError(ProjectError):
    """No kind, or more than one, claims the folder."""

    code = "project.kind"


def choose(tree: ProjectTree, wanted: str) -> tuple[ApplicationKind, Recognition]:
    """The kind that was asked for, or the one that recognises the folder ("auto")."""
    if wanted != "auto":
        for kind in KINDS:
            if kind.name == wanted:
                return kind, Recognition(kind.name, "--kind or settings")
        known = ", ".join(kind.name for kind in KINDS)
        later = " yet" if wanted in _PLANNED else ""
        raise UsageError(f"there is no kind `{wanted}`{later}", hint=f"kinds: {known}")
    claims = [(kind, claim) for kind in KINDS[:-1] if (claim := kind.recognise(tree)) is not None]
    claims = [(kind, claim) for kind, claim in claims if not claim.weak] or claims
    if len(claims) > 1:
        raise KindError(
            f"`{tree.root}` could be several kinds of application",
            details=[f"{claim.kind}: {claim.evidence}" for _, claim in claims],
            hint=f"say which: `--kind {claims[0][0].name}`",
        )
    if claims:
        return claims[0]
    if tree.alone:
        # One file is a program: why it is none is better said than that a folder of one file starts nothing.
        return next((kind, Recognition(kind.name, "one file")) for kind in KINDS if kind.name == "binary")
    last = KINDS[-1]
    return last, last.recognise(tree) or Recognition(last.name, "nothing else recognises it")
