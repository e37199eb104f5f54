"""A wheel (the binary-distribution-format specification) as entries of an image: what an installer would have made.

Nothing is unpacked: an entry's content is read from the archive when the layer is written, and is held against
RECORD on the way (specs/behaviour/wheel.md).
"""

from __future__ import annotations

import hashlib
import io
import posixpath
from collections.abc import Iterable, Iterator
from functools import partial
from typing import BinaryIO

from ociassemble.content.compress import inflate, inflate_whole
from ociassemble.errors import UsageError
from ociassemble.formats.zip import STORED, ZipEntry, ZipReader, show, unusable
from ociassemble.layer import _wheel_metadata as metadata
from ociassemble.layer import _wheel_record as record
from ociassemble.layer import _wheel_scripts as scripts
from ociassemble.layer._wheel_metadata import WheelName, WheelNameError, wheel_name
from ociassemble.layer._wheel_record import RecordError, Row, WheelError
from ociassemble.layer.entry import Content, Entry
from ociassemble.plan.plan import WheelSource

__all__ = ["RecordError", "WheelError", "WheelName", "WheelNameError", "entries", "wheel_name"]

INSTALLER = b"ociassemble\n"
MAX_METADATA = 16 << 20  # bytes of a file that is read at once
_SMALL = 256 << 10  # bytes of a file that is one block
_HASHES = {name: getattr(hashlib, name) for name in record.ALGORITHMS}  # these, by name, are faster than `new`


def entries(stream: BinaryIO, source: WheelSource) -> list[Entry]:
    """The files that installing the wheel makes, by path; `stream` is the whole archive, seekable and verified.

    Contents are read from `stream` when asked for, so it must stay open, and one thread at a time may use them.
    Raises `WheelError`, `RecordError` or `ZipError` here for all that can be told without reading the big files,
    and while contents are read for what cannot.
    """
    return _Wheel(stream, source).entries()


class _Wheel:
    def __init__(self, stream: BinaryIO, source: WheelSource) -> None:
        filename = source.artifact.filename
        self._label = f"the wheel {show(filename)}"
        self._origin = f"wheel {filename}"
        self._interpreter = source.scheme.interpreter
        self._name = metadata.wheel_name(filename)
        self._site = _place(source.scheme.site)
        prefix = _place(source.scheme.prefix)
        self._places = {
            "purelib": self._site,
            "platlib": self._site,
            "scripts": f"{prefix}/bin",
            "data": prefix,
            "headers": f"{prefix}/include/python{source.scheme.minor}/{self._name.name}",
        }
        # Not the size the plan tells: it may tell none, and what is read here was verified by its digest.
        self._archive = ZipReader(stream, stream.seek(0, io.SEEK_END), self._label)
        self._files = self._members()
        self._info = self._find_info()
        self._data = self._info.removesuffix(".dist-info") + ".data"
        self._signatures = {f"{self._info}/{name}" for name in record.SIGNATURES}
        self._rows = self._read_record()
        metadata.check_format(self._text("WHEEL"), self._label)
        metadata.check_identity(self._text("METADATA"), self._name, self._label)
        self._found: dict[str, tuple[Entry, str]] = {}  # by path: the entry, and what it comes from
        self._installed: list[Row] = []

    def entries(self) -> list[Entry]:
        """Maps every file, then adds launchers, INSTALLER and the new RECORD."""
        points = self._entry_points()
        ours = {f"{self._info}/{name}" for name in ("RECORD", "INSTALLER", "REQUESTED")}
        # A wheel's builder may have put in what it thinks an installer would make of its entry points.
        theirs = f"{self._data}/scripts/"
        for name, member in self._files.items():
            if name in ours or (name.startswith(theirs) and scripts.is_launcher_of(name[len(theirs) :], points)):
                continue
            self._map(member)
        for point in points:
            self._own(f"{self._places['scripts']}/{point.name}", scripts.launcher(point, self._interpreter), 0o755)
        self._own(f"{self._site}/{self._info}/INSTALLER", INSTALLER)
        path = f"{self._site}/{self._info}/RECORD"
        text = record.render([*self._installed, Row(self._relative(path), "", "", None)])
        self._add(Entry.held(path, text, origin=self._origin), "RECORD")
        return [self._found[path][0] for path in sorted(self._found)]

    # What the wheel says about itself

    def _members(self) -> dict[str, ZipEntry]:
        """The files to look at, by name."""
        found = {}
        for member in self._archive.entries:
            parts = f"/{member.name}/"
            if member.is_symlink:
                raise WheelError(
                    f"{self._label} has the symbolic link {show(member.name)}; the wheel format has none",
                    hint="installers would write the link's text into a file; ask for a wheel built without links",
                )
            if "/.wh." in parts:
                raise WheelError(f"{self._label} has {show(member.name)}, a name that would delete files of the image")
            # Bytecode that came with the wheel cannot be held against its source.
            if not member.is_directory and "/__pycache__/" not in parts:
                found[member.name] = member
        return found

    def _find_info(self) -> str:
        """The dist-info folder: there must be one, and it must be of the package that the file name names."""
        tops = {name.partition("/")[0] for name in self._files if "/" in name}
        found = sorted(name for name in tops if name.endswith(".dist-info"))
        if len(found) != 1:
            names = ", ".join(map(show, found[:5]))
            raise WheelError(f"{self._label} must have one .dist-info folder, and has {names or 'none'}")
        stem = found[0].removesuffix(".dist-info")
        name, _, version = stem.partition("-")
        if not metadata.same(self._name, name, version):
            raise WheelError(f"{self._label} does not hold what its name says: it has {show(found[0])}")
        for top in sorted(tops):
            if top.endswith(".data") and top != f"{stem}.data":
                raise WheelError(f"{self._label} has {show(top)}, which is the data folder of another wheel")
        return found[0]

    def _read_record(self) -> dict[str, Row]:
        path = f"{self._info}/RECORD"
        member = self._files.get(path)
        if member is None:
            raise RecordError(f"{self._label} has no RECORD")
        rows = record.parse(self._read(member, None), self._label, self._files)
        # Builders list folders and bytecode now and then; neither is installed.
        folders = {entry.name for entry in self._archive.entries if entry.is_directory}
        rows = {
            path: row
            for path, row in rows.items()
            if path.removesuffix("/") not in folders and "/__pycache__/" not in f"/{path}/"
        }
        sizes = {name: member.size for name, member in self._files.items()}
        record.check(rows, sizes, self._info, self._label)
        return rows

    def _entry_points(self) -> tuple[scripts.EntryPoint, ...]:
        member = self._files.get(f"{self._info}/entry_points.txt")
        return () if member is None else scripts.parse(self._read(member, self._row(member)), self._label)

    def _text(self, name: str) -> bytes:
        member = self._files.get(f"{self._info}/{name}")
        if member is None:
            raise WheelError(f"{self._label} has no {name}")
        return self._read(member, self._row(member))

    # Where files go

    def _map(self, member: ZipEntry) -> None:
        """Add the entry of one file of the archive."""
        row = self._row(member)
        mode = 0o755 if member.is_executable else 0o644
        name = member.name
        top, _, rest = name.partition("/")
        if top != self._data:
            self._file(f"{self._site}/{name}", member, row, mode, name)
            return
        kind, _, rest = rest.partition("/")
        if kind not in self._places or not rest:
            raise WheelError(f"{self._label} has {show(member.name)}, which goes nowhere that installers know")
        path = f"{self._places[kind]}/{rest}"
        if kind == "scripts":
            self._script(path, member, row)
        else:
            self._file(path, member, row, mode)

    def _file(self, path: str, member: ZipEntry, row: Row | None, mode: int, relative: str = "") -> None:
        content: Content = partial(self._checked, member, row)
        self._add(Entry(path, "file", mode, member.size, content, "", 0, 0, self._origin), member.name)
        relative = relative or self._relative(path)
        if row is None:  # a signature of RECORD: it cannot be listed with a hash
            self._installed.append(Row(relative, "", "", None))
        elif row.path == relative and row.size == member.size:
            self._installed.append(row)
        else:
            self._installed.append(Row(relative, row.algorithm, row.hash, member.size))

    def _script(self, path: str, member: ZipEntry, row: Row | None) -> None:
        """A program: executable whatever the archive says, and run by the image's interpreter if it asks for one."""
        start = b""
        for block in self._blocks(member):
            start += block
            if len(start) >= scripts.PLACEHOLDER_SIZE:
                break
        if scripts.has_placeholder(start):
            text = scripts.rewritten(self._read(member, row), self._interpreter)
            self._own(path, text, 0o755, member.name)
        else:
            self._file(path, member, row, 0o755)

    def _own(self, path: str, data: bytes, mode: int = 0o644, name: str = "") -> None:
        """A file whose content is ours."""
        entry = Entry.held(path, data, mode=mode, origin=self._origin)
        self._add(entry, name or posixpath.basename(path))
        self._installed.append(record.row(self._relative(path), data))

    def _add(self, entry: Entry, name: str) -> None:
        before = self._found.setdefault(entry.path, (entry, name))
        if before[0] is not entry:
            both = f"{show(before[1])} and {show(name)}"
            raise WheelError(f"{self._label} has two files for {show('/' + entry.path)}: {both}")
        if entry.path == self._interpreter[1:]:
            raise WheelError(f"{self._label} would replace the image's interpreter by {show(name)}")

    def _relative(self, path: str) -> str:
        """`path` as RECORD has it: relative to the site folder."""
        if path.startswith(self._site + "/"):
            return path[len(self._site) + 1 :]
        return posixpath.relpath("/" + path, "/" + self._site)

    # Contents

    def _row(self, member: ZipEntry) -> Row | None:
        return None if member.name in self._signatures else self._rows[member.name]

    def _blocks(self, member: ZipEntry) -> Iterable[bytes]:
        """The bytes of a file; its size and checksum are the archive's, or it raises at the end."""
        stored = member.method == STORED
        if member.size <= _SMALL and member.compressed_size <= _SMALL:
            whole = self._archive.whole(member)
            block = inflate_whole(whole, member.size, member.crc32, stored=stored)
            if block is not None:
                return (block,)
        what = f"{self._label}: the member {show(member.name)}"  # built only where something is wrong, or large
        return inflate(self._archive.raw(member), member.size, member.crc32, what, stored=stored)

    def _checked(self, member: ZipEntry, row: Row | None) -> Iterable[bytes]:
        """The bytes of a file, of which the last block is handed out only after all were held against RECORD."""
        blocks = self._blocks(member)
        if row is None:
            return blocks
        if isinstance(blocks, tuple):
            self._compare(member, row, _HASHES[row.algorithm](blocks[0]).digest())
            return blocks
        return self._held(member, row, blocks)

    def _held(self, member: ZipEntry, row: Row, blocks: Iterable[bytes]) -> Iterator[bytes]:
        hashed = _HASHES[row.algorithm]()
        last = b""
        for block in blocks:
            hashed.update(block)
            if last:
                yield last
            last = block
        self._compare(member, row, hashed.digest())
        if last:
            yield last

    def _compare(self, member: ZipEntry, row: Row, digest: bytes) -> None:
        if record.encode(digest) != row.hash:
            raise RecordError(f"{self._label} has {show(member.name)} with another content than its RECORD says")

    def _read(self, member: ZipEntry, row: Row | None) -> bytes:
        """The content of a small file."""
        if member.size > MAX_METADATA:
            raise WheelError(f"{self._label} has {member.size} bytes in {show(member.name)}; {MAX_METADATA} are read")
        return b"".join(self._checked(member, row))


def _place(path: str) -> str:
    """An absolute path of the image as entries have it."""
    if not path.startswith("/") or unusable(path[1:]):
        raise UsageError(f"not a normal absolute path: {show(path)}")
    return path[1:]
