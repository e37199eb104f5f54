"""Bringing packages into the store that no project is at hand for: by name, file name and sha256, as the user's own
configuration of uv, pip, npm and apt says where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.session import Session
from ociassemble.session.supplies import Supplies

if TYPE_CHECKING:
    from ociassemble.sources.index_settings import IndexSettings
    from ociassemble.sources.npm import Tarball
    from ociassemble.sources.simple import Link


def index_of(session: Session) -> IndexSettings:
    """The Python indexes that the user has configured, for no project in particular."""
    from ociassemble.lock import uv
    from ociassemble.sources import index_settings

    environment = session.environment
    found = index_settings.discover(
        index_url=None,
        extra_index_urls=(),
        find_links=(),
        environment=environment.variables,
        home=environment.home,
        prefix=environment.prefix,
        folder=environment.folder,
        project={},
    )
    program = uv.find(environment=environment.variables, prefix=environment.prefix, python=environment.python)
    return index_settings.complete(found, program, python=environment.python, environment=environment.variables)


def bring_wheels(session: Session, wheels: Sequence[ArtifactRef], index: IndexSettings) -> None:
    """Make these wheels be in the store. Raises what `sources.python.locate` does, naming all that are nowhere."""
    from ociassemble.sources import python
    from ociassemble.sources.fetch import bring

    def locate(missing: Sequence[ArtifactRef]) -> dict[Digest, tuple[str, ...]]:
        located = python.locate(
            missing,
            index,
            session.wire,
            owned={},
            folder=session.environment.folder,
            jobs=session.transfers,
            progress=session.progress,
        )
        return python.places(located, session.store)

    bring(wheels, locate, wire=session.wire, store=session.store, progress=session.progress, jobs=session.transfers)


def bring_tarballs(session: Session, tarballs: Sequence[tuple[ArtifactRef, Tarball]]) -> None:
    """Make these npm packages be in the store, from the registries that the user has configured."""
    from ociassemble.sources import npm
    from ociassemble.sources.fetch import bring

    settings = Supplies(session).npm(session.environment.home) if tarballs else None
    named = {ref.digest: item for ref, item in tarballs}

    def locate(missing: Sequence[ArtifactRef]) -> dict[Digest, tuple[str, ...]]:
        assert settings is not None, "asked for what is missing only"
        places = npm.Registries(settings, lambda: settings.registry)
        return {ref.digest: places.urls(named[ref.digest]) for ref in missing}

    bring(
        [ref for ref, _ in tarballs],
        locate,
        wire=session.wire,
        store=session.store,
        progress=session.progress,
        jobs=session.transfers,
        headers=None if settings is None else settings.headers,
    )


def links(session: Session, index: IndexSettings, name: str) -> tuple[Link, ...]:
    """The files of a project, of the first index that has it."""
    from ociassemble.errors import NotFoundError
    from ociassemble.net import download
    from ociassemble.sources import python, simple

    for place in index.indexes:
        try:
            page = download.get(
                session.wire, index.authorised(place.page(name)), limit=python.MAX_PAGE,
                headers={"Accept": simple.ACCEPT},
            )  # fmt: skip
        except NotFoundError:
            continue
        return simple.parse(page.data, page.content_type, page.url)
    return ()
