"""The application as it lies there, and the lock beside it: all that is known before any server is asked."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ociassemble.content.verify import digest_of
from ociassemble.errors import PolicyError, ProjectError
from ociassemble.kinds.protocol import ApplicationKind, ResolveRequest
from ociassemble.kinds.registry import choose
from ociassemble.lock.freshness import stale
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.lock import Asked, Lock, LockFormatError
from ociassemble.progress import Progress
from ociassemble.project.settings import Settings, selecting
from ociassemble.project.tree import ProjectTree

MAX_LOCK = 16 << 20  # bytes


class LockStaleError(PolicyError):
    """The lock does not answer what is asked, under `--locked` or in CI."""

    code = "policy.locked"


class LockMissingError(ProjectError):
    """`--lockfile` names a lock that is not there."""

    code = "project.lock-missing"


class WheelFileError(ProjectError):
    """`--wheel` names something that is no readable wheel."""

    code = "project.wheel"


class Application(NamedTuple):
    """What is built: the folder, what it is, and what a lock of it would have to answer."""

    tree: ProjectTree
    settings: Settings
    kind: ApplicationKind
    platforms: tuple[Platform, ...]
    base: str  # as written, or the kind's default
    request: ResolveRequest | None
    asked: Asked

    def drifted(self) -> tuple[tuple[str, ...], str]:
        """Why its uv.lock or poetry.lock was not made of the project, and the command that makes it anew."""
        from ociassemble.lock import drift

        return drift.first(self.request, lambda path: self.tree.bytes_of(path, MAX_LOCK))


def recognise(
    tree: ProjectTree, settings: Settings, platforms: tuple[Platform, ...], progress: Progress
) -> Application:
    """Which kind of application the folder is; decisions are told."""
    kind, claim = choose(tree, settings.kind)
    progress.info(f"application: {kind.name} ({claim.evidence})")
    for notice in tree.notices():
        progress.info(notice)
    for warning in tree.warnings:
        progress.warn(warning)
    base = settings.base
    if not base:
        base, evidence = kind.default_base(tree, settings, platforms)
        if evidence:
            progress.info(f"base: {base} ({evidence})")
    request = kind.request(tree, settings, None)
    inputs = {path: Digest.of(tree.bytes_of(path, MAX_LOCK)) for path in (request.inputs if request else ())}
    # A wheel that is built anew under its old name is another input.
    inputs |= {path.name: _digest(path) for path in settings.wheels}
    chosen = {key: tuple(value) if isinstance(value, list) else value for key, value in selecting(settings).items()}
    asked = Asked(base, tuple(str(item) for item in platforms), kind.name, chosen, inputs)
    return Application(
        tree=tree, settings=settings, kind=kind, platforms=platforms, base=base, request=request, asked=asked
    )


def read_lock(path: Path) -> Lock | None:
    """The lock at `path`, or None where there is none."""
    if path.exists() and not path.is_file():  # a pipe would never end
        raise LockFormatError(f"the lock `{path}` is not a file", hint="name another one with `--lockfile`")
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_LOCK + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LockFormatError(
            f"cannot read the lock `{path}`: {error.strerror}", hint="name another one with `--lockfile`"
        ) from error
    return Lock.parse(raw, path.name)


def fresh_lock(application: Application, path: Path, *, locked: bool, ci: bool, progress: Progress) -> Lock | None:
    """The lock, if it answers what is asked. `locked`: it must be there and answer; `ci`: it must not be stale."""
    lock = read_lock(path)
    if lock is None:
        if locked:
            raise LockStaleError(f"`--locked`, but there is no `{path.name}`", hint="write one with `ociassemble lock`")
        return None
    reasons = stale(lock, application.asked, {})
    # Without the option, locking again asks for the platforms that were locked.
    more = set(application.asked.platforms) - set(lock.asked.platforms)
    wanted = ",".join(sorted({*lock.asked.platforms, *more}))
    command = f"ociassemble lock --platform {wanted}" if more else "ociassemble lock"
    strict, first = locked or ci, ""
    if reasons and strict:
        drifted, first = application.drifted()
        reasons += drifted
    return None if refused(reasons, path.name, strict=strict, progress=progress, command=command, first=first) else lock


def relock(first: str, command: str = "ociassemble lock") -> str:
    """The commands that write a fresh lock, for people: `first` is that of the tool whose lock is our input, or ""."""
    return f"`{first}`, then `{command}`" if first else f"`{command}`"


def refused(
    reasons: tuple[str, ...],
    name: str,
    *,
    strict: bool,
    progress: Progress,
    command: str = "ociassemble lock",
    first: str = "",
) -> bool:
    """Whether a lock is stale for these reasons: told, and an error where `strict`.

    `command` writes a fresh one, after `first` where there is such a command.
    """
    if not reasons:
        return False
    if strict:
        raise LockStaleError(
            f"`{name}` is stale", details=reasons, hint=f"run {relock(first, command)} and commit the result"
        )
    progress.warn(f"`{name}` is stale, resolving again: {'; '.join(reasons)} (`{command}` writes it anew)")
    return True


def _digest(path: Path) -> Digest:
    """What a user's wheel is: part of what a lock answers."""
    if path.exists() and not path.is_file():  # a pipe would never end
        raise WheelFileError(f"the wheel `{path}` is not a file")
    try:
        with path.open("rb") as stream:
            return digest_of(stream)
    except OSError as error:
        raise WheelFileError(f"cannot read the wheel `{path}`: {error.strerror}") from error
