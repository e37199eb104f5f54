"""npm's configuration as it is written: in which files, in which form, with variables of the environment in it.

What it means is `sources.npmrc`. Raises `NpmSettingError` for a file that cannot be read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ociassemble.errors import UsageError

Read = Callable[[Path], "bytes | None"]  # a file's bytes, None where there is none
PROJECT = "the project's .npmrc"

_ENVIRONMENT = re.compile(r"npm_config_", re.IGNORECASE)
_VARIABLE = re.compile(r"(?<!\\)(\\*)\$\{([^${}?]+)(\?)?\}")
_LINE = re.compile(r"([^=]+)(?:=(.*))?", re.DOTALL)
_MAX_FILE = 1 << 20  # bytes


class NpmSettingError(UsageError):
    """npm's configuration cannot be followed, or names no registry where one is needed."""

    code = "usage.npm"


def tables(
    environment: Mapping[str, str], home: Path, folder: Path, node: Path | None, read: Read
) -> Iterator[tuple[str, dict[str, str]]]:
    """Each place's keys, the most important place first."""
    stated = dict(_from_environment(environment))
    yield "the environment", stated
    user_file = Path(stated.get("userconfig") or home / ".npmrc")
    files = [(PROJECT, _parsed(read(folder / ".npmrc"), environment))]
    if user_file != folder / ".npmrc":
        files.append((f"`{user_file}`", _parsed(read(user_file), environment)))
    yield from files
    said = [table for _, table in (("", stated), *files)]
    for path in _global_files(said, environment, node):
        data = read(path)
        if data is not None:
            yield f"`{path}`", _parsed(data, environment)
            return


def _global_files(said: list[dict[str, str]], environment: Mapping[str, str], node: Path | None) -> list[Path]:
    for table in said:
        if table.get("globalconfig"):
            return [Path(table["globalconfig"])]
    prefix = next((table["prefix"] for table in said if table.get("prefix")), environment.get("PREFIX", ""))
    if not prefix and node is not None:
        prefix = str(node.resolve().parent.parent)
    if not prefix:
        return []
    # Debian's npm has moved its own out of /usr.
    return [Path(prefix) / "etc" / "npmrc", *([Path("/etc/npmrc")] if prefix == "/usr" else [])]


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in sorted(environment.items()):
        if _ENVIRONMENT.match(name) and value:
            key = name[len("npm_config_") :]
            if not key.startswith("//"):
                key = (key[:1] + key[1:].replace("_", "-")).lower()
            yield key, expanded(value, environment)


def _parsed(data: bytes | None, environment: Mapping[str, str]) -> dict[str, str]:
    return {expanded(key, environment): expanded(value, environment) for key, value in lines(data)}


def lines(data: bytes | None) -> Iterator[tuple[str, str]]:
    """Keys and values of an ini file before its first section, as written. What npm cannot read it skips."""
    for line in re.split(r"[\r\n]+", (data or b"").decode("utf-8", "replace").removeprefix("\ufeff")):
        text = line.strip()
        if not text or text[0] in ";#":
            continue
        if text[0] == "[" and text[-1] == "]":
            break
        found = _LINE.fullmatch(line)
        if found:
            yield _plain(found[1]).removesuffix("[]"), "true" if found[2] is None else _plain(found[2])


def _plain(text: str) -> str:
    """A key or value without its quotes, escapes and trailing comment."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        quoted = text[1:-1] if text[0] == "'" else text
        try:
            value = json.loads(quoted)
        except (ValueError, RecursionError):
            return quoted
        return value if isinstance(value, str) else quoted
    plain = ""
    escaped = False
    for character in text:
        if escaped:
            plain += character if character in "\\;#" else "\\" + character
            escaped = False
        elif character in ";#":
            break
        elif character == "\\":
            escaped = True
        else:
            plain += character
    return (plain + "\\" * escaped).strip()


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """`${NAME}` replaced by the variable; one that is not set stays as it is, or is empty as `${NAME?}`."""

    def value(found: re.Match[str]) -> str:
        escapes, name, optional = found.groups()
        if len(escapes) % 2:
            return found[0][(len(escapes) + 1) // 2 :]
        return escapes[len(escapes) // 2 :] + environment.get(name, "" if optional else f"${{{name}}}")

    return _VARIABLE.sub(value, text)


def read_file(path: Path) -> bytes | None:
    """The bytes of a file of settings, None where there is none that we may read."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_FILE + 1) if path.is_file() else None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return None
    except (OSError, ValueError) as error:
        raise NpmSettingError(f"`{path}` cannot be read: {error}") from error
    if data is not None and len(data) > _MAX_FILE:
        raise NpmSettingError(f"`{path}` has more than {_MAX_FILE} bytes")
    return data


def file_meant(text: str, home: Path, folder: Path) -> str:
    """The file that npm means by a path in its configuration, links resolved."""
    path = folder / (home / text[2:] if text.startswith("~/") else text)
    return os.path.realpath(path) if "\0" not in text else ""


def variables(text: str, environment: Mapping[str, str]) -> list[str]:
    """The variables that `text` names, and that are set."""
    found = (match for match in _VARIABLE.finditer(text) if len(match[1]) % 2 == 0)
    return sorted({match[2] for match in found if environment.get(match[2])})


def unset(text: str) -> set[str]:
    """The variables that an expanded text still names: nobody has set them."""
    return {match[2] for match in _VARIABLE.finditer(text)}
