"""Files as ORAS artifacts: oras-py's conventions and workflows over our own client. The only importer of oras.

`ArtifactRegistry` is an `oras.provider.Registry` whose every contact with a registry goes through `RegistryClient`:
credentials stay with their host, bytes are verified, retries end. Nothing is unpacked: a folder's archive is pulled
as the archive it is. Import this module late; oras brings requests and jsonschema along.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import oras.auth.base
import oras.container
import oras.defaults
import oras.provider

from ociassemble import _files
from ociassemble.content.blob import Blob
from ociassemble.content.verify import blocks
from ociassemble.errors import Error, FormatError, IntegrityError, UsageError
from ociassemble.oci import mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.reference import Reference
from ociassemble.registry.client import RegistryClient


class ArtifactFileError(UsageError):
    """A file that is to be pushed is not there, or is no file."""

    code = "usage.artifact"


class ArtifactTitleError(IntegrityError):
    """An artifact names a file that would not lie in the folder it is pulled into."""

    code = "integrity.artifact-title"


class Done:
    """What oras's workflows look at in a `requests.Response`: here always a success."""

    status_code = 201
    reason = "Created"

    def __init__(self, digest: Digest) -> None:
        self.headers = {"Docker-Content-Digest": str(digest)}

    def json(self) -> dict[str, Any]:
        return {}


class ArtifactRegistry(oras.provider.Registry):  # type: ignore[misc]  # oras has no types
    """Push and pull files as artifacts. Titles, media types and the empty config are as oras has them."""

    session: Any

    def __init__(self, client: RegistryClient) -> None:
        super().__init__()
        self.session.close()
        self.session = None
        self.auth = _OurAuth()
        self._client = client

    # --- workflows ---

    def push(self, target: str, files: Sequence[str | Path] | None = None, **options: Any) -> Done:
        """Push files (`PATH` or `PATH:MEDIA-TYPE`) as one artifact under `target`.

        `manifest_annotations`, `manifest_config` and `subject` are oras's. Raises `ArtifactFileError`.
        """
        for item in files or ():
            path = Path(str(item) if Path(item).exists() else str(item).rpartition(":")[0] or str(item))
            if not path.exists():
                raise ArtifactFileError(f"`{path}` does not exist")
            if not path.is_file() and not path.is_dir():
                raise ArtifactFileError(f"`{path}` is neither a file nor a folder")
        options.update(disable_path_validation=True, quiet=True)  # any file that the caller names is meant
        try:
            done: Done = super().push(target, files=[str(item) for item in files or ()], **options)
        except (OSError, ValueError) as error:
            raise ArtifactFileError(f"the artifact `{target}` cannot be made: {error}") from error
        return done

    def pull(
        self,
        target: str,
        config_path: str | None = None,
        allowed_media_type: Sequence[str] | None = None,
        overwrite: bool = True,
        outdir: str | Path | None = None,
    ) -> list[str]:
        """Write the artifact's files into `outdir` (default: here) and return their names.

        Without `overwrite`, files that exist are left alone. Raises `ArtifactTitleError`, and all that pulling can.
        """
        reference = self.get_container(target).reference
        folder = Path(outdir or ".")
        descriptor, raw = self._client.resolve(reference)
        if descriptor.media_type not in mediatype.MANIFESTS:
            raise FormatError(f"`{reference}` is an index, not an artifact of files")
        written = []
        for layer in Manifest.parse(raw, descriptor.media_type).layers:
            title = (
                layer.annotations.get(oras.defaults.annotation_title) or f"{layer.digest.algorithm}-{layer.digest.hex}"
            )
            packed = layer.media_type == oras.defaults.default_blob_dir_media_type
            if packed and not title.endswith((".tgz", ".tar.gz")):
                title += ".tar.gz"
            path = _below(folder, title)
            if overwrite or not path.exists():
                _files.directory(path.parent)
                self._write(self._client.blob(reference, layer), path)
                written.append(str(path))
        return written

    # --- the waist that the workflows stand on ---

    def get_container(self, name: Any) -> _Container:
        if isinstance(name, _Container):
            return name
        return _Container(Reference.parse(name.uri if isinstance(name, oras.container.Container) else str(name)))

    def upload_blob(
        self, blob: str, container: Any, layer: Mapping[str, Any], do_chunked: bool = False, chunk_size: int = 0
    ) -> Done:
        descriptor = Descriptor.from_document(dict(layer), "the artifact's layer")
        path = Path(blob)
        empty = descriptor.size == 0  # oras names /dev/null then
        source = Blob(descriptor=descriptor, source=lambda: io.BytesIO(b"") if empty else path.open("rb", buffering=0))
        self._client.push_blob(self.get_container(container).reference, source)
        return Done(descriptor.digest)

    def put_upload(self, blob: str, container: Any, layer: Mapping[str, Any]) -> Done:
        return self.upload_blob(blob, container, layer)

    def chunked_upload(self, blob: str, container: Any, layer: Mapping[str, Any], chunk_size: int = 0) -> Done:
        return self.upload_blob(blob, container, layer)

    def blob_exists(self, layer: Mapping[str, Any], container: Any) -> bool:
        descriptor = Descriptor.from_document(dict(layer), "the artifact's layer")
        return self._client.blob_exists(self.get_container(container).reference, descriptor)

    def upload_manifest(self, manifest: Mapping[str, Any], container: Any) -> Done:
        """Serialised once: what is hashed is what is sent."""
        document = {"schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST, **manifest}
        raw = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        kind = str(document["mediaType"])
        parsed = Manifest.parse(raw, kind)
        self._client.put_manifest(self.get_container(container).reference, raw, kind)
        return Done(parsed.digest)

    def get_manifest(
        self, container: Any, allowed_media_type: Sequence[str] | None = None, validation_schema: Any = None
    ) -> dict[str, Any]:
        descriptor, raw = self._client.resolve(self.get_container(container).reference)
        if allowed_media_type and descriptor.media_type not in allowed_media_type:
            raise FormatError(f"`{container}` is of the type {descriptor.media_type}")
        document: dict[str, Any] = json.loads(raw)
        return document

    def download_blob(self, container: Any, digest: str, outfile: str) -> str:
        """The size is not known here; the digest is checked before the file has its name."""
        reference = self.get_container(container).reference
        layers = Manifest.parse(self._client.resolve(reference)[1]).layers
        found = next((layer for layer in layers if layer.digest == digest), None)
        if found is None:
            raise FormatError(f"`{reference}` has no blob {digest:.100}")
        self._write(self._client.blob(reference, found), Path(outfile))
        return outfile

    def get_tags(self, container: Any, N: int | None = None) -> list[str]:
        return self._client.tags(self.get_container(container).reference)[:N]

    def delete_tag(self, container: Any, tag: str) -> bool:
        self._client.delete(self.get_container(container).reference._replace(tag=tag, digest=None))
        return True

    def do_request(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Error("requests to registries go through RegistryClient")

    def get_blob(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Error("use download_blob: it verifies")

    def login(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise UsageError("log in with `docker login` or `podman login`")

    logout = login

    def _check_200_response(self, response: Done) -> None:
        """Whatever was no success has been raised by the client."""

    def _validate_path(self, path: str) -> bool:
        return Path(path).resolve().is_relative_to(Path.cwd())

    def _write(self, blob: Blob, path: Path) -> None:
        with _files.TemporaryFile(path.parent, mode=0o644) as file, blob.open() as stream:
            for block in blocks(stream):
                file.write(block)
            file.commit(path, durable=True)


class _Container(oras.container.Container):  # type: ignore[misc]  # oras has no types
    """oras's view of a `Reference`."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.registry = reference.api_host
        namespace, _, self.repository = reference.repository.rpartition("/")
        self.namespace = namespace or None
        self.tag = reference.tag or None
        self.digest = reference.digest

    def __str__(self) -> str:
        return str(self.reference)


class _OurAuth(oras.auth.base.AuthBackend):  # type: ignore[misc]  # oras has no types
    """oras asks it to read credentials before each workflow; the client has its own."""

    def load_configs(self, container: Any, configs: Any = None) -> None:
        pass


def _below(folder: Path, title: str) -> Path:
    """Where a file of that title lies below `folder`; a title is a relative path without tricks."""
    parts = title.split("/")
    plain = title.isprintable() and "\\" not in title and len(title) < 1000
    if not plain or any(part in ("", ".", "..") or len(part) > 255 for part in parts):
        raise ArtifactTitleError(f"the artifact names a file `{title[:200]!r}`, which is not a plain relative name")
    path = folder.joinpath(*parts)
    if not path.parent.resolve().is_relative_to(folder.resolve()) or path.is_symlink():
        raise ArtifactTitleError(f"`{path}` leads out of `{folder}` by a link")
    return path
