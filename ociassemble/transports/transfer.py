"""The one push order: blobs in parallel, documents bottom-up, the name last and alone.

Whatever happens before the last step, readers of the destination see what they saw before.
"""

from __future__ import annotations

from collections.abc import Sequence

from ociassemble import _pool
from ociassemble.content.blob import Blob
from ociassemble.errors import Error
from ociassemble.image.image import Node
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.progress import Progress
from ociassemble.transports.protocols import Destination, Written


def write(node: Node, destination: Destination, *, progress: Progress, jobs: int) -> Written:
    """Write the graph to the destination and publish it under the destination's name."""
    return write_all(node, [destination], progress=progress, jobs=jobs)[0]


def write_all(node: Node, destinations: Sequence[Destination], *, progress: Progress, jobs: int) -> list[Written]:
    """The same for several destinations: every one has everything before the first name is published."""
    written: list[Written] = []
    try:
        for destination in destinations:
            destination.expect(node)
        outcomes = [_deliver(node, destination, jobs) for destination in destinations]
        for destination, done in zip(destinations, outcomes, strict=True):
            destination.publish(node.descriptor.bare(), node.raw)
            progress.info(f"{destination.name}: {_summary([outcome for _, outcome in done])}")
            written.append(Written(destination.result(node.descriptor), node.descriptor, done))
    except BaseException as error:
        for destination in destinations[len(written) :]:
            destination.withdraw()
        if isinstance(error, Error):
            error.details = (*error.details, *(f"written before: {item.line}" for item in written))
        raise
    return written


def _deliver(node: Node, destination: Destination, jobs: int) -> tuple[tuple[Descriptor, str], ...]:
    """Everything but the name."""
    blobs: dict[Digest, Blob] = {}
    for part in node.walk():
        for blob in part.blobs:
            blobs.setdefault(blob.descriptor.digest, blob)
    # The largest first: the longest upload should not be the last to begin.
    ordered = sorted(blobs.values(), key=lambda blob: -blob.descriptor.size)
    outcomes = _pool.each(lambda blob: (blob.descriptor, destination.put_blob(blob)), ordered, jobs=jobs)
    documents: dict[Digest, Node] = {}
    for part in node.walk():
        documents.setdefault(part.descriptor.digest, part)
    for part in documents.values():
        destination.put_manifest(part.descriptor.bare(), part.raw)
    return tuple(outcomes)


def _summary(outcomes: list[str]) -> str:
    """`47 blobs mounted, 2 uploaded`; what there was nothing to do for comes last."""
    words = sorted(dict.fromkeys(outcomes), key=lambda outcome: (outcome == "exists", outcome))
    counts = [f"{outcomes.count(word)} {_WORDS.get(word, word)}" for word in words]
    first, _, rest = ", ".join(counts).partition(" ")
    return f"{first} blob{'' if first == '1' else 's'} {rest}" if counts else "no blobs"


_WORDS = {"exists": "already there"}
