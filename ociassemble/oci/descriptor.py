"""Content descriptors (image-spec descriptor.md)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ociassemble.errors import FormatError
from ociassemble.oci import _wire
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform

_KNOWN = frozenset({"mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Descriptor:
    """What a blob is: type, sha256, size in bytes; and what a document says about it."""

    media_type: str
    digest: Digest
    size: int  # bytes
    annotations: Mapping[str, str] = field(default_factory=lambda: _wire.EMPTY)
    artifact_type: str = ""
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    data: bytes | None = None  # embedded content, verified against digest and size when parsed
    extra: Mapping[str, Any] = field(default_factory=lambda: _wire.EMPTY)  # keys we do not know, kept

    @classmethod
    def from_document(cls, document: Any, what: str) -> Descriptor:
        """From its JSON object; `what` names the place in errors."""
        if not isinstance(document, dict):
            raise FormatError(f"{what} is not a descriptor")
        size = document.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise FormatError(f"{what}: `size` is not a number of bytes")
        digest = Digest(_wire.text(document, "digest", what, required=True))
        urls = document.get("urls") or []
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            raise FormatError(f"{what}: `urls` is not a list of strings")
        data = None
        if document.get("data") is not None:
            try:
                data = base64.b64decode(document["data"], validate=True)
            except (binascii.Error, TypeError, ValueError) as error:
                raise FormatError(f"{what}: `data` is not base64") from error
            if len(data) != size or (digest.algorithm == "sha256" and Digest.of(data) != digest):
                raise FormatError(f"{what}: the embedded data is not what its digest says")
        platform = document.get("platform")
        return cls(
            media_type=_wire.text(document, "mediaType", what, required=True),
            digest=digest,
            size=size,
            annotations=_wire.strings(document, "annotations", what),
            artifact_type=_wire.text(document, "artifactType", what),
            platform=None if platform is None else Platform.from_document(platform, what),
            urls=tuple(urls),
            data=data,
            extra={key: value for key, value in document.items() if key not in _KNOWN},
        )

    def document(self) -> dict[str, Any]:
        """The wire form, keys in the specification's order, unknown ones after."""
        result: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.urls:
            result["urls"] = list(self.urls)
        if self.annotations:
            result["annotations"] = dict(sorted(self.annotations.items()))
        if self.data is not None:
            result["data"] = base64.b64encode(self.data).decode("ascii")
        if self.artifact_type:
            result["artifactType"] = self.artifact_type
        if self.platform is not None:
            result["platform"] = self.platform.document()
        result.update(self.extra)
        return result

    def bare(self) -> Descriptor:
        """Type, digest and size alone: the form for pushing and for comparing."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=self.size)

    def with_(self, **changes: Any) -> Descriptor:
        """A copy with some fields replaced."""
        return replace(self, **changes)
