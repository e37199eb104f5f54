"""START HERE. A build, from a folder to a pushed image; each step takes values and returns values, none reaches back.

    folder + base  ->  plan  ->  layers  ->  proof  ->  image  ->  destinations

`planned` goes as far as the plan and writes nothing but the store; `built` adds layers and proof, which is what a
lock records; `build` puts the image together and writes it where it was asked to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ociassemble.audit.prove import Finding, prove, raise_errors
from ociassemble.base.names import expand
from ociassemble.base.resolve import BaseImage, refuse_fallback
from ociassemble.image.assemble import AddedLayer, Assembly, assemble, index_of
from ociassemble.image.image import Node
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.kinds.stated import with_settings
from ociassemble.layer.build import BuiltLayer
from ociassemble.lock.application import Application, recognise
from ociassemble.lock.packages import Packages
from ociassemble.plan.ground import ground
from ociassemble.plan.lock import Lock
from ociassemble.plan.merge import merge
from ociassemble.plan.plan import ImagePlan
from ociassemble.plan.request import BuildRequest
from ociassemble.session import Session
from ociassemble.transports.protocols import Written
from ociassemble.transports.transfer import write


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The image of one platform: what it stands on and what it is made of; from `built` on with its layers."""

    base: BaseImage
    packages: tuple[LockedPackage, ...]
    plan: ImagePlan
    execution: Mapping[str, Any]  # the `config` object of the result
    layers: tuple[BuiltLayer, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What will be built: the application, the lock used, `created` (RFC 3339), its packages' source, the targets."""

    application: Application
    lock: Lock | None
    created: str
    supply: Packages
    targets: tuple[Target, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildResult:
    """What was made, and what became of it at each destination."""

    planned: Planned
    node: Node
    written: tuple[Written, ...]


def planned(request: BuildRequest, session: Session) -> Planned:
    """Steps 1 to 5. The folder is read, base and packages are settled, every decision is told."""
    settings = session.settings(request)
    tree = session.tree(request, settings)
    application = recognise(tree, settings, session.platforms(settings), session.progress)
    name = expand(application.base, overrides=settings.bases, strict=settings.strict_references)
    lock = session.lock(request, application)
    bases = session.bases(request, settings, lock).resolve(name, application.platforms, settings.base_source)
    refuse_fallback(bases, session.pushed_to(request))
    lock = session.confirmed(request, lock, bases)
    supply = session.packages(application, settings)
    packages = supply.of([base.facts for base in bases], lock)
    targets = tuple(_target(application, *pair, session) for pair in zip(bases, packages, strict=True))
    created = session.created(request, lock)
    return Planned(application=application, lock=lock, created=created, supply=supply, targets=targets)


def built(plan: Planned, request: BuildRequest, session: Session) -> Planned:
    """Steps 6 to 8. The layers, by hit or by writing them, and the proof that the images can start."""
    targets = []
    for target in plan.targets:
        layers = session.layers(request, plan.application, plan.supply.fetch, target.plan.layers)
        found = prove(target.base.facts, [path for layer in layers for path in layer.executables], target.execution)
        raise_errors(found, str(target.plan.platform))
        targets.append(replace(target, layers=layers, findings=found))
    return replace(plan, targets=tuple(targets))


def build(request: BuildRequest, session: Session) -> BuildResult:
    """The whole walk. Nothing that a user can see changes before the last step."""
    destinations = session.destinations(request)
    plan = built(planned(request, session), request, session)
    images = [assemble(_assembly(target, plan.created)) for target in plan.targets]
    node = (
        images[0].node if len(images) == 1 else index_of(images, session.index_annotations(plan.application.settings))
    )
    written = [write(node, place, progress=session.progress, jobs=session.transfers) for place in destinations]
    return BuildResult(planned=plan, node=node, written=tuple(written))


def _target(application: Application, base: BaseImage, packages: tuple[LockedPackage, ...], session: Session) -> Target:
    kind = application.kind.plan(application.tree, application.settings, base.facts, packages)
    for decision, evidence in kind.reasons:
        session.progress.info(f"{base.facts.platform}: {decision} ({evidence})")
    plan = ImagePlan(
        platform=base.image.platform,
        layers=tuple(ground(layer, base.facts) for layer in kind.layers),
        config=with_settings(kind.config, application.settings),
        annotations=session.manifest_annotations(application.settings),
    )
    execution = merge(base.image.config.execution, plan.config)
    return Target(base=base, packages=packages, plan=plan, execution=execution)


def _assembly(target: Target, created: str) -> Assembly:
    added = [AddedLayer(layer=m.layer, title=p.title) for m, p in zip(target.layers, target.plan.layers, strict=True)]
    return Assembly(
        platform=target.plan.platform,
        base=target.base.image,
        layers=added,
        execution=target.execution,
        created=created,
        annotations={**target.base.annotations(), **target.plan.annotations},
    )
