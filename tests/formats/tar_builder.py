"""Tar archives made by hand, field by field, so that wrong ones can be made too. Shares no code with the package."""

from __future__ import annotations

USTAR = b"ustar\x0000"
GNU = b"ustar  \x00"
OLD = bytes(8)
END = bytes(1024)


def pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def binary(value: int, width: int) -> bytes:
    """GNU's base-256: two's complement, the first bit set."""
    data = bytearray((value % (1 << 8 * width)).to_bytes(width, "big"))
    data[0] |= 0x80
    return bytes(data)


def block(
    name: bytes = b"a",
    *,
    type: bytes = b"0",
    size: int | bytes = 0,
    mode: bytes = b"0000644\0",
    uid: bytes = b"0000000\0",
    gid: bytes = b"0000000\0",
    mtime: bytes = b"00000000000\0",
    link: bytes = b"",
    magic: bytes = USTAR,
    device: bytes = b"0000000\x000000000\x00",
    prefix: bytes = b"",
    tail: bytes = b"",
    checksum: bytes | None = None,
    signed: bool = False,
) -> bytes:
    """One header; `signed` sums it as very old writers did, `checksum` puts a field of one's own."""
    size = octal(size, 12) if isinstance(size, int) else size
    before = name.ljust(100, b"\0") + mode + uid + gid + size + mtime
    after = type + link.ljust(100, b"\0") + magic + bytes(64) + device + prefix.ljust(155, b"\0")
    after += tail.rjust(12, b"\0")
    data = before + b" " * 8 + after
    assert len(data) == 512, len(data)
    total = sum(byte - 256 if signed and byte > 127 else byte for byte in data)
    return before + (b"%06o\0 " % total if checksum is None else checksum) + after


def file(name: bytes = b"a", data: bytes = b"hello", **fields: object) -> bytes:
    return block(name, size=len(data), **fields) + pad(data)  # type: ignore[arg-type]


def record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    for digits in range(1, 9):
        length = len(rest) + digits
        if len(str(length)) == digits:
            return b"%d%b" % (length, rest)
    raise AssertionError


def pax(*records: tuple[bytes, bytes], type: bytes = b"x") -> bytes:
    return raw_pax(b"".join(record(key, value) for key, value in records), type=type)


def raw_pax(data: bytes, *, type: bytes = b"x") -> bytes:
    return block(b"PaxHeaders/a", type=type, size=len(data)) + pad(data)


def long(name: bytes, *, type: bytes = b"L") -> bytes:
    return block(b"././@LongLink", type=type, size=len(name) + 1, magic=GNU) + pad(name + b"\0")
