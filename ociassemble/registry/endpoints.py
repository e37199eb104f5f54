"""From a host in a reference to where requests go: https or, where that is allowed, http; mirrors before the host."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple

from ociassemble.errors import UnreachableError, UsageError
from ociassemble.net.errors import CutError, TimedOutError, TlsError
from ociassemble.net.url import Origin, is_loopback, origin
from ociassemble.net.wire import Wire
from ociassemble.oci.reference import DOCKER_HUB, HUB_API, InvalidReferenceError, canonical_host


class MirrorError(UsageError):
    """`--registry-mirror` that is not `HOST=MIRROR`."""

    code = "usage.registry-mirror"


class OtherSchemeError(Exception):
    """An endpoint of this machine turned out to speak TLS: `Endpoints.own` knows now, and it is asked once more."""


class Endpoint(NamedTuple):
    """One server that speaks the distribution API."""

    host: str  # as credentials are filed: "docker.io", "127.0.0.1:5000"
    base: str  # "https://registry-1.docker.io"
    prefix: str = ""  # goes before the repository: "dockerhub/"
    private: bool = True  # the connection is safe for secrets: verified TLS, or this machine

    @property
    def origin(self) -> Origin:
        return origin(self.base)


def parse_mirror(text: str) -> tuple[str, str]:
    """`HOST=MIRROR[/PREFIX]` as a pair of the canonical host and the mirror."""
    host, equals, mirror = text.partition("=")
    place, slash, prefix = mirror.strip().rstrip("/").partition("/")
    try:
        if not equals:
            raise MirrorError("")
        return canonical_host(host.strip()), canonical_host(place) + slash + prefix
    except (MirrorError, InvalidReferenceError):
        raise MirrorError(
            f"`{text:.200}` is not `HOST=MIRROR`", hint="for example `--registry-mirror docker.io=mirror.example:5000`"
        ) from None


class Endpoints:
    """Finds endpoints and remembers which scheme a host speaks. Thread-safe.

    `mirrors` maps a canonical host to its mirror (`host[:port][/prefix]`). Which hosts are insecure is the wire's.
    """

    def __init__(self, wire: Wire, mirrors: Mapping[str, str] | None = None) -> None:
        self._wire = wire
        self._mirrors = dict(mirrors or {})
        self._schemes: dict[str, str] = {}
        self._lock = threading.Lock()

    def mirror(self, host: str) -> Endpoint:
        """Where pulls from `host` (which has a mirror) are tried first; its scheme is found out now."""
        mirror, _, prefix = self._mirrors[host].partition("/")
        return self.own(mirror)._replace(prefix=f"{prefix}/" if prefix else "")

    def has_mirror(self, host: str) -> bool:
        return host in self._mirrors

    def mount_source(self, repository: str, host: str) -> str:
        """`repository` ("host/name") as registry `host` calls it: by its mirrored name where `host` is its mirror."""
        origin_host, _, name = repository.partition("/")
        mirror, _, prefix = self._mirrors.get(origin_host, "").partition("/")
        if origin_host == host or mirror != host:
            return repository
        return "/".join(part for part in (host, prefix, name) if part)

    def own(self, host: str) -> Endpoint:
        """The registry itself. Asks it (without credentials) where nothing tells the scheme.

        On this machine it is taken for http until the first real request was answered (`proved`, `prove`).
        """
        name = HUB_API if host == DOCKER_HUB else host
        with self._lock:
            scheme = self._schemes.get(name)
        if scheme is None and is_loopback(origin(f"https://{name}").host):
            scheme = "http"
        elif scheme is None:
            scheme = self._find_scheme(name)
            self._found(name, scheme)
        base = f"{scheme}://{name}"
        where = origin(base)
        verified = scheme == "https" and not self._wire.is_insecure(where)
        return Endpoint(host, base, private=verified or is_loopback(where.host))

    def proved(self, endpoint: Endpoint) -> bool:
        """Whether it is known that the endpoint speaks its scheme. `OtherSchemeError`: it is the other one."""
        scheme, _, name = endpoint.base.partition("://")
        with self._lock:
            known = self._schemes.get(name)
        if known not in (None, scheme):
            raise OtherSchemeError
        return known is not None

    def prove(self, endpoint: Endpoint, *, understood: bool) -> None:
        """The endpoint gave its first answer; `understood` is False where it hung up, or called the request bad.

        Then it is asked what it speaks, and `OtherSchemeError` says that that is TLS.
        """
        scheme, _, name = endpoint.base.partition("://")
        found = scheme if understood or not self._speaks_tls(name) else "https"
        self._found(name, found)
        if found != scheme:
            raise OtherSchemeError

    def _found(self, name: str, scheme: str) -> None:
        with self._lock:
            self._schemes[name] = scheme

    def _find_scheme(self, name: str) -> str:
        secure = origin(f"https://{name}")
        if self._wire.is_insecure(secure):
            # Certificates are not checked, but what is encrypted is at least not read in passing.
            try:
                self._wire.request("GET", f"https://{name}/v2/", retry=False, follow=False).close()
            except (TlsError, CutError, TimedOutError):
                return "http"
            except UnreachableError:
                if ":" in name.rpartition("]")[2]:
                    raise
                return "http"
        return "https"

    def _speaks_tls(self, name: str) -> bool:
        """Whether a server on this machine is a TLS server: it says so, or hangs up, when spoken to in clear.

        The other way round, a simple HTTP server would wait for the end of the line that a TLS greeting never has.
        """
        try:
            with self._wire.request("GET", f"http://{name}/v2/", retry=False, follow=False) as response:
                return response.status == 400 and b"HTTPS" in response.read(64 << 10)
        except CutError:
            return True
