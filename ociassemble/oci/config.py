"""Image configuration (image-spec config.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ociassemble.errors import FormatError
from ociassemble.oci import _wire, mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform

# config.md's own order of keys; what a base has besides follows, in its order.
_ORDER = (
    "created",
    "author",
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
    "config",
    "rootfs",
    "history",
)
_EXECUTION_ORDER = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal",
    "ArgsEscaped", "Memory", "MemorySwap", "CpuShares", "Healthcheck",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageConfig:
    """The parsed document and its bytes. Read through the properties; change with `ociassemble.image.edit`."""

    document: Mapping[str, Any]
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, raw: bytes) -> ImageConfig:
        """From its bytes; the parts we rely on are checked, the rest is kept as it is."""
        document = _wire.parse(raw, "the image config")
        _wire.text(document, "architecture", "the image config", required=True)
        _wire.text(document, "os", "the image config", required=True)
        rootfs = document.get("rootfs")
        if not isinstance(rootfs, dict) or rootfs.get("type") != "layers":
            raise FormatError("the image config has no `rootfs` of the type `layers`")
        for diff_id in rootfs.get("diff_ids") or []:
            Digest(diff_id)
        history = document.get("history") or []
        if not isinstance(history, list) or not all(isinstance(item, dict) for item in history):
            raise FormatError("the image config: `history` is not a list of objects")
        execution = document.get("config") or {}
        if not isinstance(execution, dict):
            raise FormatError("the image config: `config` is not an object")
        for key in ("Env", "Entrypoint", "Cmd"):
            value = execution.get(key) or []
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise FormatError(f"the image config: `{key}` is not a list of strings")
        for key in ("User", "WorkingDir", "StopSignal"):
            _wire.text(execution, key, "the image config")
        _wire.strings(execution, "Labels", "the image config")
        return cls(document=document, raw=raw)

    @classmethod
    def create(cls, document: Mapping[str, Any]) -> ImageConfig:
        """A config serialised once from `document`, keys in the specification's order, unknown ones after."""
        ordered = _ordered(document, _ORDER)
        if isinstance(ordered.get("config"), Mapping):
            ordered["config"] = _ordered(ordered["config"], _EXECUTION_ORDER)
        return cls.parse(_wire.dump(ordered))

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(media_type=mediatype.OCI_CONFIG, digest=self.digest, size=len(self.raw))

    @property
    def platform(self) -> Platform:
        return Platform.from_document(
            {key: value for key, value in self.document.items() if key in
             ("os", "architecture", "variant", "os.version", "os.features")}, "the image config"
        )  # fmt: skip

    @property
    def execution(self) -> Mapping[str, Any]:
        """The `config` object: what a runtime starts."""
        return self.document.get("config") or {}

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        return tuple(Digest(item) for item in self.document["rootfs"].get("diff_ids") or ())

    @property
    def history(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(self.document.get("history") or ())

    @property
    def env(self) -> dict[str, str]:
        """`Env` as a map; a later entry of the same name wins, as in the runtimes."""
        return dict(item.split("=", 1) if "=" in item else (item, "") for item in self.execution.get("Env") or ())

    @property
    def entrypoint(self) -> tuple[str, ...]:
        return tuple(self.execution.get("Entrypoint") or ())

    @property
    def cmd(self) -> tuple[str, ...]:
        return tuple(self.execution.get("Cmd") or ())

    @property
    def user(self) -> str:
        return str(self.execution.get("User") or "")

    @property
    def workdir(self) -> str:
        return str(self.execution.get("WorkingDir") or "")

    @property
    def labels(self) -> Mapping[str, str]:
        return self.execution.get("Labels") or {}

    @property
    def created(self) -> str:
        return str(self.document.get("created") or "")


def _ordered(document: Mapping[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    result = {key: document[key] for key in order if key in document}
    result.update((key, value) for key, value in document.items() if key not in result)
    return result
