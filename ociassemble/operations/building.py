"""What stands on the steps of a build: locks, and bases assembled from packages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ociassemble import _files
from ociassemble.base.inspect import VERSION
from ociassemble.base.names import expand
from ociassemble.build import built, planned
from ociassemble.content.store import healed
from ociassemble.errors import PolicyError, ProjectError, UsageError
from ociassemble.image.assemble import image_or_index
from ociassemble.layer.key import layer_key
from ociassemble.lock.application import read_lock
from ociassemble.oci.annotations import LAYER_CODEC
from ociassemble.plan.layout import Layout
from ociassemble.plan.lock import Lock, LockedPlatform
from ociassemble.plan.locked import (
    BaseLayer,
    DebianBase,
    LockedFacts,
    LockedFinding,
    LockedLayer,
    RegistryBase,
    Verdict,
)
from ociassemble.project.settings import Settings
from ociassemble.session import Session
from ociassemble.session.proof import started_target
from ociassemble.session.request import BuildRequest
from ociassemble.session.steps import Steps
from ociassemble.session.target import Planned, Target
from ociassemble.transports.protocols import Written
from ociassemble.transports.transfer import write_all


class StaleError(PolicyError):
    """`lock --check`, and the lock would change."""

    code = "policy.lock-check"


def lock(request: BuildRequest, session: Session) -> tuple[Lock, Planned]:
    """Resolve everything anew and build the dependency layers: what a lock of this application says.

    The lock's own time is the one thing a clock decides; it stays when nothing else moves.
    """
    steps = Steps(session)
    stated = request.created or session.environment.variables.get("SOURCE_DATE_EPOCH")
    if not stated and steps.settings(request).source_date_epoch is None:
        request = replace(request, created="now")
    try:
        previous = read_lock(steps.lock_path(request))
    except ProjectError as error:
        session.progress.warn(f"{error}: it is written anew")
        previous = None
    if previous is not None and not steps.settings(request).platforms:
        # Locking again asks for what was locked, not for what this host happens to be.
        request = replace(request, flags={**request.flags, "platforms": previous.asked.platforms})

    def once() -> Planned:
        plan = planned(request, session)
        if plan.application.asked.base.startswith(("oci:/", "oci-archive:/", "docker-archive:/", "bundle:/")):
            raise UsageError(
                f"a lock would hold the path `{plan.application.asked.base}` of this machine",
                hint="name it by a relative path, or give it a short name under `bases` in the settings",
            )
        return built(plan, request, session)

    plan = healed(once, session.progress.warn)
    return lock_of(plan, previous, session, pin_base=request.pin_base), plan


def write_lock(found: Lock, path: Path, *, check: bool) -> bool:
    """Write the lock unless it is there already, byte for byte; with `check` a difference is an error."""
    data = found.dump()
    try:
        same = path.read_bytes() == data
    except OSError:
        same = False
    if same:
        return False
    if check:
        raise StaleError(f"`{path.name}` would change", hint="run `ociassemble lock` and commit the result")
    _files.write_atomic(path, data, durable=True)
    return True


def lock_of(plan: Planned, previous: Lock | None, session: Session, *, pin_base: bool) -> Lock:
    """The lock that records a built plan; `created` is the previous lock's where nothing else moved."""
    platforms = {str(target.plan.platform): _locked(target, session, pin_base=pin_base) for target in plan.targets}
    return Lock(created=plan.created, asked=plan.application.asked, platforms=platforms).after(previous)


def _locked(target: Target, session: Session, *, pin_base: bool) -> LockedPlatform:
    image = target.base.image
    base: RegistryBase | DebianBase | None = None
    if pin_base:
        layers = tuple(
            BaseLayer(layer.descriptor.digest, layer.diff_id, layer.descriptor.size) for layer in image.layers
        )
        pinned = (image.digest, len(image.manifest.raw), image.manifest.media_type, layers)
        if target.base.source == "debian":
            codec = image.layers[0].descriptor.annotations[LAYER_CODEC]  # no recipe is without layers
            base = DebianBase(target.base.recipe, target.base.packages, *pinned, codec, target.base.releases)
        elif target.base.source == "registry":
            base = RegistryBase(*pinned, target.base.name.line)
    dependencies = [
        (layer, plan)
        for layer, plan in zip(target.layers, target.plan.layers, strict=True)
        if plan.role == "dependency"
    ]
    command = (*(target.execution.get("Entrypoint") or ()), *(target.execution.get("Cmd") or ()))
    diff_ids = tuple(made.layer.diff_id for made, _ in dependencies)
    # What else was found is about the application's own files, of which a lock says nothing.
    findings = tuple(LockedFinding(item.code, item.severity, item.message) for item in target.findings if item.lasting)
    verdict = None
    if base is not None:
        verdict = Verdict(image.digest, diff_ids, command, findings, started_target(session, target))
    return LockedPlatform(
        facts=LockedFacts.of(target.base.facts)._replace(
            layout=Layout.of(target.base.facts, VERSION) if base is not None else None
        ),
        base=base,
        packages=target.packages,
        layers=tuple(
            LockedLayer(
                title=plan.title,
                key=layer_key(plan),
                diff_id=made.layer.diff_id,
                digest=made.layer.descriptor.digest,
                size=made.layer.descriptor.size,
                codec=made.codec,
            )
            for made, plan in dependencies
        ),
        verdict=verdict,
    )


def build_base(
    session: Session,
    text: str,
    platforms: tuple[str, ...],
    *,
    tags: tuple[str, ...],
    push: bool,
    outputs: tuple[str, ...],
) -> list[Written]:
    """Assemble a base from Debian packages and write it."""
    name = expand(text, overrides={})
    request = BuildRequest(application=Path(), tags=tags, push=push, outputs=outputs)
    if not tags and not outputs:
        request = replace(request, tags=(f"localhost/{name.recipe or 'base'}:{name.variant or 'latest'}",))
    settings = Settings(platforms=platforms)

    def once() -> list[Written]:
        steps = Steps(session)
        destinations = steps.destinations(request)
        resolver = steps.bases(request, settings, None)
        platforms = steps.platforms(settings) or resolver.platforms(name, "debian")
        bases = resolver.resolve(name, platforms, "debian")
        node = image_or_index([base.image for base in bases], {})
        return write_all(node, destinations, progress=session.progress, jobs=session.transfers)

    return healed(once, session.progress.warn)
