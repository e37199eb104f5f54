"""A small registry (distribution-spec v1.1): push, pull, ranges, mounts, lists, deletes; no accounts, loopback.

It is for trying out, for tests and for machines without a network, not for strangers: everyone who can reach it may
push. Nothing it says goes to standard output; `log` gets one line a request.
"""

from __future__ import annotations

import re
import socket
import threading
import uuid
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ociassemble.content.directory import DirectoryIngest
from ociassemble.errors import DestinationError, Error, FormatError, IntegrityError
from ociassemble.oci import mediatype
from ociassemble.oci._wire import MAX_DOCUMENT
from ociassemble.oci.digest import Digest
from ociassemble.registry.exchange import Exchange, Refused
from ociassemble.registry.storage import RegistryStorage, UnknownContentError

_MAX_SESSIONS = 200  # each holds a file open
_NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_DIGEST = r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9A-Fa-f]+"
_ROUTES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.ASCII))
    for name, pattern in (
        ("base", r"/v2/?"),
        ("catalog", r"/v2/_catalog"),
        ("tags", rf"/v2/(?P<repository>{_NAME})/tags/list"),
        ("manifest", rf"/v2/(?P<repository>{_NAME})/manifests/(?P<identifier>{_TAG}|{_DIGEST})"),
        ("uploads", rf"/v2/(?P<repository>{_NAME})/blobs/uploads/"),
        ("upload", rf"/v2/(?P<repository>{_NAME})/blobs/uploads/(?P<session>[0-9a-f-]{{36}})"),
        ("blob", rf"/v2/(?P<repository>{_NAME})/blobs/(?P<digest>{_DIGEST})"),
    )
)


class _Session:
    """An upload under way."""

    def __init__(self, repository: str, blob: DirectoryIngest) -> None:
        self.repository = repository
        self.blob = blob
        self.size = 0
        self.lock = threading.Lock()


class RegistryServer(ThreadingHTTPServer):
    """A running registry. Made by `serve`; `shutdown` ends it, what it stored stays."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: str, port: int, storage: RegistryStorage, log: Callable[[str], None]) -> None:
        if ":" in address:
            self.address_family = socket.AF_INET6
        self.storage = storage
        self.log = log
        self.sessions: dict[str, _Session] = {}
        self.sessions_lock = threading.Lock()
        try:
            super().__init__((address, port), _Handler)
        except OSError as error:
            raise DestinationError(
                f"the registry cannot listen on {address}:{port}: {error.strerror}",
                hint="choose another port, or 0 for any that is free",
            ) from error
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def host(self) -> str:
        """As it stands in references: `127.0.0.1:5000`."""
        name = str(self.server_address[0])
        return f"[{name}]:{self.port}" if ":" in name else f"{name}:{self.port}"

    def start(self) -> RegistryServer:
        """Serve in a thread of its own."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="registry", daemon=True)
        self._thread.start()
        return self

    def shutdown(self) -> None:
        """End it: no further requests, uploads under way are dropped."""
        if self._thread is not None:
            super().shutdown()
            self._thread.join()
            self._thread = None
        self.server_close()
        with self.sessions_lock:
            sessions, self.sessions = list(self.sessions.values()), {}
        for session in sessions:
            session.blob.__exit__()

    def __enter__(self) -> RegistryServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no event."""


def serve(address: str, port: int, storage: Path, *, log: Callable[[str], None] = lambda line: None) -> RegistryServer:
    """Start a registry on `address` (loopback unless you mean it), port 0 for any; content below `storage`.

    Raises `DestinationError` where port or folder cannot be had.
    """
    return RegistryServer(address, port, RegistryStorage(storage), log).start()


class _Handler(Exchange):
    server: RegistryServer

    # --- dispatch ---

    def do_GET(self) -> None:
        self._dispatch()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _dispatch(self) -> None:
        parts = urlsplit(self.path)
        self._query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self._left = self._announced()
        try:
            if self._left is None:
                raise Refused("SIZE_INVALID", "Content-Length is not a number", status=400)
            for name, pattern in _ROUTES:
                if found := pattern.fullmatch(parts.path):
                    method = getattr(self, f"_{self.command.lower()}_{name}", None)
                    if method is None and self.command == "HEAD":
                        method = getattr(self, f"_get_{name}", None)
                    if method is None:
                        raise Refused("UNSUPPORTED", f"no {self.command} here")
                    method(**found.groupdict())
                    break
            else:
                code = "NAME_INVALID" if parts.path.startswith("/v2/") else "NAME_UNKNOWN"
                raise Refused(code, "no such place", status=404)
        except Refused as refused:
            self._refuse(refused)
        except UnknownContentError as error:
            self._refuse(Refused("MANIFEST_BLOB_UNKNOWN", str(error)))
        except FormatError as error:
            self._refuse(Refused("MANIFEST_INVALID", str(error)))
        except IntegrityError as error:
            self._refuse(Refused("DIGEST_INVALID", str(error)))
        except (Error, OSError) as error:
            self._refuse(Refused("UNSUPPORTED", str(error), status=507 if "space" in str(error) else 500))
        self._linger()

    # --- what there is ---

    def _get_base(self) -> None:
        self._json({})

    def _get_catalog(self) -> None:
        self._page("repositories", self.server.storage.repositories(), {})

    def _get_tags(self, repository: str) -> None:
        self._known(repository)
        self._page("tags", self.server.storage.tags(repository), {"name": repository})

    # --- manifests ---

    def _get_manifest(self, repository: str, identifier: str) -> None:
        found = self.server.storage.manifest(repository, identifier)
        if found is None:
            self._known(repository)
            raise Refused("MANIFEST_UNKNOWN", f"no manifest {identifier}")
        descriptor, raw = found
        self._answer(200, raw, {"Content-Type": descriptor.media_type, "Docker-Content-Digest": descriptor.digest})

    def _put_manifest(self, repository: str, identifier: str) -> None:
        if (self._left or 0) > MAX_DOCUMENT:
            raise Refused("MANIFEST_INVALID", f"more than {MAX_DOCUMENT} bytes", status=413)
        raw = b"".join(self._body())
        media_type = (self.headers.get("Content-Type") or "").partition(";")[0].strip()
        if media_type not in mediatype.INDEXES | mediatype.MANIFESTS:
            raise Refused("MANIFEST_INVALID", f"{media_type or 'no media type'} is not one of a manifest")
        digest = self.server.storage.put_manifest(repository, identifier, raw, media_type)
        where = f"/v2/{repository}/manifests/{digest}"
        self._answer(201, b"", {"Location": where, "Docker-Content-Digest": digest})

    def _delete_manifest(self, repository: str, identifier: str) -> None:
        if not self.server.storage.delete_manifest(repository, identifier):
            raise Refused("MANIFEST_UNKNOWN", f"no manifest {identifier}")
        self._answer(202)

    # --- blobs ---

    def _get_blob(self, repository: str, digest: str) -> None:
        known = self._digest(digest)
        size = self.server.storage.blob_size(repository, known)
        if size is None:
            raise Refused("BLOB_UNKNOWN", f"no blob {digest}")
        start, end = self._range(size)
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": str(known),
            "Accept-Ranges": "bytes",
            "Content-Length": str(end - start),
        }
        if end - start != size:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        self._head(206 if end - start != size else 200, headers)
        if self.command == "HEAD":
            return
        with self.server.storage.open_blob(known) as stream:
            self.wfile.flush()
            if end > start:
                self.connection.sendfile(stream, start, end - start)

    def _delete_blob(self, repository: str, digest: str) -> None:
        if not self.server.storage.delete_blob(repository, self._digest(digest)):
            raise Refused("BLOB_UNKNOWN", f"no blob {digest}")
        self._answer(202)

    # --- uploads ---

    def _post_uploads(self, repository: str) -> None:
        storage = self.server.storage
        if (mount := self._query.get("mount")) and (source := self._query.get("from")):
            known = self._digest(mount)
            if re.fullmatch(_NAME, source) and storage.mount(repository, known, source):
                self._created(repository, known)
                return
        session = _Session(repository, storage.receive())
        if digest := self._query.get("digest"):  # all in one request
            with session.blob:
                self._receive(session)
                self._keep(session, digest)
            return
        name = str(uuid.uuid4())
        with self.server.sessions_lock:
            if len(self.server.sessions) >= _MAX_SESSIONS:
                oldest = next(iter(self.server.sessions))
                self.server.sessions.pop(oldest).blob.__exit__()
            self.server.sessions[name] = session
        self._progress(202, repository, name, session)

    def _get_upload(self, repository: str, session: str) -> None:
        self._progress(204, repository, session, self._session(repository, session))

    def _patch_upload(self, repository: str, session: str) -> None:
        found = self._session(repository, session)
        with found.lock:
            self._check_order(found)
            self._receive(found)
            self._progress(202, repository, session, found)

    def _put_upload(self, repository: str, session: str) -> None:
        found = self._session(repository, session)
        digest = self._query.get("digest")
        if not digest:
            raise Refused("DIGEST_INVALID", "no digest")
        with found.lock:
            self._check_order(found)
            with self.server.sessions_lock:
                self.server.sessions.pop(session, None)
            with found.blob:
                self._receive(found)
                self._keep(found, digest)

    def _delete_upload(self, repository: str, session: str) -> None:
        found = self._session(repository, session)
        with found.lock:
            with self.server.sessions_lock:
                self.server.sessions.pop(session, None)
            found.blob.__exit__()
        self._answer(204)

    def _session(self, repository: str, name: str) -> _Session:
        with self.server.sessions_lock:
            found = self.server.sessions.get(name)
        if found is None or found.repository != repository:
            raise Refused("BLOB_UPLOAD_UNKNOWN", "no such upload")
        return found

    def _check_order(self, session: _Session) -> None:
        """A chunk must begin where the last one ended."""
        told = self.headers.get("Content-Range")
        if not told:
            return
        found = re.fullmatch(r"(?:bytes )?(\d{1,18})-(\d{1,18})(?:/.*)?", told.strip())
        if not found or int(found[1]) != session.size:
            raise Refused("BLOB_UPLOAD_INVALID", f"the next byte is {session.size}")

    def _receive(self, session: _Session) -> None:
        for block in self._body():
            session.blob.write(block)
            session.size += len(block)

    def _keep(self, session: _Session, digest: str) -> None:
        known = self._digest(digest)
        self.server.storage.keep(session.repository, session.blob, known)
        self._created(session.repository, known)

    def _created(self, repository: str, digest: Digest) -> None:
        headers = {"Location": f"/v2/{repository}/blobs/{digest}", "Docker-Content-Digest": str(digest)}
        self._answer(201, b"", headers)

    def _progress(self, status: int, repository: str, name: str, session: _Session) -> None:
        headers = {
            "Location": f"/v2/{repository}/blobs/uploads/{name}",
            "Docker-Upload-UUID": name,
            "Range": f"0-{max(0, session.size - 1)}",
        }
        self._answer(status, b"", headers)

    # --- reading requests ---

    def _digest(self, text: str) -> Digest:
        try:
            return Digest(text)
        except FormatError as error:
            raise Refused("DIGEST_INVALID", str(error)) from None

    def _known(self, repository: str) -> None:
        if not self.server.storage.exists(repository):
            raise Refused("NAME_UNKNOWN", f"no repository {repository}")

    def _page(self, key: str, names: list[str], document: dict[str, Any]) -> None:
        last, n = self._query.get("last", ""), self._query.get("n", "")
        rest = [name for name in names if name > last] if last else names
        headers = {}
        if n.isascii() and n.isdigit() and len(rest) > int(n[:9]):
            rest = rest[: int(n[:9])]
            if rest:
                headers["Link"] = f'<{urlsplit(self.path).path}?n={int(n)}&last={rest[-1]}>; rel="next"'
        self._json({**document, key: rest}, headers=headers)

    def log_message(self, format: str, *args: Any) -> None:
        self.server.log(re.sub(r"[^ -~]", "?", f"{self.client_address[0]} {format % args}"))
