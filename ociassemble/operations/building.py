"""What stands on the steps of a build: bases assembled from packages."""

from __future__ import annotations

from pathlib import Path

from ociassemble.base.names import expand
from ociassemble.content.store import healed
from ociassemble.image.assemble import image_or_index
from ociassemble.project.settings import Settings
from ociassemble.session import Session
from ociassemble.session.bases import resolver
from ociassemble.session.places import destinations
from ociassemble.session.platforms import asked_for
from ociassemble.session.request import BuildRequest
from ociassemble.transports.protocols import Written
from ociassemble.transports.transfer import write_all


def build_base(
    session: Session,
    text: str,
    platforms: tuple[str, ...],
    *,
    tags: tuple[str, ...],
    push: bool,
    outputs: tuple[str, ...],
) -> list[Written]:
    """Assemble a base from Debian packages and write it."""
    name = expand(text, overrides={})
    tag = f"localhost/{name.recipe or 'base'}:{name.variant or 'latest'}"
    if not tags and not outputs:
        tags = (tag,)
    request = BuildRequest(application=Path(), tags=tags, push=push, outputs=outputs)
    settings = Settings(platforms=platforms)

    def once() -> list[Written]:
        asked = asked_for(settings, session.host_platform())
        places = destinations(session, request, default_name=lambda: tag, platforms=lambda: asked)
        found = resolver(session, request, settings)
        bases = found.resolve(name, asked or found.platforms(name, "debian"), "debian")
        node = image_or_index([base.image for base in bases], {})
        return write_all(node, places, progress=session.progress, jobs=session.transfers)

    return healed(once, session.progress.warn)
