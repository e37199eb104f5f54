"""Subresource Integrity: the hashes by which npm's locks name tarballs (W3C SRI; specs/behaviour/npm.md, NPM-12)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import NamedTuple

from ociassemble.errors import IntegrityError

_STRENGTH = {"sha512": 64, "sha384": 48, "sha256": 32, "sha1": 20}  # bytes; the strongest first
_HASH = re.compile(r"([a-z0-9]+)-([A-Za-z0-9+/]+={0,2})(?:\?[!-~]*)?", re.ASCII)


class IntegrityTextError(IntegrityError):
    """A Subresource Integrity text without a hash that can be checked."""

    code = "integrity.text"


class IntegrityMismatchError(IntegrityError):
    """A file does not have the hash that a package-lock.json names it by."""

    code = "integrity.mismatch"


class Integrity(NamedTuple):
    """The hashes of the strongest algorithm that a text has: a file is right if it has one of them."""

    algorithm: str
    digests: tuple[bytes, ...]

    @classmethod
    def parse(cls, text: str, what: str) -> Integrity:
        """From `sha512-BASE64 sha1-BASE64 ...`; `what` is whose it is, for the error."""
        found: dict[str, list[bytes]] = {}
        for word in text.split():
            match = _HASH.fullmatch(word)
            if match is None or match[1] not in _STRENGTH:
                continue
            try:
                digest = base64.b64decode(match[2], validate=True)
            except (binascii.Error, ValueError):
                continue
            if len(digest) == _STRENGTH[match[1]]:
                found.setdefault(match[1], []).append(digest)
        for algorithm in _STRENGTH:
            if algorithm in found:
                return cls(algorithm, tuple(dict.fromkeys(found[algorithm])))
        raise IntegrityTextError(
            f"the integrity of {what} has no hash that can be checked: `{text:.100}`",
            hint="lock again with `npm install --package-lock-only`",
        )

    @property
    def weak(self) -> bool:
        """Whether somebody could make another file of the same hash."""
        return self.algorithm == "sha1"

    def keys(self) -> tuple[str, ...]:
        """Names for records about the file, one a hash."""
        return tuple(f"{self.algorithm}-{digest.hex()}" for digest in self.digests)

    def check(self) -> IntegrityCheck:
        """A fresh judge of a file's bytes."""
        return IntegrityCheck(self)


class IntegrityCheck:
    """Hashes a file as it streams by (`net.download.Check`)."""

    def __init__(self, integrity: Integrity) -> None:
        self._integrity = integrity
        self._hash = hashlib.new(integrity.algorithm, usedforsecurity=not integrity.weak)

    def update(self, data: bytes, /) -> None:
        self._hash.update(data)

    def verify(self, what: str) -> None:
        if self._hash.digest() in self._integrity.digests:
            return
        algorithm = self._integrity.algorithm
        raise IntegrityMismatchError(
            f"`{what}` is not the file that was locked",
            details=[
                *(f"locked: {_text(algorithm, digest)}" for digest in self._integrity.digests),
                f"found:  {_text(algorithm, self._hash.digest())}",
            ],
        )


def _text(algorithm: str, digest: bytes) -> str:
    return f"{algorithm}-{base64.b64encode(digest).decode('ascii')}"
