"""Which files the guard has to look inside: archives and what is compressed, by their first bytes and their names."""

from __future__ import annotations

from ociassemble.content import compress

HEAD = 512  # bytes that tell what a file is
_FIRST = (b"\x1f", b"\xfd", b"B", b"\x28")
_SUFFIXES = (".zip", ".jar", ".war", ".ear", ".whl", ".egg", ".pyz", ".pex", ".shiv", ".aar", ".nupkg")


def kind(path: str, head: bytes) -> str | None:
    """`zip`, `tar`, a compression (gzip, xz, bzip2, zstd), or None, by the first `HEAD` bytes and the name."""
    if head.startswith(b"PK\x03\x04") or path.lower().endswith(_SUFFIXES):
        return "zip"
    if head[257:262] == b"ustar":
        return "tar"
    # Most files end at the first byte.
    codec = compress.sniff(head) if head[:1] in _FIRST else "none"
    return codec if codec != "none" else None
