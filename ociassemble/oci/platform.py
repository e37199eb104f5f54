"""Platforms (image-spec image-index.md, "platform")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ociassemble.errors import FormatError, UsageError
from ociassemble.oci import _wire

_PART = re.compile(r"[a-z0-9_.]{1,40}", re.ASCII)

# What people type, and what GOARCH calls it (variants as in image-index.md's table).
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "ppc64el": ("ppc64le", ""),
}
# The variant that a bare architecture stands for.
_DEFAULT_VARIANT = {"arm64": "v8", "amd64": "v1", "arm": "v7"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """An operating system, an architecture (GOARCH) and perhaps a variant."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Platform:
        """`os/arch[/variant]`; `linux/aarch64` and the like become their GOARCH names."""
        parts = text.strip().lower().split("/")
        if len(parts) == 1:
            parts = ["linux", *parts]
        if len(parts) not in (2, 3) or not all(_PART.fullmatch(part) for part in parts):
            raise UsageError(
                f"not a platform: `{text}`", hint="a platform is written like `linux/amd64` or `linux/arm/v7`"
            )
        architecture, implied = _ARCHITECTURES.get(parts[1], (parts[1], ""))
        variant = parts[2] if len(parts) == 3 else implied
        if variant and _DEFAULT_VARIANT.get(architecture) == variant and architecture != "arm":
            variant = ""
        return cls(os=parts[0], architecture=architecture, variant=variant)

    @classmethod
    def from_document(cls, document: Any, what: str) -> Platform:
        """From the `platform` object of a descriptor."""
        if not isinstance(document, Mapping):
            raise FormatError(f"{what}: `platform` is not an object")
        features = document.get("os.features") or []
        if not isinstance(features, list) or not all(isinstance(item, str) for item in features):
            raise FormatError(f"{what}: `os.features` is not a list of strings")
        return cls(
            os=_wire.text(document, "os", what),
            architecture=_wire.text(document, "architecture", what),
            variant=_wire.text(document, "variant", what),
            os_version=_wire.text(document, "os.version", what),
            os_features=tuple(features),
        )

    def document(self) -> dict[str, Any]:
        """The wire form, keys in the specification's order, empty ones left out."""
        result: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            result["os.version"] = self.os_version
        if self.os_features:
            result["os.features"] = list(self.os_features)
        if self.variant:
            result["variant"] = self.variant
        return result

    def matches(self, wanted: Platform) -> bool:
        """Whether an image for this platform is what `wanted` asks for; a missing variant is the default one."""
        return (
            self.os == wanted.os
            and self.architecture == wanted.architecture
            and self._variant() == wanted._variant()
            and (not wanted.os_version or self.os_version == wanted.os_version)
        )

    def _variant(self) -> str:
        return self.variant or _DEFAULT_VARIANT.get(self.architecture, "")

    def __str__(self) -> str:
        """As users write it and locks name it: `linux/arm64` for what some images call `arm64` of the variant `v8`."""
        usual = self.architecture != "arm" and self.variant == _DEFAULT_VARIANT.get(self.architecture)
        return "/".join(part for part in (self.os, self.architecture, "" if usual else self.variant) if part)
