"""Step 8 of a build: the proof of one image, with what the store and the lock know of it already."""

from __future__ import annotations

from collections.abc import Sequence

from ociassemble.audit.prove import Finding
from ociassemble.audit.verdict import proved
from ociassemble.layer.build import BuiltLayer
from ociassemble.plan.lock import Lock
from ociassemble.session import Session
from ociassemble.session.request import BuildRequest
from ociassemble.session.target import Target


def prove_target(
    session: Session, request: BuildRequest, target: Target, layers: Sequence[BuiltLayer], lock: Lock | None
) -> tuple[Finding, ...]:
    """The findings about `target` with these layers."""
    roles = [plan.role for plan in target.plan.layers]
    dependencies = next((number for number, role in enumerate(roles) if role != "dependency"), len(roles))
    known = None
    if lock is not None:
        command = (*(target.execution.get("Entrypoint") or ()), *(target.execution.get("Cmd") or ()))
        diff_ids = [made.layer.diff_id for made in layers[:dependencies]]
        verdict = lock.platforms[str(target.plan.platform)].proved(target.base.image.digest, diff_ids, command)
        known = verdict.findings if verdict is not None else None
    return proved(
        target.base.image,
        [made.layer for made in layers],
        target.execution,
        session.store,
        request.use_cache,
        session.jobs,
        dependencies=dependencies,
        known=known,
    )
