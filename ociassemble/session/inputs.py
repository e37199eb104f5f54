"""What a build starts from: settings, the folder, where its lock is. The first of every walk, and all of the shortest.

`session.finished` needs no more than this to see that nothing changed; what else a build needs is in `session.steps`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ociassemble.content import compress
from ociassemble.content.codec import Codec
from ociassemble.plan.filename import FILENAME
from ociassemble.project import reading
from ociassemble.project import settings as project_settings
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree
from ociassemble.session import Session
from ociassemble.session.environment import cache_folder
from ociassemble.session.request import BuildRequest, written_below

if TYPE_CHECKING:
    from ociassemble.plan.lock import Lock


class Inputs(NamedTuple):
    """What one build starts from, read once."""

    settings: Settings
    tree: ProjectTree
    key: str  # of the record of the finished build (`session.finished`)
    beside: tuple[str, ...]  # sha256 of the lock and of the user's wheels, "" for what is not there


def settings_of(request: BuildRequest) -> Settings:
    """The project's settings, with the flags on top."""
    if request.application.is_dir():
        return project_settings.load(request.application).override(**request.flags)
    return Settings().override(**request.flags)


def tree_of(request: BuildRequest, settings: Settings, session: Session) -> ProjectTree:
    """The project's folder; outputs, the cache and the lock inside it are not part of it."""
    return reading.read(
        request.application,
        ignorefile=settings.ignorefile,
        allow_secrets=settings.secrets.allow,
        wheels=settings.wheels,
        leave_out=[
            *written_below(request),
            *request.writes,
            lock_path(request),
            cache_folder(session.environment, session.options.cache_dir),
        ],
        include=settings.build.include,
        exclude=settings.build.exclude,
        add=settings.add,
        # Settings come with the folder, from whomever; what is typed may name any file of this machine.
        add_anywhere=bool(request.flags.get("add")),
        home=session.environment.home,
        jobs=session.jobs,
        progress=session.progress,
    )


def codec_of(settings: Settings, role: compress.Role) -> Codec:
    """How the layers of this role are compressed."""
    return compress.parse(settings.compression or "gzip", role)


def for_locked(request: BuildRequest, lock: Lock) -> BuildRequest:
    """The request for the platforms that were locked, where nobody names any: not for what this host happens to be."""
    return request if settings_of(request).platforms else request.with_flags(platforms=lock.asked.platforms)


def lock_path(request: BuildRequest) -> Path:
    """Where the lock is, or would be."""
    if request.lockfile is not None:
        return request.lockfile
    path = request.application
    return path.with_name(f"{path.name}.{FILENAME}") if path.is_file() else path / FILENAME
