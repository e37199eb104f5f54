"""The indexes that uv's environment and files name, with uv's own precedence: environment, project, user, system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ociassemble.formats import toml
from ociassemble.sources.index_settings import Index, IndexSettingError, Named, Read, place, read_file

_NAMED = re.compile(r"([A-Za-z0-9._-]+)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}", re.ASCII)
_OPTION = re.compile(r"^\s*(-i|--index-url|--pypi-url|--extra-index-url|-f|--find-links|--no-index)(?:[ \t=]+(\S+))?")
_NOT_REQUIREMENTS = (".toml", ".lock", ".whl", ".cfg", ".py")
_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})


def named(environment: Mapping[str, str], home: Path, folder: Path, project: Mapping[str, bytes], read: Read) -> Named:
    """What uv would ask, most important first; credentials of named indexes come from the environment."""
    result = _environment(environment, folder)
    for name, raw in sorted(project.items()):
        if not name.endswith(_NOT_REQUIREMENTS):
            result = result.over(_requirements(raw, environment, folder))
    for table, where in configurations(environment, home, folder, project, read):
        result = result.over(_table(table, where.parent))
    return result._replace(
        default=None if result.default is None else _with_credentials(result.default, environment),
        extra=tuple(_with_credentials(index, environment) for index in result.extra),
    )


def configurations(
    environment: Mapping[str, str], home: Path, folder: Path, project: Mapping[str, bytes], read: Read = read_file
) -> list[tuple[dict[str, Any], Path]]:
    """The tables of settings that uv reads, most important first, each with the file it is from."""
    found = []
    if "uv.toml" in project:
        found.append((_toml(project["uv.toml"], "uv.toml"), folder / "uv.toml"))
    elif "pyproject.toml" in project:
        tool = _toml(project["pyproject.toml"], "pyproject.toml").get("tool")
        table = tool.get("uv") if isinstance(tool, dict) else None
        found.append((table if isinstance(table, dict) else {}, folder / "pyproject.toml"))
    if environment.get("UV_NO_CONFIG", "").lower() in _TRUE:
        return []
    if explicit := environment.get("UV_CONFIG_FILE"):
        path = folder / explicit
        return [(_toml(read(path) or b"", str(path)), path)]
    places = [Path(environment.get("XDG_CONFIG_HOME") or home / ".config")]
    system = [Path(item) for item in environment.get("XDG_CONFIG_DIRS", "").split(":") if item] or [Path("/etc/xdg")]
    candidates = [*(item / "uv" / "uv.toml" for item in (*places, *system)), Path("/etc/uv/uv.toml")]
    for path in candidates:
        raw = read(path)
        if raw is not None:
            found.append((_toml(raw, str(path)), path))
    return found


def _environment(environment: Mapping[str, str], folder: Path) -> Named:
    default = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
    extra = [*environment.get("UV_INDEX", "").split(), *environment.get("UV_EXTRA_INDEX_URL", "").split()]
    links = [item.strip() for item in environment.get("UV_FIND_LINKS", "").split(",") if item.strip()]
    return Named(
        _index(default, folder) if default else None,
        tuple(_index(item, folder) for item in extra),
        tuple(place(item, folder) for item in links),
        environment.get("UV_NO_INDEX", "").lower() in _TRUE,
    )


def _table(table: Mapping[str, Any], folder: Path) -> Named:
    result = Named()
    pip = table.get("pip")
    for level in (table, pip if isinstance(pip, dict) else {}):
        result = result.over(_level(level, folder))
    return result


def _level(table: Mapping[str, Any], folder: Path) -> Named:
    default: Index | None = None
    extra, links = [], []
    entries = table.get("index")
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("url"), str):
            continue
        url, name = entry["url"], entry.get("name")
        if entry.get("format") == "flat":
            links.append(url)
            continue
        index = Index.parse(url, folder, name if isinstance(name, str) else "")
        if entry.get("default") is True:
            default = default or index
        else:
            extra.append(index)
    if isinstance(table.get("index-url"), str):
        default = default or Index.parse(table["index-url"], folder)
    extra += (Index.parse(url, folder) for url in _texts(table.get("extra-index-url")))
    links += _texts(table.get("find-links"))
    return Named(default, tuple(extra), tuple(place(item, folder) for item in links), table.get("no-index") is True)


def _requirements(raw: bytes, environment: Mapping[str, str], folder: Path) -> Named:
    """The index options of a requirements file, `${VARIABLE}` replaced as uv and pip do."""
    default: Index | None = None
    extra, links, no_index = [], [], False
    for line in raw.decode("utf-8", "replace").splitlines():
        found = _OPTION.match(line)
        if not found:
            continue
        option = found[1]
        value = _VARIABLE.sub(lambda name: environment.get(name[1], name[0]), (found[2] or "").strip("\"'"))
        if option == "--no-index":
            no_index = True
        elif not value:
            continue
        elif option in ("-f", "--find-links"):
            links.append(place(value, folder))
        elif option == "--extra-index-url":
            extra.append(Index.parse(value, folder))
        else:
            default = Index.parse(value, folder)
    return Named(default, tuple(extra), tuple(links), no_index)


def _index(text: str, folder: Path) -> Index:
    """`URL`, `name=URL`, or a path."""
    found = _NAMED.fullmatch(text)
    if found and "://" not in found[1] and "/" not in found[1]:
        return Index.parse(found[2], folder, found[1])
    return Index.parse(text, folder)


def _with_credentials(index: Index, environment: Mapping[str, str]) -> Index:
    from urllib.parse import quote

    if not index.name or index.userinfo:
        return index
    stem = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", index.name.upper())
    user, password = environment.get(f"{stem}_USERNAME", ""), environment.get(f"{stem}_PASSWORD", "")
    if not user and not password:
        return index
    return index._replace(userinfo=f"{quote(user, safe='')}:{quote(password, safe='')}")


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _toml(raw: bytes, name: str) -> dict[str, Any]:
    try:
        return toml.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, toml.TOMLDecodeError, RecursionError) as error:
        raise IndexSettingError(f"`{name}` is not TOML: {error}") from error
