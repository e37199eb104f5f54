"""What git says of the application's folder, where somebody asked for it (config-merge.md, MERGE-13)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ociassemble import _run
from ociassemble.progress import Progress
from ociassemble.project.metadata import SOURCE, repository

REVISION = "org.opencontainers.image.revision"
# A repository's own configuration and attributes must not make git run programs, nor may anything be fetched.
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "submodule.recurse=false")
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def read_git(folder: Path, variables: Mapping[str, str], progress: Progress) -> dict[str, str]:
    """`revision` of the last commit, with `-dirty` where tracked files differ, and `source` where `origin` has a page.

    Raises `ToolError` where git is missing, or the folder in no repository with a commit.
    """
    environment = {
        **variables,
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ATTR_SOURCE": _EMPTY_TREE,
        "LC_ALL": "C",
    }

    def ask(*words: str, check: bool = True) -> str:
        done = _run.run(["git", "-C", str(folder), *_SAFE, *words], environment=environment, check=check)
        return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""

    revision = ask("rev-parse", "--verify", "HEAD^{commit}")
    changed = ask("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all", "--", ".")
    if changed:
        first = changed.splitlines()[0][2:].strip()
        progress.warn(f"files differ from the last commit (`{first}`): the revision is called {revision[:12]}-dirty")
        revision += "-dirty"
    found = {REVISION: revision}
    if source := repository(ask("config", "--get", "remote.origin.url", check=False)):
        found[SOURCE] = source
    progress.info(f"annotations from git: {', '.join(f'{key}={value}' for key, value in found.items())}")
    return found
