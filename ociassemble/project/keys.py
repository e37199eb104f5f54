"""Every setting: its name, its type, its meaning (specs/behaviour/packing.md, PACK-40 on).

One table, from which values are checked and from which the JSON Schema in specs/schema/settings.schema.json is
made; a test holds the file and the table together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ociassemble.errors import UsageError
from ociassemble.project import ignore
from ociassemble.project.command import CommandError, split_command
from ociassemble.project.duration import DURATION as _DURATION
from ociassemble.project.duration import nanoseconds

KINDS = ("auto", "python", "node", "java", "binary", "directory")
BASE_SOURCES = ("auto", "registry", "debian")
LAYERS = ("auto", "single", "per-package")
ANNOTATE = ("project", "git", "none")
_COMPRESSION = "^(gzip|zstd|none)(:[0-9]{1,2})?$"
_PORT = "^[0-9]{1,5}(/(tcp|udp|sctp))?-?$"
_FINGERPRINT = "^[0-9a-f]{16}$"
_EPOCH = "^([0-9]{1,12}|git|now)$"
_SIGNAL = "^((SIG)?[A-Z][A-Z0-9]*([+-][0-9]+)?|[0-9]{1,2}|)$"


class SettingError(UsageError):
    """An unknown setting, or one with a value of the wrong type."""

    code = "usage.setting"


class Type(NamedTuple):
    """A type of setting: checks and converts a value (raising `SettingError`), and describes itself as JSON Schema."""

    check: Callable[[Any, str], Any]  # the value, and how to call it in a message
    schema: dict[str, Any]


class Key(NamedTuple):
    """One setting. A table inside the table (`python`) comes out of its check as fields by name."""

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
        short = -(10**15) < value < 10**15  # huge ones cannot even be printed
        raise _wrong(shown, "a string", value, hint=f'write it in quotes: "{value}"' if short else None)
    if not isinstance(value, str):
        raise _wrong(shown, "a string", value)
    if "\0" in value:
        raise SettingError(f"{shown} holds a NUL character")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise SettingError(f"{shown} holds half a character")  # JSON can say it, UTF-8 cannot
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


def _commands(value: Any, shown: str) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list):
        hint = f'write it as a list: ["{value}"]' if isinstance(value, str) else None
        raise _wrong(shown, "a list of commands", value, hint)
    found = []
    for item in value:
        try:
            words = _command(item, f"an item of {shown}")
        except CommandError as error:
            hint = 'write several commands as several items; for a shell: ["sh", "-c", "..."]'
            why = f"{shown}: `{item:.80}` cannot be split into words without a shell"
            raise SettingError(why, hint=hint) from error
        if not words or not words[0]:
            raise SettingError(f"{shown}: an item names no program")
        found.append(words)
    return tuple(found)


def _patterns(value: Any, shown: str) -> tuple[str, ...]:
    found = _strings(value, shown)
    for item in found:
        ignore.pattern(item, shown)
    return found


def _ports(value: Any, shown: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _wrong(shown, "a list of ports", value, hint='write it as a list: [8080, "53/udp"]')
    ports: list[str] = []
    for item in value:
        if isinstance(item, int) and not isinstance(item, bool) and 0 < item < 65536:
            ports.append(f"{item}/tcp")
        elif isinstance(item, str) and re.fullmatch(_PORT, item) and 0 < int(re.split("[/-]", item)[0]) < 65536:
            plain, minus = item.removesuffix("-"), "-" * item.endswith("-")
            ports.append((plain if "/" in plain else f"{plain}/tcp") + minus)
        else:
            what = f"`{item:.40}`" if isinstance(item, str) else "an item"
            raise SettingError(f"{shown}: {what} is not a port", hint='a port is 1 to 65535, or a string like "53/udp"')
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


def _duration(value: Any, shown: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        raise _wrong(shown, "a duration", value, hint=f'write it with its unit: "{value}s"')
    return nanoseconds(_string(value, shown), shown)


def _count(value: Any, shown: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise SettingError(f"{shown} must be a number from 0 on")
    return value


def _fingerprints(value: Any, shown: str) -> tuple[str, ...]:
    found = _strings(value, shown)
    for item in found:
        if not re.fullmatch(_FINGERPRINT, item):
            hint = "it is 16 hexadecimal digits: build, and copy it from the refusal; paths allow nothing"
            raise SettingError(f"{shown}: `{item:.40}` is not a fingerprint", hint=hint)
    return found


def _epoch(value: Any, shown: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    if not isinstance(value, str) or not re.fullmatch(_EPOCH, value):
        raise SettingError(f"{shown} must be seconds since 1970, `git` or `now`")
    return value


def _annotate(value: Any, shown: str) -> tuple[str, ...]:
    words = _strings(value, shown)
    for word in words:
        if word not in ANNOTATE:
            known = ", ".join(ANNOTATE)
            raise SettingError(f"{shown}: `{word}` is none of {known}", hint=_nearest(word, ANNOTATE))
    if "none" in words and len(words) > 1:
        raise SettingError(f"{shown}: `none` stands alone")
    return words


def _table(name: str, keys: Mapping[str, Key]) -> Type:
    """A table of its own keys; what comes out of its check are fields by name."""

    def check(value: Any, shown: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _wrong(shown, "a table", value)
        return fields(value, keys, f"{name}.")

    return Type(check, {"type": "object", "additionalProperties": False, "properties": _properties(keys)})


def _properties(keys: Mapping[str, Key]) -> dict[str, Any]:
    return {name: {**key.type.schema, "description": key.meaning} for name, key in keys.items()}


_TEXTS = {"type": "array", "items": {"type": "string"}}
STRING = Type(_string, {"type": "string"})
BOOLEAN = Type(_boolean, {"type": "boolean"})
PATH = Type(_path, {"type": "string"})
STRINGS = Type(_strings, _TEXTS)
PATHS = Type(_paths, _TEXTS)
COMMANDS = Type(_commands, {"type": "array", "items": {"anyOf": [{"type": "string"}, _TEXTS]}})
PATTERNS = Type(_patterns, _TEXTS)
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
DURATION = Type(_duration, {"type": "string", "pattern": _DURATION})
COUNT = Type(_count, {"type": "integer", "minimum": 0})
FINGERPRINTS = Type(_fingerprints, {"type": "array", "items": {"type": "string", "pattern": _FINGERPRINT}})
EPOCH = Type(_epoch, {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _EPOCH}]})
BY_NAME = Type(_strings_by_name, {"type": "object", "additionalProperties": {"type": "string"}})


def _keys(*keys: Key) -> dict[str, Key]:
    return {key.name: key for key in keys}


HEALTHCHECK_KEYS = _keys(
    Key("cmd", COMMAND, "What is run in the container to see whether it is well; nothing in it takes the base's away."),
    Key("interval", DURATION, "Time between two checks, like 30s."),
    Key("timeout", DURATION, "How long one check may take."),
    Key("start-period", DURATION, "How long failures do not count after the start."),
    Key("start-interval", DURATION, "Time between two checks while the application starts."),
    Key("retries", COUNT, "How many failures in a row make the container unhealthy."),
    Key("disable", BOOLEAN, "No check, whatever the base says."),
)

BUILD_KEYS = _keys(
    Key("run", COMMANDS, "Commands to run in the project's folder before it is read, like npm run build. No shell."),
    Key("include", PATTERNS, "Paths to pack though an ignore file leaves them out, like dist/**."),
    Key("exclude", PATTERNS, "Paths to leave out, whatever else includes them."),
)

NODE_KEYS = _keys(
    Key("workspace", STRING, "The workspace that is the application: its name, or its folder."),
    Key("omit-optional", BOOLEAN, "Leave optional dependencies out, as `npm ci --omit=optional` does."),
    Key("prebuilt", BOOLEAN, "Pack the project's node_modules folder as it is, and install nothing."),
)

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

SECRETS_KEYS = _keys(
    Key(
        "allow",
        FINGERPRINTS,
        "Fingerprints of what looks like a secret and must be in the image, as the refusal tells.",
    ),
)

KEYS = _keys(
    Key("name", STRING, "The application's name, for titles and default tags."),
    Key("base", STRING, "The base image: a short name or a reference."),
    Key("kind", _one_of(*KINDS), "The kind of application, instead of finding out."),
    Key("tags", STRINGS, "Names for the result."),
    Key("platforms", STRINGS, "Platforms to build for, like linux/arm64; `all` of the base."),
    Key("env", REMOVABLE, "Environment variables; false takes the base's away."),
    Key("labels", REMOVABLE, "Labels of the image; false takes the base's away."),
    Key("annotations", REMOVABLE, "Annotations of the manifest, or `index:KEY` of the index, or `index,manifest:KEY`."),
    Key(
        "annotate",
        Type(_annotate, {"type": "array", "items": {"enum": list(ANNOTATE)}}),
        "Where annotations come from unasked: project (the default), git, none.",
    ),
    Key("user", STRING, "The user the image runs as: a name, a number, or user:group."),
    Key("workdir", STRING, "The working directory, where the application is put."),
    Key("entrypoint", COMMAND, "The entrypoint: a list of words, or one string split as a shell splits it."),
    Key("cmd", COMMAND, "The command: a list of words, or one string split as a shell splits it."),
    Key("ports", PORTS, "Ports the application listens on; `8080-` takes one away."),
    Key("volumes", STRINGS, "Directories that are meant to be volumes; `/data-` takes one away."),
    Key("stop-signal", _matching(_SIGNAL, "SIGINT"), "The signal that ends the application, like SIGINT."),
    Key("healthcheck", _table("healthcheck", HEALTHCHECK_KEYS), "How to see whether the application is well."),
    Key("add", STRINGS, "Further files: SRC:DST[,chown=U:G][,chmod=M]."),
    Key("wheels", PATHS, "Wheels you built yourself, relative to the folder."),
    Key("ca-certs", PATHS, "Authorities that programs in the image trust as well: PEM or DER files."),
    Key("ignorefile", PATH, "The ignore file, instead of .ociassembleignore or .dockerignore."),
    Key("base-source", _one_of(*BASE_SOURCES), "Where a known base comes from."),
    Key("bases", BY_NAME, "What short base names stand for."),
    Key(
        "compression", _matching(_COMPRESSION, "zstd:3"), "How layers are compressed: gzip, zstd or none, and a level."
    ),
    Key("layers", _one_of(*LAYERS), "How dependencies are cut into layers."),
    Key("debian-mirror", STRING, "A mirror that holds debian/ and debian-security/. Never recorded."),
    Key("node-mirror", STRING, "A mirror of Node's releases, holding v24.19.0/ and so on. Never recorded."),
    Key("build", _table("build", BUILD_KEYS), "What is done before the folder is packed, and what is packed of it."),
    Key("node", _table("node", NODE_KEYS), "Settings of Node applications."),
    Key("python", _table("python", PYTHON_KEYS), "Settings of Python applications."),
    Key("secrets", _table("secrets", SECRETS_KEYS), "What the guard against secrets lets pass."),
    Key("strict-references", BOOLEAN, "Refuse short base names."),
    Key("cache-from", STRINGS, "Images of registries whose finished layers are used as well."),
    Key("cache-repo", STRING, "A repository of finished layers: read, and written by builds that push."),
    Key("source-date-epoch", EPOCH, "What `created` says: seconds since 1970, git or now. SOURCE_DATE_EPOCH wins."),
)

# Keys that are tables with keys of their own.
TABLES: dict[str, dict[str, Key]] = {
    "build": BUILD_KEYS,
    "healthcheck": HEALTHCHECK_KEYS,
    "node": NODE_KEYS,
    "python": PYTHON_KEYS,
    "secrets": SECRETS_KEYS,
}
# Settings there were, and what there is now.
_GONE = {"allow-secrets": "secrets are allowed one by one: build, and copy the fingerprint to `[secrets] allow`"}

# What the option of a setting is called, where it is called otherwise.
OPTIONS = {
    "tags": "tag",
    "platforms": "platform",
    "labels": "label",
    "annotations": "annotation",
    "ports": "expose",
    "volumes": "volume",
    "wheels": "wheel",
    "ca-certs": "ca-cert",
    "extras": "extra",
    "groups": "group",
}


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a settings file; specs/schema/settings.schema.json is this, written down."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": 'Settings of ociassemble: ociassemble.toml, [tool.ociassemble], or "ociassemble" in package.json',
        "type": "object",
        "additionalProperties": False,
        "properties": _properties(KEYS),
    }


def fields(table: Mapping[str, Any], keys: Mapping[str, Key] = KEYS, prefix: str = "") -> dict[str, Any]:
    """The checked values of a table by field name; `SettingError` for an unknown key or a wrong type."""
    result: dict[str, Any] = {}
    for name, value in table.items():
        key = keys.get(name)
        if key is None:
            raise SettingError(
                f"there is no setting `{prefix}{name}`", hint=_GONE.get(name) or _nearest(name, tuple(keys))
            )
        result[key.field] = key.type.check(value, f"`{prefix}{name}`")
    return result


def _nearest(name: str, known: tuple[str, ...]) -> str:
    import difflib

    close = difflib.get_close_matches(name.lower().replace("_", "-"), known, 1, 0.5)
    return f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(known)}"
