"""An npm package -> entries of a layer: the files that `npm ci` lays down with a umask of 022 (specs/behaviour/npm.md).

Nothing is unpacked and no script is run. The tarball is read once; its files are set aside in a spool, because a
layer is sorted and the tarball is not, and because a layer may hold more packages than a process may hold files open.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ociassemble.content import compress
from ociassemble.content.spool import Spool
from ociassemble.errors import FormatError
from ociassemble.formats import tar
from ociassemble.formats.zip import show
from ociassemble.layer.entry import Content, Entry, constant
from ociassemble.plan.plan import NpmSource

MAX_MEMBERS = 200_000
MAX_RATIO = 200  # unpacked bytes a packed one, beyond ...
MAX_SMALL = 64 << 20  # ... so many unpacked bytes
MAX_UNPACKED = 8 << 30  # bytes
MAX_MANIFEST = 4 << 20
MAX_SCRIPT = 64 << 20  # bytes of an executable whose first line must be rewritten

_LINE = 2048  # bytes of a file in which npm looks for the end of its first line
_DOS_LINE = re.compile(rb"#![^\n]+\r\n")
_FIRST_LINE = re.compile(r"\A(#![^\n]+)\r\n")
_DRIVE = re.compile(r"[A-Za-z]:")


class NpmPackageError(FormatError):
    """Not the tarball of an npm package, or one with something in it that no layer may hold."""

    code = "integrity.format.npm"


class _File(NamedTuple):
    """A file of the package: its permission bits, its size in bytes, how to read it."""

    mode: int
    size: int
    content: Content


def entries(stream: BinaryIO, source: NpmSource, spool: Spool) -> Iterator[Entry]:
    """The files of the tarball in `stream` (seekable, verified) at and below `source.path`, by path.

    All of `stream` is read before the first entry comes; contents are in `spool`, and may be read as long as that is
    open. Raises `NpmPackageError` and what else is a `FormatError`.
    """
    name = source.artifact.filename
    try:
        found = _files(stream, spool)
        for path in map(posixpath.normpath, source.executables):
            if path in found:
                found[path] = _executable(found[path])
    except FormatError as error:
        error.details = (*error.details, f"in the npm package `{name}`")
        raise
    folder = source.path.strip("/")
    for path, (mode, size, content) in sorted(found.items()):
        yield Entry(f"{folder}/{path}", mode=mode, size=size, content=content, origin=f"npm package {name}")


class Listing(NamedTuple):
    """What a package holds, without its content: file names relative to its folder, and its package.json."""

    names: tuple[str, ...]
    manifest: bytes  # empty where it has none, or one of more than `MAX_MANIFEST`


def listing(stream: BinaryIO) -> Listing:
    """The names in the tarball in `stream` (seekable, verified). Raises what is a `FormatError`."""
    names: dict[str, None] = {}
    manifest = b""
    for number, member in enumerate(tar.read(_unpacked(stream))):
        if number >= MAX_MEMBERS:
            raise NpmPackageError(f"it has more than {MAX_MEMBERS} members")
        path = _path(member.name) if member.kind == "file" else ""
        if path:
            names[path] = None
        if path == "package.json":
            manifest = b"".join(member.chunks()) if member.size <= MAX_MANIFEST else b""
    return Listing(tuple(names), manifest)


def _files(stream: BinaryIO, spool: Spool) -> dict[str, _File]:
    """The files of the tarball by their paths inside the package."""
    found: dict[str, _File] = {}
    ignores: set[str] = set()
    for number, member in enumerate(tar.read(_unpacked(stream))):
        if number >= MAX_MEMBERS:
            raise NpmPackageError(f"it has more than {MAX_MEMBERS} members")
        name = member.name
        if name.startswith("/"):
            raise NpmPackageError(f"it has the absolute path {show(name)}")
        if member.kind != "file":
            continue  # npm makes neither links nor devices, and folders only for the files in them
        base = name.rpartition("/")[2]
        if base == ".npmignore":
            ignores.add(name)
        elif base == ".gitignore":
            name = name.removesuffix(base) + ".npmignore"
            if name in ignores:
                continue
        path = _path(name)
        if not path:
            continue  # beside the package's folder: npm has no place for it
        before = found.get(path)
        # A file that comes again is written over the one that is there, which keeps its mode.
        mode = before.mode if before else 0o644 | member.mode & 0o111
        found[path] = _File(mode, member.size, spool.keep(member.size, member.chunks()))
    if not found:
        raise NpmPackageError("it holds no file")
    _check_folders(found)
    return found


def _unpacked(stream: BinaryIO) -> BinaryIO:
    size = stream.seek(0, 2)
    stream.seek(0)
    codec = compress.sniff(stream.read(6))
    stream.seek(0)
    if codec not in ("gzip", "none"):
        raise NpmPackageError(f"it is compressed with {codec}; npm packages are gzip-compressed tar archives")
    limit = max(MAX_SMALL, min(size * MAX_RATIO, MAX_UNPACKED))
    # The first npms filled the last record of the compressed archive with zeros.
    return compress.open_reader(stream, codec, limit=limit, padded=True)


def _path(name: str) -> str:
    """The path inside the package: without the first part, whatever that is; "" where nothing is left."""
    rest = name.partition("/")[2]
    slashes = rest.replace("\\", "/")
    if _DRIVE.match(rest) or rest.startswith("\\") or ".." in slashes.split("/"):
        raise NpmPackageError(f"it has the path {show(name)}, which means another place on other systems")
    parts = [part for part in rest.split("/") if part not in ("", ".")]
    if any(part.startswith(".wh.") for part in parts):
        raise NpmPackageError(f"it has {show(name)}, a name that would delete files of the image")
    # Node reads names as UTF-8, and what is none as U+FFFD.
    return "/".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _check_folders(found: dict[str, _File]) -> None:
    """Refuse a path that is a file and a folder."""
    folders: set[str] = set()
    for path in found:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            if folder in found:
                raise NpmPackageError(f"it has {show(folder)} as a file and as a folder")
            folders.add(folder)
            folder = folder.rpartition("/")[0]


def _executable(file: _File) -> _File:
    """`file` as npm leaves it when it links a command to it: executable, its `#!` line without a carriage return."""
    head = b""
    for block in file.content():
        head += block
        if len(head) >= _LINE:
            break
    if not _DOS_LINE.match(head[:_LINE]):
        return file._replace(mode=0o755)
    if file.size > MAX_SCRIPT:
        raise NpmPackageError(f"it has a script of {file.size} bytes; {MAX_SCRIPT} are read")
    text = b"".join(file.content()).decode("utf-8", "replace")
    data = _FIRST_LINE.sub(r"\1\n", text).encode()
    return _File(0o755, len(data), constant(data))
