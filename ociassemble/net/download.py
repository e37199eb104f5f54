"""Bringing files here: `fetch` a file into a store by its digest, `fetch_blob` a blob, `get` a small document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from ociassemble.content.store import Ingest, Resumable, Store
from ociassemble.content.verify import SizeMismatchError, blocks
from ociassemble.errors import Error, IntegrityError, NetworkError, NotFoundError, OfflineError
from ociassemble.net.errors import AnswerError, CutError, TimedOutError
from ociassemble.net.response import Response
from ociassemble.net.url import redact
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.progress import Progress

if TYPE_CHECKING:
    from ociassemble.content.blob import Blob

MAX_UNSIZED = 8 << 30  # bytes: where nothing announced a size
MAX_CUTS = 5  # in a row, without a byte in between
_CONTENT_RANGE = r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)"

T = TypeVar("T")

# Headers by the URL that is asked. They go along with a redirect only to a URL that is given the same ones.
Headers = Callable[[str], Mapping[str, str]]


class Check(Protocol):
    """Another judge of a file's bytes than its sha256."""

    def update(self, data: bytes, /) -> object: ...

    def verify(self, what: str) -> None:
        """Raise an `IntegrityError` that calls the file `what`, unless all that was seen is right."""
        ...


class Page(NamedTuple):
    """A small document: where it came from after redirects, its type, its bytes."""

    url: str
    content_type: str
    data: bytes


def get(wire: Wire, url: str, *, limit: int, headers: Mapping[str, str] | None = None) -> Page:
    """A document of at most `limit` bytes.

    Raises `NotFoundError` (404, 410), `AuthError` (401, 403), `NetworkError` and its kin.
    """
    with wire.request("GET", url, headers=headers) as response:
        if response.status != 200:
            raise wire.fail(response)
        if response.header("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise AnswerError(f"`{redact(url)}` came compressed, which was not asked for")
        return Page(response.url, response.header("Content-Type"), response.read(limit))


def fetch(
    wire: Wire,
    urls: Sequence[str],
    digest: Digest,
    size: int | None,
    store: Store,
    *,
    label: str = "",
    progress: Progress | None = None,
    headers: Headers | None = None,
) -> int:
    """Bring the file `digest` into `store` and return its size in bytes; one that is there is not fetched again.

    The URLs are tried in their order until one has these bytes: the digest decides, not the place. A download that
    breaks off goes on where it stopped, also where that was an earlier run; one process or thread at a time fetches a
    digest, and who waited for it fetches nothing. `size` None or negative: not known. Memory use does not depend on
    the size.
    """
    have = store.size(digest)
    if have is not None and (size is None or size < 0 or have == size):
        return have
    wanted = size if size is not None and size >= 0 else None
    one = _Download(wire, store, label or digest.short, progress or Progress(), headers, digest, wanted)
    return one.first(urls)[1]


def fetch_checked(
    wire: Wire,
    urls: Sequence[str],
    check: Callable[[], Check],
    store: Store,
    *,
    label: str,
    progress: Progress | None = None,
    headers: Headers | None = None,
) -> tuple[Digest, int]:
    """Bring a file into `store` of which another hash than its sha256 is known; returns its digest and size.

    As `fetch`; the bytes of each URL are shown to a fresh `check` as they come, which judges them before they are kept.
    """
    return _Download(wire, store, label, progress or Progress(), headers, None, None, check).first(urls)


class _Download(NamedTuple):
    """One file on its way into the store."""

    wire: Wire
    store: Store
    label: str
    progress: Progress
    headers: Headers | None
    digest: Digest | None
    size: int | None
    check: Callable[[], Check] | None = None

    def first(self, urls: Sequence[str]) -> tuple[Digest, int]:
        """From the first of `urls` that has the right bytes."""
        if not urls:
            raise NotFoundError(f"nobody says where {self.label} is")
        failures: list[Error] = []
        for url in urls:
            try:
                return self._one(url)
            except OfflineError:
                raise
            except (NetworkError, NotFoundError, IntegrityError) as error:
                failures.append(error)
            except Error as error:  # credentials at one index must not hide that another one has the file
                if error.exit_code != 5:
                    raise
                failures.append(error)
        # Bytes that are not what they should be matter more than a server that has none.
        failures.sort(key=lambda error: not isinstance(error, IntegrityError))
        first = failures[0]
        first.details = (*first.details, *(str(other) for other in failures[1:]))
        raise first

    def _one(self, url: str) -> tuple[Digest, int]:
        digest = self.digest
        if digest is None:
            with self.store.ingest() as writer:
                return self._into(writer, url, 0)
        with self.store.resumable(digest) as part:
            there = self.store.size(digest)  # another process may have brought it while we waited
            if there is not None and (self.size is None or there == self.size):
                return digest, there
            return _gone_on(part, self.size, lambda begin: self._into(part, url, begin))

    def _into(self, writer: Ingest, url: str, begin: int) -> tuple[Digest, int]:
        headers = self.headers or (lambda url: {})
        own = headers(url)

        def open_at(offset: int) -> Response:
            extra = {"Range": f"bytes={offset}-"} if offset else {}
            response = self.wire.request(
                "GET", url, headers={**own, **extra}, within=lambda there: headers(there) == own
            )
            if offset and response.status == 416:  # it has not so many bytes, or knows no ranges: all of it, then
                response.close()
                return open_at(0)
            if response.status not in ((200, 206) if offset else (200,)):
                raise self.wire.fail(response)
            return response

        check = self.check() if self.check is not None else None
        with self.progress.task("download", self.label, self.size) as task:
            if begin:
                task.advance(begin)
            try:
                for block in resuming(open_at, self.size, f"`{redact(url)}`", begin):
                    if check is not None:
                        check.update(block)
                    writer.write(block)
                    task.advance(len(block))
                if check is not None:
                    check.verify(self.label)
                return writer.commit(self.digest, self.size)
            except IntegrityError as error:
                error.details = (*error.details, f"from `{redact(url)}`")
                raise


def fetch_blob(blob: Blob, store: Store, told: Callable[[int], object] = lambda amount: None) -> None:
    """Bring `blob` into `store`, from where an earlier run stopped if its source can begin there (STORE-7).

    As `fetch`: one at a time, and it is verified before it is kept. `told` hears of the bytes that there are more, or,
    where it begins anew, fewer.
    """
    digest, size = blob.descriptor.digest, blob.descriptor.size
    have = 0
    # Opened first: there are sources that bring it into this very store.
    with blob.source() as stream, store.resumable(digest) as part:
        if store.size(digest) == size:
            return
        if not stream.seekable():
            part.restart()

        def into(begin: int) -> None:
            nonlocal have
            if stream.seekable():
                stream.seek(begin)
            told(begin - have)
            have = begin
            for block in blocks(stream):
                if have + len(block) > size:
                    raise SizeMismatchError(f"the blob {digest} is larger than its {size} bytes")
                part.write(block)
                have += len(block)
                told(len(block))
            part.commit(digest, size)

        _gone_on(part, size, into)


def _gone_on(part: Resumable, size: int | None, into: Callable[[int], T]) -> T:
    """`into(begin)`, from where `part` ends; where that comes to nothing, once more from the first byte."""
    if part.have and size is not None and part.have > size:
        part.restart()
    for begin in dict.fromkeys((part.have, 0)):  # it may be the bytes of the earlier run that are wrong
        try:
            return into(begin)
        except (IntegrityError, AnswerError) as error:
            if begin or isinstance(error, IntegrityError):
                part.restart()  # of no use to anyone
            if not begin:
                raise
    raise AssertionError("from the first byte on it either works or fails")


def resuming(open_at: Callable[[int], Response], size: int | None, what: str, begin: int = 0) -> Iterator[bytes]:
    """The bytes of one file, from `begin` to its end, whatever the connection does.

    `open_at(offset)` asks for the rest from there on; its answer is 200 (then what is known is skipped) or 206. With
    `size` known, a longer file is a `SizeMismatchError` as soon as the byte too many arrives, and a shorter one
    counts as cut. `what` is for errors, with its backticks.
    """
    limit = MAX_UNSIZED if size is None else size
    have, cuts = begin, 0
    while size is None or have < size or not have:
        before = have
        answer = open_at(have)  # what fails here has been retried by the wire already
        try:
            with answer as response:
                total = response.length if response.status == 200 else None
                if size is not None and total is not None and total != size:
                    raise SizeMismatchError(f"{what} has {total} bytes, not {size}")
                skip = have - _start(response, have, size, what)
                received = 0
                for block in response.chunks():
                    received += len(block)
                    if skip:
                        skip, block = max(0, skip - len(block)), block[skip:]
                    have += len(block)
                    if have > limit:
                        raise SizeMismatchError(f"{what} is larger than its {limit} bytes")
                    if block:
                        yield block
                expected = size if size is not None else total
                if expected is not None and have < expected:
                    raise CutError(f"{what} ended after {have} of {expected} bytes")
                return
        except (CutError, TimedOutError):
            cuts = 1 if have > before else cuts + 1
            if cuts >= MAX_CUTS:
                raise


def _start(response: Response, asked: int, size: int | None, what: str) -> int:
    """The offset at which the answer begins."""
    if response.status != 206:
        return 0
    found = re.fullmatch(_CONTENT_RANGE, response.header("Content-Range").strip())
    if not found or int(found[1]) != asked:
        raise AnswerError(f"{what} was asked for from byte {asked} on, and another range came")
    if size is not None and found[3] not in ("*", str(size)):
        raise SizeMismatchError(f"{what} has {found[3]} bytes, not {size}")
    return asked
