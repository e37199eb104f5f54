"""Step 8 of a build: the proof of one image, with what the store and the lock know of it already."""

from __future__ import annotations

from collections.abc import Sequence

from ociassemble.audit.prove import Finding
from ociassemble.audit.verdict import proved, started
from ociassemble.layer.build import BuiltLayer
from ociassemble.plan.lock import Lock
from ociassemble.plan.started import Started
from ociassemble.session import Session
from ociassemble.session.request import BuildRequest
from ociassemble.session.target import Target


def prove_target(
    session: Session, request: BuildRequest, target: Target, layers: Sequence[BuiltLayer], lock: Lock | None
) -> tuple[Finding, ...]:
    """The findings about `target` with these layers."""
    dependencies = _dependencies(target)
    verdict = None
    if lock is not None:
        command = (*(target.execution.get("Entrypoint") or ()), *(target.execution.get("Cmd") or ()))
        diff_ids = [made.layer.diff_id for made in layers[:dependencies]]
        verdict = lock.platforms[str(target.plan.platform)].proved(target.base.image.digest, diff_ids, command)
    return proved(
        target.base.image,
        [made.layer for made in layers],
        target.execution,
        session.store,
        request.use_cache,
        session.jobs,
        dependencies=dependencies,
        locked=verdict,
    )


def started_target(session: Session, target: Target) -> Started | None:
    """How the start command of `target`, proved a moment ago, starts: for the lock."""
    layers = [made.layer for made in target.layers]
    dependencies = _dependencies(target)
    base = target.base.image
    return started(base, layers, target.execution, session.store, session.jobs, dependencies=dependencies)


def _dependencies(target: Target) -> int:
    """How many layers, from the first on, are not the application's."""
    roles = [plan.role for plan in target.plan.layers]
    return next((number for number, role in enumerate(roles) if role != "dependency"), len(roles))
