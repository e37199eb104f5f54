"""Running uv: where it is, what it is told, and what its errors mean (specs/behaviour/lock.md, LOCK-12, LOCK-13)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from ociassemble import _files, _run
from ociassemble._run import ToolMissingError
from ociassemble.errors import AuthError, Error, NetworkError, OfflineError, ProjectError, ToolError
from ociassemble.kinds.python.errors import NoWheelError
from ociassemble.net.trust import Trust
from ociassemble.progress import Progress
from ociassemble.sources.index_settings import IndexSettings

TIMEOUT = 900.0  # seconds
_SHOWN = 24  # lines of uv's answer
_USERINFO = re.compile(r"(?<=://)[^/\s@`'\"]+@")
_NO_WHEEL = re.compile(
    r"Wheels are required for `([^`]+)`|`?([A-Za-z0-9._-]+)(?:==\S+)?`? has no wheels with a matching"
    r"|([A-Za-z0-9._-]+) have no usable wheels"
)
_UNKNOWN = re.compile(r"Because (\S+) was not found in the (?:package registry|provided package locations)")
_BUILD = re.compile(r"[Bb]uilding source distributions(?: for `([^`]+)`)? is disabled")
_ADDRESS = re.compile(r"(?:Failed to fetch: |for url \()[`(]?(https?://[^`)\s]+)")
# What would make uv build, run another interpreter, or answer in another form than we ask for.
_DROPPED = frozenset((
    "UV_PYTHON", "UV_PYTHON_PREFERENCE", "UV_MANAGED_PYTHON", "UV_NO_MANAGED_PYTHON", "UV_SYSTEM_PYTHON",
    "UV_PROJECT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY", "UV_PROJECT_ENVIRONMENT", "UV_FROZEN", "UV_LOCKED",
    "UV_ISOLATED", "UV_CUSTOM_COMPILE_COMMAND", "UV_NO_GROUP", "UV_NO_DEFAULT_GROUPS", "UV_NO_EDITABLE",
    "UV_NO_BUILD", "UV_NO_BUILD_PACKAGE", "UV_OFFLINE", "UV_ENV_FILE", "VIRTUAL_ENV", "CONDA_PREFIX", "RUST_LOG",
    "RUST_BACKTRACE", "FORCE_COLOR", "CLICOLOR_FORCE",
))  # fmt: skip
_BUILDING = ("UV_NO_BINARY", "UV_NO_BINARY_PACKAGE")
_INDEXES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX")
_FALSE = frozenset({"", "0", "false", "no", "off", "n", "f"})


class UnresolvableError(ProjectError):
    """No set of versions satisfies what the project asks for."""

    code = "project.unresolvable"


class BuildForbiddenError(ProjectError):
    """Resolving would have run a build backend."""

    code = "project.build"


class ResolverInputError(ProjectError):
    """The resolver cannot read an input."""

    code = "project.resolver-input"


class IndexNetworkError(NetworkError):
    """The resolver could not ask a package index."""

    code = "network.index"


class IndexAuthError(AuthError):
    """A package index wants credentials, or other ones."""

    code = "auth.index"


class ResolverOfflineError(OfflineError):
    """`--offline`, and something must be resolved."""

    code = "offline.resolve"


def find(*, environment: Mapping[str, str], prefix: Path, python: Path) -> str | None:
    """The uv to run: on PATH, else the one installed beside us (`ociassemble[uv]`), else None."""
    beside = ":".join(dict.fromkeys((str(python.parent), str(prefix / "bin"), str(prefix / "Scripts"))))
    return (_run.find("uv", path=environment["PATH"]) if environment.get("PATH") else None) or _run.find(
        "uv", path=beside
    )


def missing() -> ToolMissingError:
    """The error where uv is needed and not there."""
    return ToolMissingError(
        "uv is needed to resolve dependencies, and it is neither on PATH nor installed beside ociassemble",
        hint="pip install 'ociassemble[uv]'",
    )


def run(
    uv: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    index: IndexSettings,
    subject: str,
    progress: Progress,
) -> bytes:
    """Run uv in `folder`, tell what is run, and return what it printed; `subject` is the file it is about."""
    progress.info(f"running: uv {shlex.join(arguments)}")
    done = _run.run([uv, *arguments], environment=environment, folder=folder, timeout=TIMEOUT, check=False)
    said = _clean(done.stderr.decode("utf-8", "replace"), index, folder)
    for line in said:
        if line.startswith("warning: "):
            progress.warn(f"uv: {line.removeprefix('warning: ')}")
    if done.returncode != 0:
        said = [line for line in said if not line.startswith("warning: ")]
        raise _error(subject, said, done.returncode, offline="UV_OFFLINE" in environment)
    return done.stdout


def child_environment(
    environment: Mapping[str, str], index: IndexSettings, *, offline: bool, trust: Trust, scratch: Path
) -> dict[str, str]:
    """uv's whole environment: the user's, without what would change the question, with the indexes and the trust.

    Credentials go this way and never into the command line, which other users of the machine can read.
    """
    for name in _BUILDING:
        if environment.get(name, "").lower() not in _FALSE:
            raise BuildForbiddenError(
                f"`{name}` asks for a build from source, and build backends are never run", hint=f"unset {name}"
            )
    child = {name: value for name, value in environment.items() if name not in _DROPPED and name not in _BUILDING}
    child |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    if offline:
        child["UV_OFFLINE"] = "1"
    if index.by in ("settings", "pip"):
        child = {name: value for name, value in child.items() if name not in _INDEXES}
        urls = [item.secret_url for item in index.indexes]
        if urls:
            child["UV_DEFAULT_INDEX"] = urls[-1]
            child["UV_INDEX"] = " ".join(urls[:-1])
        if index.no_index:
            child["UV_NO_INDEX"] = "1"
        if index.find_links:
            child["UV_FIND_LINKS"] = ",".join(index.find_links)
        if index.merged:
            child.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return child | _trust(environment, trust, scratch)


def _trust(environment: Mapping[str, str], trust: Trust, scratch: Path) -> dict[str, str]:
    """The same certificates as for our own requests (design 4.18)."""
    if trust.ca_files or trust.requests_ca_bundle:
        import ssl

        from ociassemble.net.trust import context

        found = context(trust).get_ca_certs(binary_form=True)
        bundle = scratch / "certificates.pem"
        _files.write_atomic(bundle, "".join(ssl.DER_cert_to_PEM_cert(item) for item in found).encode("ascii"))
        return {"SSL_CERT_FILE": str(bundle)}
    if environment.get("SSL_CERT_FILE") or environment.get("SSL_CERT_DIR"):
        return {}
    return {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}  # the second is the name that older versions know


def _clean(text: str, index: IndexSettings, folder: Path) -> list[str]:
    """uv's lines for people: no credentials, no folder of ours."""
    for place in (str(folder), str(folder.parent)):
        text = text.replace(f"file://{place}/", "").replace(f"{place}/", "").replace(place, ".")
    for secret in sorted(index.secrets(), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _USERINFO.sub("", text)
    return ["".join(c for c in line if c.isprintable()).rstrip() for line in text.splitlines() if line.strip()]


def _error(subject: str, said: list[str], status: int, *, offline: bool) -> Error:
    text = "\n".join(said)
    details = said[-_SHOWN:]
    # Offline, an index that was not asked may be all that is missing.
    if "network was disabled" in text or (offline and "No solution found" in text):
        return ResolverOfflineError(
            f"`{subject}` must be resolved, and `--offline` forbids to ask a package index",
            details=details,
            hint="run `ociassemble lock` once without `--offline`: a lock needs no resolver",
        )
    if found := _BUILD.search(text):
        who = f"`{found[1]}`" if found[1] else f"`{subject}`"
        return BuildForbiddenError(
            f"the metadata of {who} could only be had by running its build backend, which is never done",
            details=details,
            hint="write its dependencies down as static metadata, or build its wheel and pass `--wheel FILE`",
        )
    if "401 Unauthorized" in text or "403 Forbidden" in text or "Missing credentials" in text:
        return IndexAuthError(
            f"a package index wants credentials to resolve `{subject}`",
            details=details,
            hint="uv takes them from the index URL, UV_INDEX_<NAME>_USERNAME and _PASSWORD, and ~/.netrc",
        )
    if "Failed to fetch" in text or "error sending request" in text or "dns error" in text:
        address = _ADDRESS.search(text)
        where = f" at `{address[1]}`" if address else ""
        tls = "certificate" in text
        return IndexNetworkError(
            f"the package index{where} could not be asked",
            details=details,
            hint="pass the authority's certificate with `--ca-file FILE`"
            if tls
            else "check the network and the index; a lock needs neither",
        )
    if found := _NO_WHEEL.search(text):
        name = next(item for item in found.groups() if item)
        return NoWheelError(
            f"`{name}` has no wheel that fits, and packages are never built from source",
            details=details,
            hint="choose a version that has wheels, or build the wheel and pass `--wheel FILE`",
        )
    if "No solution found" in text:
        return UnresolvableError(
            f"no versions satisfy `{subject}`",
            details=details,
            hint=f"is `{found[1]}` spelled right, and is the index that has it configured?"
            if (found := _UNKNOWN.search(text))
            else "loosen what the details name, or choose a base with another Python",
        )
    if "unexpected argument" in text or "invalid value 'pylock.toml'" in text:
        return ToolError(
            "this uv is too old: it does not know an option we need",
            details=details,
            hint="upgrade uv to 0.9 or later: `pip install -U uv`",
        )
    if status == 2:
        return ResolverInputError(f"uv cannot read `{subject}`", details=details)
    return _run.ToolFailedError(f"uv failed with status {status} on `{subject}`", details=details)
