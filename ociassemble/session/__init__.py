"""One run: the frozen environment, and the things that are made once and handed to those who need them.

Leaves never see the session; each receives the one thing it needs. Heavy parts are made when first asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ociassemble import _files, _pool
from ociassemble.audit.prove import Finding
from ociassemble.base.names import BaseName
from ociassemble.base.resolve import BaseImage, Resolver
from ociassemble.content import compress
from ociassemble.content.codec import Codec
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.memory import MemoryStore
from ociassemble.errors import UsageError
from ociassemble.kinds.protocol import Resolution, ResolveRequest
from ociassemble.layer.build import BuiltLayer, Materials, build_layers
from ociassemble.layer.entry import Content
from ociassemble.lock.application import MAX_LOCK, Application, fresh_lock, read_lock, refused
from ociassemble.lock.freshness import stale
from ociassemble.lock.held import hold
from ociassemble.lock.packages import Host, Packages
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.created import CONSTANT, rfc3339
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.lock import FILENAME, Lock, LockedPlatform
from ociassemble.plan.locked import LockedFacts
from ociassemble.plan.plan import FileItem, LayerPlan, Reason
from ociassemble.progress import Progress
from ociassemble.project import settings as project_settings
from ociassemble.project import tree as project_tree
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree
from ociassemble.session.created import stated_time
from ociassemble.session.environment import Environment, Options, cache_folder
from ociassemble.session.request import BuildRequest, from_spec
from ociassemble.transports.layout import LayoutDestination, LayoutSource
from ociassemble.transports.local import LocalDestination, LocalSource
from ociassemble.transports.locate import Location, locate
from ociassemble.transports.protocols import Destination, Source

if TYPE_CHECKING:
    from ociassemble.net.trust import Trust
    from ociassemble.net.wire import Wire
    from ociassemble.registry.client import RegistryClient
    from ociassemble.sources.index_settings import IndexSettings


class Session:
    """What one run shares."""

    def __init__(self, environment: Environment, options: Options, progress: Progress) -> None:
        self.environment = environment
        self.options = options
        self.progress = progress
        self._told: set[str] = set()
        self.jobs = options.jobs or _pool.cores()
        # Waiting for servers costs no CPU: more of it may go on at once than there are cores.
        self.transfers = options.jobs or max(4, self.jobs)

    # ------------------------------------------------------------------------------------ made once

    @cached_property
    def store(self) -> DirectoryStore:
        """Blobs and records, below the cache folder."""
        return DirectoryStore(cache_folder(self.environment, self.options.cache_dir) / "store")

    @cached_property
    def trust(self) -> Trust:
        """Whom TLS connections of ours, of uv and of helpers trust."""
        from ociassemble.net.trust import Trust

        variables = self.environment.variables
        return Trust(
            ssl_cert_file=variables.get("SSL_CERT_FILE", ""),
            ssl_cert_dir=variables.get("SSL_CERT_DIR", ""),
            requests_ca_bundle=variables.get("REQUESTS_CA_BUNDLE", ""),
            ca_files=(self.options.ca_file,) if self.options.ca_file else (),
        )

    @cached_property
    def wire(self) -> Wire:
        """HTTP with the user's trust and proxies."""
        from ociassemble.net import proxy
        from ociassemble.net.wire import Wire

        return Wire(
            trust=self.trust,
            proxies=proxy.from_environment(self.environment.variables),
            insecure=self.options.insecure_registries,
            offline=self.options.offline,
        )

    @cached_property
    def registry(self) -> RegistryClient:
        """The client of every registry of this run: one token cache, one set of credentials, one set of mirrors."""
        from ociassemble.registry.client import RegistryClient
        from ociassemble.registry.credentials import Keychain, standard_sources

        variables = self.environment.variables
        sources = standard_sources(variables, uid=os.getuid(), authfile=self.options.authfile)
        return RegistryClient(
            self.wire,
            keychain=Keychain(sources, warn=self.progress.warn),
            mirrors=self.options.registry_mirrors,
            trusted_realms=self.options.trusted_realms,
            insecure_credentials=self.options.insecure_credentials,
            progress=self.progress,
        )

    def host_platform(self) -> Platform:
        """linux on this machine's architecture: what is built where nobody asks for anything."""
        return Platform.parse(f"linux/{os.uname().machine}")

    # ------------------------------------------------------------------------------------ places

    def source(self, text: str, *, pull: str = "always", kept: bool = True) -> Source:
        """The place an image is read from. With `kept` False the store answers nothing a registry can answer."""
        return self._source(locate(text), pull, kept=kept or self.options.offline)

    def _source(self, location: Location, pull: str, *, kept: bool = True) -> Source:
        if location.transport == "oci":
            return LayoutSource(Path(location.path), location.tag, location.digest)
        assert location.reference is not None
        if location.transport == "local":
            return LocalSource(self.store, location.reference)
        from ociassemble.transports.remote import RemoteSource

        # Offline, the store answers for tags as well: it remembers what each was when it was last asked for.
        policy = "never" if self.options.offline else pull
        store = self.store if kept else MemoryStore()
        return RemoteSource(self.registry, location.reference, store, pull=policy)

    def destination(self, text: str, *, push: bool = True) -> Destination:
        """The place an image is written to; a plain reference is a registry's, without `push` the store's."""
        location = locate(text)
        if location.transport == "oci":
            destination = LayoutDestination(Path(location.path), location.tag)
            destination.prepare()
            return destination
        assert location.reference is not None
        if location.reference.digest is not None:
            raise UsageError(
                f"`{text}` has a digest; a destination is named by a tag",
                hint=f"leave the digest away: `{location.reference._replace(digest=None)}`",
            )
        if location.transport == "local" or not push:
            return LocalDestination(self.store, location.reference)
        from ociassemble.transports.remote import RemoteDestination

        return RemoteDestination(self.registry, location.reference)

    def destinations(self, request: BuildRequest) -> tuple[Destination, ...]:
        """Every place the result goes to; each is parsed and looked at before any work is done."""
        if request.push and not request.tags:
            raise UsageError("`--push` needs a name", hint="name the image with `-t REGISTRY/NAME:TAG`")
        for path in request.writes:
            _files.check_place(path)
        texts = [(text, request.push) for text in request.tags if request.push or not request.outputs]
        places = [self.destination(from_spec(text), push=True) for text in request.outputs]
        places = [self.destination(text, push=push) for text, push in texts] + places
        return tuple(places) or (self.destination(self._default_name(request), push=False),)

    def _default_name(self, request: BuildRequest) -> str:
        name = self.settings(request).name or request.application.resolve().name
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "app"
        return f"localhost/{plain}:latest"

    def pushed_to(self, request: BuildRequest) -> tuple[Reference, ...]:
        """Registries that others may read the result from."""
        texts = (*(request.tags if request.push else ()), *map(from_spec, request.outputs))
        found = (locate(text) for text in texts)
        return tuple(item.reference for item in found if item.transport == "registry" and item.reference is not None)

    # ------------------------------------------------------------------------------------ steps of a build

    def settings(self, request: BuildRequest) -> Settings:
        """The project's settings, with the flags on top."""
        if request.application.is_dir():
            return project_settings.load(request.application).override(**request.flags)
        return Settings().override(**request.flags)

    def tree(self, request: BuildRequest, settings: Settings) -> ProjectTree:
        """The project's folder; outputs, the cache and the lock inside it are not part of it."""
        outputs = [Path(item.path) for item in map(locate, map(from_spec, request.outputs)) if item.transport == "oci"]
        return project_tree.read(
            request.application,
            ignorefile=settings.ignorefile,
            allow_secrets=settings.allow_secrets,
            leave_out=[
                *outputs,
                *request.writes,
                self.lock_path(request),
                cache_folder(self.environment, self.options.cache_dir),
            ],
            home=self.environment.home,
            jobs=self.jobs,
            progress=self.progress,
        )

    def platforms(self, settings: Settings) -> tuple[Platform, ...]:
        """The platforms asked for, each once, sorted: the order in which they were written decides nothing."""
        found: dict[str, Platform] = {}
        for text in settings.platforms or ("host",):
            platform = self.host_platform() if text == "host" else Platform.parse(text)
            found[str(platform)] = platform
        return tuple(found[name] for name in sorted(found))

    def lock_path(self, request: BuildRequest) -> Path:
        """Where the lock is, or would be."""
        return request.lockfile if request.lockfile is not None else request.application / FILENAME

    def lock(self, request: BuildRequest, application: Application) -> Lock | None:
        """The lock, if it is there, wanted, and answers what is asked."""
        if not request.use_lock:
            return None
        return fresh_lock(
            application, self.lock_path(request), locked=request.locked, ci=self._in_ci(), progress=self.progress
        )

    def confirmed(self, request: BuildRequest, lock: Lock | None, bases: Sequence[BaseImage]) -> Lock | None:
        """The lock, if an open base still is what it was resolved for."""
        if lock is None:
            return None
        facts = {str(base.image.platform): LockedFacts.of(base.facts) for base in bases}
        reasons = stale(lock, lock.asked, facts)
        strict = request.locked or self._in_ci()
        gone = refused(reasons, self.lock_path(request).name, strict=strict, progress=self.progress)
        return None if gone else lock

    def _in_ci(self) -> bool:
        return self.environment.variables.get("CI", "").lower() in ("true", "1")

    def bases(self, request: BuildRequest, settings: Settings, lock: Lock | None) -> Resolver:
        """What resolves the base: pinned by the lock where there is one."""
        from ociassemble.base.debian.source import DebianBases

        pins = {name: item.base for name, item in lock.platforms.items() if item.base} if lock else {}

        def open_source(name: BaseName, digest: Digest | None) -> Source:
            location = name.location
            if digest is not None and location.reference is not None:
                location = location._replace(reference=location.reference.with_digest(digest))
            return self._source(location, request.pull)

        return Resolver(
            open=open_source,
            assemble=DebianBases(
                mirror=settings.debian_mirror or self.environment.variables.get("OCIASSEMBLE_DEBIAN_MIRROR"),
                wire=lambda: self.wire,
                store=self.store,
                use_records=request.use_cache,
                jobs=self.jobs,
                transfers=self.transfers,
                progress=self.progress,
            ),
            pins=pins,
            store=self.store,
            progress=self.progress,
            jobs=self.jobs,
        )

    def packages(self, request: BuildRequest, application: Application, settings: Settings) -> Packages:
        """What answers which packages an application has, and fetches them."""
        return Packages(
            Host(
                index=lambda: self._index(application, settings),
                resolve=lambda asked, facts, index: self._resolve(request, application, asked, facts, index),
                wire=lambda: self.wire,
                store=self.store,
                progress=self.progress,
                jobs=self.transfers,
            ),
            application,
        )

    def _resolve(
        self,
        request: BuildRequest,
        application: Application,
        asked: ResolveRequest,
        facts: BaseFacts,
        index: IndexSettings,
    ) -> Resolution:
        from ociassemble.layer.wheel import wheel_name
        from ociassemble.lock.resolve import Upgrade, resolve

        environment = self.environment
        before = read_lock(self.lock_path(request)) if request.keep else None
        locked = [package for item in before.platforms.values() for package in item.packages] if before else []
        return resolve(
            asked,
            lambda path: application.tree.bytes_of(path, MAX_LOCK),
            minor=facts.python.minor if facts.python else "",
            index=index,
            environment=environment.variables,
            home=environment.home,
            python=environment.python,
            prefix=environment.prefix,
            trust=self.trust,
            offline=self.options.offline,
            wheels={wheel_name(path.name).name: path for path in application.settings.wheels},
            previous=locked,
            upgrade=Upgrade(names=request.upgrade),
            progress=self.progress,
        )

    def _index(self, application: Application, settings: Settings) -> IndexSettings:
        from ociassemble.lock import uv
        from ociassemble.net.url import redact
        from ociassemble.sources import index_settings

        environment, tree = self.environment, application.tree
        inputs = application.request.inputs if application.request else ()
        names = [name for name in ("uv.toml", "pyproject.toml", *inputs) if tree.has(name)]
        found = index_settings.discover(
            index_url=settings.python.index_url,
            extra_index_urls=settings.python.extra_index_urls,
            find_links=settings.python.find_links,
            environment=environment.variables,
            home=environment.home,
            prefix=environment.prefix,
            folder=tree.root,
            project={name: tree.bytes_of(name, MAX_LOCK) for name in names},
        )
        if found.by != "default":
            # Without a lock the index says which bytes are right: nobody should have to guess who chose it.
            places = [redact(index.url) for index in found.indexes] + [redact(link) for link in found.find_links]
            self.progress.info(f"packages from {', '.join(places) or 'nowhere'} ({found.by} says so)")
        if self.options.offline:
            return found
        program = uv.find(environment=environment.variables, prefix=environment.prefix, python=environment.python)
        return index_settings.complete(found, program, python=environment.python, environment=environment.variables)

    def layers(
        self,
        request: BuildRequest,
        application: Application,
        fetch: Callable[[tuple[ArtifactRef, ...]], None],
        plans: tuple[LayerPlan, ...],
    ) -> tuple[BuiltLayer, ...]:
        """The layers of one image."""
        tree, text = application.tree, application.settings.compression or "gzip"

        def codec(plan: LayerPlan) -> Codec:
            return compress.parse(text, plan.role)

        # With another codec the same layers have other digests: whoever compares two builds must see it.
        self._once(f"layers: {', '.join(dict.fromkeys(codec(plan).identity for plan in plans))}")

        def file(item: FileItem) -> Content:
            packed = tree.packed(item.source)
            assert packed is not None, "plans name packed files only"
            return tree.content(packed)

        return build_layers(
            plans,
            codec=codec,
            store=self.store,
            fetch=fetch,
            materials=Materials(artifact=lambda ref: self.store.open_seekable(ref.digest), file=file),
            use_records=request.use_cache,
            jobs=self.jobs,
            progress=self.progress,
        )

    def _once(self, text: str) -> None:
        """Tell what holds for every platform, and is known anew for each."""
        if text not in self._told:
            self._told.add(text)
            self.progress.info(text)

    def hold(
        self, request: BuildRequest, locked: LockedPlatform, plans: Sequence[LayerPlan], layers: Sequence[BuiltLayer]
    ) -> None:
        """Hold the layers of one image against the lock."""
        hold(locked, plans, layers, strict=request.locked, progress=self.progress)

    def explain(self, reasons: Sequence[Reason], platform: Platform) -> None:
        """Say what was decided for the user, and on what evidence."""
        for decision, evidence in reasons:
            warning = decision.removeprefix("warning: ")
            say = self.progress.info if warning == decision else self.progress.warn
            say(f"{platform}: {warning} ({evidence})")

    def tell(self, findings: Sequence[Finding], platform: Platform) -> None:
        """Say what `prove` found, errors aside: those are raised."""
        for finding in findings:
            text = f"{platform}: {finding.message}" + (f" ({finding.hint})" if finding.hint else "")
            if finding.severity == "warning":
                self.progress.warn(text)
            elif finding.severity == "info":
                self.progress.info(text)

    def created(self, request: BuildRequest, lock: Lock | None) -> str:
        """`created` of the result: what was asked, else SOURCE_DATE_EPOCH, else the lock's time, else the constant."""
        found, origin = stated_time(request, self.environment.variables)
        if found:
            self.progress.info(f"created: {found} ({origin})")
            return found
        return lock.created if lock is not None else rfc3339(CONSTANT)

    def tags(self, text: str) -> list[str]:
        """The tags of a registry's repository."""
        return self.registry.tags(Reference.parse(text))
