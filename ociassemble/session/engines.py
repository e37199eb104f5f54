"""Engines of this host as places: what `--load` and `docker-daemon:` write to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ociassemble import _run
from ociassemble.errors import OfflineError
from ociassemble.oci.reference import Reference
from ociassemble.runtime.load import AlsoNamed, EngineDestination, choose
from ociassemble.session import Session
from ociassemble.transports.archive import ArchiveDestination
from ociassemble.transports.protocols import Destination


def into_engine(session: Session, names: Sequence[Reference], asked: str = "") -> tuple[Destination, ...]:
    """One destination a name; the engine is chosen here, before any work, and named. `asked` as for `--runtime`."""
    variables = session.environment.variables
    path = variables.get("PATH")
    host = variables.get("DOCKER_HOST", "")
    if session.options.offline and host and not host.startswith("unix://") and asked in ("", "docker"):
        raise OfflineError(f"`{host}` is needed to load, and `--offline` forbids to ask", hint="name another --runtime")
    chosen = choose(lambda name: _run.find(name, path=path), variables, session.environment.home, asked)
    session.progress.info(f"loading into {chosen}")

    def archive(place: Path) -> ArchiveDestination:
        return ArchiveDestination(str(place), "docker", names=names, durable=False)

    first = EngineDestination(chosen, names, archive, session.host_platform(), session.progress)
    return (first, *(AlsoNamed(first, name) for name in names[1:]))
