"""Where a redirect may lead. Pure: the wire asks, and does what comes out."""

from __future__ import annotations

from collections.abc import Mapping

from ociassemble.errors import Error
from ociassemble.net.errors import RedirectError
from ociassemble.net.url import Origin, is_loopback, is_metadata, is_private, join, origin, redact

MAX_HOPS = 5
STATUSES = frozenset({301, 302, 303, 307, 308})
# What another origin may be told. Never Authorization, never a cookie, never a header of the user's.
_HARMLESS = frozenset({"accept", "accept-encoding", "range", "user-agent"})


def target(url: str, method: str, status: int, location: str) -> str:
    """The absolute URL to ask next; a `RedirectError` where the redirect is not followed.

    GET and HEAD follow all five statuses. Others keep method and body, so only 307 and 308, and only within their
    origin. Nobody is sent from https to http, to a cloud's metadata, or from a public host to a private address.
    """
    here = origin(url)
    try:
        following = join(url, location)
        there = origin(following)
    except (Error, ValueError):
        raise _refuse(url, location, "it is not a URL that can be asked") from None
    if "@" in following.split("/", 3)[2]:
        raise _refuse(url, following, "it carries credentials")
    if method not in ("GET", "HEAD"):
        if status not in (307, 308):
            raise _refuse(url, following, f"{status} would turn {method} into GET")
        if there != here:
            raise _refuse(url, following, f"{method} is not sent on to another host")
    if here.scheme == "https" and there.scheme == "http":
        raise _refuse(url, following, "it leads from https to http")
    if reason := unreachable_from(here, there):
        raise _refuse(url, following, reason)
    return following


def unreachable_from(here: Origin, there: Origin) -> str:
    """Why `here` may not point us to `there`, or ""."""
    if there.host == here.host:
        return ""
    if is_metadata(there.host):
        return "it leads to an address that serves secrets"
    if is_loopback(there.host) and not is_loopback(here.host):
        return "it leads to this machine"
    if is_private(there.host) and not is_private(here.host) and "." in here.host.strip("."):
        return "it leads from a public host to a private address"
    return ""


def headers_for(headers: Mapping[str, str], *, same_origin: bool) -> dict[str, str]:
    """What goes along to the next hop."""
    return {name: value for name, value in headers.items() if same_origin or name.lower() in _HARMLESS}


def _refuse(url: str, location: str, why: str) -> RedirectError:
    return RedirectError(f"`{redact(url)}` redirects to `{redact(location):.300}`, which is not followed: {why}")
