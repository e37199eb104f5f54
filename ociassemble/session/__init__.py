"""One run: the frozen environment, and the things that are made once and handed to those who need them.

Leaves never see the session; each receives the one thing it needs. Heavy parts are made when first asked for; what
only a build needs is in `session.steps`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ociassemble import _pool
from ociassemble.content.cache import CacheStore
from ociassemble.content.directory import DirectoryStore
from ociassemble.errors import OfflineError, UsageError
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.progress import Progress
from ociassemble.session.environment import Environment, Options, cache_folder
from ociassemble.transports.locate import ARCHIVES, BUNDLE, ENGINES, Location, locate

if TYPE_CHECKING:  # places that a run does not use cost it nothing
    from ociassemble.content.store import Store
    from ociassemble.net.trust import Trust
    from ociassemble.net.wire import Wire
    from ociassemble.oci.digest import Digest
    from ociassemble.registry.client import RegistryClient
    from ociassemble.registry.locations import Locations
    from ociassemble.transports.cacherepo import CacheRepository
    from ociassemble.transports.members import Archive
    from ociassemble.transports.protocols import Destination, Source
    from ociassemble.transports.remote import RemoteDestination
    from ociassemble.transports.repository import Repository


class PushOfflineError(OfflineError):
    """`--offline`, and a result that is to go to a registry."""

    code = "offline.push"


class Session:
    """What one run shares."""

    def __init__(self, environment: Environment, options: Options, progress: Progress) -> None:
        self.environment = environment
        self.options = options
        self.progress = progress
        self.jobs = options.jobs or _pool.cores()
        # Waiting for servers costs no CPU: more of it may go on at once than there are cores.
        self.transfers = options.jobs or max(4, self.jobs)
        self.prepared: set[Path] = set()  # folders whose host steps have been run
        self.distrusted: set[Digest] = set()  # finished layers that were found elsewhere, and were not what they seemed
        self.broken: set[str] = set()  # places and hosts that are of no use as a cache, as was told
        self._pushed: dict[Reference, RemoteDestination] = {}
        self._repositories: dict[str, Repository] = {}
        self._records: dict[str, CacheRepository] = {}
        self._uploads = _pool.Background()

    # ------------------------------------------------------------------------------------ made once

    @cached_property
    def store(self) -> DirectoryStore:
        """Blobs and records, below the cache folder; where that cannot be written to, the run goes on without it."""
        chosen = self.options.cache_dir
        folder = cache_folder(self.environment, chosen) / "store"
        return CacheStore(folder, self.progress.warn, chosen=chosen is not None)

    def close(self) -> None:
        """End the run: what it learnt of registries is kept, what it kept for itself only is removed."""
        self.keep_locations()
        if "store" in self.__dict__:
            self.store.close()

    def keep_locations(self) -> None:
        """Write down where blobs were seen to be."""
        if "locations" in self.__dict__:
            self.locations.keep()

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
            locations=self.locations,
        )

    def host_platform(self) -> Platform:
        """linux on this machine's architecture: what is built where nobody asks for anything."""
        return Platform.parse(f"linux/{os.uname().machine}")

    # ------------------------------------------------------------------------------------ places

    def source(self, text: str, *, pull: str = "always", kept: bool = True) -> Source:
        """The place an image is read from. With `kept` False the store answers nothing a registry can answer."""
        return self.open(locate(text), pull, kept=kept or self.options.offline)

    def open(self, location: Location, pull: str, *, kept: bool = True) -> Source:
        """The place at a location. `pull` is "always", "missing" or "never"."""
        if location.transport == "oci":
            from ociassemble.transports.layout import LayoutSource

            return LayoutSource(Path(location.path), location.tag, location.digest)
        if location.transport in ARCHIVES:
            return self._archived(location)
        if location.transport == BUNDLE:
            from ociassemble.transports.bundle import BundleArchive, BundleSource

            return BundleSource(BundleArchive(location.path), location.tag, location.digest)
        if location.transport in ENGINES:
            raise UsageError(
                f"`{location.text}`: engines are written to, and not read",
                hint=f"`{ENGINES[location.transport]} save {location.reference}` writes an archive for docker-archive:",
            )
        assert location.reference is not None
        if location.transport == "local":
            from ociassemble.transports.local import LocalSource

            return LocalSource(self.store, location.reference)
        from ociassemble.transports.remote import RemoteSource

        # Offline, the store answers for tags as well: it remembers what each was when it was last asked for.
        policy = "never" if self.options.offline else pull
        store: Store = self.store
        if not kept:
            from ociassemble.content.memory import MemoryStore

            store = MemoryStore()
        locations = self.locations if kept else None
        return RemoteSource(self.registry, location.reference, store, pull=policy, locations=locations)

    def destination(self, text: str, *, push: bool = True, names: Sequence[Reference] = ()) -> Destination:
        """The place an image is written to; a plain reference is a registry's, without `push` the store's.

        `names` are what the image is called in an archive where `text` does not say it.
        """
        location = locate(text)
        if location.transport in ARCHIVES:
            return self._to_archive(location, names)
        if location.transport == BUNDLE:
            raise UsageError(f"`{text}`: bundles are read here", hint=f"`ociassemble bundle save -o {location.path}`")
        if location.transport in ENGINES and location.reference is not None and location.reference.digest is None:
            from ociassemble.session.engines import into_engine

            return into_engine(self, (location.reference,), ENGINES[location.transport])[0]
        if location.transport == "oci":
            from ociassemble.transports.layout import LayoutDestination

            destination = LayoutDestination(Path(location.path), location.tag)
            destination.prepare()
            return destination
        assert location.reference is not None
        if location.transport == "local":
            # A name by digest alone is kept by its digest: the store answers digests whatever names there are.
            return self._local(location.reference._replace(digest=None))
        if location.reference.digest is not None:
            raise UsageError(
                f"`{text}` has a digest; a destination is named by a tag",
                hint=f"leave the digest away: `{location.reference._replace(digest=None)}`",
            )
        if not push:
            return self._local(location.reference)
        if self.options.offline:
            raise PushOfflineError(
                f"`{text}` is in a registry, and `--offline` forbids to ask one",
                hint="write to `-o oci:DIR` or `-o oci-archive:FILE`; `ociassemble copy` pushes it later",
            )
        return self.pushed(location.reference, anew=True)

    def pushed(self, reference: Reference, *, anew: bool = False) -> RemoteDestination:
        """The tag of a registry that this run pushes to: one object with all that is known of it, until made `anew`."""
        from ociassemble.transports.remote import RemoteDestination

        if anew or reference not in self._pushed:
            self._pushed[reference] = RemoteDestination(
                self.registry,
                reference,
                self.store,
                repository=self.repository(reference),
                background=self._uploads,
            )
        return self._pushed[reference]

    def repository(self, reference: Reference) -> Repository:
        """What this run knows of a registry's repository."""
        from ociassemble.transports.repository import Repository

        if reference.name not in self._repositories:
            self._repositories[reference.name] = Repository(self.registry, reference, self.locations)
        return self._repositories[reference.name]

    def records(self, reference: Reference) -> CacheRepository:
        """A repository of finished layers, with what was read of it."""
        from ociassemble.transports.cacherepo import CacheRepository

        if reference.name not in self._records:
            self._records[reference.name] = CacheRepository(self.repository(reference))
        return self._records[reference.name]

    @cached_property
    def locations(self) -> Locations:
        """Which repositories are known to have a blob."""
        from ociassemble.registry.locations import Locations

        return Locations(lambda: self.store)

    def _local(self, reference: Reference) -> Destination:
        from ociassemble.transports.local import LocalDestination

        return LocalDestination(self.store, reference)

    def _archived(self, location: Location) -> Source:
        from ociassemble.transports.archive import OciArchiveSource
        from ociassemble.transports.dockerarchive import DockerArchiveSource
        from ociassemble.transports.members import STANDARD_INPUT, Archive

        # Standard input can be read but once, and some verbs read their source anew.
        archive = self._standard_input if location.path == STANDARD_INPUT else Archive(location.path)
        kind = OciArchiveSource if location.transport == "oci-archive" else DockerArchiveSource
        return kind(archive, location.tag, location.digest)

    @cached_property
    def _standard_input(self) -> Archive:
        from ociassemble.transports.members import STANDARD_INPUT, Archive

        return Archive(STANDARD_INPUT)

    def _to_archive(self, location: Location, names: Sequence[Reference]) -> Destination:
        from ociassemble.transports.archive import ArchiveDestination

        if location.digest is not None or location.tag.startswith("@"):
            raise UsageError(
                f"`{location.text}` is a name for reading; what is written there has no other digest than its own",
                hint=f"write to `{location.transport}:{location.path}`",
            )
        form: Literal["oci", "docker"] = "oci" if location.transport == "oci-archive" else "docker"
        destination = ArchiveDestination(location.path, form, location.tag, names)
        destination.prepare()
        return destination

    def tags(self, text: str) -> list[str]:
        """The tags of a registry's repository; of a layout or an archive, the names of its images."""
        from ociassemble.transports import layout_reader

        location = locate(text)
        if location.transport == "oci":
            from ociassemble.transports.layout import FolderFiles

            return list(layout_reader.names_of(FolderFiles(Path(location.path))))
        if location.transport == BUNDLE:
            from ociassemble.transports.bundle import BundleArchive

            return list(layout_reader.names_of(BundleArchive(location.path)))
        if location.transport in ARCHIVES:
            from ociassemble.transports import dockerarchive
            from ociassemble.transports.members import Archive

            archive = Archive(location.path)
            if location.transport == "oci-archive":
                return list(layout_reader.names_of(archive))
            return list(dockerarchive.names_of(archive))
        return self.registry.tags(Reference.parse(text))
