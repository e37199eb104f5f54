"""Proving an image with what the store remembers: the verdict itself, else what its layers hold.

A verdict is a function of the base's manifest, the layers' diff_ids, the config, and the version of the rules: an
unchanged build reads one small record and none about layers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ociassemble import _pool
from ociassemble.audit.prove import VERSION, Finding, prove
from ociassemble.content.store import Store, read_record
from ociassemble.image.image import Image, Layer
from ociassemble.layer.told import ToldLayer
from ociassemble.oci import _wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.locked import LockedFinding, Verdict

if TYPE_CHECKING:
    from ociassemble.audit.table import Table
    from ociassemble.image.contents import Contents
    from ociassemble.plan.started import Started

# What of the config's `config` object decides how a process starts and ends.
_CONFIG = ("Entrypoint", "Cmd", "Env", "User", "WorkingDir", "StopSignal", "Volumes")


def proved(
    base: Image,
    layers: Sequence[Layer],
    execution: Mapping[str, Any],
    store: Store,
    use_records: bool,
    jobs: int,
    *,
    dependencies: int = 0,
    locked: Verdict | None = None,
) -> tuple[Finding, ...]:
    """What `prove` finds about `layers` on top of `base`, started with this config.

    The first `dependencies` of the layers are not the application's; `locked` is what a lock says of these. It says
    nothing about the environment: where that names folders of libraries, they are looked into all the same. With it,
    only layers of the application are read where these let it (`audit.locked`).
    """
    if any(item.startswith("LD_LIBRARY_PATH=") for item in execution.get("Env") or ()):
        locked = None
    known = locked.findings if locked is not None else None
    key = _key(base, layers, execution, dependencies, known)
    found = read_record(store, "verdicts", key, _read) if use_records else None
    if found is None:
        from ociassemble.audit import locked as vouched

        told = None if known is None else [Finding(*item, lasting=True) for item in known]
        if locked is not None and locked.started is not None and told is not None:
            own = _contents(layers[dependencies:], store, jobs)
            found = vouched.proved(locked.started, own, told, execution, base.platform)
        if found is None:
            table = _table(base, layers, execution, store, jobs, dependencies)
            found = prove(table, execution, base.platform, told)
        # What somebody else says of a layer is good for this run alone.
        if not any(isinstance(layer, ToldLayer) for layer in layers):
            store.put_record("verdicts", key, json.dumps(found).encode())
    return found


def started(
    base: Image, layers: Sequence[Layer], execution: Mapping[str, Any], store: Store, jobs: int, *, dependencies: int
) -> Started | None:
    """What a lock records of a start that was proved."""
    from ociassemble.audit import locked as vouched

    return vouched.started(_table(base, layers, execution, store, jobs, dependencies), execution, base.platform)


def _table(
    base: Image, layers: Sequence[Layer], execution: Mapping[str, Any], store: Store, jobs: int, dependencies: int
) -> Table:
    from ociassemble.audit.table import Table

    contents = _contents((*base.layers, *layers), store, jobs)
    return Table(contents, len(base.layers), dependencies, tuple(execution.get("Volumes") or ()))


def _contents(layers: Sequence[Layer], store: Store, jobs: int) -> list[Contents]:
    from ociassemble.layer.contents import layer_contents

    return list(_pool.each(lambda layer: layer_contents(layer, store), layers, jobs=jobs))


def _key(
    base: Image,
    layers: Sequence[Layer],
    execution: Mapping[str, Any],
    dependencies: int,
    known: Sequence[LockedFinding] | None,
) -> str:
    asked = {
        "version": VERSION,
        "base": base.digest,
        "layers": [layer.diff_id for layer in layers],
        "dependencies": dependencies,
        "known": known,
        "config": {name: execution[name] for name in _CONFIG if name in execution},
    }
    return Digest.of(_wire.canonical(asked)).hex


def _read(document: Any) -> tuple[Finding, ...] | None:
    found = tuple(Finding(*item) for item in document)
    return found if all(isinstance(text, str) for item in found for text in item[:4]) else None
