"""What a place of images can do (contract: tests/contract/test_transports.py)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from ociassemble.content.blob import Blob
    from ociassemble.image.image import Node
    from ociassemble.oci.descriptor import Descriptor
    from ociassemble.oci.platform import Platform


class Source(Protocol):
    """A place one image is read from."""

    name: str

    def read(self, wanted: Collection[Platform] = ()) -> Node:
        """The graph at this name: the name is resolved once, every document is verified, blobs stay closed.

        With `wanted`, manifests for other platforms are not asked for (`read_node`).
        """
        ...


class Destination(Protocol):
    """A place one image is written to, under one name. `transfer.write` calls the methods in their order here."""

    name: str

    def offer(self, blob: Blob) -> None:
        """A blob that will most likely come: it may be brought there in the background, or this may do nothing.

        Before all else, from any thread, as often as one likes; never raises: what went wrong goes wrong in `put_blob`.
        """
        ...

    def expect(self, node: Node) -> None:
        """Told of all that will come, before any of it; refuses here what this place cannot hold."""
        ...

    def put_blob(self, blob: Blob) -> str:
        """Make the blob exist there; "exists", "mounted" or "written". Idempotent, thread-safe."""
        ...

    def put_manifest(self, descriptor: Descriptor, raw: bytes) -> None:
        """Write a document by digest; all that it names is there already. The outermost one may wait for `publish`."""
        ...

    def publish(self, descriptor: Descriptor, raw: bytes) -> None:
        """Make the name point at a document: the last step, after which readers see the image."""
        ...

    def withdraw(self) -> None:
        """Nothing will be published: leave the place as it was, as far as it can be. May be called at any time."""
        ...

    def result(self, descriptor: Descriptor) -> str:
        """The one line for stdout: the name with its digest."""
        ...


class Written(NamedTuple):
    """What became of one write."""

    line: str  # NAME@sha256:...
    descriptor: Descriptor
    outcomes: tuple[tuple[Descriptor, str], ...]  # every blob and what was done with it
