"""What git says of the application's folder, where somebody asked for it (config-merge.md, MERGE-13; DIGEST-24)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ociassemble import _run
from ociassemble.progress import Progress
from ociassemble.project.metadata import SOURCE, repository

REVISION = "org.opencontainers.image.revision"
# A repository's own configuration must not make git run programs: a file system monitor, hooks, filters of content.
_SAFE = {"core.fsmonitor": "false", "core.hooksPath": "/dev/null", "submodule.recurse": "false"}


def read_git(folder: Path, variables: Mapping[str, str], progress: Progress) -> dict[str, str]:
    """`revision` of the last commit, with `-dirty` where tracked files differ, and `source` where `origin` has a page.

    Raises `ToolError` where git is missing, or the folder in no repository with a commit.
    """
    safe = dict(_SAFE)

    def ask(*words: str, check: bool = True) -> str:
        return _ask(folder, variables, words, safe, check=check)

    names = ask("config", "--name-only", "--null", "--get-regexp", r"^filter\..*\.(clean|smudge|process)$", check=False)
    safe |= {name: "" for name in names.split("\0") if name}
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


def commit_time(folder: Path, variables: Mapping[str, str]) -> str:
    """When the last commit was made, in seconds since 1970 as git writes them. Raises `ToolError` as `read_git`."""
    return _ask(folder, variables, ("log", "-1", "--format=%ct", "--no-show-signature"), _SAFE)


def _ask(
    folder: Path, variables: Mapping[str, str], words: Sequence[str], safe: Mapping[str, str], *, check: bool = True
) -> str:
    """What `git WORDS` prints, with `safe` over every configuration; "" where it fails and may (`check` False)."""
    given = variables.get("GIT_CONFIG_COUNT", "")
    first = int(given) if re.fullmatch(r"[0-9]{1,3}", given, re.ASCII) else 0  # the user's own come before
    settings = {"GIT_CONFIG_COUNT": str(first + len(safe))}
    for number, (key, value) in enumerate(safe.items(), first):
        settings |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    environment = {
        **variables,
        **settings,
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }
    done = _run.run(["git", "-C", str(folder), *words], environment=environment, check=check)
    return done.stdout.decode("utf-8", "surrogateescape").strip() if done.returncode == 0 else ""
