"""What a build is made of on its way: one target a platform, the plan over them, the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ociassemble.audit.prove import Finding
from ociassemble.base.resolve import BaseImage
from ociassemble.image.assemble import assemble
from ociassemble.image.image import Image, Node
from ociassemble.kinds.added import added
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.kinds.stated import notes, with_settings
from ociassemble.kinds.trusted import trusting
from ociassemble.layer.build import BuiltLayer
from ociassemble.lock.application import Application
from ociassemble.lock.packages import Packages
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.ground import ground
from ociassemble.plan.lock import Lock
from ociassemble.plan.plan import ApplicationPlan, ImagePlan
from ociassemble.transports.protocols import Written

if TYPE_CHECKING:
    from ociassemble.project.authorities import Authority


def plan_on(
    facts: BaseFacts, application: Application, packages: Sequence[LockedPackage], authorities: Sequence[Authority]
) -> ApplicationPlan:
    """Step 5 of a build for one base: what the application's kind plans, and what the user stated on top of it."""
    tree, settings = application.tree, application.settings
    kind = trusting(application.kind.plan(tree, settings, facts, tuple(packages)), authorities, facts)
    layers = (*kind.layers, *added(tree, settings, kind.layers, facts))
    return ApplicationPlan(
        layers=tuple(ground(layer, facts) for layer in layers),
        config=with_settings(kind.config, settings, facts),
        reasons=(*kind.reasons, *notes(settings, facts, len(application.platforms))),
    )


class Target(NamedTuple):
    """The image of one platform: what it stands on and what it is made of; from `built` on with its layers."""

    base: BaseImage
    packages: tuple[LockedPackage, ...]
    plan: ImagePlan
    execution: Mapping[str, Any]  # the `config` object of the result
    layers: tuple[BuiltLayer, ...] = ()
    findings: tuple[Finding, ...] = ()

    def image(self, created: str) -> Image:
        """Base, layers and config put together."""
        pairs = zip(self.plan.layers, self.layers, strict=True)
        return assemble(
            platform=self.plan.platform,
            base=self.base.image,
            added=[(plan.title, built.layer) for plan, built in pairs],
            execution=self.execution,
            created=created,
            annotations={**self.base.annotations(), **self.plan.annotations},
        )


class Planned(NamedTuple):
    """What will be built: the application, the lock used, `created` (RFC 3339), its packages' source, the targets.

    `annotations` are those of the index, where there will be one.
    """

    application: Application
    lock: Lock | None
    created: str
    supply: Packages
    targets: tuple[Target, ...]
    annotations: Mapping[str, str]


class BuildResult(NamedTuple):
    """What was made, and what became of it at each destination."""

    planned: Planned
    node: Node
    written: tuple[Written, ...]
