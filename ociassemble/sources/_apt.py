"""Where this host's own apt finds Debian: its sources files, in both forms apt reads (sources.list(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ociassemble.errors import Error
from ociassemble.formats import deb822

_CODENAME = re.compile(
    r"(?:stable|oldstable|oldoldstable|testing|unstable|sid"
    r"|stretch|buster|bullseye|bookworm|trixie|forky|duke)(-security|-updates|-backports|/updates)?",
    re.ASCII,
)
_LINE = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)", re.ASCII)
_MAX_FILE = 1 << 20  # bytes


class _Line(NamedTuple):
    """One place apt would ask: URI, suite, components."""

    uri: str
    suite: str
    components: tuple[str, ...]


def archives(folder: Path) -> dict[str, tuple[str, ...]]:
    """Root URLs of `debian` and `debian-security` that apt is configured with; suites do not matter.

    Whose archive an entry is, only its signature tells in the end. So what has a Debian suite and the component
    `main` counts, with those whose path says `debian` first. An archive whose sibling alone is configured is looked
    for beside it.
    """
    found: dict[str, dict[str, None]] = {"debian": {}, "debian-security": {}}
    for line in _lines(folder):
        match = _CODENAME.fullmatch(line.suite.rstrip("/"))
        if match is None or "main" not in line.components:
            continue
        archive = "debian-security" if match[1] in ("-security", "/updates") else "debian"
        for root in _roots(line.uri):
            found[archive][root] = None
    for archive, sibling in (("debian", "debian-security"), ("debian-security", "debian")):
        if not found[archive]:
            for root in found[sibling]:
                if root.endswith("/" + sibling):
                    found[archive][root.removesuffix(sibling) + archive] = None
    # Others publish for Debian's suites too; they come last, and are asked only where no mirror of Debian answers.
    return {name: tuple(sorted(roots, key=lambda root: not _named(root))) for name, roots in found.items() if roots}


def _named(root: str) -> bool:
    return urlsplit(root).path.rpartition("/")[2] in ("debian", "debian-security")


def _lines(folder: Path) -> Iterator[_Line]:
    parts = folder / "sources.list.d"
    try:
        names = sorted(parts.iterdir())
    except OSError:
        names = []
    for path in (folder / "sources.list", *names):
        text = _read(path)
        if path.suffix == ".list":
            yield from _one_line(text)
        elif path.suffix == ".sources":
            yield from _stanzas(text, path)


def _read(path: Path) -> str:
    """The file, or nothing where it is missing, unreadable (it may hold credentials) or not text."""
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_FILE).decode("utf-8", "replace")
    except OSError:
        return ""


def _one_line(text: str) -> Iterator[_Line]:
    for line in text.splitlines():
        match = _LINE.fullmatch(line.partition("#")[0].strip())
        if match:
            yield _Line(match[1], match[2], tuple(match[3].split()))


def _stanzas(text: str, path: Path) -> Iterator[_Line]:
    try:
        stanzas = deb822.parse(text.encode(), f"`{path}`", comments=True)
    except Error:
        return  # apt will say what is wrong with it
    for stanza in stanzas:
        if "deb" not in stanza.get("types", "").split() or stanza.get("enabled", "yes").strip().lower() in ("no", "0"):
            continue
        components = tuple(stanza.get("components", "").split())
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield _Line(uri, suite, components)


def _roots(uri: str) -> Iterator[str]:
    """The URLs behind one URI: itself, or what a local mirror list names. Other transports are not ours."""
    scheme, _, rest = uri.partition(":")
    if scheme in ("http", "https") and urlsplit(uri).hostname:
        yield uri.rstrip("/")
    elif scheme == "mirror+file":
        for line in _read(Path(unquote("/" + rest.lstrip("/")))).splitlines():
            words = line.partition("#")[0].split()
            if words and words[0].startswith(("http://", "https://")):
                yield words[0].rstrip("/")
