"""What resolves the bases of a run: from where images are, or assembled from signed packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ociassemble.base.names import BaseName
from ociassemble.base.resolve import Resolver
from ociassemble.oci.digest import Digest
from ociassemble.plan.lock import Lock
from ociassemble.project.settings import Settings
from ociassemble.session import Session
from ociassemble.session.cache import Caches
from ociassemble.session.request import BuildRequest
from ociassemble.session.supplies import Supplies
from ociassemble.transports.protocols import Source

if TYPE_CHECKING:
    from ociassemble.base.debian.source import DebianBases


def resolver(session: Session, request: BuildRequest, settings: Settings, lock: Lock | None = None) -> Resolver:
    """What resolves a base: pinned by the lock where there is one, else by `request.pull`."""

    def open_source(name: BaseName, digest: Digest | None) -> Source:
        location = name.location
        if digest is not None and location.reference is not None:
            location = location._replace(reference=location.reference.with_digest(digest))
        return session.open(location, request.pull)

    locked = lock.platforms if lock is not None else {}
    return Resolver(
        open=open_source,
        assembler=lambda: assembler(session, request, settings),
        pins={name: item.base for name, item in locked.items() if item.base},
        store=session.store,
        progress=session.progress,
        jobs=session.jobs,
        known={name: item.facts for name, item in locked.items()},
    )


def assembler(session: Session, request: BuildRequest, settings: Settings) -> DebianBases:
    """What assembles bases, and brings what they are made of."""
    # Recipes and the grammars of Debian's archive: only where a base is assembled.
    from ociassemble.base.debian.source import DebianBases

    variables = session.environment.variables
    return DebianBases(
        mirror=settings.debian_mirror or variables.get("OCIASSEMBLE_DEBIAN_MIRROR"),
        upstream=settings.node_mirror or variables.get("OCIASSEMBLE_NODE_MIRROR"),
        npm=lambda: Supplies(session).npm(request.folder),
        offline=session.options.offline,
        wire=lambda: session.wire,
        store=session.store,
        use_records=request.use_cache,
        jobs=session.jobs,
        transfers=session.transfers,
        progress=session.progress,
        elsewhere=Caches(session, request, settings).base_layers(),
    )
