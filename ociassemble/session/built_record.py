"""The store's record of a build, by manifest digest: what `explain` says of where layers came from (EXPLAIN-4).

Kind "builds", key the hex of an image's manifest digest; the last build of that digest counts. It is for people:
nothing is ever decided by it, so what is cut off or of another time is as good as none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ociassemble.content.store import Store, read_record
from ociassemble.errors import Error
from ociassemble.layer.key import layer_key
from ociassemble.oci.digest import Digest
from ociassemble.plan.plan import (
    ArchiveSource,
    DebSource,
    DerivedSource,
    FilesSource,
    LayerPlan,
    NpmSource,
    TarSource,
    TrustSource,
    WheelSource,
)
from ociassemble.session.target import Planned, Target

KIND = "builds"
VERSION = 1
MAX_SOURCES = 500  # of one layer; the rest is counted


def remember(plan: Planned, store: Store) -> None:
    """Keep what is known of each image of a build that worked."""
    for target in plan.targets:
        record = record_of(target, locked=plan.lock is not None)
        raw = json.dumps(record, separators=(",", ":")).encode()
        with suppress(Error):  # a full disk costs an explanation, not the build its result
            store.put_record(KIND, target.image(plan.created).digest.hex, raw)


def recall(store: Store, manifest: Digest) -> Mapping[str, Any] | None:
    """The record of the image with this manifest digest, None where this store built none."""
    return read_record(store, KIND, manifest.hex, lambda record: record if _sound(record) else None)


def _sound(record: Any) -> bool:
    if not isinstance(record, dict) or record.get("version") != VERSION:
        return False
    layers = record.get("layers")
    return isinstance(layers, list) and all(
        isinstance(item, dict)
        and all(isinstance(item.get(name), str) for name in ("title", "role", "digest", "origin"))
        and isinstance(item.get("size"), int)
        and isinstance(item.get("seconds"), int | float)
        and isinstance(item.get("sources"), list)
        and all(isinstance(source, dict) for source in item["sources"])
        for item in layers
    )


def record_of(target: Target, *, locked: bool) -> dict[str, Any]:
    """One image as JSON: its layers from the bottom, the base's included, and their sums."""
    layers = [*_base_layers(target), *built_layers(target)]
    return {
        "version": VERSION,
        "platform": str(target.plan.platform),
        "lock": locked,
        "base": base_document(target),
        "layers": layers,
        "size": sum(layer["size"] for layer in layers),
        "seconds": round(sum(layer["seconds"] for layer in layers), 3),
    }


def base_document(target: Target) -> dict[str, Any]:
    """What the image stands on."""
    base = target.base
    return {"name": base.name.expanded, "source": base.source, "digest": str(base.image.digest)}


def built_layers(target: Target) -> list[dict[str, Any]]:
    """The layers that a build put on its base: what they are, why they are there, and where they came from."""
    return [
        {
            "title": plan.title,
            "role": plan.role,
            "key": str(layer_key(plan)),
            "diffId": str(made.layer.diff_id),
            "digest": str(made.layer.descriptor.digest),
            "size": made.layer.descriptor.size,
            "codec": made.codec,
            "origin": made.origin,
            "seconds": round(made.seconds, 3),
            "sources": sources_of(plan),
        }
        for plan, made in zip(target.plan.layers, target.layers, strict=True)
    ]


def _base_layers(target: Target) -> Iterator[dict[str, Any]]:
    for layer in target.base.image.layers:
        yield {
            "title": "",
            "role": "base",
            "diffId": str(layer.diff_id),
            "digest": str(layer.descriptor.digest),
            "size": layer.descriptor.size,
            "origin": "base",
            "seconds": 0.0,
            "sources": [],
        }


def sources_of(plan: LayerPlan) -> list[dict[str, Any]]:
    """What a layer is made of, shortly: packages by file name and sha256; the project's files by number and bytes."""
    found = list(_sources(plan))
    if len(found) <= MAX_SOURCES:
        return found
    return [*found[:MAX_SOURCES], {"type": "more", "count": len(found) - MAX_SOURCES}]


def _sources(plan: LayerPlan) -> Iterator[dict[str, Any]]:
    for source in plan.sources:
        if isinstance(source, WheelSource | NpmSource | TarSource | DebSource):
            kind = {WheelSource: "wheel", NpmSource: "npm", TarSource: "node_modules", DebSource: "deb"}[type(source)]
            said = {"path": source.path} if isinstance(source, NpmSource | TarSource) else {}
            artifact = source.artifact
            yield {"type": kind, "name": artifact.filename, "digest": str(artifact.digest), **said}
        elif isinstance(source, FilesSource):
            files = [item for item in source.items if item.kind == "file"]
            yield {"type": "files", "count": len(files), "bytes": sum(item.size for item in files)}
        elif isinstance(source, ArchiveSource):
            yield {"type": "release", "count": len(source.files), "bytes": sum(item.size for item in source.files)}
        elif isinstance(source, DerivedSource):
            yield {"type": "derived", "name": source.recipe}
        elif isinstance(source, TrustSource):
            yield {"type": "certificates", "path": source.path}
        else:
            yield {"type": "stated", "path": source.path}


def in_words(sources: Sequence[Mapping[str, Any]]) -> str:
    """The same for people, on one line: `flask-3.1.2-py3-none-any.whl and 6 more wheels; 12 files of the project`."""
    packages: dict[str, list[str]] = {}
    words = []
    for source in sources:
        kind, name = str(source.get("type", "")), str(source.get("name") or source.get("path") or "")
        if kind == "files":
            words.append(_files(_count(source), "the project"))
        elif kind == "release":
            words.append(_files(_count(source), "an upstream release"))
        elif kind == "certificates":
            words.append(f"certificates in {name}")
        elif kind == "more":
            packages.setdefault("source", []).extend([""] * _count(source))
        else:
            packages.setdefault(_NOUNS.get(kind, kind), []).append(name)
    for noun, names in packages.items():
        if not names:
            continue
        rest = len(names) - 1
        more = f" and {rest} more {noun}{'s' * (rest > 1)}" if rest else ""
        words.append(f"{names[0]}{more}".strip())
    return "; ".join(words)


def _count(source: Mapping[str, Any]) -> int:
    found = source.get("count")
    return min(found, 1_000_000) if isinstance(found, int) else 0


_NOUNS = {"wheel": "wheel", "npm": "package", "node_modules": "folder", "deb": "package", "stated": "path"}


def _files(count: int, whose: str) -> str:
    return f"{count} file{'' if count == 1 else 's'} of {whose}"
