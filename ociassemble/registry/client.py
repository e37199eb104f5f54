"""`RegistryClient`: images by name and blobs by digest, over the distribution API (distribution-spec v1.1).

Nothing is believed that was not hashed here: a manifest is bytes with the digest that was asked for, a blob's stream
verifies itself. A tag is resolved by one request, and its answer's own hash is the digest from then on.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Collection, Mapping
from typing import BinaryIO, TypeVar
from urllib.parse import quote

from ociassemble.content.blob import Blob
from ociassemble.content.verify import check
from ociassemble.errors import (
    AuthError,
    Error,
    FormatError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    UnreachableError,
)
from ociassemble.net.download import resuming
from ociassemble.net.response import Response
from ociassemble.net.url import origin
from ociassemble.net.wire import Wire
from ociassemble.oci._wire import MAX_DOCUMENT
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.document import DOCUMENTS, describe
from ociassemble.oci.reference import Reference, canonical_host
from ociassemble.progress import Progress
from ociassemble.registry import errors
from ociassemble.registry.auth import Authenticator
from ociassemble.registry.connection import ACCEPT, Connection, pull_scope, push_scope
from ociassemble.registry.credentials import Keychain
from ociassemble.registry.documents import names, next_page
from ociassemble.registry.endpoints import Endpoint, Endpoints, OtherSchemeError
from ociassemble.registry.locations import Locations
from ociassemble.registry.stream import BlobStream
from ociassemble.registry.upload import Uploader

_MAX_PAGES = 1000
_PAGE = 4 << 20  # bytes
_NOT_A_REGISTRY = "is this a registry?"

T = TypeVar("T")


class RegistryClient:
    """One client for all registries of a run. Thread-safe.

    `mirrors` maps hosts to mirrors (`endpoints.parse_mirror`); they serve pulls only and get their own credentials
    only. References may carry tag and digest; where there is a digest, it decides.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        keychain: Keychain | None = None,
        mirrors: Mapping[str, str] | None = None,
        trusted_realms: Collection[str] = (),
        insecure_credentials: bool = False,
        progress: Progress | None = None,
        locations: Locations | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._progress = progress or Progress()
        self._endpoints = Endpoints(wire, mirrors)
        authenticator = Authenticator(
            wire,
            keychain or Keychain(),
            trusted_realms=trusted_realms,
            insecure_credentials=insecure_credentials,
            clock=clock,
        )
        self._connection = Connection(wire, authenticator, self._endpoints)
        self._sleep = sleep
        self._uploader = Uploader(self._connection, self._progress, sleep, locations)

    # --- pulling ---

    def resolve(self, reference: Reference) -> tuple[Descriptor, bytes]:
        """The manifest or index that `reference` names, and its bytes: one GET.

        Raises `ImageNotFoundError`, `AuthError`s, `NetworkError`s, `IntegrityError`.
        """

        def ask(endpoint: Endpoint) -> tuple[Descriptor, bytes]:
            response = self._get_manifest(endpoint, reference, reference.identifier)
            told = response.header("Docker-Content-Digest")
            raw = response.read(MAX_DOCUMENT)
            if reference.digest is not None:
                check(raw, reference.digest, None, f"`{reference}`")
            descriptor = describe(raw, response.content_type, f"`{reference}`: the answer", hint=_NOT_A_REGISTRY)
            if reference.digest is not None:
                descriptor = descriptor.with_(digest=reference.digest)
            elif told.startswith("sha256:") and told != descriptor.digest:
                # Registries get this header wrong; what was hashed here is what counts.
                self._progress.warn(
                    f"`{endpoint.host}` calls `{reference}` {told:.80}, but its digest is {descriptor.digest}"
                )
            return descriptor, raw

        return self._pull(reference, ask)

    def head(self, reference: Reference) -> Descriptor:
        """What `reference` points at, by one HEAD; where the answer does not say, by `resolve`.

        The digest is the registry's word: good for finding what was verified before, never for anything else.
        """

        found = self._pull(reference, lambda endpoint: self._head(endpoint, reference, pull_scope))
        return found or self.resolve(reference)[0]

    def pushed(self, reference: Reference) -> Descriptor | None:
        """What a tag points at in the registry itself, by one HEAD with the right to push; None: nothing, or no word.

        As with `head` the digest is the registry's word. Raises `UnreachableError`; other errors will come up again.
        """
        try:
            return self._at(reference.host, lambda endpoint: self._head(endpoint, reference, push_scope))
        except UnreachableError:
            raise
        except (NotFoundError, NetworkError, AuthError):
            return None

    def _head(self, endpoint: Endpoint, reference: Reference, scope: Callable[[str], str]) -> Descriptor | None:
        repository = endpoint.prefix + reference.repository
        path = f"/v2/{repository}/manifests/{reference.identifier}"
        with self._connection.send(
            endpoint, repository, "HEAD", path, scopes=(scope(repository),), headers={"Accept": ACCEPT}
        ) as response:
            if response.status == 404:
                raise self._connection.failure(response, endpoint, repository, what=str(reference))
            if response.status != 200 or response.content_type not in DOCUMENTS or response.length is None:
                return None
            try:
                digest = Digest(response.header("Docker-Content-Digest"))
            except FormatError:
                return None
            return Descriptor(media_type=response.content_type, digest=digest, size=response.length)

    def manifest(self, reference: Reference, descriptor: Descriptor) -> bytes:
        """The bytes of a manifest or index by its descriptor; type, size and digest are as it says."""
        if descriptor.size > MAX_DOCUMENT:
            raise FormatError(f"the manifest {descriptor.digest} is larger than {MAX_DOCUMENT >> 20} MiB")
        what = f"the manifest {descriptor.digest} of `{reference.name}`"

        def ask(endpoint: Endpoint) -> bytes:
            response = self._get_manifest(endpoint, reference, descriptor.digest)
            raw = check(response.read(MAX_DOCUMENT), descriptor.digest, descriptor.size, what)
            found = describe(raw, response.content_type, f"{what}: the answer", hint=_NOT_A_REGISTRY).media_type
            if found != descriptor.media_type:
                raise FormatError(f"{what} is of the type {found}, not {descriptor.media_type}")
            return raw

        return self._pull(reference, ask)

    def blob(self, reference: Reference, descriptor: Descriptor) -> Blob:
        """A blob that is asked for when it is read; its stream goes on after cuts, and verifies itself.

        That of its `source` does not verify itself, but can begin anywhere.
        """
        if descriptor.data is not None:
            data = descriptor.data
            return Blob(descriptor=descriptor, source=lambda: io.BytesIO(data), repository=reference.name)
        return Blob(
            descriptor=descriptor, source=lambda: self._stream(reference, descriptor), repository=reference.name
        )

    def blob_exists(self, reference: Reference, descriptor: Descriptor) -> bool:
        """Whether the repository (not a mirror) has the blob, by one HEAD. Raises where it is not to be found out."""
        scope = pull_scope(reference.repository)
        return self._at(
            reference.host,
            lambda endpoint: self._uploader.exists(endpoint, reference.repository, descriptor, scope),
        )

    def tags(self, reference: Reference) -> list[str]:
        """The repository's tags, in the registry's order."""
        repository = reference.repository
        return self._list(
            reference.host, repository, f"/v2/{repository}/tags/list?n=1000", "tags", pull_scope(repository)
        )

    def catalog(self, host: str) -> list[str]:
        """The repositories of a registry that tells."""
        return self._list(canonical_host(host), "", "/v2/_catalog?n=1000", "repositories", "registry:catalog:*")

    def check_login(self, host: str) -> None:
        """Ask the registry itself (never a mirror) whether it takes the credentials it is given; raises if not."""

        def ask(endpoint: Endpoint) -> None:
            with self._connection.send(endpoint, "", "GET", "/v2/", scopes=()) as response:
                if response.status != 200:
                    raise self._connection.failure(response, endpoint, "", what=host)

        self._at(canonical_host(host), ask)

    # --- pushing ---

    def push_blob(self, reference: Reference, blob: Blob, mount_from: str = "", *, absent: bool = False) -> str:
        """Make sure the repository has the blob: "exists", "mounted" or "uploaded". `absent`: it has not, as is known.

        It is mounted from `mount_from`, the blob's own repository ("host/repository") or one that is known to have it,
        where that is in the same registry (or in one that this registry mirrors), else streamed from `blob.open()` in
        one request; memory use does not depend on its size.
        """
        source = self._endpoints.mount_source(mount_from or blob.repository, reference.host)
        return self._at(
            reference.host, lambda endpoint: self._uploader.push(endpoint, reference, blob, source, absent=absent)
        )

    def put_manifest(
        self, reference: Reference, raw: bytes, media_type: str, target: str = "", *, patient: bool = True
    ) -> None:
        """Store a manifest or index under `target`: a tag, or its own digest. Default is the reference's tag.

        What it names must be there already: `ContentMissingError`, after having waited for it if `patient`. Raises
        `PushRefusedError`, `ImmutableTagError`, `AuthError`s.
        """
        from ociassemble.registry.manifests import put_manifest  # a pull needs none of it

        name = target or reference.tag or str(Digest.of(raw))

        def put(endpoint: Endpoint) -> None:
            put_manifest(
                self._connection, endpoint, reference, raw, media_type, name, patient=patient, sleep=self._sleep
            )

        self._at(reference.host, put)

    def delete(self, reference: Reference) -> None:
        """Delete a manifest by digest (with all tags that point at it), or a tag where the registry can do that."""
        self._at(reference.host, lambda endpoint: self._delete(endpoint, reference))

    def _delete(self, endpoint: Endpoint, reference: Reference) -> None:
        repository = reference.repository
        path = f"/v2/{repository}/manifests/{reference.identifier}"
        scope = f"repository:{repository}:pull,push,delete"
        with self._connection.send(endpoint, repository, "DELETE", path, scopes=(scope,)) as response:
            if response.status in (200, 202, 204):
                return
            if response.status in (400, 405) and reference.digest is None:
                raise errors.PushRefusedError(
                    f"`{reference.host}` cannot delete a tag alone",
                    hint="delete by digest: all tags that point at it go with it",
                )
            if response.status == 404:
                raise errors.ImageNotFoundError(f"`{reference}` does not exist")
            raise self._connection.failure(response, endpoint, repository, what=str(reference), push=True)

    # --- how ---

    def _at(self, host: str, ask: Callable[[Endpoint], T]) -> T:
        """`ask` the registry itself."""
        try:
            return ask(self._endpoints.own(host))
        except OtherSchemeError:
            return ask(self._endpoints.own(host))

    def _pull(self, reference: Reference, ask: Callable[[Endpoint], T]) -> T:
        """`ask` the mirror, then the registry itself; what the mirror said is told with the registry's error."""
        if not self._endpoints.has_mirror(reference.host):
            return self._at(reference.host, ask)
        try:
            try:
                return ask(self._endpoints.mirror(reference.host))
            except OtherSchemeError:
                return ask(self._endpoints.mirror(reference.host))
        except (NetworkError, NotFoundError, AuthError, IntegrityError) as error:
            if isinstance(error, IntegrityError):
                self._progress.warn(f"the mirror of `{reference.host}` is passed over: {error}")
            try:
                return self._at(reference.host, ask)
            except Error as final:
                final.details = (*final.details, f"its mirror: {error}")
                raise

    def _get_manifest(self, endpoint: Endpoint, reference: Reference, identifier: str) -> Response:
        repository = endpoint.prefix + reference.repository
        response = self._connection.send(
            endpoint,
            repository,
            "GET",
            f"/v2/{repository}/manifests/{quote(identifier, safe=':')}",
            scopes=(pull_scope(repository),),
            headers={"Accept": ACCEPT},
        )
        if response.status != 200:
            raise self._connection.failure(response, endpoint, repository, what=f"{reference.name}{_at(identifier)}")
        return response

    def _stream(self, reference: Reference, descriptor: Descriptor) -> BinaryIO:
        what = f"the blob {descriptor.digest} of `{reference.name}`"

        def open_at(offset: int) -> Response:
            return self._pull(reference, lambda endpoint: self._get_blob(endpoint, reference, descriptor, offset))

        size = descriptor.size
        return BlobStream(lambda begin: resuming(open_at, size, what, begin), size)  # type: ignore[return-value]  # as one

    def _get_blob(self, endpoint: Endpoint, reference: Reference, descriptor: Descriptor, offset: int) -> Response:
        repository = endpoint.prefix + reference.repository
        response = self._connection.send(
            endpoint,
            repository,
            "GET",
            f"/v2/{repository}/blobs/{descriptor.digest}",
            scopes=(pull_scope(repository),),
            headers={"Range": f"bytes={offset}-"} if offset else {},
        )
        if response.status in ((200, 206) if offset else (200,)):
            return response
        if offset and response.status == 416:  # it has not so many bytes, or knows no ranges: all of it, then
            response.close()
            return self._get_blob(endpoint, reference, descriptor, 0)
        if response.status == 404:
            response.close()
            raise errors.RemoteBlobNotFoundError(
                f"`{endpoint.host}` does not have the blob {descriptor.digest} of `{reference.name}`",
                hint="the image there is incomplete; push it again, or choose another",
            )
        raise self._connection.failure(response, endpoint, repository, what=f"{reference.name}@{descriptor.digest}")

    def _list(self, host: str, repository: str, path: str, key: str, scope: str) -> list[str]:
        """All pages of a list: within the registry's origin, no page twice, bounded."""
        return self._at(host, lambda endpoint: self._pages(endpoint, host, repository, path, key, scope))

    def _pages(self, endpoint: Endpoint, host: str, repository: str, path: str, key: str, scope: str) -> list[str]:
        found: dict[str, None] = {}
        seen: set[str] = set()
        while path and path not in seen and len(seen) < _MAX_PAGES:
            seen.add(path)
            response = self._connection.send(endpoint, repository, "GET", path, scopes=(scope,))
            if response.status != 200:
                raise self._connection.failure(response, endpoint, repository, what=f"{host}/{repository}")
            with response:
                page = names(response.read(_PAGE), key, host)
                following = next_page(response)
            found.update(dict.fromkeys(page))
            if following and origin(following) != endpoint.origin:
                raise errors.RegistryAnswerError(f"`{host}` continues its list on another host")
            path = following
        return list(found)


def _at(identifier: str) -> str:
    return f"@{identifier}" if ":" in identifier else f":{identifier}"
