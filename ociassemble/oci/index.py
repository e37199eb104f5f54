"""Image indexes (image-spec image-index.md; Docker's manifest list is read as the same shape)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ociassemble.errors import FormatError
from ociassemble.oci import _wire, mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.manifest import check_type
from ociassemble.oci.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """A list of manifests, usually one a platform. `raw` is what was fetched and is what is pushed."""

    media_type: str
    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=lambda: _wire.EMPTY)
    artifact_type: str = ""
    subject: Descriptor | None = None
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, raw: bytes, media_type: str = "") -> Index:
        """From the bytes of a document that was announced as `media_type` (empty: whatever it says itself)."""
        document = _wire.parse(raw, "the index")
        kind = check_type(document, media_type, mediatype.INDEXES, "the index")
        manifests = document.get("manifests")
        if not isinstance(manifests, list):
            raise FormatError("the index has no list of `manifests`")
        subject = document.get("subject")
        return cls(
            media_type=kind,
            manifests=tuple(
                Descriptor.from_document(item, f"manifest {n} of the index") for n, item in enumerate(manifests)
            ),
            annotations=_wire.strings(document, "annotations", "the index"),
            artifact_type=_wire.text(document, "artifactType", "the index"),
            subject=None if subject is None else Descriptor.from_document(subject, "the index's subject"),
            raw=raw,
        )

    @classmethod
    def create(cls, manifests: Iterable[Descriptor], *, annotations: Mapping[str, str] = _wire.EMPTY) -> Index:
        """A new OCI index, manifests in the order given."""
        manifests = tuple(manifests)
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": mediatype.OCI_INDEX,
            "manifests": [item.document() for item in manifests],
        }
        if annotations:
            document["annotations"] = dict(sorted(annotations.items()))
        return cls(
            media_type=mediatype.OCI_INDEX,
            manifests=manifests,
            annotations=annotations,
            raw=_wire.dump(document),
        )

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        """How a tag points at this index."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.raw))

    def platforms(self) -> tuple[Platform, ...]:
        """What the index has images for; attestations (`unknown/unknown`) left out."""
        return tuple(
            item.platform for item in self.manifests if item.platform is not None and item.platform.os != "unknown"
        )

    def select(self, wanted: Platform) -> Descriptor | None:
        """The first manifest for `wanted` (image-index.md: "the first matching entry SHOULD be used")."""
        for item in self.manifests:
            if item.platform is not None and item.platform.matches(wanted):
                return item
        return None
