"""One file in several parts: for media and mail gateways that take no large files (specs/behaviour/bundle.md).

`FILE.001`, `FILE.002`, ... one after another are the file; `FILE.parts.json` says how many there are, and their sha256.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import stat
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ociassemble import _files
from ociassemble.content.verify import digest_of, hasher
from ociassemble.errors import Error, FormatError, IntegrityError, NotFoundError, UsageError
from ociassemble.oci import _wire
from ociassemble.oci.digest import Digest

SUFFIX = ".parts.json"
MAX_PARTS = 999
_NUMBERED = re.compile(r"\.[0-9]{3}\Z", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,12})([KMGT]?)(?:i?B)?", re.ASCII | re.IGNORECASE)
_LEAST = 1 << 16  # bytes of a part


class PartMissingError(NotFoundError):
    """Parts of a file that was split, or the list of them, are not there."""

    code = "not-found.part"


class PartError(IntegrityError):
    """A part of a file that was split has other bytes than its list says."""

    code = "integrity.part"


class SplitSizeError(UsageError):
    """Not a size to split a file into, or one that gives too many parts."""

    code = "usage.split"


class Part(NamedTuple):
    """One part: its name (the list is in the same folder), size in bytes, digest."""

    filename: str
    size: int
    digest: Digest


def parse_size(text: str) -> int:
    """Bytes of `100M`, `4GiB`, `650000000`: K, M, G, T are powers of 1024."""
    found = _SIZE.fullmatch(text.strip())
    size = int(found[1]) << (10 * " KMGT".index(found[2].upper() or " ")) if found else 0
    if size < _LEAST:
        raise SplitSizeError(f"`{text}` is no size of parts", hint="write `700M` or `4G`; the least is 64K")
    return size


def is_part(path: str) -> bool:
    """Whether a file's name is that of a part, or of the list of parts, or of a file of which only parts are there."""
    if _NUMBERED.search(path) or path.endswith(SUFFIX):
        return True
    return not os.path.lexists(path) and os.path.lexists(_list_of(path))


def stem(path: str) -> str:
    """The name of the whole file, by the name of a part, of the list, or of the file itself."""
    return path.removesuffix(SUFFIX) if path.endswith(SUFFIX) else _NUMBERED.sub("", path)


def write(path: Path, chunks: Iterable[bytes], size: int, total: int) -> tuple[Part, ...]:
    """Write `chunks` (`total` bytes) as parts of `size` bytes beside `path`, and the list of them last.

    Nothing has its name before all of it is written. Raises `SplitSizeError` for more than `MAX_PARTS`.
    """
    if total > size * MAX_PARTS:
        raise SplitSizeError(
            f"{total} bytes in parts of {size} are more than {MAX_PARTS} parts", hint="make the parts larger"
        )
    with ExitStack() as stack:
        files: list[tuple[_files.TemporaryFile, Any]] = []
        left = 0
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                if not left:
                    made = stack.enter_context(_files.TemporaryFile(path.parent, prefix=_STAGE, mode=0o644))
                    files.append((made, hasher()))
                    left = size
                piece, view = view[:left], view[left:]
                files[-1][0].write(piece)
                files[-1][1].update(piece)
                left -= len(piece)
        found = []
        for number, (made, hashed) in enumerate(files, 1):
            name = f"{path.name}.{number:03}"
            found.append(Part(name, made.file.tell(), Digest.from_hex(hashed.hexdigest())))
            made.commit(path.with_name(name), durable=True)
    listed = {
        "version": 1,
        "size": sum(part.size for part in found),
        "parts": [{"filename": item.filename, "sha256": item.digest.hex, "size": item.size} for item in found],
    }
    _files.write_atomic(_list_of(str(path)), json.dumps(listed, indent=2).encode() + b"\n", durable=True)
    return tuple(found)


_STAGE = ".ociassemble-part-"  # how our temporary files beside parts are called, with something after it


def sweep(folder: Path) -> None:
    """Remove what killed runs left of parts in `folder`."""
    _files.sweep(folder, _STAGE)


def open_parts(path: str) -> BinaryIO:
    """The whole file, by the name of any part of it; every part is there and has been verified.

    Raises `PartMissingError` and `PartError`, naming all that are wrong, and `FormatError` for a list that is none.
    """
    listed = _list_of(stem(path))
    try:
        with _opened(listed) as stream:
            raw = stream.read(_wire.MAX_DOCUMENT + 1)
    except OSError as error:
        raise PartMissingError(
            f"`{listed.name}`, the list of the parts, cannot be read: {error.strerror}",
            hint="it is written with the parts, and belongs beside them",
        ) from error
    missing, bad, opened = [], [], []
    with ExitStack() as stack:
        for part in _parse(raw, listed.name):
            try:
                file = stack.enter_context(_opened(listed.with_name(part.filename)))
                fits = os.fstat(file.fileno()).st_size == part.size and digest_of(file) == part.digest
            except OSError:
                missing.append(part.filename)
                continue
            if not fits:
                bad.append(part.filename)
            opened.append((file, part.size))
        if missing:
            raise PartMissingError(f"parts of `{stem(path)}` are not there", details=missing, hint="copy them anew")
        if bad:
            raise PartError(f"parts of `{stem(path)}` are damaged", details=bad, hint="copy them anew")
        stack.pop_all()
    return _Joined(opened)  # type: ignore[return-value]  # a RawIOBase with all that is asked of it


def _opened(path: Path) -> BinaryIO:
    """A file beside the others, never a pipe or device, which might have no end. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file")
    return io.FileIO(descriptor)


def _list_of(path: str) -> Path:
    return Path(path + SUFFIX)


def _parse(raw: bytes, name: str) -> tuple[Part, ...]:
    document = _wire.parse(raw, f"`{name}`")
    entries = document.get("parts")
    if document.get("version") != 1 or not isinstance(entries, list) or not 0 < len(entries) <= MAX_PARTS:
        raise FormatError(f"`{name}` is no list of parts that this version knows")
    found = []
    for entry in entries:
        try:
            part = Part(str(entry["filename"]), int(entry["size"]), Digest.from_hex(entry["sha256"]))
        except (KeyError, TypeError, ValueError, Error) as error:
            raise FormatError(f"`{name}`: a part is not described as it should be") from error
        if part.filename in ("", ".", "..") or "/" in part.filename or "\0" in part.filename or part.size < 1:
            raise FormatError(f"`{name}`: `{part.filename:.100}` is no name of a part beside it, or it has no bytes")
        found.append(part)
    if len({part.filename for part in found}) != len(found):
        raise FormatError(f"`{name}` names a part twice")
    return tuple(found)


class _Joined(io.RawIOBase):
    """Open files one after another, as one that is read at any place."""

    def __init__(self, files: Sequence[tuple[BinaryIO, int]]) -> None:
        self._files = files
        self._end = sum(size for _, size in files)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._end)[whence])
        return self._at

    def read(self, size: int = -1) -> bytes:
        """As many bytes as were asked for, where there are so many."""
        wanted = self._end - self._at if size < 0 else size
        data = bytearray()
        while len(data) < wanted and (block := self.pread(wanted - len(data), self._at)):
            data += block
            self._at += len(block)
        return bytes(data)

    def pread(self, size: int, offset: int) -> bytes:
        """At most `size` bytes from `offset` on, as `os.pread`: from any thread, the file's own place stays."""
        for file, length in self._files:
            if offset < length:
                return os.pread(file.fileno(), min(size, length - offset), offset)
            offset -= length
        return b""

    def close(self) -> None:
        for file, _ in self._files:
            file.close()
        super().close()
