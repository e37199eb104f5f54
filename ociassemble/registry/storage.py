"""Where the small registry keeps what it was given: blobs shared by digest, repositories as folders of names.

Below the folder: the blobs of a `DirectoryStore`, and `repositories/NAME/_blobs/ALGORITHM/HEX`,
`.../_manifests/ALGORITHM/HEX` (holding the media type) and `.../_tags/TAG` (holding a digest). Parts of a repository's
name never begin with `_`, so the two do not meet. Everything is written whole or not at all; a restart finds it again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ociassemble import _files
from ociassemble.content.directory import DirectoryIngest, DirectoryStore
from ociassemble.content.store import ingest_all
from ociassemble.errors import Error, FormatError, NotFoundError
from ociassemble.oci import mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest


class UnknownContentError(NotFoundError):
    """A manifest names a blob or a manifest that the repository does not have."""

    code = "not-found.content"

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"{digest} is not in this repository")
        self.digest = digest


class RegistryStorage:
    """Repositories below `root`. Thread-safe."""

    def __init__(self, root: Path) -> None:
        self._store = DirectoryStore(root)
        self._repositories = root / "repositories"
        _files.directory(self._repositories)
        self._lock = threading.Lock()

    # --- blobs ---

    def blob_size(self, repository: str, digest: Digest) -> int | None:
        """Bytes of a blob that the repository has, else None."""
        if not self._link(repository, "_blobs", digest).is_file():
            return None
        return self._store.size(digest)

    def open_blob(self, digest: Digest) -> BinaryIO:
        return self._store.path(digest).open("rb", buffering=0)

    def receive(self) -> DirectoryIngest:
        """Begin taking in a blob."""
        return self._store.ingest()

    def keep(self, repository: str, blob: DirectoryIngest, digest: Digest) -> None:
        """What was received, if it has this digest, becomes the repository's."""
        blob.commit(digest)
        self._write(self._link(repository, "_blobs", digest), b"")

    def mount(self, repository: str, digest: Digest, source: str) -> bool:
        """Make a blob of `source` one of `repository`, too; whether `source` has it."""
        if self.blob_size(source, digest) is None:
            return False
        self._write(self._link(repository, "_blobs", digest), b"")
        return True

    def delete_blob(self, repository: str, digest: Digest) -> bool:
        """Take the blob out of the repository; its bytes stay for others."""
        return self._remove(self._link(repository, "_blobs", digest))

    # --- manifests and tags ---

    def manifest(self, repository: str, identifier: str) -> tuple[Descriptor, bytes] | None:
        """A manifest by tag or digest, or None. Bytes that went bad on disk count as absent."""
        try:
            digest = Digest(identifier if ":" in identifier else self._read(self._tag(repository, identifier)))
            media_type = self._read(self._link(repository, "_manifests", digest))
            with self._store.open(digest) as stream:
                raw = stream.read()
        except (OSError, Error):
            return None
        return Descriptor(media_type=media_type, digest=digest, size=len(raw)), raw

    def put_manifest(self, repository: str, identifier: str, raw: bytes, media_type: str) -> Digest:
        """Store a manifest or index under a tag or its digest.

        Raises `FormatError` where it is none or has another digest, `UnknownContentError` where parts are missing.
        """
        if media_type in mediatype.INDEXES:
            for child in Index.parse(raw, media_type).manifests:
                if not self._link(repository, "_manifests", child.digest).is_file():
                    raise UnknownContentError(child.digest)
        else:
            manifest = Manifest.parse(raw, media_type)
            for part in (manifest.config, *manifest.layers):
                if not part.urls and self.blob_size(repository, part.digest) is None:
                    raise UnknownContentError(part.digest)
        digest = Digest.of(raw)
        if ":" in identifier:
            asked = Digest(identifier)
            if asked.algorithm != digest.algorithm or asked != digest:
                raise FormatError(f"the manifest has the digest {digest}, not {asked}")
        ingest_all(self._store, (raw,), digest)
        with self._lock:
            self._write(self._link(repository, "_manifests", digest), media_type.encode())
            if ":" not in identifier:
                self._write(self._tag(repository, identifier), digest.encode())
        return digest

    def delete_manifest(self, repository: str, identifier: str) -> bool:
        """Remove a tag, or a manifest and all tags that point at it."""
        with self._lock:
            if ":" not in identifier:
                return self._remove(self._tag(repository, identifier))
            digest = Digest(identifier)
            for tag in self.tags(repository):
                with contextlib.suppress(OSError):
                    if self._read(self._tag(repository, tag)) == digest:
                        self._remove(self._tag(repository, tag))
            return self._remove(self._link(repository, "_manifests", digest))

    def tags(self, repository: str) -> list[str]:
        """In byte order."""
        folder = self._folder(repository) / "_tags"
        return sorted(path.name for path in folder.glob("*") if not path.name.startswith(".new-"))

    def exists(self, repository: str) -> bool:
        return self._folder(repository).is_dir()

    def repositories(self) -> list[str]:
        """All that have a manifest, in byte order."""
        return sorted(self._walk(self._repositories, ""))

    def _walk(self, folder: Path, name: str) -> Iterator[str]:
        if any((folder / "_manifests").glob("*/*")):
            yield name
        for path in folder.iterdir():
            if path.is_dir() and not path.name.startswith("_"):
                yield from self._walk(path, f"{name}/{path.name}" if name else path.name)

    # --- files ---

    def _folder(self, repository: str) -> Path:
        return self._repositories / repository  # its grammar was checked: no part is `..` or begins with `_`

    def _link(self, repository: str, kind: str, digest: Digest) -> Path:
        return self._folder(repository) / kind / digest.algorithm / digest.hex

    def _tag(self, repository: str, tag: str) -> Path:
        return self._folder(repository) / "_tags" / tag

    def _read(self, path: Path) -> str:
        return path.read_text("utf-8")

    def _write(self, path: Path, data: bytes) -> None:
        _files.directory(path.parent)
        _files.write_atomic(path, data, mode=0o600)

    def _remove(self, path: Path) -> bool:
        if not path.is_file():
            return False
        _files.remove(path)
        return True
