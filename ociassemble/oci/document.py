"""Manifests and indexes by their bytes alone, for places that keep no descriptor beside them."""

from __future__ import annotations

from ociassemble.errors import FormatError
from ociassemble.oci import _wire, mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest

_DOCUMENTS = mediatype.INDEXES | mediatype.MANIFESTS


def describe(raw: bytes, announced: str, what: str) -> Descriptor:
    """The descriptor of a manifest or index; what announced it, what it says itself, and its shape must agree.

    `announced` is a media type, "" for none; `what` names the document in errors. Raises `FormatError`.
    """
    try:
        document = _wire.parse(raw, what)
    except FormatError as error:
        said = f" (it is {announced})" if announced and announced not in _DOCUMENTS else ""
        raise FormatError(f"{what} is not a manifest{said}", details=[str(error)]) from error
    own = document.get("mediaType")
    kind = announced if announced in _DOCUMENTS else own
    if kind in mediatype.INDEXES or (kind not in _DOCUMENTS and "manifests" in document):
        return Index.parse(raw, announced).descriptor
    return Manifest.parse(raw, announced).descriptor
