"""Settings of an application: `ociassemble.toml`, or a table of pyproject.toml or package.json (PACK-40 on).

One table below says every key, its type and its meaning; the JSON Schema in specs/schema/settings.schema.json is
made from it, and a test holds the two together. Unknown keys and wrong types are errors: a setting that is
silently ignored is worse than none.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ociassemble.errors import UsageError
from ociassemble.project import inside
from ociassemble.project.command import split_command as split_command

KINDS = ("auto", "python", "node", "java", "binary", "directory")
BASE_SOURCES = ("auto", "registry", "debian")
LAYERS = ("auto", "single", "per-package")
_COMPRESSION = "^(gzip|zstd|none)(:[0-9]{1,2})?$"
_PORT = "^[0-9]{1,5}(/(tcp|udp|sctp))?$"
_LIMIT = 4 << 20


class SettingError(UsageError):
    """An unknown setting, or one with a value of the wrong type."""

    code = "usage.setting"


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonSettings:
    """Settings of Python applications."""

    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    requirements: str | None = None  # which file names the dependencies
    site: str | None = None  # the image's directory for packages, instead of the base's own
    package: str | None = None  # the workspace member to build


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a project wants, before flags; see `specs/schema/settings.schema.json` for every key's meaning.

    None, or nothing in it, is "not set". In `env`, `labels` and `annotations` a value of None takes the base's away.
    Paths of the host (`wheels`, `ignorefile`) are relative to the working directory, or absolute.
    """

    name: str | None = None
    base: str | None = None
    kind: str = "auto"
    tags: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    env: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str | None] = field(default_factory=dict)
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    user: str | None = None
    workdir: str | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    ports: tuple[str, ...] = ()  # "8080/tcp"
    volumes: tuple[str, ...] = ()
    stop_signal: str | None = None
    add: tuple[str, ...] = ()  # SRC:DST[,chown=U:G][,chmod=M]
    wheels: tuple[Path, ...] = ()
    ignorefile: Path | None = None
    base_source: str = "auto"
    bases: Mapping[str, str] = field(default_factory=dict)  # short name -> reference
    compression: str | None = None
    layers: str | None = None
    debian_mirror: str | None = None
    python: PythonSettings = PythonSettings()
    allow_secrets: tuple[str, ...] = ()
    strict_references: bool = False
    source: str | None = None  # the file these settings were read from, for people; not a setting

    def override(self, **flags: Any) -> Settings:
        """A copy in which flags win, by field name; `python_...` for those of `python`.

        None, and an empty list or map (except for `entrypoint` and `cmd`), is a flag that was not given. Maps are
        merged with the flags last, everything else is replaced. Values are checked as those of a file are.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        changes: dict[str, Any] = {}
        inner: dict[str, Any] = {}
        for name, value in given.items():
            nested = name.startswith("python_")
            table = PYTHON_KEYS if nested else KEYS
            key = table[name.removeprefix("python_").replace("_", "-") if nested else name.replace("_", "-")]
            plain = list(value) if isinstance(value, tuple) else value
            if plain in ([], {}) and key.field not in ("entrypoint", "cmd"):
                continue
            checked = key.type.check(plain, f"`--{key.name}`")
            if isinstance(checked, dict) and not nested:
                checked = {**getattr(self, key.field), **checked}
            (inner if nested else changes)[key.field] = checked
        if inner:
            changes["python"] = dataclasses.replace(self.python, **inner)
        return dataclasses.replace(self, **changes)


class Type(NamedTuple):
    """A type of setting: checks and converts a value (raising `SettingError`), and describes itself as JSON Schema."""

    check: Callable[[Any, str], Any]  # the value, and how to call it in a message
    schema: dict[str, Any]


class Key(NamedTuple):
    """One setting."""

    name: str  # as written: kebab-case
    type: Type
    meaning: str

    @property
    def field(self) -> str:
        return self.name.replace("-", "_")


def _wrong(shown: str, want: str, value: Any, hint: str | None = None) -> SettingError:
    names: dict[type, str] = {str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    names |= {list: "a list", dict: "a table"}
    return SettingError(f"{shown} must be {want}, not {names.get(type(value), 'something else')}", hint=hint)


def _string(value: Any, shown: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise _wrong(shown, "a string", value, hint=f'write it in quotes: "{value}"')
    if not isinstance(value, str):
        raise _wrong(shown, "a string", value)
    if "\0" in value:
        raise SettingError(f"{shown} holds a NUL character")
    return value


def _boolean(value: Any, shown: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(shown, "true or false", value)
    return value


def _path(value: Any, shown: str) -> Path:
    return value if isinstance(value, Path) else Path(_string(value, shown))


def _strings(value: Any, shown: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        hint = f'write it as a list: ["{value}"]' if isinstance(value, str) else None
        raise _wrong(shown, "a list of strings", value, hint)
    return tuple(_string(item, f"an item of {shown}") for item in value)


def _paths(value: Any, shown: str) -> tuple[Path, ...]:
    if not isinstance(value, list):
        raise _wrong(shown, "a list of paths", value)
    return tuple(_path(item, f"an item of {shown}") for item in value)


def _command(value: Any, shown: str) -> tuple[str, ...]:
    return split_command(value) if isinstance(value, str) else _strings(value, shown)


def _ports(value: Any, shown: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _wrong(shown, "a list of ports", value, hint='write it as a list: [8080, "53/udp"]')
    ports: list[str] = []
    for item in value:
        text = str(item) if isinstance(item, int) and not isinstance(item, bool) else item
        if not isinstance(text, str) or not re.fullmatch(_PORT, text) or not 0 < int(text.partition("/")[0]) < 65536:
            raise SettingError(
                f"{shown}: `{item}` is not a port", hint='a port is 1 to 65535, or a string like "53/udp"'
            )
        ports.append(text if "/" in text else text + "/tcp")
    return tuple(ports)


def _removable(value: Any, shown: str) -> dict[str, str | None]:
    if not isinstance(value, Mapping):
        raise _wrong(shown, "a table", value)
    result: dict[str, str | None] = {}
    for name, item in value.items():
        if not name or "\0" in name or (shown.strip("`-") == "env" and "=" in name):
            raise SettingError(f"{shown}: `{name}` is not a name")
        result[name] = None if item is None or item is False else _string(item, f"`{name}` of {shown}")
    return result


def _strings_by_name(value: Any, shown: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _wrong(shown, "a table", value)
    return {name: _string(item, f"`{name}` of {shown}") for name, item in value.items()}


def _one_of(*names: str) -> Type:
    def check(value: Any, shown: str) -> str:
        text = _string(value, shown)
        if text not in names:
            raise SettingError(f"{shown}: `{text}` is none of {', '.join(names)}", hint=_nearest(text, names))
        return text

    return Type(check, {"enum": list(names)})


def _matching(pattern: str, example: str) -> Type:
    def check(value: Any, shown: str) -> str:
        text = _string(value, shown)
        if not re.fullmatch(pattern, text):
            raise SettingError(f"{shown}: `{text}` is not understood", hint=f"write it like `{example}`")
        return text

    return Type(check, {"type": "string", "pattern": pattern})


def _table(value: Any, shown: str) -> PythonSettings:
    if isinstance(value, PythonSettings):
        return value
    if not isinstance(value, Mapping):
        raise _wrong(shown, "a table", value)
    return PythonSettings(**_fields(value, PYTHON_KEYS, "python."))


_TEXTS = {"type": "array", "items": {"type": "string"}}
STRING = Type(_string, {"type": "string"})
BOOLEAN = Type(_boolean, {"type": "boolean"})
PATH = Type(_path, {"type": "string"})
STRINGS = Type(_strings, _TEXTS)
PATHS = Type(_paths, _TEXTS)
COMMAND = Type(_command, {"anyOf": [{"type": "string"}, _TEXTS]})
PORTS = Type(
    _ports,
    {
        "type": "array",
        "items": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string", "pattern": _PORT}]},
    },
)
REMOVABLE = Type(
    _removable, {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"enum": [False, None]}]}}
)
BY_NAME = Type(_strings_by_name, {"type": "object", "additionalProperties": {"type": "string"}})


def _keys(*keys: Key) -> dict[str, Key]:
    return {key.name: key for key in keys}


PYTHON_KEYS = _keys(
    Key("extras", STRINGS, "Extras of the project to install."),
    Key("groups", STRINGS, "Dependency groups to install."),
    Key("index-url", STRING, "The package index to ask, instead of the configured one. Never recorded."),
    Key("extra-index-urls", STRINGS, "Further package indexes. Never recorded."),
    Key("find-links", STRINGS, "Folders or pages of wheels to look into. Never recorded."),
    Key("requirements", STRING, "The file that names the dependencies, where there is more than one."),
    Key("site", STRING, "The directory of the image for packages, instead of the base's own."),
    Key("package", STRING, "The workspace member to build."),
)

KEYS = _keys(
    Key("name", STRING, "The application's name, for titles and default tags."),
    Key("base", STRING, "The base image: a short name or a reference."),
    Key("kind", _one_of(*KINDS), "The kind of application, instead of finding out."),
    Key("tags", STRINGS, "Names for the result."),
    Key("platforms", STRINGS, "Platforms to build for, like linux/arm64."),
    Key("env", REMOVABLE, "Environment variables; false takes the base's away."),
    Key("labels", REMOVABLE, "Labels of the image; false takes the base's away."),
    Key("annotations", REMOVABLE, "Annotations of the manifest."),
    Key("user", STRING, "The user the image runs as: a name, a number, or user:group."),
    Key("workdir", STRING, "The working directory, where the application is put."),
    Key("entrypoint", COMMAND, "The entrypoint: a list of words, or one string split as a shell splits it."),
    Key("cmd", COMMAND, "The command: a list of words, or one string split as a shell splits it."),
    Key("ports", PORTS, "Ports the application listens on."),
    Key("volumes", STRINGS, "Directories that are meant to be volumes."),
    Key("stop-signal", STRING, "The signal that ends the application, like SIGINT."),
    Key("add", STRINGS, "Further files: SRC:DST[,chown=U:G][,chmod=M]."),
    Key("wheels", PATHS, "Wheels you built yourself, relative to the folder."),
    Key("ignorefile", PATH, "The ignore file, instead of .ociassembleignore or .dockerignore."),
    Key("base-source", _one_of(*BASE_SOURCES), "Where a known base comes from."),
    Key("bases", BY_NAME, "What short base names stand for."),
    Key(
        "compression", _matching(_COMPRESSION, "zstd:3"), "How layers are compressed: gzip, zstd or none, and a level."
    ),
    Key("layers", _one_of(*LAYERS), "How dependencies are cut into layers."),
    Key("debian-mirror", STRING, "A mirror that holds debian/ and debian-security/. Never recorded."),
    Key(
        "python",
        Type(_table, {"type": "object", "additionalProperties": False, "properties": {}}),
        "Settings of Python applications.",
    ),
    Key("allow-secrets", STRINGS, "Paths that look like secrets and must be in the image."),
    Key("strict-references", BOOLEAN, "Refuse short base names."),
)
# What decides which dependencies are resolved and how they are cut; hosts and paths of the host never do.
_SELECTING = ("layers",)
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
        raise _wrong(f"the settings in `{source}`", "a table", table)
    try:
        fields = _fields(table, KEYS, "")
    except UsageError as error:
        error.message = f"{source}: {error.message}"
        raise
    if "wheels" in fields:
        fields["wheels"] = tuple(root / path for path in fields["wheels"])
    if "ignorefile" in fields:
        fields["ignorefile"] = root / fields["ignorefile"]
    return Settings(**fields, source=source)


def selecting(settings: Settings) -> dict[str, Any]:
    """The settings that decide what is resolved and how it is cut, as JSON, for a lock's "what was asked".

    Only those that are set, so that a new setting does not make old locks stale. Base, kind and platforms are
    written by the lock itself; hosts, credentials and paths of the host are never among them.
    """
    result: dict[str, Any] = {name: value for name in _SELECTING if (value := getattr(settings, name))}
    python = {name: value for name in _SELECTING_PYTHON if (value := getattr(settings.python, name))}
    if python:
        result["python"] = {name: list(value) if isinstance(value, tuple) else value for name, value in python.items()}
    return result


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a settings file; specs/schema/settings.schema.json is this, written down."""
    properties = {name: {**key.type.schema, "description": key.meaning} for name, key in KEYS.items()}
    properties["python"]["properties"] = {
        name: {**key.type.schema, "description": key.meaning} for name, key in PYTHON_KEYS.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": 'Settings of ociassemble: ociassemble.toml, [tool.ociassemble], or "ociassemble" in package.json',
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _fields(table: Mapping[str, Any], keys: Mapping[str, Key], prefix: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in table.items():
        key = keys.get(name)
        if key is None:
            raise SettingError(f"there is no setting `{prefix}{name}`", hint=_nearest(name, tuple(keys)))
        result[key.field] = key.type.check(value, f"`{prefix}{name}`")
    return result


def _nearest(name: str, known: tuple[str, ...]) -> str:
    import difflib

    close = difflib.get_close_matches(name.lower().replace("_", "-"), known, 1, 0.5)
    return f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(known)}"


def _toml(data: bytes) -> Any:
    import tomllib

    return tomllib.loads(data.decode())


def _own_file(data: bytes) -> Any:
    return _toml(data)


def _pyproject(data: bytes) -> Any:
    tool = _toml(data).get("tool", {})
    return tool.get("ociassemble") if isinstance(tool, dict) else None


def _package_json(data: bytes) -> Any:
    import json

    document = json.loads(data)
    return document.get("ociassemble") if isinstance(document, dict) else None


_SOURCES: dict[str, Callable[[bytes], Any]] = {
    "ociassemble.toml": _own_file,
    "pyproject.toml": _pyproject,
    "package.json": _package_json,
}


def _read(root: Path, name: str, reader: Callable[[bytes], Any]) -> Any:
    """The settings in one file; None where it has none. Files of others that do not name us are not even parsed."""
    if not (root / name).is_file():
        return None
    descriptor = inside.open_root(root)
    try:
        data = inside.read_bytes(descriptor, name, _LIMIT)
    finally:
        inside.close(descriptor)
    if name != "ociassemble.toml" and b"ociassemble" not in data:
        return None
    try:
        return reader(data)
    except (ValueError, RecursionError) as error:
        raise SettingError(f"`{name}` cannot be read: {error}") from error
