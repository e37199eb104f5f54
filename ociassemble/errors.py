"""The one error hierarchy: what went wrong, its stable code, its exit code, and what to do about it.

Every error a user can meet is an `Error`. A class owns a dotted `code` (stable, for scripts) and inherits an
exit code from its family (specs/behaviour/errors.md). The message says what about what; `details` are the
facts that follow it, one a line; `hint` is the one thing to try next.
"""

from __future__ import annotations

from collections.abc import Iterable


class Error(Exception):
    """Root of all errors this package raises on purpose; anything else that escapes is a bug (exit 1)."""

    code = "error"
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, details: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)

    def __str__(self) -> str:
        return self.message


class UsageError(Error):
    """The command line, a reference or a setting cannot be understood."""

    code = "usage"
    exit_code = 2


class ProjectError(Error):
    """The application folder, its inputs or its lock cannot be built as they are."""

    code = "project"
    exit_code = 3


class NotFoundError(Error):
    """Something that was named does not exist: image, tag, blob, platform, package."""

    code = "not-found"
    exit_code = 4


class AuthError(Error):
    """A server wants credentials that are missing, wrong, or not enough."""

    code = "auth"
    exit_code = 5


class NetworkError(Error):
    """A server could not be reached, or its answer broke off or made no sense."""

    code = "network"
    exit_code = 6


class UnreachableError(NetworkError):
    """No connection at all: name resolution, refused, unroutable, connect timeout (never a TLS or HTTP answer)."""

    code = "network.unreachable"


class IntegrityError(Error):
    """Bytes are not what their digest, size, signature or format says."""

    code = "integrity"
    exit_code = 7


class FormatError(IntegrityError):
    """A document or archive violates its format; raised by every parser for hostile or broken input."""

    code = "integrity.format"


class PolicyError(Error):
    """A gate said no: secrets in the folder, a prove finding, a refused reference."""

    code = "policy"
    exit_code = 8


class OfflineError(Error):
    """`--offline`, and something needed is not in the store."""

    code = "offline"
    exit_code = 9


class ToolError(Error):
    """A program of others that was run (resolver, credential helper, runtime) failed or is missing."""

    code = "tool"
    exit_code = 10


class DestinationError(Error):
    """The result could not be written: registry refused it, disk full, folder in the way."""

    code = "destination"
    exit_code = 11
