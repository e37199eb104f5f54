"""Requests with credentials: ask, and where the registry wants to know who asks, tell it and ask once more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ociassemble.errors import Error
from ociassemble.net import backoff
from ociassemble.net.errors import CutError
from ociassemble.net.redirect import unreachable_from
from ociassemble.net.response import Response
from ociassemble.net.url import join, origin, redact
from ociassemble.net.wire import Body, Wire
from ociassemble.oci import mediatype
from ociassemble.registry import errors
from ociassemble.registry.auth import Authenticator
from ociassemble.registry.endpoints import Endpoint, Endpoints, OtherSchemeError

# OCI first; without these types registries convert, or say 404. One header: some proxies mishandle several.
ACCEPT = ", ".join((mediatype.OCI_INDEX, mediatype.OCI_MANIFEST, mediatype.DOCKER_INDEX, mediatype.DOCKER_MANIFEST))


def pull_scope(repository: str) -> str:
    return f"repository:{repository}:pull"


def push_scope(repository: str) -> str:
    return f"repository:{repository}:pull,push"


class Connection:
    """A wire with an authenticator. `repository` is always the one at the endpoint, its prefix included."""

    def __init__(self, wire: Wire, authenticator: Authenticator, endpoints: Endpoints) -> None:
        self.wire = wire
        self._authenticator = authenticator
        self._endpoints = endpoints

    def send(
        self,
        endpoint: Endpoint,
        repository: str,
        method: str,
        target: str,
        *,
        scopes: Iterable[str],
        headers: Mapping[str, str] | None = None,
        body: bytes | Body | None = None,
        retry: bool | None = None,
        follow: bool = True,
    ) -> Response:
        """One request; `target` is a path or an absolute URL. Any status is returned.

        Credentials go along only where `target` is at the endpoint's own origin. Raises `OtherSchemeError` where the
        endpoint's scheme was a guess, and wrong.
        """
        scopes = tuple(scopes)
        url = target if "://" in target else endpoint.base + target
        own = origin(url) == endpoint.origin
        previous = self._authenticator.header(endpoint, repository, scopes) if own else None

        def ask(authorization: str | None, retry: bool | None = retry) -> Response:
            extra = {"Authorization": authorization} if authorization else {}
            return self.wire.request(
                method, url, headers={**(headers or {}), **extra}, body=body, retry=retry, follow=follow
            )

        if own and not self._endpoints.proved(endpoint):
            again = None if retry is False else lambda: ask(previous)
            response = self._first(endpoint, lambda: ask(previous, retry=False), again)
        else:
            response = ask(previous)
        if not own or response.redirected:
            return response
        wants = response.status == 401 or (
            response.status == 403 and "insufficient_scope" in response.header("WWW-Authenticate")
        )
        if not wants:
            return response
        try:
            better = self._authenticator.answer(endpoint, repository, scopes, response, previous)
        except BaseException:
            response.close()
            raise
        if better is None or better == previous:
            return response
        response.close()
        return ask(better)

    def _first(
        self, endpoint: Endpoint, once: Callable[[], Response], again: Callable[[], Response] | None
    ) -> Response:
        """The answer to the first request of all: it shows as well what the endpoint speaks."""
        try:
            response = once()
        except CutError:
            self._endpoints.prove(endpoint, understood=False)
            if again is None:
                raise
            return again()
        try:
            # In answer to a HEAD a TLS server cannot say what was wrong.
            self._endpoints.prove(endpoint, understood=response.status != 400)
        except OtherSchemeError:
            response.close()
            raise
        if response.status not in backoff.RETRYABLE or again is None:
            return response
        response.close()
        return again()

    def location(self, endpoint: Endpoint, response: Response) -> str:
        """The absolute URL of the Location header: where to go on with an upload.

        At the endpoint's own host it is pinned to the endpoint's scheme (a proxy that ends TLS makes registries say
        http). Another host is taken as it is, and gets no credentials (`send` sees to that); a private address or
        a step down to http is refused.
        """
        value = response.header("Location")
        if not value:
            raise errors.RegistryAnswerError(f"`{endpoint.host}` began an upload and did not say where to send it")
        try:
            url = join(response.url, value)
            there, here = origin(url), endpoint.origin
        except (Error, ValueError):
            raise errors.RegistryAnswerError(
                f"`{endpoint.host}` wants the upload sent to something that is no URL"
            ) from None
        if there.host == here.host and here.scheme == "https" and there.scheme == "http":
            url = "https://" + here.authority + "/" + url.split("/", 3)[3]
            there = here
        if "@" in url.split("/", 3)[2]:
            why = "it carries credentials"
        elif here.scheme == "https" and there.scheme == "http":
            why = "it leads from https to http"
        else:
            why = unreachable_from(here, there)
        if why:
            raise errors.RegistryAnswerError(f"`{endpoint.host}` wants the upload sent to `{redact(url)}`: {why}")
        return url

    def refusal(
        self, response: Response, endpoint: Endpoint, repository: str, *, what: str, push: bool = False
    ) -> tuple[errors.Refusal, Error]:
        """What the registry said with a status that is no success, and the error for it."""
        source = self._authenticator.source(endpoint, repository)
        said = errors.read(response)
        return said, errors.error(said, response, what=what, host=endpoint.host, push=push, source=source)

    def failure(
        self, response: Response, endpoint: Endpoint, repository: str, *, what: str, push: bool = False
    ) -> Error:
        """The error for a status that is no success."""
        return self.refusal(response, endpoint, repository, what=what, push=push)[1]
