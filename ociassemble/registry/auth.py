"""Tokens and Basic credentials for registries (distribution-spec's token authentication, RFC 9110 for Basic).

Every secret belongs to one host. A token is kept under everything that decided it: endpoint, realm, service, scopes
and whose credentials; it is never sent for another scope, and refreshed before it ends.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode

from ociassemble.errors import AuthError, NetworkError
from ociassemble.net.response import Response
from ociassemble.net.url import redact
from ociassemble.net.wire import Wire
from ociassemble.registry.credentials import Credential, Keychain
from ociassemble.registry.endpoints import Endpoint
from ociassemble.registry.errors import UnauthorizedError, unauthorized

if TYPE_CHECKING:
    from ociassemble.registry.challenge import Challenge

_LARGEST = 128 << 10  # bytes of a token server's answer
_SHORTEST = 60.0  # seconds that any token is taken to live
_TOKEN = r"[!-~]{1,65536}"
CLIENT_ID = "ociassemble"


class InsecureCredentialsError(AuthError):
    """Credentials are needed on a connection that others could read or fake."""

    code = "auth.insecure"


class TokenAnswerError(NetworkError):
    """A token server's answer that holds no token."""

    code = "network.token"


class _Method(NamedTuple):
    """How a registry wants to be asked; `realm` is empty for Basic."""

    realm: str
    service: str


class _Token(NamedTuple):
    header: str
    good_until: float  # by the clock


class Authenticator:
    """Makes Authorization headers for requests to endpoints. Thread-safe: many threads ask once."""

    def __init__(
        self,
        wire: Wire,
        keychain: Keychain,
        *,
        trusted_realms: Collection[str] = (),
        insecure_credentials: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wire = wire
        self._keychain = keychain
        self._trusted = frozenset(host.lower() for host in trusted_realms)
        self._insecure_credentials = insecure_credentials
        self._clock = clock
        self._methods: dict[str, _Method] = {}
        self._tokens: dict[tuple[str, _Method, frozenset[str], Credential | None], _Token] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def header(self, endpoint: Endpoint, repository: str, scopes: Iterable[str]) -> str | None:
        """The header for a request, where it is known already how the endpoint wants it; else None."""
        method = self._methods.get(endpoint.base)
        if method is None:
            return None
        with self._of(endpoint):
            return self._obtain(endpoint, repository, method, tuple(scopes), previous=None)

    def answer(
        self, endpoint: Endpoint, repository: str, scopes: Iterable[str], refused: Response, previous: str | None
    ) -> str | None:
        """The header after `refused` (401, or 403 for want of scope); None where there is nothing better to send.

        Raises `UnauthorizedError`, `RealmError`, `InsecureCredentialsError`.
        """
        from ociassemble.registry import challenge

        offered = challenge.parse(refused.headers("WWW-Authenticate"))
        wanted = list(scopes)
        example = not offered
        if not offered and refused.status == 401:
            # Some registries leave the challenge out of all answers but this one, whose scope is but an example.
            with self._wire.request("GET", f"{endpoint.base}/v2/", follow=False) as ping:
                offered = challenge.parse(ping.headers("WWW-Authenticate"))
        for item in offered:
            if item.scheme == "bearer" and item.parameters.get("realm"):
                method = _Method(item.parameters["realm"], item.parameters.get("service", ""))
                if not example:
                    wanted += item.parameters.get("scope", "").split()
                break
        else:
            if not any(item.scheme == "basic" for item in offered):
                self._refuse_schemes(endpoint, offered)
                return None
            method = _Method("", "")
        if refused.status == 403 and not method.realm:
            return None
        with self._of(endpoint):
            self._methods[endpoint.base] = method
            return self._obtain(endpoint, repository, method, tuple(_merged(wanted)), previous=previous)

    def source(self, endpoint: Endpoint, repository: str) -> str:
        """Where the credentials for this are from, "" for none; for messages."""
        if endpoint.base not in self._methods:
            return ""
        found = self._keychain.lookup(endpoint.host, repository)
        return found.source if found else ""

    def _obtain(
        self, endpoint: Endpoint, repository: str, method: _Method, scopes: tuple[str, ...], previous: str | None
    ) -> str | None:
        credential = self._keychain.lookup(endpoint.host, repository)
        if credential is not None and not endpoint.private and not self._insecure_credentials:
            raise InsecureCredentialsError(
                f"`{endpoint.host}` wants credentials, and the connection to it is not secure",
                hint="pass `--insecure-credentials` to send them all the same",
            )
        if not method.realm:
            if credential is None or not (credential.username or credential.password):
                return None
            return None if credential.basic == previous else credential.basic
        if credential is not None and credential.registry_token:
            header = f"Bearer {credential.registry_token}"
            return None if header == previous else header
        key = (endpoint.base, method, frozenset(scopes), credential)
        kept = self._tokens.get(key)
        if kept is not None and kept.header != previous and kept.good_until > self._clock():
            return kept.header
        token = self._exchange(endpoint, repository, method, scopes, credential)
        self._tokens[key] = token
        return token.header

    def _exchange(
        self,
        endpoint: Endpoint,
        repository: str,
        method: _Method,
        scopes: tuple[str, ...],
        credential: Credential | None,
    ) -> _Token:
        """Ask the realm for a token."""
        from ociassemble.registry import realm

        place = realm.check(method.realm, endpoint.base, self._trusted)
        secret = credential if place.trusted else None
        asked = self._clock()
        response = self._ask(place.url, method.service, scopes, secret)
        if response.status != 200:
            status = response.status
            error = self._wire.fail(response)
            if status in (400, 401, 403):
                if credential is not None and secret is None:
                    raise realm.refusal(endpoint.origin, place.url)
                raise unauthorized(
                    endpoint.host, repository or endpoint.host, source=credential.source if credential else "",
                    push=any("push" in scope for scope in scopes),
                )  # fmt: skip
            raise error
        with response:
            return _token(response, asked)

    def _ask(self, url: str, service: str, scopes: tuple[str, ...], credential: Credential | None) -> Response:
        query = [("service", service)] if service else []
        if credential is not None and credential.identity_token:
            form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", credential.identity_token),
                ("client_id", CLIENT_ID),
                *query,
                ("scope", " ".join(scopes)),
            ]
            response = self._wire.request(
                "POST",
                url,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(form).encode("ascii"),
                retry=True,
                follow=False,
            )
            if response.status not in (404, 405):
                return response
            response.close()
            basic = base64.b64encode(f"<token>:{credential.identity_token}".encode()).decode("ascii")
            headers = {"Authorization": f"Basic {basic}"}
        else:
            headers = {"Authorization": credential.basic} if credential is not None else {}
        # The destination's scope comes first: some servers look at one only.
        text = urlencode([*query, *(("scope", scope) for scope in scopes)], quote_via=quote, safe=":,/")
        joint = "" if not text else "&" if "?" in url else "?"
        return self._wire.request("GET", f"{url}{joint}{text}", headers=headers, follow=False)

    def _refuse_schemes(self, endpoint: Endpoint, offered: tuple[Challenge, ...]) -> None:
        if offered:
            names = ", ".join(sorted({item.scheme[:30] for item in offered}))
            raise UnauthorizedError(f"`{endpoint.host}` offers no way to log in but {names}, which is not supported")

    def _of(self, endpoint: Endpoint) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(endpoint.base, threading.Lock())


def _merged(scopes: list[str]) -> list[str]:
    """One scope a resource, actions united: `repository:x:pull` and `repository:x:pull,push` are one."""
    actions: dict[str, list[str]] = {}
    for scope in scopes:
        resource, _, names = scope.rpartition(":")
        known = actions.setdefault(resource, [])
        known += [name for name in names.split(",") if name not in known]
    return [f"{resource}:{','.join(names)}" for resource, names in actions.items()]


def _token(response: Response, asked: float) -> _Token:
    url = redact(response.url)
    try:
        document = json.loads(response.read(_LARGEST))
        text = document.get("token") or document.get("access_token")
        lifetime = document.get("expires_in") or 0
    except (ValueError, AttributeError, RecursionError):
        raise TokenAnswerError(f"the token server `{url}` did not answer with JSON") from None
    if not isinstance(text, str) or not re.fullmatch(_TOKEN, text):
        raise TokenAnswerError(f"the token server `{url}` sent no token")
    if not isinstance(lifetime, int | float) or isinstance(lifetime, bool) or lifetime != lifetime:
        lifetime = 0
    seconds = min(max(float(lifetime), _SHORTEST), 86_400.0)
    # Our own clock, from before the question: neither the server's idea of now nor the way back makes it live longer.
    return _Token(f"Bearer {text}", asked + seconds - max(30.0, seconds / 10) if seconds > 60 else asked + 30.0)
