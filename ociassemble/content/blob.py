"""A blob: a descriptor whose identity is known, and bytes that are opened only when someone wants them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from ociassemble.content.verify import verified
from ociassemble.oci.descriptor import Descriptor


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """`open()` gives a fresh stream each time; it verifies digest and size itself, whatever the source does.

    `repository` names where in a registry the blob is known to be ("host/repo"), for mounting it from there.
    """

    descriptor: Descriptor
    source: Callable[[], BinaryIO] = field(repr=False)
    repository: str = ""

    def open(self) -> BinaryIO:
        """The verified bytes, from the beginning."""
        return verified(self.source(), self.descriptor.digest, self.descriptor.size)

    def read(self) -> bytes:
        """All of a small blob."""
        with self.open() as stream:
            return stream.read()

    @classmethod
    def of(cls, data: bytes, descriptor: Descriptor) -> Blob:
        """A blob held in memory."""
        return cls(descriptor=descriptor, source=lambda: io.BytesIO(data))
