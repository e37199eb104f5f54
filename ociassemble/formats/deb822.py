"""Debian's control format (deb822(5)): stanzas of fields, and a fast scan of a large index for a few packages."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import BinaryIO, NamedTuple

from ociassemble.errors import FormatError

MAX_STANZA = 1 << 20  # bytes; the largest of 68,000 in an index is some 10 kB
_NAME = re.compile(r"[!-9;-~]+", re.ASCII)
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,120}", re.ASCII)
_READ = 1 << 20


class ControlFormatError(FormatError):
    """A control file, Release file or package index violates its format."""

    code = "integrity.format.deb822"


Stanza = dict[str, str]


def parse(data: bytes, what: str, *, comments: bool = False) -> list[Stanza]:
    """The stanzas in `data`; field names in lower case (they are case-insensitive), values without the first blank.

    Lines of a folded value keep their leading blank and are joined by newlines. With `comments`, lines that begin
    with `#` are skipped (apt's sources files). `what` names the document in errors.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ControlFormatError(f"{what} is not UTF-8") from error
    stanzas: list[Stanza] = []
    fields: dict[str, list[str]] = {}
    name = ""
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if comments and line.startswith("#"):
            continue
        if not line.strip(" \t"):
            if fields:
                stanzas.append(_joined(fields))
                fields = {}
            name = ""
        elif line[0] in " \t":
            if not name:
                raise ControlFormatError(f"{what}, line {number}: a folded line without a field")
            fields[name].append(line)
        else:
            name, colon, value = line.partition(":")
            if not colon or not _NAME.fullmatch(name) or name.startswith("-"):
                raise ControlFormatError(f"{what}, line {number}: not a field: {line!r:.80}")
            name = name.lower()
            if name in fields:
                raise ControlFormatError(f"{what}, line {number}: the field `{name}` is there twice")
            fields[name] = [value.strip(" \t")]
    if fields:
        stanzas.append(_joined(fields))
    return stanzas


def parse_one(data: bytes, what: str) -> Stanza:
    """The only stanza in `data`."""
    stanzas = parse(data, what)
    if len(stanzas) != 1:
        raise ControlFormatError(f"{what} has {len(stanzas)} stanzas, not one")
    return stanzas[0]


def field(stanza: Stanza, name: str, what: str) -> str:
    """The value of a field that must be there, on one line."""
    value = stanza.get(name.lower(), "")
    if not value or "\n" in value:
        raise ControlFormatError(f"{what} has no usable field `{name}`")
    return value


def _joined(fields: dict[str, list[str]]) -> Stanza:
    return {name: "\n".join(lines) for name, lines in fields.items()}


def scan(stream: BinaryIO, names: Collection[str], what: str) -> Iterator[Stanza]:
    """The stanzas of a package index whose `Package` is one of `names`, in the index's order.

    Everything else is skipped unparsed: the main index has 57 MB, and four dozen stanzas of it are wanted. Any
    number of stanzas may have the same name.
    """
    for name in names:
        if not _PACKAGE.fullmatch(name):
            raise ControlFormatError(f"not a name of a Debian package: {name!r:.80}")
    if not names:
        return
    pattern = re.compile(b"\nPackage: (?:" + b"|".join(re.escape(name.encode()) for name in sorted(names)) + b")\n")
    pending = b"\n"
    while block := stream.read(_READ):
        data = pending + block
        # Whole stanzas only; the newline before a stanza stays with it, so that the first line has one too.
        cut = data.rfind(b"\n\n")
        if cut < 0:
            if len(data) > MAX_STANZA:
                raise ControlFormatError(f"{what} has a stanza of more than {MAX_STANZA >> 10} KiB")
            pending = data
            continue
        yield from _wanted(data[: cut + 1], pattern, what)
        pending = data[cut + 1 :]
    yield from _wanted(pending + b"\n", pattern, what)


def _wanted(data: bytes, pattern: re.Pattern[bytes], what: str) -> Iterator[Stanza]:
    """Parse the stanzas around the matches; `data` begins and ends with a newline."""
    position = 0
    while match := pattern.search(data, position):
        begin = data.rfind(b"\n\n", 0, match.start() + 1)
        begin = 0 if begin < 0 else begin + 1
        end = data.find(b"\n\n", match.end() - 1)
        end = len(data) if end < 0 else end
        yield from parse(data[begin:end], what)
        position = max(end, match.end() - 1)


class Checksum(NamedTuple):
    """One line of a Release file's SHA256 section."""

    sha256: str
    size: int  # bytes
    path: str  # relative to the Release file


_SUM = re.compile(r"([0-9a-f]{64}) +([0-9]{1,12}) +([!-~]{1,400})", re.ASCII)


def checksums(stanza: Stanza, what: str) -> dict[str, Checksum]:
    """The SHA256 section of a Release file, by path."""
    found: dict[str, Checksum] = {}
    for line in stanza.get("sha256", "").split("\n"):
        if not line.strip():
            continue
        match = _SUM.fullmatch(line.strip())
        if match is None:
            raise ControlFormatError(f"{what}: not a line of SHA256: {line!r:.120}")
        entry = Checksum(match[1], int(match[2]), match[3])
        if found.setdefault(entry.path, entry) != entry:
            raise ControlFormatError(f"{what}: `{entry.path}` is listed twice, and differently")
    return found
