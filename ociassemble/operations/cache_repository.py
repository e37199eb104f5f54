"""`cache prune --repo`: records of finished layers that nobody needs any more are deleted (CACHE-25).

The registry frees the blobs by its own tidying. A build that still wants a layer makes it again and records it again.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import NamedTuple

from ociassemble import _pool
from ociassemble.errors import Error, NotFoundError
from ociassemble.oci import mediatype
from ociassemble.oci.annotations import CREATED
from ociassemble.oci.digest import Digest
from ociassemble.oci.manifest import Manifest
from ociassemble.session import Session
from ociassemble.session.cache import cache_reference
from ociassemble.transports.cacherepo import ARTIFACT


class Pruned(NamedTuple):
    """One record that was deleted, or would be."""

    tag: str
    digest: Digest  # of the record's manifest
    created: str  # RFC 3339, "" where it does not say
    size: int  # bytes of all it names


def prune(
    session: Session, text: str, *, older_than: float | None = None, now: float, dry_run: bool = False
) -> tuple[Pruned, ...]:
    """Delete the records in the repository `text`, those of `older_than` seconds before `now` or all; by tag.

    What is no record of a layer is left alone, whatever its tag. With `dry_run` nothing is deleted. Raises
    `UsageError` for what is no repository, and what asking and deleting raise.
    """
    reference = cache_reference(text, "--repo")
    client = session.registry

    def look(tag: str) -> Pruned | None:
        try:
            descriptor, raw = client.resolve(reference.with_tag(tag))
        except NotFoundError:
            return None  # gone meanwhile
        if descriptor.media_type != mediatype.OCI_MANIFEST:
            return None
        manifest = Manifest.parse(raw, descriptor.media_type)
        if manifest.artifact_type != ARTIFACT:
            return None
        created = manifest.annotations.get(CREATED, "")
        if older_than is not None and _seconds(created) > now - older_than:
            return None
        size = sum(part.size for part in (manifest.config, *manifest.layers))
        return Pruned(tag, descriptor.digest, created[:40], size)

    with session.progress.task("inspect", reference.name):
        found = _pool.each(look, sorted(client.tags(reference)), jobs=session.transfers)
    chosen = tuple(item for item in found if item is not None)
    if not dry_run:
        _delete(session, chosen, text)
    return chosen


def _delete(session: Session, chosen: Sequence[Pruned], text: str) -> None:
    reference = cache_reference(text)
    for done, item in enumerate(chosen):
        try:
            session.registry.delete(reference.with_digest(item.digest))
        except NotFoundError:
            pass  # somebody else was faster
        except Error as error:
            error.details = (*error.details, f"deleted before: {done} of {len(chosen)}")
            raise


def _seconds(text: str) -> float:
    """Since 1970; what is no time is as old as can be."""
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
