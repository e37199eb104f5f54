"""What the steps of a build are made with: each method hands one step what it needs of the session."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ociassemble.audit.prove import Finding
from ociassemble.base.inspect import read_trust
from ociassemble.base.names import BaseName
from ociassemble.base.resolve import BaseImage, Resolver
from ociassemble.content import compress
from ociassemble.content.codec import Codec
from ociassemble.layer.build import BuiltLayer, Materials, build_layers
from ociassemble.layer.entry import Content
from ociassemble.lock.application import Application, fresh_lock, read_lock, refused
from ociassemble.lock.freshness import stale
from ociassemble.lock.held import hold
from ociassemble.lock.packages import Packages
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.created import CONSTANT, rfc3339
from ociassemble.plan.lock import Lock
from ociassemble.plan.locked import LockedFacts
from ociassemble.plan.plan import FileItem, ImagePlan, LayerPlan, Reason
from ociassemble.project import authorities
from ociassemble.project.authorities import Authority
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree
from ociassemble.session import Session, cache, host_steps, platforms
from ociassemble.session.created import stated_time
from ociassemble.session.inputs import Inputs, lock_path, settings_of, tree_of
from ociassemble.session.places import destinations
from ociassemble.session.request import BuildRequest, from_spec
from ociassemble.session.supplies import Supplies
from ociassemble.session.target import Planned, Target
from ociassemble.transports.locate import locate
from ociassemble.transports.protocols import Destination, Source

if TYPE_CHECKING:
    from ociassemble.base.debian.source import DebianBases


class Steps:
    """The steps of one build. `inputs` are what was read for it already."""

    def __init__(self, session: Session, request: BuildRequest | None = None, inputs: Inputs | None = None) -> None:
        self._session = session
        self._inputs = inputs
        self._settings = (request, inputs.settings) if request is not None and inputs is not None else None
        self._told: set[str] = set()
        self._listed = False  # the base's platforms: its tag is not asked a second time, it might have moved
        self._authorities: tuple[Authority, ...] = ()

    def destinations(self, request: BuildRequest) -> tuple[Destination, ...]:
        """Every place the result goes to; each is parsed and looked at before any work is done."""
        return destinations(
            self._session,
            request,
            default_name=lambda: self._default_name(request),
            platforms=lambda: self.platforms(self.settings(request)),
        )

    def tagged(self, request: BuildRequest) -> BuildRequest:
        """The request with the settings' tags, where it has none of its own."""
        return request if request.tags else replace(request, tags=self.settings(request).tags)

    def _default_name(self, request: BuildRequest) -> str:
        name = self.settings(request).name or request.application.resolve().name
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "app"
        return f"localhost/{plain}:latest"

    def pushed_to(self, request: BuildRequest) -> tuple[Reference, ...]:
        """Registries that others may read the result from."""
        texts = (*(request.tags if request.push else ()), *map(from_spec, request.outputs))
        found = (locate(text) for text in texts)
        return tuple(item.reference for item in found if item.transport == "registry" and item.reference is not None)

    def settings(self, request: BuildRequest) -> Settings:
        """The project's settings, with the flags on top."""
        known = self._settings
        if known is None or known[0].application != request.application or known[0].flags is not request.flags:
            known = self._settings = (request, settings_of(request))
        return known[1]

    def prepare(self, request: BuildRequest, settings: Settings) -> None:
        """Run the host steps that the settings name, once a session; a damaged cache does not run them again."""
        commands, session = settings.build.run, self._session
        folder = request.application.resolve()
        if not commands or folder in session.prepared:
            return
        if not request.run_steps or session.options.offline:
            why = "`--offline`" if session.options.offline else "nothing is built"
            host_steps.leave(commands, why, session.progress)
        else:
            variables = session.environment.variables
            host_steps.run(commands, folder=folder, environment=variables, progress=session.progress)
        session.prepared.add(folder)

    def tree(self, request: BuildRequest, settings: Settings) -> ProjectTree:
        """The project's folder; outputs, the cache and the lock inside it are not part of it."""
        return self._inputs.tree if self._inputs is not None else tree_of(request, settings, self._session)

    def authorities(self, settings: Settings) -> tuple[Authority, ...]:
        """The certificates of `--ca-cert`; what programs may not like about them is told."""
        if settings.ca_certs and not self._authorities:
            from ociassemble.attest import x509

            self._authorities = authorities.read(settings.ca_certs)
            for warning in (warning for one in self._authorities for warning in x509.judge(one, x509.now())):
                self._session.progress.warn(warning)
        return self._authorities

    def platforms(self, settings: Settings) -> tuple[Platform, ...]:
        """The platforms asked for, sorted; none for `all`, which `on_all` makes those of the base."""
        return platforms.asked_for(settings, self._session.host_platform())

    def on_all(self, request: BuildRequest, application: Application, name: BaseName) -> Application:
        """The application for every platform of its base, where `all` is asked for."""
        if application.platforms:
            return application
        lock = read_lock(self.lock_path(request)) if request.use_lock else None
        resolver = self.bases(request, application.settings, None)
        self._listed = True
        return platforms.on_all(application, name, lock, resolver, self._session.progress)

    def lock_path(self, request: BuildRequest) -> Path:
        """Where the lock is, or would be."""
        return lock_path(request)

    def lock(self, request: BuildRequest, application: Application) -> Lock | None:
        """The lock, if it is there, wanted, and answers what is asked."""
        if not request.use_lock:
            return None
        return fresh_lock(
            application,
            self.lock_path(request),
            locked=request.locked,
            ci=self._in_ci(),
            progress=self._session.progress,
        )

    def confirmed(self, request: BuildRequest, lock: Lock | None, bases: Sequence[BaseImage]) -> Lock | None:
        """The lock, if an open base still is what it was resolved for."""
        if lock is None:
            return None
        facts = {str(base.image.platform): LockedFacts.of(base.facts) for base in bases}
        reasons = stale(lock, lock.asked, facts)
        strict = request.locked or self._in_ci()
        gone = refused(reasons, self.lock_path(request).name, strict=strict, progress=self._session.progress)
        return None if gone else lock

    def _in_ci(self) -> bool:
        return self._session.environment.variables.get("CI", "").lower() in ("true", "1")

    def bases(self, request: BuildRequest, settings: Settings, lock: Lock | None) -> Resolver:
        """What resolves the base: pinned by the lock where there is one."""
        pins = {name: item.base for name, item in lock.platforms.items() if item.base} if lock else {}
        known = {name: item.facts for name, item in lock.platforms.items()} if lock else {}
        listed = self._listed

        def open_source(name: BaseName, digest: Digest | None) -> Source:
            location = name.location
            if digest is not None and location.reference is not None:
                location = location._replace(reference=location.reference.with_digest(digest))
            again = "missing" if listed and request.pull == "always" else request.pull
            return self._session.open(location, again)

        def assembler() -> DebianBases:
            # Recipes and the grammars of Debian's archive: only where a base is assembled.
            from ociassemble.base.debian.source import DebianBases

            return DebianBases(
                mirror=settings.debian_mirror or self._session.environment.variables.get("OCIASSEMBLE_DEBIAN_MIRROR"),
                upstream=settings.node_mirror or self._session.environment.variables.get("OCIASSEMBLE_NODE_MIRROR"),
                npm=lambda: Supplies(self._session).npm(request.folder),
                offline=self._session.options.offline,
                wire=lambda: self._session.wire,
                store=self._session.store,
                use_records=request.use_cache,
                jobs=self._session.jobs,
                transfers=self._session.transfers,
                progress=self._session.progress,
            )

        return Resolver(
            open=open_source,
            assembler=assembler,
            pins=pins,
            store=self._session.store,
            progress=self._session.progress,
            jobs=self._session.jobs,
            known=known,
        )

    def fetch(self, supply: Packages, base: BaseImage) -> Callable[[tuple[ArtifactRef, ...]], None]:
        """What brings the artifacts of missing layers: the packages, and bundles of the base that are added to."""
        session, facts = self._session, base.facts

        def bring(artifacts: tuple[ArtifactRef, ...]) -> None:
            bundles = {item.digest for item in facts.trust}
            if any(ref.digest in bundles for ref in artifacts):
                label = f"{base.name.written} {facts.platform}"
                read_trust(base.image, facts, session.store, progress=session.progress, jobs=session.jobs, label=label)
            supply.fetch(tuple(ref for ref in artifacts if ref.digest not in bundles))

        return bring

    def packages(self, request: BuildRequest, application: Application, settings: Settings) -> Packages:
        """What answers which packages an application has, and fetches them."""
        return Packages(
            application,
            Supplies(self._session).of(request, application, self.lock_path(request)),
            store=self._session.store,
            progress=self._session.progress,
        )

    def layers(self, request: BuildRequest, plan: Planned, target: Target) -> tuple[BuiltLayer, ...]:
        """The layers of one image."""
        application, plans = plan.application, target.plan.layers
        tree, settings, codec = application.tree, application.settings, _codecs(application)
        # With another codec the same layers have other digests: whoever compares two builds must see it.
        self._once(f"layers: {', '.join(dict.fromkeys(codec(plan).identity for plan in plans))}")

        def file(item: FileItem) -> Content:
            return tree.source(item.source)

        with self._session.progress.passing():
            return build_layers(
                plans,
                codec=codec,
                store=self._session.store,
                fetch=self.fetch(plan.supply, target.base),
                materials=Materials(
                    artifact=lambda ref: self._session.store.open_seekable(ref.digest),
                    file=file,
                    scratch=self._session.store.scratch,
                ),
                use_records=request.use_cache,
                jobs=self._session.jobs,
                progress=self._session.progress,
                elsewhere=cache.elsewhere(self._session, request, settings, plan.lock, target, codec),
                finished=cache.offers(self._session, request),
            )

    def share(self, request: BuildRequest, plan: Planned) -> None:
        """Record the layers of a finished build for others."""
        cache.share(self._session, request, plan, _codecs(plan.application))

    def _once(self, text: str) -> None:
        """Tell what holds for every platform, and is known anew for each."""
        if text not in self._told:
            self._told.add(text)
            self._session.progress.info(text)

    def hold(self, request: BuildRequest, lock: Lock | None, plan: ImagePlan, layers: Sequence[BuiltLayer]) -> None:
        """Hold the layers of one image against the lock, where there is one."""
        if lock is not None:
            locked = lock.platforms[str(plan.platform)]
            hold(locked, plan.layers, layers, strict=request.locked, progress=self._session.progress)

    def explain(self, reasons: Sequence[Reason], platform: Platform) -> None:
        """Say what was decided for the user, and on what evidence."""
        for decision, evidence in reasons:
            warning = decision.removeprefix("warning: ")
            say = self._session.progress.info if warning == decision else self._session.progress.warn
            say(f"{platform}: {warning} ({evidence})")

    def tell(self, findings: Sequence[Finding], platform: Platform) -> None:
        """Say what `prove` found, errors aside: those are raised."""
        for finding in findings:
            text = f"{platform}: {finding.message}" + (f" ({finding.hint})" if finding.hint else "")
            if finding.severity == "warning":
                self._session.progress.warn(text)
            elif finding.severity == "info":
                self._session.progress.info(text)

    def described(self, request: BuildRequest, application: Application) -> dict[str, str]:
        """What the application's own metadata say of it, and git where it was asked: annotations (MERGE-11 on)."""
        from ociassemble.project.metadata import describe
        from ociassemble.session.git import read_git

        settings = application.settings
        found = describe(application.tree, application.kind.name, settings) if "project" in settings.annotate else {}
        if "git" in settings.annotate:
            found |= read_git(request.folder, self._session.environment.variables, self._session.progress)
        return found

    def created(self, request: BuildRequest, settings: Settings, lock: Lock | None) -> str:
        """`created` of the result: what was asked, else SOURCE_DATE_EPOCH, else the lock's time, else the constant."""
        found, origin = stated_time(request, self._session.environment.variables, settings.source_date_epoch)
        if found:
            self._session.progress.info(f"created: {found} ({origin})")
            return found
        return lock.created if lock is not None else rfc3339(CONSTANT)


def _codecs(application: Application) -> Callable[[LayerPlan], Codec]:
    """How the layers of an application are compressed."""
    text = application.settings.compression or "gzip"
    return lambda plan: compress.parse(text, plan.role)
