"""The indexes that pip's environment and files name, with pip's own precedence: environment, site, user, global."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

from ociassemble.sources.index_settings import Index, IndexSettingError, Named, Read, place

_SECTIONS = ("global", "install", "download")  # later ones win
_KEYS = ("index-url", "extra-index-url", "find-links", "no-index")
_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})


def named(environment: Mapping[str, str], home: Path, prefix: Path, folder: Path, read: Read) -> Named:
    """What pip would ask. In pip a key replaces the same key of a less important place."""
    values: dict[str, str] = {}
    for path in reversed(files(environment, home, prefix)):
        raw = read(path)
        if raw is not None:
            values.update(_values(raw, path))
    for key in _KEYS:
        value = environment.get("PIP_" + key.upper().replace("-", "_"))
        if value:
            values[key] = value
    return Named(
        Index.parse(values["index-url"], folder) if values.get("index-url") else None,
        tuple(Index.parse(url, folder) for url in values.get("extra-index-url", "").split()),
        tuple(place(item, folder) for item in values.get("find-links", "").split()),
        values.get("no-index", "").lower() in _TRUE,
    )


def files(environment: Mapping[str, str], home: Path, prefix: Path) -> list[Path]:
    """Where pip looks, the most important place first."""
    explicit = environment.get("PIP_CONFIG_FILE", "")
    if explicit == "/dev/null":  # pip's way to say: no files at all
        return []
    site = Path(environment.get("VIRTUAL_ENV") or prefix)
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    system = [Path(item) for item in environment.get("XDG_CONFIG_DIRS", "").split(":") if item] or [Path("/etc/xdg")]
    return [
        *([Path(explicit)] if explicit else []),
        site / "pip.conf",
        user / "pip" / "pip.conf",
        home / "Library" / "Application Support" / "pip" / "pip.conf",
        home / ".pip" / "pip.conf",
        Path("/etc/pip.conf"),
        *(item / "pip" / "pip.conf" for item in reversed(system)),
        Path("/Library/Application Support/pip/pip.conf"),
    ]


def _values(raw: bytes, path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(raw.decode("utf-8"), str(path))
    except (UnicodeDecodeError, configparser.Error) as error:
        raise IndexSettingError(
            f"`{path}` cannot be read as pip's configuration: {str(error).splitlines()[0]}"
        ) from error
    values: dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            values.update((key.lower().replace("_", "-"), value or "") for key, value in parser.items(section))
    return {key: value for key, value in values.items() if key in _KEYS}
