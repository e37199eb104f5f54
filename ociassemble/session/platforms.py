"""For which platforms something is built: those that were asked for, or every one that the base has (CLI-17)."""

from __future__ import annotations

from ociassemble.base.names import BaseName
from ociassemble.base.resolve import Resolver
from ociassemble.lock.application import Application
from ociassemble.oci.platform import Platform
from ociassemble.plan.lock import Lock
from ociassemble.progress import Progress
from ociassemble.project.settings import Settings

ALL = "all"


def asked_for(settings: Settings, host: Platform) -> tuple[Platform, ...]:
    """The platforms asked for, each once, sorted: the order in which they were written decides nothing.

    Empty where `all` is asked for: only the base can say which these are.
    """
    if ALL in settings.platforms:
        return ()
    found: dict[str, Platform] = {}
    for text in settings.platforms or ("host",):
        platform = host if text == "host" else Platform.parse(text)
        found[str(platform)] = platform
    return tuple(found[name] for name in sorted(found))


def on_all(
    application: Application, name: BaseName, lock: Lock | None, resolver: Resolver, progress: Progress
) -> Application:
    """The application for every platform of its base; where the lock pins that, those of the lock."""
    if lock is not None and lock.asked.base == application.base and all(item.base for item in lock.platforms.values()):
        found, where = tuple(map(Platform.parse, sorted(lock.platforms))), "the lock"
    else:
        found = resolver.platforms(name, application.settings.base_source)
        where = f"`{name.written}`"
    texts = tuple(map(str, found))
    progress.info(f"platforms: {', '.join(texts)} (all of {where})")
    return application._replace(platforms=found, asked=application.asked._replace(platforms=texts))
