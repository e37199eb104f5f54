"""One way to make a request: `Wire.request`. Thread-safe; everything it depends on is passed in."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ociassemble.errors import Error, OfflineError, UnreachableError
from ociassemble.net import backoff, proxy, redirect
from ociassemble.net.errors import CutError, RedirectError, TimedOutError, for_status, translate
from ociassemble.net.response import Response
from ociassemble.net.trust import Trust
from ociassemble.net.url import Origin, origin, redact, without_userinfo

if TYPE_CHECKING:
    from ociassemble.net._adapter import Adapter, Session

CONNECT_TIMEOUT = 5.0  # seconds
ANSWER_TIMEOUT = 60.0  # seconds until the first byte of an answer, and between two reads
_IDEMPOTENT = frozenset({"GET", "HEAD", "DELETE"})


class Body(NamedTuple):
    """A request's body that is streamed: its size, how to open it from the beginning, whom to tell of each block."""

    size: int  # bytes
    open: Callable[[], BinaryIO]
    sent: Callable[[int], None] = lambda amount: None


class Wire:
    """HTTP and HTTPS with this program's manners.

    `proxies` is what `proxy.from_environment` returns; `insecure` holds `host` or `host:port` whose certificates
    are not checked; with `offline` no socket is ever opened. `sleep`, `clock` and `jitter` are for tests.
    """

    def __init__(
        self,
        *,
        trust: Trust = Trust(),  # noqa: B008  (an immutable value)
        proxies: Mapping[str, str] | None = None,
        insecure: Iterable[str] = (),
        user_agent: str = "ociassemble",
        offline: bool = False,
        connect_timeout: float = CONNECT_TIMEOUT,
        answer_timeout: float = ANSWER_TIMEOUT,
        attempts: int = backoff.ATTEMPTS,
        connections: int = 16,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.offline = offline
        self.insecure = frozenset(host.lower() for host in insecure)
        self._trust = trust
        self._proxies = dict(proxies or {})
        self._user_agent = user_agent
        self._timeout = (connect_timeout, answer_timeout)
        self._attempts = attempts
        self._connections = connections
        self._clock = clock
        self._jitter = jitter
        self._gate = backoff.Gate(clock, sleep)
        self._answered: set[Origin] = set()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._adapters: dict[str, Adapter] = {}

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Body | None = None,
        retry: bool | None = None,
        follow: bool = True,
        within: Callable[[str], bool] | None = None,
    ) -> Response:
        """Ask once, or more often where that is safe; any status is returned, the caller judges it.

        `retry` None means: GET, HEAD, DELETE, and bodies of bytes in a PUT. `user:password@` in `url` becomes an
        Authorization header, which like all headers of the caller stays within the URL's origin, and on a redirect
        also within the URLs that `within` says yes to. Raises `UnreachableError` where no connection came about, other
        `NetworkError`s, `OfflineError`.
        """
        url, authorization = without_userinfo(url)
        asked = origin(url)
        if self.offline:
            raise OfflineError(
                f"`{redact(url)}` is needed, and `--offline` forbids to ask",
                hint="run once without `--offline`: what was fetched is kept",
            )
        sent = dict(headers or {})
        if authorization and not any(name.lower() == "authorization" for name in sent):
            sent["Authorization"] = authorization
        if retry is None:
            retry = method in _IDEMPOTENT or (method == "PUT" and isinstance(body, bytes))
        attempts = self._attempts if retry else 1
        for attempt in range(1, attempts + 1):
            self._gate.wait(asked)
            last = attempt == attempts
            try:
                response = self._walk(method, url, asked, sent, body, follow=follow, within=within)
            except UnreachableError:
                # The first contact decides whether a host is there at all; nobody wants to wait for that five times.
                if last or asked not in self._answered:
                    raise
                self._gate.pause(backoff.delay(attempt, self._jitter()))
            except CutError:
                if last:
                    raise
                if attempt > 1:  # the first cut is mostly a kept connection that the server had closed
                    self._gate.pause(backoff.delay(attempt, self._jitter()))
            except TimedOutError:
                if last or attempt > 1:
                    raise
            else:
                self._answered.add(asked)
                if last or response.status not in backoff.RETRYABLE:
                    return response
                wait = backoff.retry_after(response.header("Retry-After"), time.time())
                if wait is not None and wait > backoff.LONGEST_WAIT:
                    return response
                response.close()
                pause = wait if wait is not None else backoff.delay(attempt, self._jitter())
                if response.status == 429:
                    self._gate.close(asked, pause)
                else:
                    self._gate.pause(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def fail(self, response: Response) -> Error:
        """The error for a status that is no success; closes the response."""
        response.close()
        wait = backoff.retry_after(response.header("Retry-After"), time.time())
        return for_status(response.status, response.method, redact(response.url), reason=response.reason, wait=wait)

    def is_insecure(self, where: Origin) -> bool:
        """Whether the user said that this host's certificate need not be checked."""
        return where.authority in self.insecure or where.host in self.insecure

    def _walk(
        self,
        method: str,
        url: str,
        asked: Origin,
        headers: dict[str, str],
        body: bytes | Body | None,
        *,
        follow: bool,
        within: Callable[[str], bool] | None,
    ) -> Response:
        """Ask, and follow redirects."""
        here = asked
        redirected = False
        for _ in range(redirect.MAX_HOPS + 1):
            response = self._send(method, url, here, headers, body, redirected=redirected)
            location = response.header("Location")
            if not follow or response.status not in redirect.STATUSES or not location:
                return response
            response.close(drain=False)
            url = redirect.target(url, method, response.status, location)
            there = origin(url)
            inside = there == here and (within is None or within(url))
            headers = redirect.headers_for(headers, same_origin=inside)
            redirected = redirected or there != here
            here = there
        raise RedirectError(f"`{redact(url)}`: more than {redirect.MAX_HOPS} redirects")

    def _send(
        self,
        method: str,
        url: str,
        where: Origin,
        headers: dict[str, str],
        body: bytes | Body | None,
        *,
        redirected: bool,
    ) -> Response:
        from ociassemble.net import _adapter

        data = _Stream(body) if isinstance(body, Body) else body
        try:
            raw = _adapter.send(
                self._session(),
                method,
                url,
                headers,
                data,
                proxy=proxy.choose(self._proxies, where),
                verify=not self.is_insecure(where),
                timeout=self._timeout,
            )
        except (OSError, ValueError) as error:
            raise translate(error, method, redact(url), where.authority) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("urllib3", "http"):
                raise translate(error, method, redact(url), where.authority) from error
            raise
        finally:
            if isinstance(data, _Stream):
                data.close()
        return Response(raw, method=method, url=url, origin=where, redirected=redirected, clock=self._clock)

    def _session(self) -> Session:
        session: Session | None = getattr(self._local, "session", None)
        if session is None:
            from ociassemble.net._adapter import Session

            session = self._local.session = Session(self._adapter, self._user_agent)
        return session

    def _adapter(self, url: str) -> Adapter:
        from ociassemble.net import _adapter, trust

        where = origin(url)
        through = proxy.choose(self._proxies, where) or ""
        kind = "insecure" if self.is_insecure(where) else "verified"
        if where.scheme == "http" and not through.startswith("https"):
            kind = "plain"  # reading the certificates takes longer than a request to this machine
        with self._lock:
            adapter = self._adapters.get(kind)
            if adapter is None:
                context = None
                if kind == "insecure":
                    _adapter.silence_warnings()
                    context = trust.unverified()
                elif kind == "verified":
                    context = trust.context(self._trust)
                adapter = self._adapters[kind] = _adapter.Adapter(context, connections=self._connections)
            return adapter


class _Stream:
    """What requests is given as a body: a length and `read`, and nothing that it would iterate or rewind."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._stream: BinaryIO | None = None

    def __len__(self) -> int:
        return self._body.size

    def __bool__(self) -> bool:
        return True

    def read(self, amount: int = -1) -> bytes:
        if self._stream is None:
            self._stream = self._body.open()
        block = self._stream.read(amount)
        if block:
            self._body.sent(len(block))
        return block

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
