"""Programs for tests: ELF files made here, for any machine; those for this one's say hello when they are run."""

from __future__ import annotations

import struct
from collections.abc import Sequence

MACHINES = {"amd64": 62, "arm64": 183, "arm": 40, "riscv64": 243, "386": 3}
GLIBC = "/lib64/ld-linux-x86-64.so.2"
MUSL = "/lib/ld-musl-x86_64.so.1"
_BASE = 0x400000


def program(
    architecture: str = "amd64",
    *,
    loader: str = "",
    needed: Sequence[str] = (),
    kind: int = 2,
    system: int = 0,
    soname: str = "",
    says: str = "hello\n",
) -> bytes:
    """A 64-bit program: static unless a loader or libraries are named. `kind` is e_type, `system` EI_OSABI."""
    strings = b"\0"
    entries = []
    for tag, name in [(14, soname)] * bool(soname) + [(1, name) for name in needed]:
        entries.append((tag, len(strings)))
        strings += name.encode() + b"\0"
    dynamic = bool(entries)
    count = 1 + bool(loader) + dynamic
    start = 64 + count * 56
    path = loader.encode() + b"\0" if loader else b""
    strings_at = start + len(path)
    table = [(tag, value) for tag, value in entries] + [(5, _BASE + strings_at), (0, 0)]
    tags = b"".join(struct.pack("<qQ", tag, value) for tag, value in table) if dynamic else b""
    tags_at = strings_at + len(strings)
    code_at = tags_at + len(tags)
    text = says.encode()
    # write(1, text, len); exit(0): system calls of Linux on amd64, the text right behind the code.
    code = (
        b"\xb8\x01\0\0\0\xbf\x01\0\0\0\x48\x8d\x35\x10\0\0\0\xba" + struct.pack("<I", len(text))
        + b"\x0f\x05\xb8\x3c\0\0\0\x31\xff\x0f\x05" + text
    )  # fmt: skip
    size = code_at + len(code)
    head = b"\x7fELF\x02\x01\x01" + bytes([system]) + bytes(8)
    head += struct.pack(
        "<HHIQQQIHHHHHH", kind, MACHINES[architecture], 1, _BASE + code_at, 64, 0, 0, 64, 56, count, 0, 0, 0
    )
    if loader:
        head += struct.pack("<IIQQQQQQ", 3, 4, start, _BASE + start, 0, len(path), len(path), 1)
    head += struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, 0, size, size, 4096)
    if dynamic:
        head += struct.pack("<IIQQQQQQ", 2, 6, tags_at, _BASE + tags_at, 0, len(tags), len(tags), 8)
    return head + path + strings + tags + code
