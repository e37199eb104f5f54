"""A `LayerPlan` and its materials -> a layer in the store: by hit, or by writing it.

A hit needs a record of the same key and codec and the blob it names; both are ours (the store is 0700), and the blob
is hashed whenever it is read.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from typing import Any, NamedTuple

from ociassemble import _pool
from ociassemble.content.blob import Blob
from ociassemble.content.compress import Codec
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.spool import Spool
from ociassemble.content.store import Store, read_record
from ociassemble.content.writer import BlobWriter
from ociassemble.image.image import Layer
from ociassemble.layer import apart, sources
from ociassemble.layer.entry import Entry
from ociassemble.layer.key import layer_key
from ociassemble.layer.sources import Materials
from ociassemble.layer.writer import LayerWriter, conflict
from ociassemble.oci.annotations import LAYER_CODEC, LAYER_KEY
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import DebSource, DerivedSource, LayerPlan, artifacts_of
from ociassemble.progress import Progress


class BuiltLayer(NamedTuple):
    """A finished layer, and where it came from."""

    layer: Layer
    codec: str  # identity
    origin: str = "built"  # or "store", or the repository that has it ("registry.example/team/app")
    seconds: float = 0.0  # it took to write

    @property
    def hit(self) -> bool:
        """Whether it was there already."""
        return self.origin != "built"


# Finished layers that are not in the store, for some of these plans, in their order.
Elsewhere = Callable[[Sequence[LayerPlan]], Sequence[BuiltLayer | None]]


def build_layers(
    plans: Sequence[LayerPlan],
    *,
    codec: Callable[[LayerPlan], Codec],
    store: Store,
    fetch: Callable[[tuple[ArtifactRef, ...]], None],
    materials: Materials,
    use_records: bool,
    jobs: int,
    progress: Progress,
    elsewhere: Elsewhere = lambda plans: [None] * len(plans),
    finished: Callable[[BuiltLayer], None] = lambda built: None,
) -> tuple[BuiltLayer, ...]:
    """The layers of `plans`, in their order: those the store has, those `elsewhere` knows of, the others written in
    parallel. `fetch` brings artifacts into the store; it is asked once, for what the layers to be written read, and
    nothing else. `finished` is told of each layer that the store has, as soon as it has it.
    """
    found = [find_layer(plan, codec(plan), store) if use_records else None for plan in plans]
    if use_records and None in found:
        others = iter(elsewhere([plan for plan, layer in zip(plans, found, strict=True) if layer is None]))
        found = [layer or next(others) for layer in found]
    for layer in found:
        if layer is not None and layer.origin == "store":
            finished(layer)
    missing = [plan for plan, layer in zip(plans, found, strict=True) if layer is None]
    fetch(tuple({ref.digest: ref for plan in missing for ref in artifacts_of(plan)}.values()))

    made = _write(missing, codec, store, materials, jobs, progress, finished)
    return tuple(layer or made[id(plan)] for plan, layer in zip(plans, found, strict=True))


def _write(
    missing: Sequence[LayerPlan],
    codec: Callable[[LayerPlan], Codec],
    store: Store,
    materials: Materials,
    jobs: int,
    progress: Progress,
    finished: Callable[[BuiltLayer], None],
) -> dict[int, BuiltLayer]:
    """The layers of these plans, written, by the plan's id."""
    # The heaviest first: while there are several, each is one thread's, and one that is left alone has every core.
    heavy = sorted(missing, key=lambda plan: -sum(ref.size for ref in artifacts_of(plan)))
    made: dict[int, BuiltLayer] = {}
    weights = [sum(ref.size for ref in artifacts_of(plan)) for plan in heavy]
    if isinstance(store, DirectoryStore) and apart.worthwhile(weights, jobs):
        disk = cache(store.on_disk)  # one for each process: nobody asks for it here

        def write_there(number: int, progress: Progress) -> None:
            plan, one = heavy[number], _pool.Cores(1)
            build_layer(plan, materials, codec(plan), disk(), cores=one, progress=progress)

        def done(number: int, seconds: float) -> None:
            plan = heavy[number]
            layer = find_layer(plan, codec(plan), store)
            if layer is not None:
                made[id(plan)] = layer._replace(origin="built", seconds=seconds)
                finished(made[id(plan)])

        apart.write_apart([plan.title for plan in heavy], write_there, done, jobs=jobs, progress=progress)
    # What has failed elsewhere is done here, and fails here.
    heavy = [plan for plan in heavy if id(plan) not in made]
    cores = _pool.Cores(jobs)

    def write(plan: LayerPlan) -> BuiltLayer:
        layer = build_layer(plan, materials, codec(plan), store, cores=cores, progress=progress)
        finished(layer)
        return layer

    return made | dict(zip(map(id, heavy), _pool.each(write, heavy, jobs=jobs), strict=True))


def find_layer(plan: LayerPlan, codec: Codec, store: Store) -> BuiltLayer | None:
    """The finished layer of this plan, if the store has it."""
    key = layer_key(plan)
    found = read_record(store, "layers", _record_name(key, codec), _finished)
    if found is None or store.size(found[0]) != found[2]:
        return None
    digest, diff_id, size = found
    return BuiltLayer(_layer(key, codec, store, digest=digest, diff_id=diff_id, size=size), codec.identity, "store")


def _finished(record: Any) -> tuple[Digest, Digest, int]:
    return Digest(record["digest"]), Digest(record["diffId"]), int(record["size"])


def build_layer(
    plan: LayerPlan, materials: Materials, codec: Codec, store: Store, *, cores: _pool.Cores, progress: Progress
) -> BuiltLayer:
    """Write the layer of `plan` into the store. Equal key and codec, equal bytes."""
    from ociassemble.layer.contents import Recorder

    key, began = layer_key(plan), time.monotonic()
    with ExitStack() as stack, progress.task("layer", plan.title) as task:
        sink = stack.enter_context(BlobWriter(store.ingest(), codec, cores=cores, advanced=task.advance))
        recorder = Recorder()
        writer = LayerWriter(sink.write, links=plan.links, directories=plan.directories, watch=recorder)
        spool = stack.enter_context(Spool(materials.scratch))
        entries = (entry for source in plan.sources for entry in sources.entries(source, materials, stack, spool))
        # What comes out of a Debian package streams by and is kept in the package's order; all else is sorted.
        streamed = any(isinstance(source, DebSource | DerivedSource) for source in plan.sources)
        for entry in map(writer.place, entries) if streamed else _sorted(entries, writer):
            writer.put(entry)
        writer.finish()
        done = sink.finish()
    recorder.keep(store, done.diff_id)
    record = {"digest": done.digest, "diffId": done.diff_id, "size": done.size, "title": plan.title}
    store.put_record("layers", _record_name(key, codec), json.dumps(record, sort_keys=True).encode())
    layer = _layer(key, codec, store, digest=done.digest, diff_id=done.diff_id, size=done.size)
    return BuiltLayer(layer, codec.identity, "built", time.monotonic() - began)


def layer_descriptor(key: Digest, codec: Codec, digest: Digest, size: int) -> Descriptor:
    """How a manifest names a layer of ours: wherever it was found, the same bytes."""
    said = {LAYER_CODEC: codec.identity, LAYER_KEY: str(key)}
    return Descriptor(media_type=codec.media_type, digest=digest, size=size, annotations=said)


def _layer(key: Digest, codec: Codec, store: Store, *, digest: Digest, diff_id: Digest, size: int) -> Layer:
    descriptor = layer_descriptor(key, codec, digest, size)
    return Layer(blob=Blob(descriptor=descriptor, source=lambda: store.open(digest)), diff_id=diff_id)


def _record_name(key: Digest, codec: Codec) -> str:
    return f"{key.hex}.{Digest.of(codec.identity.encode()).short}"


def _sorted(entries: Iterable[Entry], writer: LayerWriter) -> Iterator[Entry]:
    """Entries at their real places, bytewise by path with each folder directly before its content, each path once.

    Two sources may bring the same file with the same bytes; with different ones they are in conflict.
    """
    placed: dict[str, Entry] = {}
    for entry in entries:
        here = writer.place(entry)
        before = placed.setdefault(here.path, here)
        if before is not here and not _same(before, here):
            raise conflict(here.path, before.origin, here.origin)
    return (
        placed[path] for path in sorted(placed, key=lambda path: path.encode("utf-8", "surrogateescape").split(b"/"))
    )


def _same(one: Entry, other: Entry) -> bool:
    if one.kind != other.kind or one.target != other.target:
        return False
    if one.kind == "directory":
        return True
    if (one.mode, one.uid, one.gid, one.size) != (other.mode, other.uid, other.gid, other.size):
        return False
    return _sha256(one) == _sha256(other)


def _sha256(entry: Entry) -> bytes:
    hashed = hashlib.sha256()
    for block in entry.content():
        hashed.update(block)
    return hashed.digest()
