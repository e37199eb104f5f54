"""Holding finished layers against the lock (specs/behaviour/lock.md, LOCK-8)."""

from __future__ import annotations

from collections.abc import Sequence

from ociassemble.errors import IntegrityError
from ociassemble.layer.build import BuiltLayer
from ociassemble.layer.key import layer_key
from ociassemble.plan.lock import LockedPlatform
from ociassemble.plan.plan import LayerPlan
from ociassemble.progress import Progress


class LockedLayerError(IntegrityError):
    """A dependency layer is not the one that was locked."""

    code = "integrity.locked-layer"


def hold(
    locked: LockedPlatform,
    plans: Sequence[LayerPlan],
    layers: Sequence[BuiltLayer],
    *,
    strict: bool,
    progress: Progress,
) -> None:
    """Check that each dependency layer the lock knows is what the lock says.

    Equal key means an equal tar, always. Compressed bytes are compared where the codec is the lock's; under another
    one that is told, or with `strict` (`--locked`) an error. On a pinned base every layer must be a locked one; an
    open base may make other keys (its links and folders count), and then nothing was promised.
    """
    for plan, built in zip(plans, layers, strict=True):
        if plan.role != "dependency":
            continue
        found = locked.layer(layer_key(plan))
        if found is None:
            if strict and locked.base is not None:
                raise LockedLayerError(
                    f"the layer `{plan.title}` is not in the lock, though packages and base are",
                    hint="run `ociassemble lock` and commit the result",
                )
            continue
        if built.layer.diff_id != found.diff_id:
            raise LockedLayerError(
                f"the layer `{plan.title}` is not what was locked",
                details=[f"locked: {found.diff_id}", f"built:  {built.layer.diff_id}"],
                hint="the lock was changed by hand, or the store holds a wrong layer: try `--no-cache`",
            )
        if built.codec != found.codec:
            if strict:
                raise LockedLayerError(
                    f"the layer `{plan.title}` was locked as compressed by {found.codec}, not {built.codec}",
                    hint="build with the compression and the version that wrote the lock, or lock again",
                )
            progress.info(f"`{plan.title}` has the locked content, compressed by {built.codec} (locked: {found.codec})")
        elif built.layer.descriptor.digest != found.digest:
            raise LockedLayerError(
                f"the layer `{plan.title}` has the locked content, but not the locked digest",
                details=[f"locked: {found.digest}", f"built:  {built.layer.descriptor.digest}"],
                hint="the lock was changed by hand: run `ociassemble lock`",
            )
