"""What the steps of a build are made with: each method hands one step what it needs of the session."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from ociassemble.audit.prove import Finding
from ociassemble.base.names import BaseName
from ociassemble.base.resolve import BaseImage, Resolver
from ociassemble.content.codec import Codec
from ociassemble.layer.build import BuiltLayer, build_layers
from ociassemble.layer.sources import Materials
from ociassemble.lock.application import Application, LockMissingError, fresh_lock, read_lock, refused
from ociassemble.lock.freshness import stale
from ociassemble.lock.held import hold
from ociassemble.lock.packages import Packages
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.created import CONSTANT, rfc3339
from ociassemble.plan.lock import Lock
from ociassemble.plan.locked import LockedFacts
from ociassemble.plan.plan import ImagePlan, LayerPlan, Reason
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree
from ociassemble.session import Session, bases, platforms
from ociassemble.session.cache import Caches
from ociassemble.session.created import stated_time
from ociassemble.session.inputs import Inputs, codec_of, lock_path, settings_of, tree_of
from ociassemble.session.places import destinations
from ociassemble.session.request import BuildRequest, from_spec
from ociassemble.session.supplies import Supplies
from ociassemble.session.target import Planned, Target
from ociassemble.transports.locate import locate
from ociassemble.transports.protocols import Destination

if TYPE_CHECKING:
    from ociassemble.project.authorities import Authority


class Steps:
    """The steps of one build of a request. `inputs` are what was read for it already."""

    def __init__(self, session: Session, request: BuildRequest, inputs: Inputs | None = None) -> None:
        self.session = session
        self._request = request
        self._inputs = inputs
        self._told: set[str] = set()
        self._listed = False  # the base's platforms: its tag is not asked a second time, it might have moved

    @cached_property
    def settings(self) -> Settings:
        """The project's settings, with the flags on top."""
        return self._inputs.settings if self._inputs is not None else settings_of(self._request)

    @cached_property
    def request(self) -> BuildRequest:
        """What is asked for, with the settings' tags where it has none of its own."""
        return self._request if self._request.tags else replace(self._request, tags=self.settings.tags)

    def destinations(self) -> tuple[Destination, ...]:
        """Every place the result goes to; each is parsed and looked at before any work is done."""
        return destinations(self.session, self.request, default_name=self._default_name, platforms=self.platforms)

    def _default_name(self) -> str:
        name = self.settings.name or self.request.application.resolve().name
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "app"
        return f"localhost/{plain}:latest"

    def pushed_to(self) -> tuple[Reference, ...]:
        """Registries that others may read the result from."""
        request = self.request
        texts = (*(request.tags if request.push else ()), *map(from_spec, request.outputs))
        found = (locate(text) for text in texts)
        return tuple(item.reference for item in found if item.transport == "registry" and item.reference is not None)

    def prepare(self) -> None:
        """Run the host steps that the settings name, once a session; a damaged cache does not run them again."""
        commands, session = self.settings.build.run, self.session
        folder = self.request.application.resolve()
        if not commands or folder in session.prepared:
            return
        from ociassemble.session import host_steps

        if not self.request.run_steps or session.options.offline:
            why = "`--offline`" if session.options.offline else "nothing is built"
            host_steps.leave(commands, why, session.progress)
        else:
            variables = session.environment.variables
            host_steps.run(commands, folder=folder, environment=variables, progress=session.progress)
        session.prepared.add(folder)

    def tree(self) -> ProjectTree:
        """The project's folder; outputs, the cache and the lock inside it are not part of it."""
        if self._inputs is not None:
            return self._inputs.tree
        return tree_of(self.request, self.settings, self.session)

    @cached_property
    def authorities(self) -> tuple[Authority, ...]:
        """The certificates of `--ca-cert`; what programs may not like about them is told."""
        if not self.settings.ca_certs:
            return ()
        from ociassemble.attest import x509
        from ociassemble.project import authorities

        found = authorities.read(self.settings.ca_certs)
        for warning in (warning for one in found for warning in x509.judge(one, x509.now())):
            self.session.progress.warn(warning)
        return found

    def platforms(self) -> tuple[Platform, ...]:
        """The platforms asked for, sorted; none for `all`, which `on_all` makes those of the base."""
        return platforms.asked_for(self.settings, self.session.host_platform())

    def on_all(self, application: Application, name: BaseName) -> Application:
        """The application for every platform of its base, where `all` is asked for."""
        if application.platforms:
            return application
        lock = read_lock(lock_path(self.request)) if self.request.use_lock else None
        found = self.bases(None)
        self._listed = True
        return platforms.on_all(application, name, lock, found, self.session.progress)

    def lock(self, application: Application) -> Lock | None:
        """The lock, if it is there, wanted, and answers what is asked."""
        request = self.request
        if not request.use_lock:
            return None
        path, progress = lock_path(request), self.session.progress
        if request.lockfile is not None and not path.exists():
            raise LockMissingError(
                f"there is no lock `{path}`", hint=f"write it with `ociassemble lock --lockfile {path}`"
            )
        return fresh_lock(application, path, locked=request.locked, ci=self._in_ci(), progress=progress)

    def confirmed(self, lock: Lock | None, bases: Sequence[BaseImage]) -> Lock | None:
        """The lock, if an open base still is what it was resolved for."""
        if lock is None:
            return None
        facts = {str(base.image.platform): LockedFacts.of(base.facts) for base in bases}
        reasons = stale(lock, lock.asked, facts)
        strict = self.request.locked or self._in_ci()
        gone = refused(reasons, lock_path(self.request).name, strict=strict, progress=self.session.progress)
        return None if gone else lock

    def _in_ci(self) -> bool:
        return self.session.environment.variables.get("CI", "").lower() in ("true", "1")

    def bases(self, lock: Lock | None) -> Resolver:
        """What resolves the base: pinned by the lock where there is one."""
        request = self.request
        if self._listed and request.pull == "always":
            request = replace(request, pull="missing")
        return bases.resolver(self.session, request, self.settings, lock)

    def fetch(self, supply: Packages, base: BaseImage) -> Callable[[tuple[ArtifactRef, ...]], None]:
        """What brings the artifacts of missing layers: the packages, and bundles of the base that are added to."""
        session, facts = self.session, base.facts

        def bring(artifacts: tuple[ArtifactRef, ...]) -> None:
            bundles = {item.digest for item in facts.trust}
            if any(ref.digest in bundles for ref in artifacts):
                from ociassemble.base.inspect import read_trust

                label = f"{base.name.written} {facts.platform}"
                read_trust(base.image, facts, session.store, progress=session.progress, jobs=session.jobs, label=label)
            supply.fetch(tuple(ref for ref in artifacts if ref.digest not in bundles))

        return bring

    def packages(self, application: Application) -> Packages:
        """What answers which packages an application has, and fetches them."""
        return Packages(
            application,
            Supplies(self.session).of(self.request, application),
            store=self.session.store,
            progress=self.session.progress,
        )

    def layers(self, plan: Planned, target: Target) -> tuple[BuiltLayer, ...]:
        """The layers of one image."""
        request, session, codec = self.request, self.session, self._codec
        tree, plans = plan.application.tree, target.plan.layers
        # With another codec the same layers have other digests: whoever compares two builds asks for it.
        self._once(f"layers: {', '.join(dict.fromkeys(codec(plan).identity for plan in plans))}")

        with session.progress.passing():
            return build_layers(
                plans,
                codec=codec,
                store=session.store,
                fetch=self.fetch(plan.supply, target.base),
                materials=Materials(
                    artifact=lambda ref: session.store.open_seekable(ref.digest),
                    file=lambda item: tree.source(item.source),
                    scratch=session.store.scratch,
                ),
                use_records=request.use_cache,
                jobs=session.jobs,
                progress=session.progress,
                elsewhere=self._caches.elsewhere(plan.lock, target),
                finished=self._caches.offers(),
            )

    def share(self, plan: Planned) -> str | None:
        """Record the layers of a finished build for others; the name of one record, None where that went wrong."""
        return self._caches.share(plan)

    @cached_property
    def _caches(self) -> Caches:
        """Where finished layers may be, and are brought to."""
        return Caches(self.session, self.request, self.settings)

    def _codec(self, layer: LayerPlan) -> Codec:
        return codec_of(self.settings, layer.role)

    def _once(self, text: str) -> None:
        """A detail that holds for every platform, and is known anew for each."""
        if text not in self._told:
            self._told.add(text)
            self.session.progress.detail(text)

    def hold(self, lock: Lock | None, plan: ImagePlan, layers: Sequence[BuiltLayer]) -> None:
        """Hold the layers of one image against the lock, where there is one."""
        if lock is not None:
            locked = lock.platforms[str(plan.platform)]
            hold(locked, plan.layers, layers, strict=self.request.locked, progress=self.session.progress)

    def explain(self, reasons: Sequence[Reason], platform: Platform) -> None:
        """Say what was decided for the user, and on what evidence."""
        for decision, evidence in reasons:
            warning = decision.removeprefix("warning: ")
            say = self.session.progress.info if warning == decision else self.session.progress.warn
            say(f"{platform}: {warning} ({evidence})")

    def tell(self, findings: Sequence[Finding], platform: Platform) -> None:
        """Say what `prove` found, errors aside: those are raised."""
        for finding in findings:
            text = f"{platform}: {finding.message}" + (f" ({finding.hint})" if finding.hint else "")
            if finding.severity == "warning":
                self.session.progress.warn(text)
            elif finding.severity == "info":
                self.session.progress.info(text)

    def described(self, application: Application) -> dict[str, str]:
        """What the application's own metadata say of it, and git where it was asked: annotations (MERGE-11 on)."""
        from ociassemble.project.metadata import describe
        from ociassemble.session.git import read_git

        settings = application.settings
        found = describe(application.tree, application.kind.name, settings) if "project" in settings.annotate else {}
        if "git" in settings.annotate:
            found |= read_git(self.request.folder, self.session.environment.variables, self.session.progress)
        return found

    def created(self, lock: Lock | None) -> str:
        """`created` of the result: what was asked, else SOURCE_DATE_EPOCH, else the lock's time, else the constant."""
        variables, setting = self.session.environment.variables, self.settings.source_date_epoch
        found, origin = stated_time(self.request, variables, setting)
        if found:
            self.session.progress.info(f"created: {found} ({origin})")
            return found
        return lock.created if lock is not None else rfc3339(CONSTANT)
