"""Small files that carry their own check: damage, or another file's content under this name, reads as nothing."""

from __future__ import annotations

import hashlib


def seal(name: str, value: bytes) -> bytes:
    """`value` as it is kept under `name`: the sha256 of both in a line of its own, then `value` (STORE-6)."""
    return _check(name, value) + b"\n" + value


def unseal(name: str, raw: bytes) -> bytes | None:
    """What was sealed under `name`; None where that is not what `raw` says."""
    check, _, value = raw.partition(b"\n")
    return value if check == _check(name, value) else None


def _check(name: str, value: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + value).hexdigest().encode()
