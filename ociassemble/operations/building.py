"""What stands on the steps of a build: bases assembled from packages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ociassemble.base.names import expand
from ociassemble.content.store import healed
from ociassemble.image.assemble import image_or_index
from ociassemble.project.settings import Settings
from ociassemble.session import Session
from ociassemble.session.request import BuildRequest
from ociassemble.session.steps import Steps
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
    request = BuildRequest(application=Path(), tags=tags, push=push, outputs=outputs)
    if not tags and not outputs:
        request = replace(request, tags=(f"localhost/{name.recipe or 'base'}:{name.variant or 'latest'}",))
    settings = Settings(platforms=platforms)

    def once() -> list[Written]:
        steps = Steps(session)
        destinations = steps.destinations(request)
        resolver = steps.bases(request, settings, None)
        platforms = steps.platforms(settings) or resolver.platforms(name, "debian")
        bases = resolver.resolve(name, platforms, "debian")
        node = image_or_index([base.image for base in bases], {})
        return write_all(node, destinations, progress=session.progress, jobs=session.transfers)

    return healed(once, session.progress.warn)
