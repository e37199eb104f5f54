"""Files of an upstream release -> entries of a layer, out of whichever of its archives is in the store.

What the entries are is known from the plan alone; the archive is read only for the content, streaming and as often
as it is asked for, and nothing of it is unpacked (specs/behaviour/debian-base.md, DEBIAN-ARCHIVE).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

from ociassemble.content import compress
from ociassemble.content.store import BlobMissingError
from ociassemble.content.verify import DigestMismatchError, SizeMismatchError, hasher
from ociassemble.errors import FormatError
from ociassemble.formats import tar
from ociassemble.layer.entry import Entry
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import ArchiveFile, ArchiveSource

Open = Callable[[ArtifactRef], BinaryIO]

MAX_UNPACKED = 4 << 30  # bytes read of one archive in search of a file; Node's come to 0.2 GiB


class ArchiveFileMissingError(FormatError):
    """An archive that lacks a file it was pinned for."""

    code = "integrity.format.archive"


def entries(source: ArchiveSource, open_artifact: Open) -> Iterator[Entry]:
    """The files of `source`; `open_artifact` gives an archive as a stream, verified, which is closed here.

    Reading a content raises `BlobMissingError` where none of the archives is there, `ArchiveFileMissingError`, and
    `IntegrityError` where the file is not the pinned one, before its last byte.
    """
    for item in source.files:
        yield Entry(
            item.path.lstrip("/"),
            mode=item.mode,
            size=item.size,
            content=partial(_content, item, source.archives, open_artifact),
            origin=f"`{source.archives[0].filename}`",
        )


def _content(item: ArchiveFile, archives: tuple[ArtifactRef, ...], open_artifact: Open) -> Iterator[bytes]:
    artifact, stream = _first(archives, open_artifact)
    what = f"`{item.inside}` in `{artifact.filename}`"
    try:
        with compress.open_reader(stream, "gzip", limit=MAX_UNPACKED) as plain:
            for member in tar.read(plain):
                # One folder is at the top, which upstream and npm call differently.
                if member.path.partition("/")[2] == item.inside and member.kind == "file":
                    yield from _verified(member, item, what)
                    return
    except FormatError as error:
        error.details = (*error.details, f"while looking for {what}")
        raise
    raise ArchiveFileMissingError(f"there is no {what}")


def _first(archives: tuple[ArtifactRef, ...], open_artifact: Open) -> tuple[ArtifactRef, BinaryIO]:
    missing: Exception = ArchiveFileMissingError("a release is without archives")
    for artifact in archives:
        try:
            return artifact, open_artifact(artifact)
        except BlobMissingError as error:
            missing = error
    raise missing


def _verified(member: tar.Member, item: ArchiveFile, what: str) -> Iterator[bytes]:
    """The member's blocks; the last is held back until all of them were hashed."""
    if member.size != item.size:
        raise SizeMismatchError(f"{what} has {member.size} bytes, not {item.size}")
    hashed, held = hasher(item.digest), b""
    for block in member.chunks():
        hashed.update(block)
        if held:
            yield held
        held = block
    if (found := f"{item.digest.algorithm}:{hashed.hexdigest()}") != item.digest:
        raise DigestMismatchError(f"{what} has the digest {found}, not {item.digest}")
    if held:
        yield held
