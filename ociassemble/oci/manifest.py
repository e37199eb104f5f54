"""Image manifests (image-spec manifest.md; Docker schema 2 is read as the same shape)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ociassemble.errors import FormatError
from ociassemble.oci import _wire, mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """One image: its config and its layers, bottom first. `raw` is what was fetched and is what is pushed."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=lambda: _wire.EMPTY)
    artifact_type: str = ""
    subject: Descriptor | None = None
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, raw: bytes, media_type: str = "") -> Manifest:
        """From the bytes of a document that was announced as `media_type` (empty: whatever it says itself)."""
        document = _wire.parse(raw, "the manifest")
        kind = check_type(document, media_type, mediatype.MANIFESTS, "the manifest")
        layers = document.get("layers")
        if not isinstance(layers, list):
            raise FormatError("the manifest has no list of `layers`")
        subject = document.get("subject")
        return cls(
            media_type=kind,
            config=Descriptor.from_document(document.get("config"), "the manifest's config"),
            layers=tuple(Descriptor.from_document(item, f"layer {n} of the manifest") for n, item in enumerate(layers)),
            annotations=_wire.strings(document, "annotations", "the manifest"),
            artifact_type=_wire.text(document, "artifactType", "the manifest"),
            subject=None if subject is None else Descriptor.from_document(subject, "the manifest's subject"),
            raw=raw,
        )

    @classmethod
    def create(
        cls,
        *,
        config: Descriptor,
        layers: Iterable[Descriptor],
        annotations: Mapping[str, str] = _wire.EMPTY,
        artifact_type: str = "",
        subject: Descriptor | None = None,
        extra: Mapping[str, Any] = _wire.EMPTY,
    ) -> Manifest:
        """A new OCI manifest; serialised once, keys in the specification's order, `extra` ones after."""
        layers = tuple(layers)
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST}
        if artifact_type:
            document["artifactType"] = artifact_type
        document["config"] = config.document()
        document["layers"] = [layer.document() for layer in layers]
        if subject is not None:
            document["subject"] = subject.document()
        if annotations:
            document["annotations"] = dict(sorted(annotations.items()))
        document.update({key: value for key, value in extra.items() if key not in document})
        return cls(
            media_type=mediatype.OCI_MANIFEST,
            config=config,
            layers=layers,
            annotations=annotations,
            artifact_type=artifact_type,
            subject=subject,
            raw=_wire.dump(document),
        )

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        """How an index or a tag points at this manifest."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.raw))


def check_type(document: Mapping[str, Any], announced: str, expected: frozenset[str], what: str) -> str:
    """The media type on which header, descriptor, body and shape agree; a document of two natures is refused."""
    version = document.get("schemaVersion")
    if version == 1:
        raise FormatError(
            f"{what} is of Docker's schema 1, which has no verifiable content",
            hint="re-push the image with a current tool",
        )
    if version != 2:
        raise FormatError(f"{what}: `schemaVersion` is not 2")
    lowered = [key.lower() for key in document]
    if len(set(lowered)) != len(lowered):
        raise FormatError(f"{what} has names that differ only in case")
    own = _wire.text(document, "mediaType", what)
    announced = announced.partition(";")[0].strip().lower()
    if announced in ("application/json", "application/octet-stream", "text/plain"):
        announced = ""  # servers that serve files have no better word
    if own and announced and own != announced:
        raise FormatError(f"{what} says it is {own}, but was announced as {announced}")
    natures = {
        key
        for key, kinds in (
            ("manifests", mediatype.INDEXES),
            ("layers", mediatype.MANIFESTS),
            ("config", mediatype.MANIFESTS),
        )
        if key in document and kinds != expected
    }
    if natures or "fsLayers" in document:
        raise FormatError(f"{what} is ambiguous: it has `{min(natures) if natures else 'fsLayers'}` as well")
    kind = own or announced or (mediatype.OCI_INDEX if expected == mediatype.INDEXES else mediatype.OCI_MANIFEST)
    if kind not in expected:
        raise FormatError(f"{what} is of the type {kind}, which is not one of {', '.join(sorted(expected))}")
    return kind
