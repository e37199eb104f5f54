"""What decides compressed bytes, as a value: the identity that locks record (specs/behaviour/layer-format.md)."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ociassemble.errors import UsageError
from ociassemble.oci import mediatype

Role = Literal["base", "dependency", "application"]  # as `LayerPlan.role`

BLOCK = 512 << 10  # bytes of tar compressed as one piece of work; below it threads get in the way of each other
BASE_BLOCK = 256 << 10  # ... of base layers, whose digests are in locks
ZSTD_JOB = 2 << 20  # bytes of tar that one thread compresses at a time; no less than the window of the usual levels

_MEDIA_TYPES = {
    "gzip": mediatype.OCI_LAYER_GZIP,
    "zstd": mediatype.OCI_LAYER_ZSTD,
    "none": mediatype.OCI_LAYER,
}
_LEVELS = {"gzip": range(1, 10), "zstd": range(1, 20), "none": range(1)}
# Measured (specs/behaviour/layer-format.md): from level 3 on, gzip gets little smaller for much time; base layers
# are written once and pulled often. zstd at 3 takes half of gzip's time for a tenth less.
_DEFAULT = {"gzip": {"base": 9, "": 3}, "zstd": {"": 3}, "none": {"": 0}}


class CompressionUsageError(UsageError):
    """A codec or level that there is none of."""

    code = "usage.compression"


class Codec(NamedTuple):
    """All that decides compressed bytes: `name` (gzip, zstd, none), library and its version, level, block, encoder.

    Made by `compress.codec` and `compress.parse`, which know the libraries' versions.
    """

    name: str
    library: str = ""
    version: str = ""
    level: int = 0
    block: int = 0  # bytes
    encoder: int = 1  # how blocks are made of the library's output, where that has changed

    @property
    def identity(self) -> str:
        """The codec as the lock records it, e.g. `gzip:zlib-ng/2.3.3:3:524288:2`, `none`."""
        if self.name == "none":
            return self.name
        later = f":{self.encoder}" if self.encoder > 1 else ""
        return f"{self.name}:{self.library}/{self.version}:{self.level}:{self.block}{later}"

    @property
    def media_type(self) -> str:
        """What a layer written with it is in a manifest."""
        return _MEDIA_TYPES[self.name]


def choose_level(name: str, level: int | None, role: Role) -> int:
    """`level` if the codec `name` has it; without one, that for layers of this role."""
    levels = _LEVELS.get(name)
    if levels is None:
        raise CompressionUsageError(f"no such compression: `{name}`", hint="choose gzip, zstd or none")
    if level is None:
        return _DEFAULT[name].get(role, _DEFAULT[name][""])
    if level not in levels:
        hint = f"levels of {name}: {levels[0]} to {levels[-1]}" if name != "none" else "`none` stands alone"
        raise CompressionUsageError(f"{name} has no level {level}", hint=hint)
    return level
