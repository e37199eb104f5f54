"""Settings of an application: `ociassemble.toml`, or a table of pyproject.toml or package.json (PACK-40 on).

The keys and their meanings are in `project.keys`, their types in `project.values`. Unknown keys and wrong types are
errors: a setting that is silently ignored is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ociassemble.errors import UsageError
from ociassemble.project import inside, keys
from ociassemble.project.command import CommandError as CommandError
from ociassemble.project.command import split_command as split_command
from ociassemble.project.values import SettingError as SettingError

_LIMIT = 4 << 20
_NONE: Mapping[str, Any] = MappingProxyType({})


class PythonSettings(NamedTuple):
    """Settings of Python applications."""

    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    requirements: str | None = None  # which file names the dependencies
    site: str | None = None  # the image's directory for packages, instead of the base's own
    package: str | None = None  # the workspace member to build


class BuildSettings(NamedTuple):
    """What is done before the folder is packed, and what is packed of it beyond what ignore files say."""

    run: tuple[tuple[str, ...], ...] = ()  # commands, each as words
    include: tuple[str, ...] = ()  # patterns, as in ignore files
    exclude: tuple[str, ...] = ()


class NodeSettings(NamedTuple):
    """Settings of Node applications."""

    workspace: str | None = None  # the workspace that is the application: its name, or its folder
    omit_optional: bool = False
    prebuilt: bool = False  # whether the project's own node_modules folder is packed


class SecretsSettings(NamedTuple):
    """What the guard against secrets lets pass."""

    allow: tuple[str, ...] = ()  # fingerprints


class HealthcheckSettings(NamedTuple):
    """How to see whether the application is well. Times are in nanoseconds; an empty `cmd` takes the base's away."""

    cmd: tuple[str, ...] | None = None
    interval: int | None = None
    timeout: int | None = None
    start_period: int | None = None
    start_interval: int | None = None
    retries: int | None = None
    disable: bool = False


class Settings(NamedTuple):
    """What a project wants, before flags; see `specs/schema/settings.schema.json` for every key's meaning.

    None, or nothing in it, is "not set". In `env`, `labels` and `annotations` a value of None takes the base's away.
    Paths of the host (`wheels`, `ca_certs`, `ignorefile`) are relative to the working directory, or absolute.
    """

    name: str | None = None
    base: str | None = None
    kind: str = "auto"
    tags: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    env: Mapping[str, str | None] = _NONE
    labels: Mapping[str, str | None] = _NONE
    annotations: Mapping[str, str | None] = _NONE
    annotate: tuple[str, ...] = ("project",)
    user: str | None = None
    workdir: str | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    ports: tuple[str, ...] = ()  # "8080/tcp"; "8080/tcp-" takes the base's away
    volumes: tuple[str, ...] = ()
    stop_signal: str | None = None
    healthcheck: HealthcheckSettings = HealthcheckSettings()
    add: tuple[str, ...] = ()  # SRC:DST[,chown=U:G][,chmod=M]
    wheels: tuple[Path, ...] = ()
    ca_certs: tuple[Path, ...] = ()
    ignorefile: Path | None = None
    base_source: str = "auto"
    bases: Mapping[str, str] = _NONE  # short name -> reference
    compression: str | None = None
    layers: str | None = None
    debian_mirror: str | None = None
    node_mirror: str | None = None
    build: BuildSettings = BuildSettings()
    node: NodeSettings = NodeSettings()
    python: PythonSettings = PythonSettings()
    secrets: SecretsSettings = SecretsSettings()
    strict_references: bool = False
    cache_from: tuple[str, ...] = ()  # images whose finished layers are used
    cache_repo: str | None = None  # a repository of finished layers
    source_date_epoch: str | None = None  # seconds since 1970, "git" or "now"
    source: str | None = None  # the file these settings were read from, for people; not a setting

    def override(self, **flags: Any) -> Settings:
        """A copy in which flags win, by field name; `python_extras` is `extras` of the table `python`.

        None, and an empty list or map (except for `entrypoint` and `cmd`), is a flag that was not given. Maps are
        merged with the flags last, everything else is replaced. Values are checked as those of a file are.
        """
        changes: dict[str, Any] = {}
        inner: dict[str, dict[str, Any]] = {name: {} for name in keys.TABLES}
        for name, value in flags.items():
            table, _, rest = name.partition("_")
            nested = table in keys.TABLES and name.replace("_", "-") not in keys.KEYS
            field_name = rest if nested else name
            key = (keys.TABLES[table] if nested else keys.KEYS)[field_name.replace("_", "-")]
            plain = list(value) if isinstance(value, tuple) else value
            if plain is None or (plain in ([], {}) and field_name not in ("entrypoint", "cmd")):
                continue
            written = f"{table}-{key.name}" if table == "healthcheck" else keys.OPTIONS.get(key.name, key.name)
            checked = key.type.check(plain, f"`--{written}`")
            if nested:
                inner[table][field_name] = checked
            elif isinstance(checked, dict):
                changes[field_name] = {**getattr(self, field_name), **checked}
            else:
                changes[field_name] = checked
        for table, values in inner.items():
            if values:
                changes[table] = getattr(self, table)._replace(**values)
        return self._replace(**changes)


_TABLES: Mapping[str, Callable[..., Any]] = {
    "build": BuildSettings,
    "healthcheck": HealthcheckSettings,
    "node": NodeSettings,
    "python": PythonSettings,
    "secrets": SecretsSettings,
}

# What decides which dependencies are resolved and how they are cut; hosts and paths of the host never do.
_SELECTING = ("layers",)
_SELECTING_NODE = ("workspace", "omit_optional", "prebuilt")
_SELECTING_PYTHON = ("extras", "groups", "requirements", "site", "package")


def load(root: Path) -> Settings:
    """The settings of the project at `root`; defaults where it has none. Raises `SettingError`."""
    found = [(name, table) for name, reader in _SOURCES.items() if (table := _read(root, name, reader)) is not None]
    if not found:
        return Settings()
    if len(found) > 1:
        first, second = found[0][0], found[1][0]
        raise SettingError(
            f"there are settings in both `{first}` and `{second}`",
            hint=f"keep those in `{first}` and delete the others",
        )
    source, table = found[0]
    if not isinstance(table, Mapping):
        raise SettingError(f"the settings in `{source}` must be a table")
    try:
        fields = keys.fields(table)
    except UsageError as error:
        error.message = f"{source}: {error.message}"
        raise
    python = fields.get("python", {})
    if "find_links" in python:
        python["find_links"] = tuple(place if "://" in place else str(root / place) for place in python["find_links"])
    for name in ("wheels", "ca_certs"):
        if name in fields:
            fields[name] = tuple(root / path for path in fields[name])
    if "ignorefile" in fields:
        fields["ignorefile"] = root / fields["ignorefile"]
    for name, values in _TABLES.items():
        if name in fields:
            fields[name] = values(**fields[name])
    return Settings(**fields, source=source)


def selecting(settings: Settings) -> dict[str, Any]:
    """The settings that decide what is resolved and how it is cut, as JSON, for a lock's "what was asked".

    Only those that are set, so that a new setting does not make old locks stale. Base, kind and platforms are
    written by the lock itself; hosts, credentials and paths of the host are never among them.
    """
    result: dict[str, Any] = {name: value for name in _SELECTING if (value := getattr(settings, name))}
    python = {name: value for name in _SELECTING_PYTHON if (value := getattr(settings.python, name))}
    node = {name.replace("_", "-"): value for name in _SELECTING_NODE if (value := getattr(settings.node, name))}
    if node:
        result["node"] = node
    if python:
        result["python"] = {name: list(value) if isinstance(value, tuple) else value for name, value in python.items()}
    return result


def _toml(data: bytes) -> Any:
    from ociassemble.formats import toml

    return toml.loads(data.decode())


def _pyproject(data: bytes) -> Any:
    tool = _toml(data).get("tool")
    return tool.get("ociassemble") if isinstance(tool, dict) else None


def _package_json(data: bytes) -> Any:
    import json

    document = json.loads(data)
    return document.get("ociassemble") if isinstance(document, dict) else None


_OWN = "ociassemble.toml"
_SOURCES: dict[str, Callable[[bytes], Any]] = {
    _OWN: _toml,
    "pyproject.toml": _pyproject,
    "package.json": _package_json,
}


def _read(root: Path, name: str, reader: Callable[[bytes], Any]) -> Any:
    """The settings in one file; None where it has none. Files of others that do not name us are not even parsed."""
    try:
        if not (root / name).is_file():
            return None
    except OSError as error:
        raise inside.translate(error, name) from error
    with inside.Root(root) as descriptor:
        data = inside.read_bytes(descriptor, name, _LIMIT).removeprefix(b"\xef\xbb\xbf")
    if name != _OWN and b"ociassemble" not in data:
        return None
    try:
        return reader(data)
    except (ValueError, RecursionError) as error:
        raise SettingError(f"`{name}` cannot be read: {error}") from error
