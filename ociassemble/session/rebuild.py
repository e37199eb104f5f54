"""The session of a rebuild: a private, empty store over the user's, and bases as an image says they were.

What was downloaded is used from the user's store, for it is verified whenever it is read; finished layers, facts and
everything else that a build concludes are not: a rebuild concludes them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ociassemble.content.directory import DirectoryStore
from ociassemble.content.store import Store
from ociassemble.errors import NotFoundError
from ociassemble.image.image import Node
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.oci.platform import Platform
from ociassemble.session import Session
from ociassemble.transports.locate import Location
from ociassemble.transports.protocols import Source


class PrivateStore(DirectoryStore):
    """A store of its own: blobs that only `beneath` has are read from there, records never."""

    def __init__(self, root: Path, beneath: Store) -> None:
        super().__init__(root)
        self._beneath = beneath

    def size(self, digest: Digest) -> int | None:
        own = super().size(digest)
        return own if own is not None else self._beneath.size(digest)

    def open(self, digest: Digest) -> BinaryIO:
        return super().open(digest) if super().size(digest) is not None else self._beneath.open(digest)

    def open_seekable(self, digest: Digest) -> BinaryIO:
        here = super().size(digest) is not None
        return super().open_seekable(digest) if here else self._beneath.open_seekable(digest)


class RebuildSession(Session):
    """Builds as `outer` would, into `store`.

    `bases` are the digests that an image gives for its base, by platform: a base named by tag is read at these, from
    the repository that the project names.
    """

    def __init__(self, outer: Session, store: PrivateStore, bases: Mapping[str, Digest]) -> None:
        super().__init__(outer.environment, outer.options, outer.progress)
        self.store = store
        self._outer = outer
        self._bases = bases

    def open(self, location: Location, pull: str, *, kept: bool = True) -> Source:
        # Names of the local store, and what tags were, are the user's.
        found = self._outer.open(location, pull, kept=kept)
        reference = location.reference
        if location.transport != "registry" or reference is None or reference.digest is not None or not self._bases:
            return found
        if self.options.offline or pull == "never":
            return found  # nobody can be asked whether the repository of that name has what the image names
        pinned = {
            platform: location._replace(reference=reference.with_digest(digest))
            for platform, digest in self._bases.items()
        }
        return _Pinned(found, pinned, lambda place: self._there(place, pull, kept), self)

    def _there(self, place: Location, pull: str, kept: bool) -> Source:
        """The place, if the registry has it: the store answers a digest from whatever repository it once came."""
        assert place.reference is not None
        self._outer.registry.head(place.reference)
        return self._outer.open(place, pull, kept=kept)


class _Pinned:
    """A base by the digests of its images; where these are gone, by its name."""

    def __init__(
        self, named: Source, pinned: Mapping[str, Location], there: Callable[[Location], Source], session: Session
    ) -> None:
        self.name = named.name
        self._named = named
        self._pinned = pinned
        self._there = there
        self._session = session

    def read(self, wanted: Collection[Platform] = ()) -> Node:
        if not wanted or any(str(platform) not in self._pinned for platform in wanted):
            return self._named.read(wanted)
        try:
            nodes = [(platform, self._there(self._pinned[str(platform)]).read([platform])) for platform in wanted]
        except NotFoundError as error:
            self._session.progress.warn(f"{error}: the base is taken by its name instead")
            return self._named.read(wanted)
        if len(nodes) == 1:
            return nodes[0][1]
        children = [replace(node, descriptor=node.descriptor.with_(platform=platform)) for platform, node in nodes]
        index = Index.create([child.descriptor for child in children])
        return Node(descriptor=index.descriptor, raw=index.raw, children=tuple(children))
