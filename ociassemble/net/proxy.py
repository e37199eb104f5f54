"""Which proxy a request goes through: HTTP(S)_PROXY, ALL_PROXY and NO_PROXY as curl and Go read them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from ociassemble.net.url import Origin, is_loopback, literal


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The proxy settings in an environment: keys `http`, `https`, `all`, `no`; lower-case variables win.

    HTTP_PROXY in capitals is not read where REQUEST_METHOD is set: a CGI server sets it from a client's header.
    """
    found: dict[str, str] = {}
    for kind in ("http", "https", "all", "no"):
        value = environment.get(f"{kind}_proxy")
        if value is None and not (kind == "http" and "REQUEST_METHOD" in environment):
            value = environment.get(f"{kind.upper()}_PROXY")
        if value and value.strip():
            found[kind] = value.strip()
    return found


def choose(settings: Mapping[str, str], origin: Origin) -> str | None:
    """The proxy's URL for `origin`, or None for a direct connection. Loopback is never proxied."""
    if is_loopback(origin.host) or excluded(settings.get("no", ""), origin):
        return None
    proxy = settings.get(origin.scheme) or settings.get("all")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    return proxy


def excluded(no_proxy: str, origin: Origin) -> bool:
    """Whether NO_PROXY names `origin`: `*`, a domain (with or without a leading dot), an address, a network, a port."""
    address = literal(origin.host)
    for item in no_proxy.replace(" ", ",").lower().split(","):
        if not item:
            continue
        if item == "*":
            return True
        name, port = _port(item)
        if port is not None and port != origin.port:
            continue
        if address is not None:
            try:
                if address in ipaddress.ip_network(name.strip("[]"), strict=False):
                    return True
            except (ValueError, TypeError):
                continue
        else:
            domain = name.removeprefix("*").removeprefix(".")
            if domain and (origin.host == domain or origin.host.endswith(f".{domain}")):
                return True
    return False


def _port(item: str) -> tuple[str, int | None]:
    name, colon, port = item.rpartition(":")
    if colon and port.isascii() and port.isdigit() and len(port) < 20 and (":" not in name or name.endswith("]")):
        return name, int(port)
    return item, None
