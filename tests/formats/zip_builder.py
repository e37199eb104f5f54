"""Zip archives byte by byte, honest or not: each field of each record can be made to lie."""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LOCAL_FIELDS = ("need", "flags", "method", "time", "date", "crc", "csize", "size", "nlen", "xlen")
CENTRAL_FIELDS = (
    "made", "need", "flags", "method", "time", "date", "crc", "csize", "size", "nlen", "xlen", "clen", "disk",
    "internal", "external", "offset",
)  # fmt: skip
END_FIELDS = ("disk", "cddisk", "here", "count", "length", "start", "clen")
END64_FIELDS = ("length", "made", "need", "disk", "cddisk", "here", "count", "size", "start")
LOCATOR_FIELDS = ("disk", "offset", "disks")
MAX32 = 0xFFFFFFFF


@dataclass(frozen=True)
class Member:
    """One member; `local` and `central` override fields of its records, None leaves the record out."""

    name: str | bytes
    data: bytes = b""
    method: int = 8
    mode: int = 0o100644
    flags: int = 0
    packed: bytes | None = None  # the compressed bytes, where not honest
    raw_name: bytes | None = None  # of the local header
    extra: bytes = b""
    local_extra: bytes = b""
    comment: bytes = b""
    local: Mapping[str, int] | None = field(default_factory=dict)
    central: Mapping[str, int] | None = field(default_factory=dict)
    before: bytes = b""  # bytes before the local header
    descriptor: bytes | None = None  # None: an honest one where the flag asks for it


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zip64(*values: int) -> bytes:
    """A zip64 extra field."""
    return struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values)


def archive(
    members: Iterable[Member],
    *,
    prefix: bytes = b"",
    gap: bytes = b"",
    tail: bytes = b"",
    comment: bytes = b"",
    suffix: bytes = b"",
    end: Mapping[str, int] | None = None,
    end64: Mapping[str, int] | None = None,
    locator: Mapping[str, int] | None = None,
    before_end: bytes = b"",
    reverse: bool = False,
) -> bytes:
    """The archive. `end64` (even empty) adds a zip64 end record with its locator; `reverse` turns the directory."""
    body = bytearray(prefix)
    directory: list[bytes] = []
    for member in members:
        record = _add(body, member)
        if record is not None:
            directory.append(record)
    body += gap
    start = len(body)
    for record in reversed(directory) if reverse else directory:
        body += record
    body += tail
    length = len(body) - start
    count = len(directory)
    if end64 is not None:
        at = len(body)
        fields = {
            "length": 44, "made": 45, "need": 45, "disk": 0, "cddisk": 0, "here": count, "count": count,
            "size": length, "start": start, **end64,
        }  # fmt: skip
        body += struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", *(fields[key] for key in END64_FIELDS))
        places = {"disk": 0, "offset": at, "disks": 1, **(locator or {})}
        body += struct.pack("<4sIQI", b"PK\x06\x07", *(places[key] for key in LOCATOR_FIELDS))
    body += before_end
    last = {
        "disk": 0, "cddisk": 0, "here": count & 0xFFFF, "count": count & 0xFFFF, "length": length, "start": start,
        "clen": len(comment), **(end or {}),
    }  # fmt: skip
    body += struct.pack("<4s4H2IH", b"PK\x05\x06", *(last[key] for key in END_FIELDS))
    return bytes(body + comment + suffix)


def _add(body: bytearray, member: Member) -> bytes | None:
    name = member.name if isinstance(member.name, bytes) else member.name.encode("utf-8", "surrogatepass")
    flags = member.flags
    if isinstance(member.name, str) and not member.name.isascii():
        flags |= 0x800
    packed = member.packed
    if packed is None:
        packed = deflate(member.data) if member.method == 8 else member.data
    crc = binascii.crc32(member.data)
    body += member.before
    offset = len(body)
    late = flags & 8 != 0
    local_name = name if member.raw_name is None else member.raw_name
    if member.local is not None:
        fields = {
            "need": 20, "flags": flags, "method": member.method, "time": 0, "date": 33,
            "crc": 0 if late else crc, "csize": 0 if late else len(packed), "size": 0 if late else len(member.data),
            "nlen": len(local_name), "xlen": len(member.local_extra), **member.local,
        }  # fmt: skip
        body += struct.pack("<4s5H3I2H", b"PK\x03\x04", *(fields[key] for key in LOCAL_FIELDS))
        body += local_name + member.local_extra + packed
        if member.descriptor is not None:
            body += member.descriptor
        elif late:
            body += struct.pack("<4sIII", b"PK\x07\x08", crc, len(packed), len(member.data))
    if member.central is None:
        return None
    record = {
        "made": 0x0314, "need": 20, "flags": flags, "method": member.method, "time": 0, "date": 33, "crc": crc,
        "csize": len(packed), "size": len(member.data), "nlen": len(name), "xlen": len(member.extra),
        "clen": len(member.comment), "disk": 0, "internal": 0, "external": member.mode << 16, "offset": offset,
        **member.central,
    }  # fmt: skip
    packed_record = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *(record[key] for key in CENTRAL_FIELDS))
    return packed_record + name + member.extra + member.comment
