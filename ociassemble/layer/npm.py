"""npm packages -> entries of a layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ociassemble.layer.entry import Entry
from ociassemble.plan.plan import NpmSource


def entries(stream: BinaryIO, source: NpmSource) -> Iterator[Entry]:
    """The files of the tarball in `stream`, below `source.path`."""
    raise NotImplementedError
