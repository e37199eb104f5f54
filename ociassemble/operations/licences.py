"""Which licence a package says it has: for the list that a security officer reads. Said by the package, not judged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from ociassemble.content import compress
from ociassemble.content.store import Store
from ociassemble.errors import Error
from ociassemble.formats import tar
from ociassemble.formats.zip import STORED, ZipReader
from ociassemble.oci.digest import Digest

_MAX_METADATA = 4 << 20  # bytes
_MAX_TARBALL = 1 << 30
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
_LONGEST = 120  # characters: some packages put the whole text of a licence there


def licence_of(kind: str, digest: Digest, store: Store) -> str:
    """What the metadata of a stored wheel or npm package say; "" for others, and where they say nothing.

    Debian's packages say it file by file in their copyright files, which no line can hold.
    """
    read = {"wheel": _of_wheel, "tool": _of_wheel, "npm": _of_npm}.get(kind)
    if read is None:
        return ""
    try:
        with store.open_seekable(digest) as stream:
            found = read(stream)
    except (Error, OSError, ValueError, RecursionError):
        return ""  # what is wrong with a package is said where it is used
    line = " ".join(found.split())
    return line if len(line) <= _LONGEST else ""


def _of_wheel(stream: BinaryIO) -> str:
    size = stream.seek(0, 2)
    stream.seek(0)
    reader = ZipReader(stream, size)
    entry = next((item for item in reader.entries if _METADATA.fullmatch(item.name)), None)
    if entry is None or max(entry.size, entry.compressed_size) > _MAX_METADATA:
        return ""
    blocks = compress.inflate(reader.raw(entry), entry.size, entry.crc32, stored=entry.method == STORED)
    return _said(b"".join(blocks).decode("utf-8", "replace"))


def _said(text: str) -> str:
    """`License-Expression`, else a short `License`, else the classifiers of a METADATA."""
    fields: dict[str, list[str]] = {}
    for line in text.split("\n"):
        if not line.strip():
            break
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            fields.setdefault(name.strip().lower(), []).append(value.strip())
    for key in ("license-expression", "license"):
        for value in fields.get(key, ()):
            if value and value.upper() != "UNKNOWN" and len(value) <= _LONGEST:
                return value
    found = [item for item in fields.get("classifier", ()) if item.startswith("License ::")]
    return "; ".join(item.rpartition(" :: ")[2] for item in found)


def _of_npm(stream: BinaryIO) -> str:
    with compress.open_reader(stream, "gzip", limit=_MAX_TARBALL) as plain:
        for member in tar.read(plain):
            if member.path.count("/") == 1 and member.path.endswith("/package.json") and member.size <= _MAX_METADATA:
                return _of_manifest(json.loads(b"".join(_content(member))))
    return ""


def _content(member: tar.Member) -> Iterator[bytes]:
    yield from member.chunks()


def _of_manifest(document: object) -> str:
    found = document.get("license") if isinstance(document, dict) else None
    if isinstance(found, dict):
        found = found.get("type")
    return found if isinstance(found, str) else ""
