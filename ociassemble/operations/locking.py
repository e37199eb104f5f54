"""`ociassemble lock`: resolving anew, what moved by it, whether a lock still answers (specs/behaviour/lock.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ociassemble import _files
from ociassemble.build import built, planned
from ociassemble.content.store import healed
from ociassemble.errors import PolicyError, ProjectError, UsageError
from ociassemble.kinds.registry import choose
from ociassemble.layer.key import layer_key
from ociassemble.lock import changes
from ociassemble.lock.application import read_lock, recognise, relock
from ociassemble.lock.changes import PlatformChanges
from ociassemble.lock.freshness import stale
from ociassemble.oci.annotations import LAYER_CODEC
from ociassemble.oci.platform import Platform
from ociassemble.plan.layout import VERSION, Layout
from ociassemble.plan.lock import Lock, LockedPlatform
from ociassemble.plan.locked import LockedFacts, LockedFinding, LockedLayer, Verdict
from ociassemble.plan.locked_base import BaseLayer, DebianBase, RegistryBase
from ociassemble.session import Session
from ociassemble.session.inputs import Inputs, for_locked, lock_path, settings_of
from ociassemble.session.proof import started_target
from ociassemble.session.request import BuildRequest
from ociassemble.session.steps import Steps
from ociassemble.session.target import Planned, Target

# What lets versions move where the lock of another tool decides them: for one package, and for all.
_ELSEWHERE = {
    "uv.lock": ("run `uv lock --upgrade-package {name}`", "run `uv lock --upgrade`"),
    "poetry.lock": ("run `poetry update {name}`", "run `poetry update`"),
    "pylock": ("lock anew with the tool that wrote it",) * 2,
    "package-lock": ("run `npm update {name}`", "run `npm update`"),
    "pnpm-lock": ("run `pnpm update {name}`", "run `pnpm update`"),
    "yarn-lock": ("run `yarn up {name}`", "run `yarn up`"),
}


class StaleError(PolicyError):
    """`lock --check`, and the lock would change."""

    code = "policy.lock-check"


class UpgradeError(UsageError):
    """`lock --upgrade NAME`, and nothing here can move that package."""

    code = "usage.upgrade"


@dataclass(frozen=True, kw_only=True, slots=True)
class Relocked:
    """A lock made anew: what it says now, what was there before (None for nothing that can be read), what moved."""

    lock: Lock
    before: Lock | None
    plan: Planned

    @property
    def changes(self) -> Mapping[str, PlatformChanges]:
        """By platform; empty where there was no lock."""
        return {} if self.before is None else changes.changes(self.before, self.lock)

    @property
    def lines(self) -> list[str]:
        """What moved, for people."""
        return changes.lines(self.changes)


def lock(request: BuildRequest, session: Session) -> Relocked:
    """Resolve everything anew and build the dependency layers: what a lock of this application says.

    The lock's own time is the one thing a clock decides; it stays when nothing else moves.
    """
    request = replace(request, believe=False)
    stated = request.created or session.environment.variables.get("SOURCE_DATE_EPOCH")
    if not stated and settings_of(request).source_date_epoch is None:
        request = replace(request, created="now")
    try:
        previous = read_lock(lock_path(request))
    except ProjectError as error:
        session.progress.warn(f"{error}: it is written anew")
        previous = None
    if previous is not None:
        request = for_locked(request, previous)
        _known(request.upgrade, previous, lock_path(request).name)
    elif request.upgrade and not lock_path(request).exists():
        raise UpgradeError(
            f"`--upgrade {request.upgrade[0]}`, and there is no `{lock_path(request).name}` yet",
            hint="`ociassemble lock` writes it; the folder of an application stands first: `lock APP --upgrade`",
        )

    def once() -> Planned:
        first = Steps(session, request)
        first.prepare()
        inputs = Inputs(first.settings, first.tree(), key="", beside=())  # no finished build is looked for
        _movable(request, inputs, session)
        steps = Steps(session, request, inputs)
        plan = planned(steps)
        if plan.application.asked.base.startswith(("oci:/", "oci-archive:/", "docker-archive:/")):
            raise UsageError(
                f"a lock would hold the path `{plan.application.asked.base}` of this machine",
                hint="name it by a relative path, or give it a short name under `bases` in the settings",
            )
        return built(plan, steps)

    plan = healed(once, session.progress.warn)
    found = lock_of(plan, previous, session, pin_base=request.pin_base)
    return Relocked(lock=found, before=previous, plan=plan)


def write_lock(found: Relocked, path: Path, *, check: bool, upgrade: Sequence[str] = ()) -> bool:
    """Write the lock unless it is there already, byte for byte; with `check` a difference is an error."""
    data = found.lock.dump()
    try:
        same = path.read_bytes() == data
    except OSError:
        same = False
    if same:
        return False
    if check:
        names = "".join(f" {name}" for name in upgrade[:1]) + "".join(f" --upgrade {name}" for name in upgrade[1:])
        hint = f"run `ociassemble lock --upgrade{names}` and commit the result"
        raise StaleError(f"`{path.name}` would change", details=found.lines, hint=hint)
    _files.write_atomic(path, data, durable=True)
    return True


def check_lock(request: BuildRequest, session: Session) -> Lock:
    """The lock, if it answers what is asked. No resolver, no index, no registry is asked (LOCK-24).

    Raises `StaleError` with every reason; the errors of reading the lock and the project.
    """
    steps, path = Steps(session, request), lock_path(request)
    found = read_lock(path)
    if found is None:
        raise StaleError(f"there is no `{path.name}`", hint="write one with `ociassemble lock`")
    settings = steps.settings
    steps.prepare()
    platforms = steps.platforms() if settings.platforms else ()
    # Without the option it is what was locked that is asked about; `all` is what the lock says the base has.
    platforms = platforms or tuple(map(Platform.parse, found.asked.platforms))
    application = recognise(steps.tree(), settings, platforms, session.progress)
    reasons = list(stale(found, application.asked, {}))
    if not request.pin_base and any(item.base is not None for item in found.platforms.values()):
        reasons.append("`--no-base`, and the lock pins the base")
    drifted, first = application.drifted()
    reasons += drifted
    if reasons:
        raise StaleError(f"`{path.name}` is stale", details=reasons, hint=f"run {relock(first)} and commit the result")
    return found


def _known(names: tuple[str, ...], previous: Lock, name: str) -> None:
    wrong = changes.unknown(names, previous)
    if not wrong:
        return
    debian = {item.name for locked in previous.platforms.values() for item in getattr(locked.base, "packages", ())}
    missing, near = wrong[0]
    hint = f"did you mean `{near}`?" if near else "see `artifacts` in the lock for what there is"
    if Path(missing).is_dir():
        hint = f"to upgrade all in the folder of this name, write `ociassemble lock {missing} --upgrade`"
    if missing in debian:
        hint = "it is part of the base, which every `ociassemble lock` resolves anew"
    raise UpgradeError(
        f"`--upgrade {missing}`: `{name}` has no package of this name",
        details=[f"nor `{other}`" for other, _ in wrong[1:]],
        hint=hint,
    )


def _movable(request: BuildRequest, inputs: Inputs, session: Session) -> None:
    """Say where versions are decided, if that is not here: before anything is resolved."""
    kind, _ = choose(inputs.tree, inputs.settings.kind)
    asked = kind.request(inputs.tree, inputs.settings, None)
    if asked is None or asked.form not in _ELSEWHERE or (request.keep and not request.upgrade):
        return
    one, every = _ELSEWHERE[asked.form]
    if request.upgrade:
        raise UpgradeError(
            f"`--upgrade {request.upgrade[0]}`: `{asked.primary}` decides the versions",
            hint=f"{one.format(name=request.upgrade[0])}, then `ociassemble lock`",
        )
    session.progress.info(f"`{asked.primary}` decides the versions of packages: to move them, {every} first")


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
