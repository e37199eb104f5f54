"""The kind `directory`: any folder, copied as it is into one layer (specs/behaviour/packing.md, PACK-60 on).

It knows nothing about what is in the folder: no dependencies, and no start command but the one that is stated.
"""

from __future__ import annotations

from collections.abc import Sequence

from ociassemble.kinds.protocol import DefaultBase, LockedPackage, Recognition, ResolveRequest, place, workdir_of
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import ApplicationPlan, ConfigPlan, FilesSource, LayerPlan, Reason
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree


class Directory:
    """Any folder. The weakest kind: it recognises everything, so it counts only where nothing else does."""

    name = "directory"

    def recognise(self, tree: ProjectTree) -> Recognition | None:
        count = sum(file.kind == "file" for file in tree.files)
        return Recognition(self.name, "1 file" if count == 1 else f"{count} files")

    def default_base(self, tree: ProjectTree, settings: Settings, platforms: Sequence[Platform]) -> DefaultBase:
        return DefaultBase("distroless/static")

    def request(self, tree: ProjectTree, settings: Settings, facts: BaseFacts | None) -> ResolveRequest | None:
        return None

    def select(self, request: ResolveRequest, resolution: object, facts: BaseFacts) -> tuple[LockedPackage, ...]:
        return ()

    def plan(
        self, tree: ProjectTree, settings: Settings, facts: BaseFacts, packages: tuple[LockedPackage, ...]
    ) -> ApplicationPlan:
        """One layer with the folder's files at the working directory; the start command only where it is stated."""
        workdir = workdir_of(settings, root=True)
        reasons = [
            Reason(f"the folder is copied to {workdir}", "settings or --workdir" if settings.workdir else "default")
        ]
        if settings.entrypoint is None and settings.cmd is None:
            inherited = facts.entrypoint + facts.cmd
            reasons.append(
                Reason(f"the start command is the base's: {' '.join(inherited)}", "the base's config")
                if inherited
                else Reason(
                    "the image has no start command", "neither --entrypoint, --cmd, settings nor the base name one"
                )
            )
        layer = LayerPlan(title="application", role="application", sources=(FilesSource(place(tree, workdir)),))
        config = ConfigPlan(entrypoint=settings.entrypoint, cmd=settings.cmd, workdir=workdir)
        return ApplicationPlan(layers=(layer,), config=config, reasons=tuple(reasons))
