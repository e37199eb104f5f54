"""Whether a folder is a Python application: asked of every folder, so without the grammars that reading it needs."""

from __future__ import annotations

from ociassemble.kinds.protocol import Recognition
from ociassemble.project.tree import ProjectTree

NAME = "python"
# Files that list packages and are read, each with the name of its grammar. Best first: a lock says more than a list,
# and a list that somebody pinned more than a wish.
PRECEDENCE = (
    ("pylock.toml", "pylock"),
    ("uv.lock", "uv.lock"),
    ("poetry.lock", "poetry.lock"),
    ("requirements.txt", "requirements"),
    ("pyproject.toml", "pyproject"),
)
# What else makes a folder a Python application, best evidence first.
_OTHERS = ("pdm.lock", "Pipfile.lock", "Pipfile", "setup.py", "setup.cfg")
_PROGRAMS = ("main.py", "app.py", "manage.py", "wsgi.py", "asgi.py", "__main__.py")


def recognise(tree: ProjectTree) -> Recognition | None:
    """By a file that lists packages, or one that starts a program."""
    for name in (*(name for name, _ in PRECEDENCE), *_OTHERS, *_PROGRAMS):
        if tree.has(name):
            return Recognition(NAME, name)
    return None
