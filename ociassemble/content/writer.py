"""Blobs being written: compressed, hashed on both sides, and stored, all in one pass and on several cores."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ociassemble._pool import Cores
from ociassemble.content import compress
from ociassemble.content.compress import Codec
from ociassemble.content.store import Ingest
from ociassemble.oci.digest import Digest

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_BLOCK = 512 << 10  # bytes handed on at once where that decides nothing


class CompressingWriter:
    """Compresses what is written into `sink`, on all `cores` that are idle, holding a few blocks in memory.

    `passed` is called with each block of plain bytes, in order, and `sink` with the compressed ones, in order: by
    the caller's own thread while every core has somebody at work, else by one other thread. Their errors are raised
    by this or a later `write`, or by `finish`. Use as a context manager: leaving it early stops the threads.
    """

    def __init__(
        self,
        sink: Callable[[bytes], object],
        codec: Codec,
        *,
        cores: Cores,
        passed: Callable[[bytes], object] | None = None,
    ) -> None:
        self._sink = sink
        self._passed = passed
        self._encoder = compress.encoder(codec, cores.jobs)
        self._block = codec.block if self._encoder.parallel else _BLOCK
        self._parts: list[bytes | memoryview] = []  # of the next block; all but the first are small, or it is full
        self._held = 0  # bytes of them
        self._before = b""
        self._cores = cores
        self._encoding: ThreadPoolExecutor | None = None
        self._emitting: ThreadPoolExecutor | None = None
        self._pending: deque[Future[None]] = deque()
        self._started = False
        self._broken = False
        self._inline = False

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Take plain bytes; how they are split over calls changes nothing."""
        part = data if isinstance(data, bytes) else bytes(data)
        self._parts.append(part)
        self._held += len(part)
        if self._held >= self._block:
            self._cut()
        return len(part)

    def finish(self) -> None:
        """Write what is left, and the end of the stream."""
        self._submit(b"".join(self._parts), last=True)
        self._parts.clear()
        self._wait(0)
        self.close()
        self._sink(self._encoder.finish())

    def close(self) -> None:
        """Stop the threads; what they have not done yet is dropped."""
        for pool in (self._encoding, self._emitting):
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> CompressingWriter:
        self._cores.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._cores.__exit__(*exc)
        self.close()

    def _cut(self) -> None:
        """Submit the blocks that are full. What was written is copied once, into its block."""
        *parts, end = self._parts
        rest = memoryview(end)
        missing = self._block - (self._held - len(rest))
        while len(rest) >= missing:
            block = b"".join((*parts, rest[:missing]))
            rest, missing, parts = rest[missing:], self._block, []
            self._submit(block, last=False)
        self._parts = [rest] if rest else []
        self._held = len(rest)

    def _submit(self, block: bytes, *, last: bool) -> None:
        before, self._before = self._before, block
        if not self._started:
            self._started = True
            self._sink(self._encoder.start())
        if self._inline or not self._cores.idle() or (last and self._encoding is None):
            self._here(block, before, last)
            return
        if self._encoding is None or self._emitting is None:
            from concurrent.futures import ThreadPoolExecutor

            threads = self._cores.jobs if self._encoder.parallel else 1
            self._encoding = ThreadPoolExecutor(threads, thread_name_prefix="compress")
            self._emitting = ThreadPoolExecutor(1, thread_name_prefix="hash")
        encoded = None
        try:
            encoded = self._encoding.submit(self._encoder.encode, block, before, last)
            self._pending.append(self._emitting.submit(self._emit_later, block, encoded))
        except RuntimeError:
            # The system has no more threads for this user. What nobody took is never taken: nothing is submitted again.
            self._inline = True
            self._here(block, before, last, encoded)
            return
        self._wait(2 * self._cores.jobs + 2)

    def _here(self, block: bytes, before: bytes, last: bool, encoded: Future[bytes] | None = None) -> None:
        self._wait(0)
        self._pass(block)
        self._sink(self._encoder.encode(block, before, last) if encoded is None else encoded.result())

    def _wait(self, blocks: int) -> None:
        """Until no more than so many blocks are on their way."""
        while len(self._pending) > blocks:
            self._pending.popleft().result()

    def _emit_later(self, block: bytes, encoded: Future[bytes]) -> None:
        if self._broken:
            return  # what comes after a block that failed must not follow the one before it
        try:
            self._pass(block)
            self._sink(encoded.result())
        except BaseException:
            self._broken = True
            raise

    def _pass(self, block: bytes) -> None:
        self._encoder.passed(block)
        if self._passed is not None:
            self._passed(block)


class Written(NamedTuple):
    """A finished blob: `diff_id` and `tar_size` of the plain bytes, `digest` and `size` of the stored ones."""

    diff_id: Digest
    digest: Digest
    size: int
    tar_size: int


class BlobWriter:
    """A layer on its way into a store: takes the tar, keeps the compressed blob, and knows the digests of both.

    `advanced` is told how many bytes of the tar are done, block by block, from whichever thread does them.

    Use it as a context manager around the tar's writing; without `finish` nothing is kept.
    """

    def __init__(
        self, ingest: Ingest, codec: Codec, *, cores: Cores, advanced: Callable[[int], object] | None = None
    ) -> None:
        self._ingest = ingest
        self._hash = hashlib.sha256()
        self._tar_size = 0
        self._writer = CompressingWriter(ingest.write, codec, cores=cores, passed=self._passed)
        self._advanced = advanced
        self.write = self._writer.write  # itself, for a step less a block

    def _passed(self, block: bytes) -> None:
        self._hash.update(block)
        self._tar_size += len(block)
        if self._advanced is not None:
            self._advanced(len(block))

    def finish(self, expected: Digest | None = None) -> Written:
        """Keep the blob (if it has the `expected` digest, where one is given)."""
        self._writer.finish()
        digest, size = self._ingest.commit(expected)
        return Written(Digest.from_hex(self._hash.hexdigest()), digest, size, self._tar_size)

    def __enter__(self) -> BlobWriter:
        self._ingest.__enter__()
        self._writer.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._writer.__exit__(*exc)
        self._ingest.__exit__(*exc)
