"""START HERE. A build, from a folder to a pushed image; each step takes values and returns values, none reaches back.

step                  from -> to                                              where
0  nothing changed?  the folder, a finished build's record -> the names as they are, one HEAD each: session.finished
1  name the base      `distroless/python3` -> a reference                     base.names
2  resolve the base   reference -> one `BaseImage` a platform, with facts     base.resolve, base.inspect
3  read the project   folder -> `ProjectTree`, the kind that recognises it    session.host_steps, project, kinds
4  lock               what the kind asks for -> packages by sha256            lock
5  plan               tree, packages, facts -> `ImagePlan`, pure data         kinds, plan
6  fetch              artifacts of missing layers -> blobs in the store       sources, net
7  build layers       `LayerPlan` -> layer, by hit or by writing              layer
8  prove              layers, config -> findings; errors stop here            audit.prove
9  assemble           base, layers, config -> image, or an index of them      image.assemble
10 write              -> registry, layout or store: blobs first, names last   transports
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ociassemble.audit.prove import raise_errors
from ociassemble.base.names import expand
from ociassemble.base.resolve import BaseImage, refuse_fallback
from ociassemble.content.store import healed
from ociassemble.image.assemble import image_or_index
from ociassemble.kinds.added import added
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.kinds.stated import notes, with_settings
from ociassemble.kinds.trusted import trusting
from ociassemble.lock.application import Application, recognise
from ociassemble.plan.annotations import annotations_of
from ociassemble.plan.ground import ground
from ociassemble.plan.merge import merge
from ociassemble.plan.plan import ImagePlan
from ociassemble.session import Session
from ociassemble.session.finished import Inputs, keep
from ociassemble.session.proof import prove_target
from ociassemble.session.request import BuildRequest
from ociassemble.session.steps import Steps
from ociassemble.session.target import BuildResult, Planned, Target
from ociassemble.transports.transfer import write_all


def planned(request: BuildRequest, session: Session, steps: Steps | None = None) -> Planned:
    """Steps 1 to 5: the folder is read, base and packages are settled, every decision is told."""
    steps = steps or Steps(session)
    settings = steps.settings(request)
    steps.prepare(request, settings)
    application = recognise(steps.tree(request, settings), settings, steps.platforms(settings), session.progress)
    name = expand(application.base, overrides=settings.bases, strict=settings.strict_references)
    application = steps.on_all(request, application, name)
    lock = steps.lock(request, application)
    bases = steps.bases(request, settings, lock).resolve(name, application.platforms, settings.base_source)
    refuse_fallback(bases, steps.pushed_to(request))
    lock = steps.confirmed(request, lock, bases)
    supply = steps.packages(request, application, settings)
    packages = supply.of([base.facts for base in bases], lock)
    described = steps.described(request, application)
    return Planned(
        application=application,
        lock=lock,
        supply=supply,
        targets=tuple(_target(application, *pair, described, steps) for pair in zip(bases, packages, strict=True)),
        created=steps.created(request, settings, lock),
        annotations=annotations_of(settings.annotations, described, "index"),
    )


def built(plan: Planned, request: BuildRequest, session: Session) -> Planned:
    """Steps 6 to 8: the layers, by hit or by writing them, held against the lock; the proof that images can start."""
    steps = Steps(session)
    targets = []
    for target in plan.targets:
        layers = steps.layers(request, plan, target)
        steps.hold(request, plan.lock, target.plan, layers)
        findings = prove_target(session, request, target, layers, plan.lock)
        steps.tell(findings, target.plan.platform)
        raise_errors(findings, str(target.plan.platform))
        targets.append(replace(target, layers=layers, findings=findings))
    return replace(plan, targets=tuple(targets))


def build(request: BuildRequest, session: Session, inputs: Inputs | None = None) -> BuildResult:
    """The whole walk, from `inputs` if they were read. Nothing that a user can see changes before the last step."""
    return healed(lambda: _build(request, session, inputs), session.progress.warn)


def _build(request: BuildRequest, session: Session, inputs: Inputs | None) -> BuildResult:
    steps = Steps(session, request, inputs)
    request = steps.tagged(request)
    destinations = steps.destinations(request)
    with session.progress.noted() as told:
        plan = built(planned(request, session, steps), request, session)
    node = image_or_index([target.image(plan.created) for target in plan.targets], plan.annotations)
    written = write_all(node, destinations, progress=session.progress, jobs=session.transfers)
    steps.share(request, plan)
    keep(request, inputs, plan, node, told, session)
    return BuildResult(planned=plan, node=node, written=tuple(written))


def _target(
    application: Application,
    base: BaseImage,
    packages: tuple[LockedPackage, ...],
    described: Mapping[str, str],
    steps: Steps,
) -> Target:
    kind = application.kind.plan(application.tree, application.settings, base.facts, packages)
    kind = trusting(kind, steps.authorities(application.settings), base.facts)
    noted = notes(application.settings, base.facts, len(application.platforms))
    steps.explain((*kind.reasons, *noted), base.facts.platform)
    layers = (*kind.layers, *added(application.tree, application.settings, kind.layers, base.facts))
    plan = ImagePlan(
        platform=base.image.platform,
        layers=tuple(ground(layer, base.facts) for layer in layers),
        config=with_settings(kind.config, application.settings, base.facts),
        annotations=annotations_of(application.settings.annotations, described, "manifest"),
    )
    return Target(base=base, packages=packages, plan=plan, execution=merge(base.image.config.execution, plan.config))
