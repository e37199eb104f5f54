"""RECORD of a wheel (the recording-installed-projects specification): read strictly, held against the archive, written.

Installers trust the archive and rewrite RECORD; here every file must be listed with a sha256 or stronger, and its
bytes are hashed against that while they pass.
"""

from __future__ import annotations

import binascii
import csv
import hashlib
import io
from collections.abc import Container, Iterable, Mapping
from operator import itemgetter
from typing import NamedTuple

from ociassemble.errors import IntegrityError
from ociassemble.formats.zip import MAX_MEMBERS, show, unusable

ALGORITHMS = ("sha256", "sha384", "sha512")  # the specification forbids md5, sha1 and sha224
SIGNATURES = ("RECORD.jws", "RECORD.p7s")
_URLSAFE = bytes.maketrans(b"+/", b"-_")


class WheelError(IntegrityError):
    """The archive is no wheel as the specification has it, or not the one its file name says."""

    code = "integrity.wheel"


class RecordError(WheelError):
    """RECORD and the files of the wheel disagree."""

    code = "integrity.wheel.record"

    def __init__(self, message: str) -> None:
        super().__init__(
            message, hint="the wheel was changed after it was built, or built badly; take another build or version"
        )


class Row(NamedTuple):
    """What RECORD says about one file; `size` in bytes, None where it does not tell."""

    path: str
    algorithm: str  # "" where no hash is told
    hash: str  # urlsafe base64 without padding
    size: int | None

    @property
    def column(self) -> str:
        """The hash as it stands in RECORD."""
        return f"{self.algorithm}={self.hash}" if self.algorithm else ""


def encode(digest: bytes) -> str:
    """A digest as RECORD writes it."""
    return binascii.b2a_base64(digest, newline=False).translate(_URLSAFE).rstrip(b"=").decode("ascii")


def row(path: str, data: bytes) -> Row:
    """The row of a file whose content is `data`."""
    return Row(path, "sha256", encode(hashlib.sha256(data).digest()), len(data))


def parse(data: bytes, label: str, files: Container[str] = ()) -> dict[str, Row]:
    """RECORD's rows by path; `label` names the wheel in errors, `files` are paths that are known to be usable."""
    rows: dict[str, Row] = {}
    try:
        for fields in csv.reader(io.StringIO(data.decode(), newline=""), strict=True):
            if not fields:
                continue
            found = _row(fields, label, files)
            if rows.setdefault(found.path, found) is not found and rows[found.path] != found:
                raise RecordError(f"{label} has a RECORD that lists {show(found.path)} twice, and differently")
            if len(rows) > MAX_MEMBERS:
                raise RecordError(f"{label} has a RECORD of more than {MAX_MEMBERS} files")
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordError(f"{label} has a RECORD that cannot be read: {error}") from error
    return rows


def _row(fields: list[str], label: str, files: Container[str]) -> Row:
    if len(fields) != 3:
        raise RecordError(f"{label} has a RECORD with a line of {len(fields)} fields for {show(fields[0])}")
    path, column, size = fields
    if path not in files and (wrong := unusable(path.removesuffix("/"))):
        raise RecordError(f"{label} has a RECORD that lists {show(path)}, which {wrong}")
    algorithm, _, text = column.partition("=")
    if size and not (size.isascii() and size.isdecimal() and len(size) < 20):
        raise RecordError(f"{label} has a RECORD with the size {show(size)} for {show(path)}")
    return Row(path, algorithm, text.rstrip("="), int(size) if size else None)


def check(rows: Mapping[str, Row], files: Mapping[str, int], info: str, label: str) -> None:
    """That `files` (path to size) and RECORD's `rows` are the same set, each with a hash strong enough.

    `info` is the name of the dist-info folder. RECORD and signatures of it cannot list themselves.
    """
    free = {f"{info}/{name}" for name in ("RECORD", *SIGNATURES)}
    for path, size in files.items():
        if path in free:
            continue
        found = rows.get(path)
        if found is None:
            raise RecordError(f"{label} has the file {show(path)}, which its RECORD does not list")
        if not found.algorithm or not found.hash:
            raise RecordError(f"{label} has a RECORD without a hash for {show(path)}")
        if found.algorithm not in ALGORITHMS:
            raise RecordError(
                f"{label} has a RECORD with {show(found.algorithm)} for {show(path)}; it must be sha256 or stronger"
            )
        if found.size is not None and found.size != size:
            raise RecordError(f"{label} has {size} bytes in {show(path)}, but its RECORD says {found.size}")
    for path in rows:
        if path not in files and path not in free:
            raise RecordError(f"{label} has a RECORD that lists {show(path)}, which is not there")


def render(rows: Iterable[Row]) -> bytes:
    """RECORD's text, by path."""
    rendered = io.StringIO(newline="")
    writer = csv.writer(rendered, lineterminator="\n")
    # A size that is None becomes an empty field.
    writer.writerows(
        (path, f"{algorithm}={text}" if algorithm else "", size)
        for path, algorithm, text, size in sorted(rows, key=itemgetter(0))
    )
    return rendered.getvalue().encode("utf-8")
