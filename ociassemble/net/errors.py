"""What can go wrong on the wire, as typed errors; and the translation of what requests and urllib3 raise."""

from __future__ import annotations

from collections.abc import Iterator

from ociassemble.errors import AuthError, Error, NetworkError, NotFoundError, UnreachableError


class TlsError(NetworkError):
    """The server's certificate was not accepted, or no TLS was spoken."""

    code = "network.tls"


class ProxyError(NetworkError):
    """The proxy refused or broke the connection."""

    code = "network.proxy"


class TimedOutError(NetworkError):
    """Connected, but no answer (or no further byte) within the time allowed."""

    code = "network.timeout"


class CutError(NetworkError):
    """The connection ended before the answer did."""

    code = "network.cut"


class AnswerError(NetworkError):
    """An answer that makes no sense: wrong status, wrong range, too large, a redirect that is refused."""

    code = "network.answer"


class StatusError(AnswerError):
    """An HTTP status that is no success."""

    code = "network.status"

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class RateLimitedError(NetworkError):
    """The server asks for fewer requests (429), for longer than it makes sense to wait."""

    code = "network.rate-limited"


class UrlNotFoundError(NotFoundError):
    """404 or 410."""

    code = "not-found.url"


class UrlDeniedError(AuthError):
    """401 or 403 for a URL."""

    code = "auth.url"


class RedirectError(AnswerError):
    """A redirect that the policy of redirect.py does not follow."""

    code = "network.redirect"


def for_status(status: int, method: str, url: str, *, reason: str = "", wait: float | None = None) -> Error:
    """The error for an unsuccessful `status`; `url` is already redacted, `wait` the server's Retry-After."""
    said = f"{status} {reason}".strip()
    if status in (404, 410):
        return UrlNotFoundError(f"`{url}` does not exist ({said})")
    if status in (401, 403, 407):
        return UrlDeniedError(
            f"`{url}` wants credentials, or other ones ({said})",
            hint="put them into the settings of the tool that owns this index, or into the proxy's URL",
        )
    if status == 429:
        later = f"; it says to come back in {wait:.0f} s" if wait else ""
        return RateLimitedError(f"`{url}` takes no more requests for now ({said}){later}", hint="try again later")
    return StatusError(f"{method} `{url}` was answered with {said}", status=status)


def translate(error: BaseException, method: str, url: str, host: str) -> NetworkError:
    """The typed error for what requests or urllib3 raised.

    `UnreachableError` is exactly this: no name, refused, unroutable, or no connection within the connect timeout.
    """
    import urllib3.exceptions as u

    chain = list(_chain(error))

    def has(*kinds: type[BaseException]) -> BaseException | None:
        return next((item for item in chain if isinstance(item, kinds)), None)

    through = "the proxy for " if has(u.ProxyError) else ""
    hint = "check the name and the network; a proxy is taken from HTTPS_PROXY"
    if has(u.NameResolutionError):
        return UnreachableError(f"cannot reach {through}`{host}`: its name cannot be resolved", hint=hint)
    if found := has(u.NewConnectionError):
        return UnreachableError(f"cannot reach {through}`{host}`: {_reason(found, chain)}", hint=hint)
    if has(u.ConnectTimeoutError):
        return UnreachableError(f"cannot reach {through}`{host}`: no connection in time", hint=hint)
    if found := has(u.SSLError):
        return _tls(str(found), host)
    if found := has(u.ProxyError):
        return ProxyError(f"the proxy did not connect to `{host}`: {_reason(found, chain)}", hint="see HTTPS_PROXY")
    if has(u.ReadTimeoutError, TimeoutError):
        return TimedOutError(f"`{host}` did not answer {method} `{url}` in time")
    if found := has(u.LocationParseError, u.LocationValueError, UnicodeError):
        return AnswerError(f"`{url}` cannot be asked for: {_reason(found, chain)}")
    return CutError(f"the connection to `{host}` broke off ({_reason(error, chain)})")


def _tls(text: str, host: str) -> TlsError:
    lowered = text.lower()
    if "wrong_version_number" in lowered or "record layer" in lowered or "unknown protocol" in lowered:
        return TlsError(
            f"`{host}` does not speak TLS",
            hint=f"if it is meant to be used in clear, pass `--insecure-registry {host}`",
        )
    if "certificate" in lowered:
        why = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "it was not accepted"
        return TlsError(
            f"the certificate of `{host}` is not trusted: {why}",
            hint="pass the authority's certificate with `--ca-file FILE`",
        )
    return TlsError(f"no TLS connection to `{host}` ({text:.200})")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """`error` and all it wraps: both libraries nest by arguments and `reason` as well as by cause."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen or len(seen) > 30:
            continue
        seen.add(id(current))
        yield current
        inner = [*current.args, getattr(current, "reason", None), getattr(current, "original_error", None)]
        inner += [current.__cause__, current.__context__]
        waiting += [item for item in inner if isinstance(item, BaseException)]


def _reason(error: BaseException, chain: list[BaseException]) -> str:
    """The plainest words for it: the operating system's, where it said something."""
    for item in chain:
        if isinstance(item, OSError) and item.errno and item.strerror:
            return item.strerror.lower() if item.strerror[:2].istitle() else item.strerror
    innermost = next((item for item in reversed(chain) if str(item)), error)
    return "".join(c if c.isprintable() else "?" for c in str(innermost)[:200])
