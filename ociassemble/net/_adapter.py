"""What we change about requests. Imported when the first request is made, never before."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import requests.adapters
import urllib3
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

BLOCK = 256 << 10  # bytes a write; urllib3's own 16 KiB cost a system call each


def _patient(connection: HTTPConnection) -> None:
    # urllib3 leaves the connect timeout on the socket while the request's body is sent: a server that takes more
    # than these few seconds to accept the next block of a layer would end the upload.
    if connection.sock is not None:
        connection.sock.settimeout(60.0)


class _HTTPConnection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _patient(self)


class _HTTPSConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _patient(self)


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class Adapter(requests.adapters.HTTPAdapter):
    """Connections of one trust: our context, not certifi's; shared by all threads (urllib3's pools allow it)."""

    def __init__(self, context: ssl.SSLContext | None, *, connections: int) -> None:
        self._context = context
        super().__init__(pool_connections=connections, pool_maxsize=connections)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        kwargs.update(ssl_context=self._context, blocksize=BLOCK)
        super().init_poolmanager(connections, maxsize, block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        kwargs.update(ssl_context=self._context, blocksize=BLOCK)
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        return manager

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        # The context decides; requests would add its own bundle here.
        conn.cert_reqs = "CERT_REQUIRED" if verify else "CERT_NONE"


class Session(requests.Session):
    """A session that reads no netrc and no environment, keeps no cookies and follows no redirects."""

    def __init__(self, choose: Callable[[str], Adapter], user_agent: str) -> None:
        super().__init__()
        self._choose = choose
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers = CaseInsensitiveDict({"User-Agent": user_agent, "Accept-Encoding": "identity"})

    def get_adapter(self, url: Any) -> requests.adapters.BaseAdapter:
        return self._choose(str(url))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        # Even without following, requests would read a redirect's whole body into memory to prepare for it.
        return None


def send(
    session: Session,
    method: str,
    url: str,
    headers: dict[str, str],
    body: Any,
    *,
    proxy: str | None,
    verify: bool,
    timeout: tuple[float, float],
) -> urllib3.BaseHTTPResponse:
    """One request, one answer: headers read, body not. Raises what requests raises."""
    prepared = session.prepare_request(requests.Request(method, url, headers=headers))
    # requests re-quotes URLs (%7E becomes ~), which breaks signed ones; urllib3 only writes escapes in capitals.
    prepared.url = url
    if body is not None:
        prepared.body = body
        prepared.headers["Content-Length"] = str(len(body))
    response = session.send(
        prepared,
        stream=True,
        allow_redirects=False,
        verify=verify,
        timeout=timeout,
        proxies={"http": proxy, "https": proxy} if proxy else {},
    )
    raw: urllib3.BaseHTTPResponse = response.raw
    return raw


def silence_warnings() -> None:
    """The user named the insecure host and was told; urllib3 need not say so at each request."""
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
