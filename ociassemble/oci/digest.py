"""Content digests (image-spec descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re

from ociassemble.errors import FormatError

_SHAPE = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})", re.ASCII)


class Digest(str):
    """`sha256:<64 lower-case hex>` (or sha512), checked when made, so that it is safe in a path or a URL."""

    __slots__ = ()

    def __new__(cls, text: str) -> Digest:
        if not isinstance(text, str) or not _SHAPE.fullmatch(text):
            raise FormatError(
                f"not a digest: {text!r:.100}",
                hint="a digest is `sha256:` and 64 lower-case hexadecimal digits",
            )
        return super().__new__(cls, text)

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """The first twelve hex digits, for people."""
        return self.hex[:12]

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """The sha256 digest of `data`."""
        return cls("sha256:" + hashlib.sha256(data).hexdigest())

    @classmethod
    def from_hex(cls, text: str) -> Digest:
        """A sha256 digest from its bare hexadecimal form."""
        return cls("sha256:" + text)
