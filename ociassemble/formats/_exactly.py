"""Reading so many bytes and no fewer: a raw stream may give them in pieces."""

from __future__ import annotations

from collections.abc import Callable


def exactly(read: Callable[[int], bytes], size: int) -> bytes:
    """`size` bytes through a stream's `read`; fewer only at the end of the stream."""
    data = read(size)
    while len(data) < size:
        more = read(size - len(data))
        if not more:
            break
        data += more
    return data
