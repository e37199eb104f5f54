"""START HERE. A build, from a folder to a pushed image; each step takes values and returns values, none reaches back.

step                  from -> to                                              where
0  nothing changed?  the folder, a finished build's record -> names as they are  session.finished
1  name the base      `distroless/python3` -> a reference                     base.names
2  resolve the base   reference -> one `BaseImage` a platform, with facts     base.resolve, base.inspect
3  read the project   folder -> `ProjectTree`, the kind that recognises it    session.host_steps, project, kinds
4  lock               what the kind asks for -> packages by sha256            lock
5  plan               tree, packages, facts -> `ImagePlan`, pure data         kinds, session.target, plan
6  fetch              artifacts of missing layers -> blobs in the store       sources, net
7  build layers       `LayerPlan` -> layer: the store's, a registry's, ours   layer, session.cache
8  prove              layers, config -> findings; errors stop here            audit.prove
9  assemble           base, layers, config -> image, or an index of them      image.assemble
10 write              -> registry, layout or store: blobs first, names last   transports
11 remember           what was built, of what -> records, of which 0 reads    session.finished, session.cache
"""

from __future__ import annotations

from collections.abc import Mapping

from ociassemble.audit.prove import raise_errors
from ociassemble.base.names import expand
from ociassemble.base.resolve import BaseImage, refuse_fallback
from ociassemble.content.store import healed
from ociassemble.image.assemble import image_or_index
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.lock.application import Application, recognise
from ociassemble.plan.annotations import annotations_of
from ociassemble.plan.merge import merge
from ociassemble.plan.plan import ImagePlan
from ociassemble.session import Session
from ociassemble.session.finished import Inputs, keep
from ociassemble.session.proof import prove_target
from ociassemble.session.request import BuildRequest
from ociassemble.session.steps import Steps
from ociassemble.session.target import BuildResult, Planned, Target, plan_on
from ociassemble.transports.transfer import write_all


def planned(steps: Steps) -> Planned:
    """Steps 1 to 5: the folder is read, base and packages are settled, every decision is told."""
    settings = steps.settings
    steps.prepare()
    application = recognise(steps.tree(), settings, steps.platforms(), steps.session.progress)
    name = expand(application.base, overrides=settings.bases, strict=settings.strict_references)
    application = steps.on_all(application, name)
    lock = steps.lock(application)
    bases = steps.bases(lock).resolve(name, application.platforms, settings.base_source)
    refuse_fallback(bases, steps.pushed_to())
    lock = steps.confirmed(lock, bases)
    supply = steps.packages(application)
    packages = supply.of([base.facts for base in bases], lock)
    described = steps.described(application)
    return Planned(
        application=application,
        lock=lock,
        supply=supply,
        targets=tuple(_target(application, *pair, described, steps) for pair in zip(bases, packages, strict=True)),
        created=steps.created(lock),
        annotations=annotations_of(settings.annotations, described, "index"),
    )


def built(plan: Planned, steps: Steps) -> Planned:
    """Steps 6 to 8: the layers, by hit or by writing them, held against the lock; the proof that images can start."""
    targets = []
    for target in plan.targets:
        layers = steps.layers(plan, target)
        steps.hold(plan.lock, target.plan, layers)
        findings = prove_target(steps.session, steps.request, target, layers, plan.lock)
        steps.tell(findings, target.plan.platform)
        raise_errors(findings, str(target.plan.platform))
        targets.append(target._replace(layers=layers, findings=findings))
    return plan._replace(targets=tuple(targets))


def build(request: BuildRequest, session: Session, inputs: Inputs | None = None) -> BuildResult:
    """The whole walk, from `inputs` if they were read. Nothing that a user can see changes before the last step."""
    return healed(lambda: _build(request, session, inputs), session.progress.warn)


def _build(request: BuildRequest, session: Session, inputs: Inputs | None) -> BuildResult:
    steps = Steps(session, request, inputs)
    destinations = steps.destinations()
    with session.progress.noted() as told:
        plan = built(planned(steps), steps)
    node = image_or_index([target.image(plan.created) for target in plan.targets], plan.annotations)
    written = write_all(node, destinations, progress=session.progress, jobs=session.transfers)
    shared = steps.share(plan)
    keep(request, inputs, plan, node, told, session, shared)
    return BuildResult(planned=plan, node=node, written=tuple(written))


def _target(
    application: Application,
    base: BaseImage,
    packages: tuple[LockedPackage, ...],
    described: Mapping[str, str],
    steps: Steps,
) -> Target:
    found = plan_on(base.facts, application, packages, steps.authorities)
    steps.explain(found.reasons, base.facts.platform)
    plan = ImagePlan(
        platform=base.image.platform,
        layers=found.layers,
        config=found.config,
        annotations=annotations_of(application.settings.annotations, described, "manifest"),
    )
    return Target(base=base, packages=packages, plan=plan, execution=merge(base.image.config.execution, plan.config))
