"""Where credentials may be sent for a token. Pure.

The registry chooses the realm, so a registry that was broken into, or misspelt, could have passwords sent anywhere.
Anonymous token requests may go to any https realm; a secret goes only to the registry's own host, to a host of the
same organisation's domain, to a pair known by name, or where the user said so.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ociassemble.errors import AuthError, Error
from ociassemble.net.url import Origin, is_loopback, is_metadata, is_private, join, literal, origin, redact

# Registries whose tokens come from another domain of the same operator.
_PAIRS = {("nvcr.io", "authn.nvidia.com")}

# Domains below which strangers are neighbours, besides the country codes' second levels (co.uk and the like).
_SHARED = frozenset(
    {
        "amazonaws.com", "azure.com", "azurecr.io", "azurewebsites.net", "cloudapp.net", "cloudfront.net",
        "digitaloceanspaces.com", "fly.dev", "github.io", "gitlab.io", "googleapis.com", "herokuapp.com",
        "netlify.app", "ngrok.io", "onrender.com", "pages.dev", "pkg.dev", "r2.dev", "railway.app", "run.app",
        "trycloudflare.com", "vercel.app", "workers.dev",
    }
)  # fmt: skip
_SECOND_LEVELS = frozenset(
    {"ac", "co", "com", "edu", "gob", "gov", "gv", "ltd", "ne", "net", "nom", "or", "org", "plc"}
)


class RealmError(AuthError):
    """The registry wants a token from a place that is not trusted with credentials, or with anything."""

    code = "auth.realm"


class Realm(NamedTuple):
    """A token server: its URL, and whether a secret may be sent there."""

    url: str
    trusted: bool


def check(text: str, registry: str, trusted: Collection[str]) -> Realm:
    """The realm `text` that the registry at URL `registry` named.

    `trusted` are hosts (or `host:port`) the user vouched for. Raises `RealmError` where nobody should be asked.
    """
    here = origin(registry)
    try:
        url = join(registry, text)
        there = origin(url)
    except (Error, ValueError):
        raise _error(here, text, "it is not a URL") from None
    if "@" in url.split("/", 3)[2] or "#" in url:
        raise _error(here, url, "it has credentials or a fragment of its own")
    if there.scheme == "http" and here.scheme == "https":
        raise _error(here, url, "it leads from https to http")
    if there == here:
        return Realm(url, True)
    if is_metadata(there.host):
        raise _error(here, url, "it is an address that serves secrets")
    if is_loopback(there.host) and not is_loopback(here.host):
        raise _error(here, url, "it is an address of this machine")
    if literal(there.host) is not None and is_private(there.host) and not is_private(here.host):
        raise _error(here, url, "it is a private address, and the registry is not")
    if there.authority in trusted or there.host in trusted:
        return Realm(url, True)
    return Realm(url, _related(here, there))


def refusal(registry: Origin, realm: str) -> RealmError:
    """The error for a secret that is needed at a realm not trusted with it."""
    host = origin(realm).authority
    return RealmError(
        f"`{registry.authority}` wants its credentials sent to `{host}`, which is another organisation's host",
        hint=f"if that is right, pass `--trust-realm {host}`",
    )


def _related(here: Origin, there: Origin) -> bool:
    """One organisation, as far as names can tell."""
    if (here.host, there.host) in _PAIRS or here.host == there.host:
        return True
    domain = organisation(here.host)
    return bool(domain) and domain == organisation(there.host)


def organisation(host: str) -> str:
    """The domain that someone registered, "" where names do not tell: addresses, single words, clouds."""
    labels = host.rstrip(".").split(".")
    if literal(host) is not None or len(labels) < 2:
        return ""
    if any(host.endswith(f".{shared}") or host == shared for shared in _SHARED):
        return ""
    deep = len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS
    length = 3 if deep else 2
    return ".".join(labels[-length:]) if len(labels) >= length else ""


def _error(here: Origin, url: str, why: str) -> RealmError:
    return RealmError(f"`{here.authority}` names `{redact(url):.200}` as the place for tokens: {why}")
