"""A Debian package -> entries of a layer: data.tar streamed through rules, then what scanners look for in status.d.

No maintainer script is run, nothing is unpacked (specs/behaviour/debian-base.md, DEBIAN-DEB). Rules are `drop:GLOB`
and `keep:GLOB` over paths relative to the root; the last that matches decides, and what none matches is kept. `*`
and `?` stay within a part, `**` crosses parts, and `DIR/**` is also DIR itself. A dropped folder comes back for
something kept below it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from ociassemble.content import compress
from ociassemble.errors import FormatError
from ociassemble.formats import ar, deb822, tar
from ociassemble.layer.entry import Entry, nothing
from ociassemble.plan.plan import DebSource

STATUS = "var/lib/dpkg/status.d"

_CODECS = {"": "none", ".gz": "gzip", ".xz": "xz", ".zst": "zstd", ".bz2": "bzip2"}
_MAX_CONTROL = 16 << 20  # bytes of control.tar, uncompressed
_MAX_DATA = 16 << 30  # bytes of data.tar, uncompressed
_MD5 = re.compile(rb"[0-9a-f]{32}  (?:\./)?([^\n]+)", re.ASCII)


class PackageFormatError(FormatError):
    """Not a Debian package, or one that violates deb(5) or carries what no layer may hold."""

    code = "integrity.format.deb"


class RuleError(FormatError):
    """A rule that is neither `drop:GLOB` nor `keep:GLOB`."""

    code = "integrity.format.deb-rule"


class Control(NamedTuple):
    """What a package says of itself: the control file verbatim and parsed, and its md5sums, b"" for none."""

    raw: bytes
    fields: deb822.Stanza
    md5sums: bytes

    @property
    def package(self) -> str:
        return self.fields["package"]

    @property
    def version(self) -> str:
        return self.fields["version"]


def entries(stream: BinaryIO, source: DebSource) -> Iterator[Entry]:
    """The entries of one package in the order of its data.tar, the two of status.d last.

    The content streams by: an entry's `content` may be called once, and only before the next entry is asked for.
    Owners and modes are the package's own, without set-id bits. The md5sums in status.d are cut down to the files
    that are kept, so that scanners still know whose they are.
    """
    name = source.artifact.filename
    try:
        yield from _entries(stream, source)
    except FormatError as error:
        error.details = (*error.details, f"in the Debian package `{name}`")
        raise


def _entries(stream: BinaryIO, source: DebSource) -> Iterator[Entry]:
    control, members = read(stream)
    if control.package != source.package:
        raise PackageFormatError(f"the package says it is `{control.package}`, not `{source.package}`")
    origin = f"Debian package {control.package} {control.version}"
    keep = keeper(source.rules)
    held: dict[str, Entry] = {}  # dropped folders, in case something below is kept
    kept: set[str] = set()
    for member in members:
        if not member.path:
            continue
        entry = _entry(member, origin)
        if not keep(member.path):
            if member.kind == "directory":
                held[member.path] = entry
            continue
        if held:
            yield from _parents(member.path, held)
        if member.kind == "hardlink" and member.target not in kept:
            raise PackageFormatError(f"`{member.path}` is a hard link to `{member.target}`, which is not there")
        if member.kind != "directory":
            kept.add(member.path)
        yield entry
    yield from _status(control, kept, origin)


def _entry(member: tar.Member, origin: str) -> Entry:
    kind = member.kind
    if kind not in ("file", "directory", "symlink", "hardlink"):
        raise PackageFormatError(f"`{member.path}` is a {kind.replace('-', ' ')}, which no layer of ours may hold")
    return Entry(
        member.path,
        kind,
        # Sticky folders (/tmp) stay sticky; set-id bits are nowhere.
        member.mode & (0o1777 if kind == "directory" else 0o777),
        size=member.size,
        content=member.chunks if kind == "file" else nothing,
        target=member.target,
        uid=member.uid,
        gid=member.gid,
        origin=origin,
    )


def _parents(path: str, held: dict[str, Entry]) -> Iterator[Entry]:
    parts = path.split("/")
    for depth in range(1, len(parts)):
        parent = held.pop("/".join(parts[:depth]), None)
        if parent is not None:
            yield parent


def _status(control: Control, kept: set[str], origin: str) -> Iterator[Entry]:
    path = f"{STATUS}/{control.package}"
    yield Entry.held(path, control.raw, origin=origin)
    if control.md5sums:
        lines = [
            line
            for line in control.md5sums.splitlines(keepends=True)
            if (match := _MD5.match(line)) and match[1].decode("utf-8", "surrogateescape") in kept
        ]
        data = b"".join(lines)
        yield Entry.held(path + ".md5sums", data, origin=origin)


# ------------------------------------------------------------------------------------------------ the format


def read(stream: BinaryIO) -> tuple[Control, Iterator[tar.Member]]:
    """The control part of the package in `stream`, and the members of its data.tar, which stream by.

    Strict: exactly `debian-binary` (2.x), `control.tar`, `data.tar`, in this order and once each; reading to the
    end of the members reads to the end of the package.
    """
    members = ar.read(stream)
    first = _next(members)
    if first.name != "debian-binary" or first.size > 16 or not re.fullmatch(rb"2\.[0-9]+\n", first.stream.read()):
        raise PackageFormatError("not a Debian package of the format 2: it does not begin with `debian-binary`")
    control = _control(_open(_next(members), "control.tar", _MAX_CONTROL))
    return control, _data(_open(_next(members), "data.tar", _MAX_DATA), members)


def _next(members: Iterator[ar.Member]) -> ar.Member:
    member = next(members, None)
    if member is None:
        raise PackageFormatError("a Debian package that ends after less than three members")
    return member


def _open(member: ar.Member, stem: str, limit: int) -> BinaryIO:
    codec = _CODECS.get(member.name.removeprefix(stem)) if member.name.startswith(stem) else None
    if codec is None:
        raise PackageFormatError(
            f"a Debian package with the member `{member.name}` where `{stem}` belongs",
            details=[f"known compressions: {', '.join(stem + suffix for suffix in _CODECS)}"],
        )
    if not member.size:
        raise PackageFormatError(f"a Debian package whose `{member.name}` is empty")
    return compress.open_reader(member.stream, codec, limit=limit)


def _data(stream: BinaryIO, members: Iterator[ar.Member]) -> Iterator[tar.Member]:
    yield from tar.read(stream)
    extra = next(members, None)
    if extra is not None:
        raise PackageFormatError(f"a Debian package with the further member `{extra.name}`")


def _control(stream: BinaryIO) -> Control:
    found: dict[str, bytes] = {}
    for member in tar.read(stream):
        if member.path in ("control", "md5sums"):
            if member.kind != "file" or member.path in found:
                raise PackageFormatError(f"`{member.path}` of the package is there twice, or is no file")
            found[member.path] = b"".join(member.chunks())
    if "control" not in found:
        raise PackageFormatError("a Debian package without a control file")
    raw = found["control"]
    fields = deb822.parse_one(raw, "the control file")
    for name in ("Package", "Version", "Architecture"):
        deb822.field(fields, name, "the control file")
    return Control(raw, fields, found.get("md5sums", b""))


# ------------------------------------------------------------------------------------------------ rules


@functools.lru_cache(maxsize=256)
def keeper(rules: tuple[str, ...]) -> Callable[[str], bool]:
    """A function that says whether a path is kept under `rules`; `RuleError` where they are not rules."""
    parsed = [_rule(rule) for rule in rules]

    def keep(path: str) -> bool:
        for kept, pattern in reversed(parsed):
            if pattern.fullmatch(path):
                return kept
        return True

    return keep


def _rule(rule: str) -> tuple[bool, re.Pattern[str]]:
    verb, colon, glob = rule.partition(":")
    if not colon or verb not in ("drop", "keep") or not glob or glob.startswith("/"):
        raise RuleError(f"not a rule for Debian packages: `{rule}`", hint="write `drop:GLOB` or `keep:GLOB`")
    return verb == "keep", re.compile(_pattern(glob), re.DOTALL)


def _pattern(glob: str) -> str:
    if glob == "**":
        return ".*"
    if glob.endswith("/**"):
        return _pattern(glob[:-3]) + "(?:/.*)?"
    translated = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(translated.get(part) or re.escape(part) for part in re.split(r"(\*\*|\*|\?)", glob) if part)
