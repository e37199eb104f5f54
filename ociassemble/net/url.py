"""URLs as the wire sees them: origins to compare, and a form without secrets to show."""

from __future__ import annotations

import base64
import ipaddress
import re
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from ociassemble.errors import UsageError

_PORTS = {"http": 80, "https": 443}
_BAD = re.compile(r"[^!-~]")  # nothing but printable ASCII, no spaces
# Query parameters that say what was asked for; the value of any other may be a signature or a token.
_SHOWN = frozenset({"scope", "service", "mount", "from", "digest", "n", "last"})
# Where clouds serve credentials to whoever asks.
_METADATA = frozenset({"169.254.169.254", "fd00:ec2::254", "100.100.100.200"})


class BadUrlError(UsageError):
    """Not a URL, or one of a scheme that is not spoken here."""

    code = "usage.url"


class Origin(NamedTuple):
    """Scheme, host and port: what credentials belong to. Two spellings of one origin are equal."""

    scheme: str
    host: str  # lower case; IPv6 without brackets
    port: int

    @property
    def authority(self) -> str:
        """`host` or `host:port`, as it stands in a URL."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS.get(self.scheme) else f"{name}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def origin(url: str) -> Origin:
    """The origin of an absolute http or https URL; anything else is a `BadUrlError`."""
    parts = _split(url)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = ipaddress.IPv6Address(host).compressed
    return Origin(parts.scheme, host, parts.port or _PORTS[parts.scheme])


def without_userinfo(url: str) -> tuple[str, str | None]:
    """`url` without `user:password@`, and the value of the Authorization header that they make."""
    parts = _split(url)
    userinfo, at, authority = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = userinfo.partition(":")
    secret = f"{unquote(user)}:{unquote(password)}".encode()
    clean = url.replace(f"//{parts.netloc}", f"//{authority}", 1)
    return clean, "Basic " + base64.b64encode(secret).decode("ascii")


def join(base: str, location: str) -> str:
    """`location` seen from `base` (RFC 3986), its own escapes untouched; spaces and non-ASCII become escapes."""
    return urljoin(base, quote(location.strip(), safe="%/:=&?~#+!$,;'@()*[]"))


def redact(url: str) -> str:
    """`url` for people and logs: no userinfo, and of the query only what is no secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(an unreadable URL)"
    query = []
    for item in parts.query.split("&") if parts.query else ():
        name, equals, _ = item.partition("=")
        query.append(item if name in _SHOWN or not equals else f"{name}=***")
    authority = parts.netloc.rpartition("@")[2]
    text = urlunsplit((parts.scheme, authority, parts.path, "&".join(query), ""))
    return "".join(c if c.isprintable() else "?" for c in text)


def is_loopback(host: str) -> bool:
    """Whether `host` (no port, no brackets) is this machine: by name or by address, never by asking DNS."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = literal(host)
    return address is not None and address.is_loopback


def is_private(host: str) -> bool:
    """Whether `host` is an address or name that only means something here: loopback, link-local, private ranges."""
    address = literal(host)
    return is_loopback(host) or (
        address is not None and (address.is_private or address.is_link_local or address.is_unspecified)
    )


def is_metadata(host: str) -> bool:
    """Whether `host` is an address that nobody may be sent to: cloud metadata, link-local, unspecified."""
    address = literal(host)
    if address is None:
        return host in ("metadata.google.internal", "metadata")
    return str(address) in _METADATA or address.is_link_local or address.is_unspecified


def literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that `host` spells out, also as an IPv4 address in IPv6; None for names."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _split(url: str) -> SplitResult:
    if _BAD.search(url):
        raise BadUrlError(f"`{redact(url):.200}` is not a URL: it has characters that must be escaped")
    try:
        parts = urlsplit(url)
        _ = parts.port
        if ":" in (parts.hostname or ""):
            ipaddress.IPv6Address(parts.hostname or "")
    except ValueError as error:
        raise BadUrlError(f"`{redact(url):.200}` is not a URL: {error}") from None
    if parts.scheme not in _PORTS:
        raise BadUrlError(f"`{redact(url):.200}` is neither http nor https")
    if not parts.hostname:
        raise BadUrlError(f"`{redact(url):.200}` has no host")
    return parts
