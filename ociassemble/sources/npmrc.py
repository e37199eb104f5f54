"""npm's own configuration: which registry, for which scope, with which credential (specs/behaviour/npm.md, NPM-20 on).

Environment (`npm_config_*`), the project's .npmrc, the user's, the global one: key by key, the first that has it wins,
as npm has it (`sources.npm_files`). What npm would follow and we do not is told, never silently dropped.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ociassemble import _run
from ociassemble.errors import Error
from ociassemble.net.url import is_loopback, origin, redact, without_userinfo
from ociassemble.sources.npm_files import (
    PROJECT,
    NpmSettingError,
    Read,
    expanded,
    file_meant,
    lines,
    read_file,
    tables,
    unset,
    variables,
)

_CREDENTIAL = re.compile(r"(//.+):(_authToken|_auth|username|_password|certfile|keyfile)", re.DOTALL)
_SECRETS = ("_authToken", "_auth", "_password")
# Variables that are named like secrets. They belong into a credential, and into no URL.
_SECRET_NAME = re.compile(
    r"(?:.*_)?(?:token|secret|password|passwd|pass|pwd|key|apikey|auth|pat|credentials?)(?:_.*|[0-9]*)", re.IGNORECASE
)
_ANSWER = re.compile(r"^(https?://\S+)\s*$", re.MULTILINE)
_INSTEAD = {
    "cafile": "pass `--ca-file FILE`",
    "ca": "pass `--ca-file FILE`",
    "strict-ssl": "pass `--ca-file FILE` with the certificate of the server's authority",
    "proxy": "set HTTP_PROXY",
    "https-proxy": "set HTTPS_PROXY",
    "noproxy": "set NO_PROXY",
}


class Credential(NamedTuple):
    """An Authorization header, and the part of the web it is for: `//host[:port]/path`, without a slash at its end."""

    place: str
    header: str
    own: bool = False  # whether all of it stands in the project's own file

    def covers(self, url: str) -> bool:
        """Whether `url` is at or below the place, whatever its scheme."""
        place = _place(url)
        return place == self.place or place.startswith(self.place + "/")

    def __repr__(self) -> str:
        return f"Credential({self.place!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class NpmSettings:
    """What npm would ask. URLs have neither userinfo nor a slash at their ends; `registry` "" means that nobody says.

    `by` says who named the registry ("`.npmrc`"), `notes` what was found and is not followed, `told` what the project's
    file takes out of the environment, and to whom it goes. `chosen` are the
    registries that the user names, and not the project.
    """

    registry: str = ""
    by: str = ""
    scopes: Mapping[str, str] = field(default_factory=dict)  # "@scope" -> URL
    credentials: tuple[Credential, ...] = ()
    notes: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()

    def registry_of(self, package: str) -> str:
        """The registry of a package by its name; "" where nobody says."""
        scope, slash, _ = package.partition("/")
        return self.scopes.get(scope, self.registry) if slash else self.registry

    def headers(self, url: str) -> dict[str, str]:
        """The headers to ask `url` with: those of the credential for the nearest place above it, if any.

        A credential goes in clear only to this machine, or to a host whose configured registry is in clear: a project
        cannot say so for a credential that is not its own.
        """
        try:
            where = origin(url)
            found = [item for item in self.credentials if item.covers(url)]
        except Error:
            return {}
        if where.scheme == "http" and not is_loopback(where.host):
            chosen = {origin(url) for url in self.chosen}
            every = {origin(url) for url in (self.registry, *self.scopes.values()) if url}
            found = [item for item in found if where in (every if item.own else chosen)]
        nearest = max(found, key=lambda item: len(item.place), default=None)
        return {} if nearest is None else {"Authorization": nearest.header}


def discover(
    *,
    environment: Mapping[str, str],
    home: Path,
    folder: Path,
    node: Path | None = None,
    read: Read | None = None,
    trusted: Collection[str] = (),
) -> NpmSettings:
    """The configuration for the project in `folder`. `node` is the installed Node, which npm's global file lies beside.

    `trusted` are files of authorities, links resolved, that connections trust anyway: a `cafile` among them is no news.
    Raises `NpmSettingError`.
    """
    read = read or read_file
    values: dict[str, tuple[str, str]] = {}  # key -> value, where it is
    written: dict[str, str] = {}  # of the project's file: key -> value with its variables in it
    for place, table in tables(environment, home, folder, node, read):
        for key, value in table.items():
            values.setdefault(key, (value, place))
    cafile, place = values.get("cafile", ("", ""))
    if cafile and file_meant(cafile, home, folder) in trusted:
        values["cafile"] = "", place
    for key, text in lines(read(folder / ".npmrc")):
        written[expanded(key, environment)] = f"{key}={text}"
    return _settings(values, {key: text for key, text in written.items() if values[key][1] == PROJECT}, environment)


def ask_default(npm: str, *, environment: Mapping[str, str], folder: Path) -> str:
    """The registry that the installed npm uses where nobody names one; it is run in `folder`, which has no settings."""
    argv = [npm, "config", "get", "registry"]
    done = _run.run(argv, environment=environment, folder=folder, timeout=60, check=False)
    found = _ANSWER.search(done.stdout.decode("utf-8", "replace"))
    if done.returncode != 0 or not found:
        raise no_registry("npm does not tell which one it uses")
    return _url(found[1], "what npm says")[0]


def no_registry(why: str) -> NpmSettingError:
    """The error where nothing names a registry and one is needed."""
    return NpmSettingError(
        f"no npm registry is configured, and {why}",
        hint="write `registry=URL` into the project's .npmrc, or set npm_config_registry",
    )


def _settings(
    values: Mapping[str, tuple[str, str]], written: Mapping[str, str], environment: Mapping[str, str]
) -> NpmSettings:
    """`written` are the lines of the project's file that count, with the variables in them."""
    notes: list[str] = []
    told: list[str] = []
    chosen: list[str] = []
    credentials: list[Credential] = []
    registry, by = values.get("registry", ("", ""))
    scopes: dict[str, str] = {}
    urls = {key: value for key, value in values.items() if key == "registry" or _is_scope(key)}
    for key, (text, place) in urls.items():
        if text in ("", "true"):
            continue
        told += _borrowed_for_url(written.get(key, ""), environment)
        url, credential = _url(text, place)
        credentials += [credential._replace(own=place == PROJECT)] if credential else []
        chosen += [url] if place != PROJECT else []
        if key == "registry":
            registry = url
        else:
            scopes[key.partition(":")[0]] = url
    for key, (text, place) in values.items():
        if key in _SECRETS:
            notes.append(f"`{key}` in {place} belongs to no host and is not used: write `//HOST/:{key}=...`")
        elif key in _INSTEAD and text and not (key == "strict-ssl" and text == "true"):
            notes.append(f"`{key}` in {place} is not followed: {_INSTEAD[key]}")
    credentials += _credentials(values, notes)
    for key, text in written.items():
        if _CREDENTIAL.fullmatch(key) and (names := variables(text, environment)):
            where = text.partition("=")[0].rpartition(":")[0]
            told.append(f"{PROJECT} sends {_shown(names)} of the environment to `{where}`")
    for url in dict.fromkeys((registry, *scopes.values())):
        if url.startswith("http://") and url not in chosen and not is_loopback(origin(url).host):
            notes += [
                f"the credential for `{item.place}` is not sent in clear: {PROJECT} names `{url}`, and you do not"
                " (`registry` in your own .npmrc)"
                for item in credentials
                if not item.own and item.covers(url)
            ]
    return NpmSettings(
        registry="" if registry in ("", "true") else registry,
        by=by,
        scopes=scopes,
        credentials=tuple(credentials),
        notes=tuple(notes),
        told=tuple(told),
        chosen=tuple(chosen),
    )


def _borrowed_for_url(line: str, environment: Mapping[str, str]) -> Iterator[str]:
    """What the project's file takes into a URL; a secret there would be in logs, at servers, and in names asked of DNS.

    `user:password@` is a credential, and no part of the URL.
    """
    key = line.partition("=")[0]
    userinfo = line.partition("://")[2].partition("/")[0].rpartition("@")[0]
    names = variables(line.replace(f"{userinfo}@", "", 1) if userinfo else line, environment)
    if secret := [name for name in names if _SECRET_NAME.fullmatch(name)]:
        raise NpmSettingError(
            f"`{key}` in {PROJECT} would put {_shown(secret)} of the environment into a URL",
            details=[line.replace(f"{userinfo}@", "***@") if userinfo else line],
            hint="a token goes into a line of its own: `//HOST/:_authToken=${NAME}`",
        )
    if names := variables(line, environment):
        yield f"`{key}` in {PROJECT} is made of {_shown(names)} of the environment"


def _shown(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _is_scope(key: str) -> bool:
    return key.startswith("@") and key.endswith(":registry")


def _url(text: str, place: str) -> tuple[str, Credential | None]:
    """A registry's URL without userinfo and slash, and the credential that the userinfo is."""
    try:
        clean, header = without_userinfo(text.strip())
        origin(clean)
    except Error as error:
        raise NpmSettingError(
            f"the npm registry `{redact(text)}` is no URL that can be asked ({place})",
            hint="write `registry=https://HOST/`",
        ) from error
    clean = clean.partition("?")[0].partition("#")[0].rstrip("/")
    return clean, Credential(_place(clean), header) if header else None


def _credentials(values: Mapping[str, tuple[str, str]], notes: list[str]) -> Iterator[Credential]:
    """The credentials by place; of one place the token is preferred, as npm has it."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for key, value in values.items():
        match = _CREDENTIAL.fullmatch(key)
        if match and value[0]:
            found.setdefault(match[1].rstrip("/"), {})[match[2]] = value
    for written, parts in found.items():
        where = next(iter(parts.values()))[1]
        own = all(place == PROJECT for _, place in parts.values())
        if "certfile" in parts or "keyfile" in parts:
            notes.append(
                f"the client certificate for `{written}` in {where} is not used: only tokens and passwords are"
            )
        missing = sorted({name for value, _ in parts.values() for name in unset(value)})
        if missing:
            notes.append(f"`{missing[0]}` is not set: the credential for `{written}` in {where} is not used")
            continue
        header = _header({name: value for name, (value, _) in parts.items()})
        if header is None and parts.keys() & set(_SECRETS):
            notes.append(f"the credential for `{written}` in {where} cannot be read, and is not used")
        elif header is not None:
            try:
                yield Credential(_place(f"https:{written}"), header, own)
            except Error:
                notes.append(f"`{written}` in {where} is no host: its credential is not used")


def _header(parts: Mapping[str, str]) -> str | None:
    if token := parts.get("_authToken"):
        header = f"Bearer {token}"
    elif encoded := parts.get("_auth"):
        header = f"Basic {encoded}"
    elif "username" in parts and "_password" in parts:
        try:
            password = base64.b64decode(parts["_password"] + "==", validate=False)
        except (binascii.Error, ValueError):
            return None
        header = "Basic " + base64.b64encode(parts["username"].encode() + b":" + password).decode("ascii")
    else:
        return None
    return header if header.isascii() and header.isprintable() else None


def _place(url: str) -> str:
    """`//host[:port]/path` of a URL, with escapes and dots of the path resolved, without a slash at its end."""
    where = origin(url)
    path = posixpath.normpath(unquote(urlsplit(url).path) or "/")
    return f"//{where.authority}/{path.strip('/')}".rstrip("/")
