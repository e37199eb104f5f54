"""Pushing blobs: HEAD, then mount, then one sized PUT (distribution-spec, "Pushing").

One PUT of known length is the only shape of upload that all registries take. It is never resumed: after any failure
the registry is asked whether the blob has arrived all the same (an answer may get lost, a commit may be slow), and
only then a new session is begun.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import BinaryIO

from ociassemble.content.blob import Blob
from ociassemble.errors import Error, NetworkError, UnreachableError
from ociassemble.net import backoff
from ociassemble.net.wire import Body
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.reference import Reference
from ociassemble.progress import Progress, Task
from ociassemble.registry import errors
from ociassemble.registry.connection import Connection, pull_scope, push_scope
from ociassemble.registry.endpoints import Endpoint
from ociassemble.registry.locations import Locations

ATTEMPTS = 4
_MOUNTS = 3  # repositories that are asked for a blob at most
_STREAM = {"Content-Type": "application/octet-stream"}
# Words for a session that is over or confused; a new one may do better.
_SESSION_CODES = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID", "SIZE_INVALID"})


class _Again(Exception):
    """An upload that failed in a way that a new session may cure."""

    def __init__(self, error: Error) -> None:
        self.error = error


class _Sent:
    """Progress of one upload: what is sent again is taken back first."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._bytes = 0

    def advance(self, amount: int) -> None:
        self._bytes += amount
        self._task.advance(amount)

    def restart(self) -> None:
        if self._bytes:
            self._task.advance(-self._bytes)
            self._bytes = 0


class Uploader:
    """What `RegistryClient` pushes blobs with. Thread-safe; one blob is uploaded to one repository once."""

    def __init__(
        self,
        connection: Connection,
        progress: Progress,
        sleep: Callable[[float], None],
        locations: Locations | None = None,
    ) -> None:
        self._connection = connection
        self._progress = progress
        self._sleep = sleep
        self._locations = locations
        self._lock = threading.Lock()
        self._busy: dict[tuple[str, str, str], threading.Lock] = {}
        self._opened: dict[tuple[str, str], bool] = {}
        self._no_mount: set[tuple[str, str]] = set()
        self._unhelpful: set[str] = set()  # endpoints that did not mount what they were asked to

    def exists(self, endpoint: Endpoint, repository: str, descriptor: Descriptor, scope: str) -> bool:
        """HEAD: 200 and the right size, or 404. Any other status is an error."""
        path = f"/v2/{repository}/blobs/{descriptor.digest}"
        # Not followed: a registry that redirects to its storage has the blob.
        with self._connection.send(endpoint, repository, "HEAD", path, scopes=(scope,), follow=False) as response:
            if response.status in (301, 302, 303, 307, 308):
                return True
            if response.status == 200:
                return response.length in (None, descriptor.size)
            if response.status == 404:
                return False
            raise self._connection.failure(
                response,
                endpoint,
                repository,
                what=f"{endpoint.host}/{repository}@{descriptor.digest}",
                push="push" in scope,
            )

    def push(
        self, endpoint: Endpoint, reference: Reference, blob: Blob, mount_from: str, *, absent: bool = False
    ) -> str:
        """See `RegistryClient.push_blob`."""
        repository, descriptor = reference.repository, blob.descriptor
        key = (endpoint.base, repository, str(descriptor.digest))
        with self._lock:
            busy = self._busy.setdefault(key, threading.Lock())
        label = f"{descriptor.digest.short} to {reference.name}"
        with busy, self._progress.task("upload", label, descriptor.size) as task:
            task.outcome = self._push(endpoint, reference, blob, mount_from, task, absent)
            if self._locations is not None:
                self._locations.seen(descriptor.digest, reference.host, repository)
            return task.outcome if task.outcome != "done" else "uploaded"

    def _push(
        self, endpoint: Endpoint, reference: Reference, blob: Blob, mount_from: str, task: Task, absent: bool
    ) -> str:
        repository, descriptor = reference.repository, blob.descriptor
        sources, known = self._sources(reference, descriptor.digest, mount_from)
        # What lies elsewhere and was never seen here is mounted at once: most likely the registry need not be asked.
        asked = absent
        if not asked and (known or not sources or endpoint.base in self._unhelpful):
            if self._is_there(endpoint, repository, descriptor):
                return "exists"
            asked = True
        session = ""
        for source in sources:
            session = self._mount(endpoint, reference, descriptor, source)
            if session == "mounted":
                return "mounted"
            if session:
                break
        if not asked and self._is_there(endpoint, repository, descriptor):
            return "exists"
        sent = _Sent(task)
        for attempt in range(1, ATTEMPTS + 1):
            session = session or self._begin(endpoint, reference)
            try:
                self._put(endpoint, reference, blob, session, sent)
                return "done"
            except (NetworkError, _Again) as caught:
                error = caught.error if isinstance(caught, _Again) else caught
                # GHCR commits large blobs after its answer has timed out; a lost 201 looks the same.
                if self._is_there(endpoint, repository, descriptor):
                    return "done"
                if attempt == ATTEMPTS:
                    raise error from None
            session = ""
            self._sleep(backoff.delay(attempt, 0.5))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _sources(self, reference: Reference, digest: Digest, mount_from: str) -> tuple[list[str], bool]:
        """Repositories of the same host to mount from; and whether the destination was seen to have the blob itself."""
        known = self._locations.of(digest, reference.host) if self._locations is not None else ()
        host, _, source = mount_from.partition("/")
        named = (source,) if source and host == reference.host else ()
        found = dict.fromkeys((*named, *known))
        return [name for name in found if name != reference.repository][:_MOUNTS], reference.repository in known

    def _is_there(self, endpoint: Endpoint, repository: str, descriptor: Descriptor) -> bool:
        """`exists` where an answer that is neither yes nor no means: try to upload, that will tell."""
        try:
            return self.exists(endpoint, repository, descriptor, push_scope(repository))
        except UnreachableError:
            raise
        except (NetworkError, errors.DeniedError, errors.PushRefusedError):
            return False

    def _mount(self, endpoint: Endpoint, reference: Reference, descriptor: Descriptor, source: str) -> str:
        """Ask for the blob of another repository: "mounted", the URL of an upload session, or "" for neither."""
        if (endpoint.base, source) in self._no_mount:
            return ""
        found = self._ask_to_mount(endpoint, reference.repository, descriptor, source)
        if self._locations is not None and found == "mounted":
            self._locations.seen(descriptor.digest, reference.host, source)
        elif found != "mounted":
            self._unhelpful.add(endpoint.base)
            if self._locations is not None:
                self._locations.gone(descriptor.digest, reference.host, source)
        return found

    def _ask_to_mount(self, endpoint: Endpoint, repository: str, descriptor: Descriptor, source: str) -> str:
        path = f"/v2/{repository}/blobs/uploads/?mount={descriptor.digest}&from={source}"
        # Of two scopes, some token servers look at the first only: the destination's.
        scopes = (push_scope(repository), pull_scope(source))
        try:
            response = self._connection.send(endpoint, repository, "POST", path, scopes=scopes, retry=True)
        except (errors.UnauthorizedError, errors.DeniedError):
            # Docker Hub refuses the whole token when the source is not readable. Pushing may be allowed all the same.
            self._no_mount.add((endpoint.base, source))
            return ""
        with response:
            if response.status == 201:
                return "mounted"
            if response.status == 202:
                return self._connection.location(endpoint, response)
            self._no_mount.add((endpoint.base, source))
            return ""

    def _begin(self, endpoint: Endpoint, reference: Reference) -> str:
        """A new upload session. The first one of a repository goes alone: it may have to make the repository."""
        repository = reference.repository
        key = (endpoint.base, repository)
        with self._lock:
            if self._opened.get(key):
                alone = None
            else:
                alone = self._busy.setdefault((endpoint.base, repository, ""), threading.Lock())
        if alone is None:
            return self._post(endpoint, reference)
        with alone:
            session = self._post(endpoint, reference)
            self._opened[key] = True
            return session

    def _post(self, endpoint: Endpoint, reference: Reference) -> str:
        repository = reference.repository
        response = self._connection.send(
            endpoint,
            repository,
            "POST",
            f"/v2/{repository}/blobs/uploads/",
            scopes=(push_scope(repository),),
            body=b"",
            retry=True,  # a session too many is forgotten by the registry
        )
        if response.status in (200, 201, 202):
            with response:
                return self._connection.location(endpoint, response)
        raise self._connection.failure(response, endpoint, repository, what=reference.name, push=True)

    def _put(self, endpoint: Endpoint, reference: Reference, blob: Blob, session: str, sent: _Sent) -> None:
        repository, descriptor = reference.repository, blob.descriptor

        def begin() -> BinaryIO:
            sent.restart()
            return blob.open()

        # The URL is the registry's: what it holds is opaque and stays as it is.
        url = f"{session}{'&' if '?' in session else '?'}digest={descriptor.digest}"
        response = self._connection.send(
            endpoint,
            repository,
            "PUT",
            url,
            scopes=(push_scope(repository),),
            headers=_STREAM,
            body=Body(descriptor.size, begin, sent.advance),
            retry=False,
        )
        if response.status == 201:
            response.close()
            return
        if response.status in (200, 202, 204):
            response.close()
            if self._is_there(endpoint, repository, descriptor):
                return
            raise _Again(errors.RegistryAnswerError(f"`{endpoint.host}` took {descriptor.digest} and does not have it"))
        what = f"{reference.name}@{descriptor.digest}"
        said, error = self._connection.refusal(response, endpoint, repository, what=what, push=True)
        if response.status in backoff.RETRYABLE or response.status == 404 or _SESSION_CODES & set(said.codes):
            raise _Again(error)
        raise error
