"""HTTP to a daemon of this host: over a Unix socket, or over TCP as Docker's `DOCKER_HOST` says it.

One request at a time on a connection of its own, no redirects, no proxies, no retries: what `net.wire` does for servers
of others makes no sense here.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ociassemble.errors import UnreachableError, UsageError
from ociassemble.net.errors import AnswerError, CutError, StatusError

_CONNECT_TIMEOUT = 5.0  # seconds
_ANSWER_TIMEOUT = 15.0  # seconds; a daemon that hangs is a daemon that is not there
_MAX_ANSWER = 16 << 20


class Endpoint(NamedTuple):
    """Where a daemon listens: `path` of a socket, or `host` and `port`; `certificates` is a folder with ca.pem,
    cert.pem and key.pem where TLS is spoken, as Docker keeps them."""

    text: str
    path: str = ""
    host: str = ""
    port: int = 0
    certificates: Path | None = None

    @classmethod
    def parse(cls, text: str, certificates: Path | None = None) -> Endpoint:
        """From `unix:///run/docker.sock` or `tcp://127.0.0.1:2375`."""
        scheme, _, rest = text.partition("://")
        if scheme == "unix" and rest:
            return cls(text, path=rest)
        host, colon, port = rest.rstrip("/").rpartition(":")
        if scheme in ("tcp", "http", "https"):
            if not colon:
                host, port = port, "2376" if certificates is not None or scheme == "https" else "2375"
            if host and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536:
                return cls(text, host=host.strip("[]"), port=int(port), certificates=certificates)
        raise UsageError(
            f"`{text}` is no address of a daemon that can be spoken to from here",
            hint="`unix:///PATH` or `tcp://HOST:PORT`; over ssh, load an archive there: `-o docker-archive:FILE`",
        )


class Answer(NamedTuple):
    """A status and a body."""

    status: int
    body: bytes

    def document(self, what: str) -> dict[str, Any]:
        """The body as a JSON object."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise AnswerError(f"{what}: the answer is not JSON") from error
        if not isinstance(found, dict):
            raise AnswerError(f"{what}: the answer is not a JSON object")
        return found


def ask(
    endpoint: Endpoint,
    method: str,
    path: str,
    *,
    body: BinaryIO | None = None,
    size: int = 0,
    timeout: float = _ANSWER_TIMEOUT,
) -> Answer:
    """One request; `body` holds `size` bytes of a tar, `timeout` is in seconds a read.

    Any status is returned; who asked judges it (`failed`). Raises `UnreachableError`, and `CutError` where it broke
    off.
    """
    connection = _Connection(endpoint)
    headers = {"Host": endpoint.host or "docker", "Connection": "close"}
    if body is not None:
        headers |= {"Content-Type": "application/x-tar", "Content-Length": str(size)}
    try:
        connection.open(timeout)
        with contextlib.suppress(BrokenPipeError):  # it answers before it has all: an error, which it explains
            connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        data = response.read(_MAX_ANSWER + 1)
    except (OSError, http.client.HTTPException) as error:
        raise CutError(f"`{endpoint.text}` broke off the answer: {error}") from error
    finally:
        connection.close()
    if len(data) > _MAX_ANSWER:
        raise AnswerError(f"`{endpoint.text}` answers with more than {_MAX_ANSWER >> 20} MiB")
    return Answer(response.status, data)


def failed(endpoint: Endpoint, answer: Answer) -> StatusError:
    """The error for a status that is no success, in the daemon's own words."""
    said = answer.body.decode("utf-8", "replace").strip()
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        said = str(json.loads(said)["message"])
    return StatusError(f"`{endpoint.text}` answers {answer.status}: {said[:500]}", status=answer.status)


class _Connection(http.client.HTTPConnection):
    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint.host or "localhost", endpoint.port or None, blocksize=1 << 20)
        self._endpoint = endpoint

    def open(self, timeout: float) -> None:
        where = self._endpoint
        try:
            if where.path:
                self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self.sock.settimeout(_CONNECT_TIMEOUT)
                self.sock.connect(where.path)
            else:
                self.sock = socket.create_connection((where.host, where.port), _CONNECT_TIMEOUT)
                if where.certificates is not None:
                    self.sock = _context(where.certificates).wrap_socket(self.sock, server_hostname=where.host)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UnreachableError(f"cannot reach `{where.text}`: {reason}") from error
        self.sock.settimeout(timeout)


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(str(folder / "cert.pem"), str(folder / "key.pem"))
    return context
