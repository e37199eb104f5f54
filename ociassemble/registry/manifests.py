"""Storing manifests and indexes: one PUT, again while the registry does not see yet what they name; then held against
what it says it has stored (distribution-spec, "Pushing Manifests").
"""

from __future__ import annotations

from collections.abc import Callable

from ociassemble.net import backoff
from ociassemble.oci.digest import Digest
from ociassemble.oci.reference import Reference
from ociassemble.registry import errors
from ociassemble.registry.connection import ACCEPT, Connection, push_scope
from ociassemble.registry.endpoints import Endpoint

_ATTEMPTS = 3


def put_manifest(
    connection: Connection,
    endpoint: Endpoint,
    reference: Reference,
    raw: bytes,
    media_type: str,
    target: str,
    *,
    patient: bool,
    sleep: Callable[[float], None],
) -> None:
    """See `RegistryClient.put_manifest`."""
    repository = reference.repository
    what = f"{reference.name}@{target}" if ":" in target else f"{reference.name}:{target}"
    for attempt in range(1, _ATTEMPTS + 1):
        response = connection.send(
            endpoint,
            repository,
            "PUT",
            f"/v2/{repository}/manifests/{target}",
            scopes=(push_scope(repository),),
            headers={"Content-Type": media_type},
            body=raw,
        )
        if response.status in (200, 201, 202):
            _confirm(response.header("Docker-Content-Digest"), raw, what, endpoint)
            response.close()
            return
        said, error = connection.refusal(response, endpoint, repository, what=what, push=True)
        unknown = "MANIFEST_BLOB_UNKNOWN" in said.codes or "MANIFEST_UNKNOWN" in said.codes
        # Registries made of several machines may not see yet what another one of them has just stored.
        if unknown and patient and attempt < _ATTEMPTS:
            sleep(backoff.delay(attempt, 0.5))
            continue
        if unknown or (response.status == 404 and not patient):
            raise errors.ContentMissingError(error.message, hint=error.hint, details=error.details)
        if 400 <= response.status < 500 and _immutable(" ".join((*said.codes, *said.words))):
            if _points_at(connection, endpoint, repository, target, Digest.of(raw)):
                return
            raise errors.ImmutableTagError(
                f"`{what}` exists, and `{endpoint.host}` does not let tags be moved",
                hint="push under another tag",
                details=error.details,
            )
        raise error
    raise AssertionError("unreachable: the last attempt returns or raises")


def _points_at(connection: Connection, endpoint: Endpoint, repository: str, target: str, digest: Digest) -> bool:
    path = f"/v2/{repository}/manifests/{target}"
    with connection.send(
        endpoint, repository, "HEAD", path, scopes=(push_scope(repository),), headers={"Accept": ACCEPT}
    ) as response:
        return response.status == 200 and response.header("Docker-Content-Digest") == digest


def _confirm(told: str, raw: bytes, what: str, endpoint: Endpoint) -> None:
    if told.startswith("sha256:") and told != Digest.of(raw):
        raise errors.PushRefusedError(
            f"`{endpoint.host}` stored `{what}` as {told:.80}, not as {Digest.of(raw)}",
            hint="the registry, or a proxy before it, changes manifests",
        )


def _immutable(words: str) -> bool:
    lowered = words.lower()
    return "immutable" in lowered or "tagalreadyexists" in lowered or "tag_invalid" in lowered
