"""Whose name to give at which registry: docker's config.json, podman's auth.json, and credential helpers.

A credential belongs to the host it was found under and is never shown: not in errors, not by `repr`. Files are read
and helpers run only when a registry has asked for credentials.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ociassemble import _run
from ociassemble.errors import AuthError, Error, ToolError
from ociassemble.oci.reference import DOCKER_HUB, canonical_host

_LARGEST = 1 << 20  # bytes of a credentials file
_HELPER_NAME = r"(?a)[A-Za-z0-9._-]+"
_HELPER_TIMEOUT = 30.0  # seconds
HUB_KEY = "https://index.docker.io/v1/"  # under what docker and its helpers file Docker Hub


class CredentialsFileError(AuthError):
    """A file of credentials cannot be read."""

    code = "auth.credentials-file"


class CredentialHelperError(ToolError):
    """A credential helper is missing or failed."""

    code = "tool.credential-helper"


@dataclass(frozen=True, kw_only=True, slots=True)
class Credential:
    """A name and a secret, or one of two kinds of token. `source` says where it is from, for messages."""

    source: str
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)  # exchanged for access tokens (OAuth2 refresh token)
    registry_token: str = field(default="", repr=False)  # sent as it is

    @property
    def basic(self) -> str:
        """The value of an Authorization header; UTF-8, as browsers and other clients have it."""
        secret = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(secret).decode("ascii")


class Sources(NamedTuple):
    """Where to look, in plain values: nothing here reads the environment."""

    files: tuple[Path, ...] = ()  # the first that has an entry for the host decides
    required: bool = False  # a file that is missing is an error: --authfile
    inline: str = ""  # $DOCKER_AUTH_CONFIG, looked at before the files
    path: str | None = None  # $PATH, to find helpers
    environment: Mapping[str, str] | None = None  # of the helpers


def standard_sources(environment: Mapping[str, str], *, uid: int, authfile: Path | None = None) -> Sources:
    """Where docker and podman keep credentials, given an environment.

    `authfile` (the option) or REGISTRY_AUTH_FILE is looked at alone. Else: DOCKER_AUTH_CONFIG, docker's config.json,
    then podman's auth.json of this login session and of the user.
    """
    shared = {"path": environment.get("PATH"), "environment": environment}
    if authfile is not None:
        return Sources((authfile,), required=True, **shared)  # type: ignore[arg-type]
    if named := environment.get("REGISTRY_AUTH_FILE"):
        return Sources((Path(named),), **shared)  # type: ignore[arg-type]
    home = environment.get("HOME")
    files: list[Path] = []
    if folder := environment.get("DOCKER_CONFIG"):
        files.append(Path(folder) / "config.json")
    elif home:
        files.append(Path(home) / ".docker" / "config.json")
    runtime = environment.get("XDG_RUNTIME_DIR")
    files.append((Path(runtime) / "containers" if runtime else Path(f"/run/containers/{uid}")) / "auth.json")
    if config := environment.get("XDG_CONFIG_HOME") or (home and str(Path(home) / ".config")):
        files.append(Path(config) / "containers" / "auth.json")
    return Sources(tuple(files), inline=environment.get("DOCKER_AUTH_CONFIG", ""), **shared)  # type: ignore[arg-type]


class Keychain:
    """Looks credentials up, each host once. Thread-safe."""

    def __init__(
        self,
        sources: Sources = Sources(),  # noqa: B008  (an immutable value)
        *,
        explicit: Mapping[str, Credential] | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._sources = sources
        self._explicit = {canonical_host(host): credential for host, credential in (explicit or {}).items()}
        self._warn = warn
        self._lock = threading.Lock()
        self._documents: list[tuple[str, Mapping[str, Any]]] | None = None
        self._found: dict[tuple[str, str], Credential | None] = {}

    def lookup(self, host: str, repository: str = "") -> Credential | None:
        """The credential for `host` (canonical, as in a reference), or a more specific one for `repository`."""
        if host in self._explicit:
            return self._explicit[host]
        with self._lock:
            if (host, repository) not in self._found:
                self._found[host, repository] = self._search(host, repository)
            return self._found[host, repository]

    def _search(self, host: str, repository: str) -> Credential | None:
        if self._documents is None:
            self._documents = self._read()
        for source, document in self._documents:
            helpers, auths = document.get("credHelpers") or {}, document.get("auths") or {}
            store = document.get("credsStore") or ""
            named = next((value for key, value in helpers.items() if normal_key(key) == host), store)
            if named and (found := self._ask_helper(named, host, source)):
                return found
            entries = {normal_key(key): entry for key, entry in reversed(auths.items())}
            parts = [host, *repository.split("/")] if repository else [host]
            for length in range(len(parts), 0, -1):
                entry = entries.get("/".join(parts[:length]))
                if entry and (credential := _from_entry(entry, source)):
                    return credential
        return None

    def _read(self) -> list[tuple[str, Mapping[str, Any]]]:
        documents = []
        if self._sources.inline.strip():
            name = "DOCKER_AUTH_CONFIG"
            documents.append((name, parse_document(self._sources.inline.encode(), name)))
        for file in self._sources.files:
            try:
                with file.open("rb") as stream:
                    raw = stream.read(_LARGEST + 1)
            except FileNotFoundError:
                if self._sources.required:
                    raise CredentialsFileError(f"there is no file `{file}` with credentials") from None
            except OSError as error:
                if self._sources.required:
                    raise CredentialsFileError(f"`{file}` cannot be read: {error.strerror}") from None
                self._warn(f"credentials in {file} are left out: {error.strerror}")
            else:
                documents.append((str(file), parse_document(raw, str(file))))
        return documents

    def _ask_helper(self, name: str, host: str, source: str) -> Credential | None:
        """Docker's helper protocol: the server's name in, JSON out."""
        server = server_name(host)
        done = run_helper(name, "get", server.encode(), source=source, sources=self._sources)
        program = f"docker-credential-{name}"
        hint = f"install `{program}`, or remove it from {source}"
        if done.returncode != 0:
            said = (done.stdout + done.stderr).decode("utf-8", "replace")
            if "credentials not found" in said.lower():
                return None
            # Going on with other credentials could hand them to a host they were not meant for.
            raise CredentialHelperError(
                f"the credential helper `{program}` failed for `{host}` with status {done.returncode}", hint=hint
            )
        try:
            answer = json.loads(done.stdout)
            username, secret = answer["Username"], answer["Secret"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise CredentialHelperError(f"the credential helper `{program}` gave no JSON answer", hint=hint) from None
        if not isinstance(username, str) or not isinstance(secret, str) or not secret:
            return None
        if username == "<token>":
            return Credential(source=program, identity_token=secret)
        return Credential(source=program, username=username, password=secret)


def server_name(host: str) -> str:
    """What docker and its helpers call a registry."""
    return HUB_KEY if host == DOCKER_HUB else host


def run_helper(name: Any, action: str, data: bytes, *, source: str, sources: Sources) -> _run.Completed:
    """Run a credential helper (docker-credential-helpers' protocol); its status is the caller's to judge.

    `source` names the file that asks for it. Raises `CredentialHelperError` where it is missing or does not end.
    """
    if not isinstance(name, str) or not re.fullmatch(_HELPER_NAME, name):
        raise CredentialsFileError(f"{source} names a credential helper that is no name: {name!r:.60}")
    program = f"docker-credential-{name}"
    hint = f"install `{program}`, or remove it from {source}"
    found = _run.find(program, path=sources.path)
    if found is None:
        raise CredentialHelperError(f"the credential helper `{program}` that {source} names is not on PATH", hint=hint)
    try:
        return _run.run(
            [found, action], input=data, environment=sources.environment, timeout=_HELPER_TIMEOUT, check=False
        )
    except ToolError as error:
        raise CredentialHelperError(f"the credential helper `{program}` failed: {error}", hint=hint) from error


def parse_document(raw: bytes, source: str) -> Mapping[str, Any]:
    """A file of credentials as JSON; `CredentialsFileError` for what none can be."""
    hint = "write it anew with `docker login` or `podman login`"
    if len(raw) > _LARGEST:
        raise CredentialsFileError(f"{source} is too large for a file of credentials")
    if not raw.strip():
        return {}
    try:
        document = json.loads(raw.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise CredentialsFileError(
            f"{source} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}", hint=hint
        ) from None
    except (ValueError, RecursionError):
        raise CredentialsFileError(f"{source} is not JSON", hint=hint) from None
    if not isinstance(document, dict):
        raise CredentialsFileError(f"{source} is not a JSON object", hint=hint)
    for key in ("auths", "credHelpers"):
        if not isinstance(document.get(key) or {}, dict):
            raise CredentialsFileError(f"{source}: `{key}` is not an object", hint=hint)
    return document


def normal_key(key: object) -> str:
    """A key of `auths` (`https://index.docker.io/v1/`, `http://h/v2/`, `h:443/`) as references have host and path."""
    text = str(key)
    text = re.sub(r"^https?://", "", text)
    text = re.sub(r"/(v[12]/?)?$", "", text)
    host, slash, path = text.partition("/")
    try:
        return canonical_host(host) + slash + path
    except Error:
        return text


def _from_entry(entry: object, source: str) -> Credential | None:
    if not isinstance(entry, dict):
        raise CredentialsFileError(f"{source}: an entry of `auths` is not an object")
    values = {key: entry.get(key) or "" for key in ("auth", "username", "password", "identitytoken", "registrytoken")}
    if not all(isinstance(value, str) for value in values.values()):
        raise CredentialsFileError(f"{source}: an entry of `auths` has something else than text")
    if values["identitytoken"]:
        return Credential(source=source, identity_token=values["identitytoken"])
    if values["registrytoken"]:
        return Credential(source=source, registry_token=values["registrytoken"])
    username, password = values["username"], values["password"]
    if values["auth"]:
        packed = "".join(values["auth"].split())
        try:
            text = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            raise CredentialsFileError(f"{source}: an `auth` is not base64 of `user:password`") from None
        username, colon, password = text.partition(":")
        if not colon:
            raise CredentialsFileError(f"{source}: an `auth` is not base64 of `user:password`")
        password = password.rstrip("\0")  # docker pads, and takes the padding off, too
    if not username and not password:
        return None
    return Credential(source=source, username=username, password=password)
