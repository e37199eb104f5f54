"""Manifests and indexes by their bytes alone, for places that keep no descriptor beside them."""

from __future__ import annotations

from ociassemble.errors import FormatError
from ociassemble.oci import _wire, mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest

DOCUMENTS = mediatype.INDEXES | mediatype.MANIFESTS


def describe(raw: bytes, announced: str, what: str, *, hint: str | None = None) -> Descriptor:
    """The descriptor of a manifest or index; what announced it, what it says itself, and its shape must agree.

    `announced` is a media type, "" for none. Raises `FormatError`: `what` names the document in it, `hint` is for bytes
    that are no such document, and were not announced as one.
    """
    try:
        document = _wire.parse(raw, what)
    except FormatError as error:
        other = announced not in DOCUMENTS
        said = f" (it is {announced})" if announced and other else ""
        raise FormatError(
            f"{what} is not a manifest{said}", details=[str(error)], hint=hint if other else None
        ) from error
    kind = announced if announced in DOCUMENTS else _wire.text(document, "mediaType", what)
    if kind in mediatype.INDEXES or (kind not in DOCUMENTS and "manifests" in document):
        return Index.parse(raw, announced).descriptor
    return Manifest.parse(raw, announced).descriptor
