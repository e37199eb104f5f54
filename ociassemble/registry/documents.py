"""What registries answer with, read: manifests and indexes described, lists and their pages. Total."""

from __future__ import annotations

import json
import re

from ociassemble.errors import FormatError
from ociassemble.net.response import Response
from ociassemble.net.url import join
from ociassemble.oci import mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.registry.errors import RegistryAnswerError

DOCUMENTS = mediatype.INDEXES | mediatype.MANIFESTS
_LINK = re.compile(r"<([^>]*)>([^<]*)")


def describe(raw: bytes, announced: str, what: str) -> Descriptor:
    """The descriptor of a manifest or index from its bytes; header, body and shape must agree on what it is.

    Raises `FormatError`.
    """
    try:
        document = json.loads(raw)
        own = document.get("mediaType") if isinstance(document, dict) else None
    except (ValueError, RecursionError):
        raise FormatError(
            f"{what}: the answer is not a manifest (it is {announced or 'of no type'})", hint="is this a registry?"
        ) from None
    kind = announced if announced in DOCUMENTS or not isinstance(own, str) else own
    if kind in mediatype.INDEXES or (kind not in DOCUMENTS and isinstance(document, dict) and "manifests" in document):
        return Index.parse(raw, announced).descriptor
    return Manifest.parse(raw, announced).descriptor


def names(raw: bytes, key: str, host: str) -> list[str]:
    """The list at `key` of a tags or catalog answer; what is no plain text in it is left out."""
    try:
        found = json.loads(raw).get(key) or []
    except (ValueError, AttributeError, RecursionError):
        raise RegistryAnswerError(f"`{host}` did not answer with a list of {key}") from None
    if not isinstance(found, list):
        raise RegistryAnswerError(f"`{host}` did not answer with a list of {key}")
    return [name for name in found if isinstance(name, str) and name.isascii() and name.isprintable()]


def next_page(response: Response) -> str:
    """The URL of the Link with rel=next (RFC 8288), "" on the last page."""
    for header in response.headers("Link"):
        for target, parameters in _LINK.findall(header):
            if "next" in parameters.replace('"', " ").replace("=", " ").split() and target:
                return join(response.url, target)
    return ""
