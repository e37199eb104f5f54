"""A registry's refusals as typed errors, with its own words as details and the next thing to try as hint."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ociassemble.errors import AuthError, DestinationError, Error, NetworkError, NotFoundError
from ociassemble.net.errors import RateLimitedError
from ociassemble.net.response import Response
from ociassemble.net.url import redact

_LARGEST = 64 << 10  # bytes of an error's body
_REQUEST_IDS = ("X-GitHub-Request-Id", "x-amzn-RequestId", "X-Request-Id")


class UnauthorizedError(AuthError):
    """401: no credentials, or the ones that were sent were rejected."""

    code = "auth.unauthorized"


class DeniedError(AuthError):
    """403: known, but not allowed to."""

    code = "auth.denied"


class ImageNotFoundError(NotFoundError):
    """No such repository, tag or manifest."""

    code = "not-found.image"


class RemoteBlobNotFoundError(NotFoundError):
    """A registry does not have a blob that a manifest names."""

    code = "not-found.remote-blob"


class RegistryAnswerError(NetworkError):
    """A registry's answer that is neither success nor a refusal we know."""

    code = "network.registry"


class PushRefusedError(DestinationError):
    """A registry did not take a blob or a manifest."""

    code = "destination.refused"


class ContentMissingError(PushRefusedError):
    """A registry did not take a manifest, because it does not have something that this names."""

    code = "destination.content-missing"


class ImmutableTagError(DestinationError):
    """A tag that exists and may not be moved."""

    code = "destination.immutable-tag"


class Refusal(NamedTuple):
    """What a registry said: codes and messages of the distribution-spec's error document, or of whatever came."""

    status: int
    codes: tuple[str, ...]
    words: tuple[str, ...]


def read(response: Response) -> Refusal:
    """The refusal in `response`, whose body is read (bounded) and closed."""
    with response:
        try:
            raw = response.read(_LARGEST) if response.method != "HEAD" else b""
        except Error:
            raw = b""
    codes, words = _parse(raw, response.content_type)
    for name in _REQUEST_IDS:
        if value := response.header(name):
            words.append(f"request id: {_clean(value)}")
            break
    return Refusal(response.status, tuple(codes), tuple(words[:10]))


def error(refusal: Refusal, response: Response, *, what: str, host: str, push: bool = False, source: str = "") -> Error:
    """The error for `refusal`; `what` names the image or blob, `source` where the credentials came from."""
    status = refusal.status
    details = refusal.words
    said = f"{status} {response.reason}".strip()
    if status == 401:
        return unauthorized(host, what, source=source, push=push, details=details)
    if status == 403:
        whose = f" with the credentials from {source}" if source else ""
        return DeniedError(
            f"`{host}` denies {'pushing' if push else 'access to'} `{what}`{whose}",
            hint=_denied_hint(host, push=push, known=bool(source)),
            details=details,
        )
    if status == 429:
        return RateLimitedError(
            f"`{host}` takes no more requests for now ({said})",
            hint="log in for a higher limit, use --registry-mirror, or try again later",
            details=(*details, *_limits(response)),
        )
    if push and 400 <= status < 500:
        if "NAME_UNKNOWN" in refusal.codes or status == 404:
            return PushRefusedError(
                f"`{host}` has no repository for `{what}` and does not make one",
                hint=_create_hint(host),
                details=details,
            )
        if status == 413:
            return PushRefusedError(
                f"`{host}`, or a proxy before it, takes no upload as large as `{what}`",
                hint="raise the limit for request bodies there",
                details=details,
            )
        return PushRefusedError(f"`{host}` refuses `{what}` ({said})", details=details)
    if status == 404:
        return ImageNotFoundError(
            f"`{what}` does not exist", hint="check the spelling of repository and tag", details=details
        )
    return RegistryAnswerError(
        f"{response.method} `{redact(response.url)}` was answered with {said}", details=details, hint=None
    )


def unauthorized(
    host: str, what: str, *, source: str = "", push: bool = False, details: tuple[str, ...] = ()
) -> UnauthorizedError:
    """401 that no credentials at hand could cure."""
    if source:
        return UnauthorizedError(
            f"`{host}` rejected the credentials from {source} for `{what}`",
            hint=f"log in again: `ociassemble login {host} -u USER`",
            details=details,
        )
    doing = "push" if push else "read"
    return UnauthorizedError(
        f"`{host}` wants credentials to {doing} `{what}`, and there are none for it",
        hint=f"run `ociassemble login {host} -u USER` (or `docker login {host}`), or pass --authfile",
        details=details,
    )


def _parse(raw: bytes, content_type: str) -> tuple[list[str], list[str]]:
    if not raw:
        return [], []
    try:
        document: Any = json.loads(raw)
    except (ValueError, RecursionError):
        # A page for people, from a proxy or a web server that is no registry.
        return [], [] if b"<html" in raw[:2000].lower() else [_clean(raw[:300].decode("utf-8", "replace"))]
    codes: list[str] = []
    words: list[str] = []
    if not isinstance(document, dict):
        return codes, words
    items = document.get("errors")
    for item in items[:10] if isinstance(items, list) else []:
        if not isinstance(item, dict):
            continue
        code, message = item.get("code"), item.get("message")
        if isinstance(code, str):
            codes.append(code[:60])
        words.append(_clean(": ".join(str(part) for part in (code, message) if isinstance(part, str) and part)))
    for key in ("details", "error", "error_description", "message"):
        if not words and isinstance(document.get(key), str):
            words.append(_clean(document[key]))
    return codes, [word for word in words if word]


def _clean(text: str) -> str:
    """One line without anything a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]


def _limits(response: Response) -> list[str]:
    names = ("ratelimit-limit", "ratelimit-remaining", "Retry-After", "docker-ratelimit-source")
    return [f"{name}: {_clean(response.header(name))}" for name in names if response.header(name)]


def _denied_hint(host: str, *, push: bool, known: bool) -> str:
    if host == "ghcr.io":
        return (
            "the token needs `write:packages`, and the package must allow this repository"
            if push
            else ("the package may be private: the token needs `read:packages`")
        )
    if host.endswith(("-docker.pkg.dev", "gcr.io")):
        return f"the account needs the role artifactregistry.{'writer' if push else 'reader'}"
    if not known:
        return f"it may not exist, or be private: `ociassemble login {host} -u USER`, or pass --authfile"
    return "ask the registry's owner for the right to " + ("push there" if push else "read it")


def _create_hint(host: str) -> str:
    if ".dkr.ecr." in host:
        return "run `aws ecr create-repository --repository-name NAME` first"
    return "create the repository first, or check its name"
