"""What the value of a setting may be: each type checks and converts what was written, and describes itself."""

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

_ANNOTATE = ("project", "git", "none")
_PORT = "^[0-9]{1,5}(/(tcp|udp|sctp))?-?$"
_FINGERPRINT = "^[0-9a-f]{16}$"
_EPOCH = "^([0-9]{1,12}|git|now)$"


class SettingError(UsageError):
    """An unknown setting, or one with a value of the wrong type."""

    code = "usage.setting"


class Type(NamedTuple):
    """A type of setting: checks and converts a value (raising `SettingError`), and describes itself as JSON Schema."""

    check: Callable[[Any, str], Any]  # the value, and how to call it in a message
    schema: dict[str, Any]


def wrong(shown: str, want: str, value: Any, hint: str | None = None) -> SettingError:
    """The error for a value that is not what is wanted; `shown` is how messages call the setting."""
    names: dict[type, str] = {str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    names |= {list: "a list", dict: "a table"}
    return SettingError(f"{shown} must be {want}, not {names.get(type(value), 'something else')}", hint=hint)


def _string(value: Any, shown: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        short = -(10**15) < value < 10**15  # huge ones cannot even be printed
        raise wrong(shown, "a string", value, hint=f'write it in quotes: "{value}"' if short else None)
    if not isinstance(value, str):
        raise wrong(shown, "a string", value)
    if "\0" in value:
        raise SettingError(f"{shown} holds a NUL character")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise SettingError(f"{shown} holds half a character")  # JSON can say it, UTF-8 cannot
    return value


def _boolean(value: Any, shown: str) -> bool:
    if not isinstance(value, bool):
        raise wrong(shown, "true or false", value)
    return value


def _path(value: Any, shown: str) -> Path:
    return value if isinstance(value, Path) else Path(_string(value, shown))


def _strings(value: Any, shown: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        hint = f'write it as a list: ["{value}"]' if isinstance(value, str) else None
        raise wrong(shown, "a list of strings", value, hint)
    return tuple(_string(item, f"an item of {shown}") for item in value)


def _paths(value: Any, shown: str) -> tuple[Path, ...]:
    if not isinstance(value, list):
        raise wrong(shown, "a list of paths", value)
    return tuple(_path(item, f"an item of {shown}") for item in value)


def _command(value: Any, shown: str) -> tuple[str, ...]:
    return split_command(value) if isinstance(value, str) else _strings(value, shown)


def _commands(value: Any, shown: str) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list):
        hint = f'write it as a list: ["{value}"]' if isinstance(value, str) else None
        raise wrong(shown, "a list of commands", value, hint)
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
        raise wrong(shown, "a list of ports", value, hint='write it as a list: [8080, "53/udp"]')
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
        raise wrong(shown, "a table", value)
    result: dict[str, str | None] = {}
    for name, item in value.items():
        if not name or "\0" in name or (shown.strip("`-") == "env" and "=" in name):
            raise SettingError(f"{shown}: `{name}` is not a name")
        result[name] = None if item is None or item is False else _string(item, f"`{name}` of {shown}")
    return result


def _strings_by_name(value: Any, shown: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise wrong(shown, "a table", value)
    return {name: _string(item, f"`{name}` of {shown}") for name, item in value.items()}


def one_of(*names: str) -> Type:
    """One of these words."""

    def check(value: Any, shown: str) -> str:
        text = _string(value, shown)
        if text not in names:
            raise SettingError(f"{shown}: `{text}` is none of {', '.join(names)}", hint=nearest(text, names))
        return text

    return Type(check, {"enum": list(names)})


def _matching(pattern: str, example: str) -> Type:
    """A text of this form, of which `example` is one."""

    def check(value: Any, shown: str) -> str:
        text = _string(value, shown)
        if not re.fullmatch(pattern, text):
            raise SettingError(f"{shown}: `{text}` is not understood", hint=f"write it like `{example}`")
        return text

    return Type(check, {"type": "string", "pattern": pattern})


def _duration(value: Any, shown: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        raise wrong(shown, "a duration", value, hint=f'write it with its unit: "{value}s"')
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
        if word not in _ANNOTATE:
            known = ", ".join(_ANNOTATE)
            raise SettingError(f"{shown}: `{word}` is none of {known}", hint=nearest(word, _ANNOTATE))
    if "none" in words and len(words) > 1:
        raise SettingError(f"{shown}: `none` stands alone")
    return words


def nearest(name: str, known: tuple[str, ...]) -> str:
    """The hint for a name that is none of the known ones."""
    import difflib

    close = difflib.get_close_matches(name.lower().replace("_", "-"), known, 1, 0.5)
    return f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(known)}"


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
ANNOTATIONS = Type(_annotate, {"type": "array", "items": {"enum": list(_ANNOTATE)}})
COMPRESSION = _matching("^(gzip|zstd|none)(:[0-9]{1,2})?$", "zstd:3")
SIGNAL = _matching("^((SIG)?[A-Z][A-Z0-9]*([+-][0-9]+)?|[0-9]{1,2}|)$", "SIGINT")
