"""What the newest packages of a base were when they were last resolved: the answer under `--offline` (OFFLINE-4).

As with a registry's tags, the store may answer what nobody may be asked. Nothing here is believed of a lock's base.
"""

from __future__ import annotations

from collections.abc import Sequence

from ociassemble.content.store import Store, read_record
from ociassemble.oci import _wire
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.locked_base import DebianPackage
from ociassemble.plan.strict import Invalid

_KIND = "debian-newest"


def remember(store: Store, recipe: str, platform: Platform, packages: Sequence[DebianPackage]) -> None:
    """Keep what the newest packages of `recipe` ("python3") are."""
    value = _wire.canonical([item.document() for item in packages])
    store.put_record(_KIND, _key(recipe, platform), value)


def remembered(store: Store, recipe: str, platform: Platform) -> tuple[DebianPackage, ...] | None:
    """What was kept; None where nothing was, or something else."""
    return read_record(store, _KIND, _key(recipe, platform), parse)


def parse(value: object) -> tuple[DebianPackage, ...]:
    """Packages from their JSON form; raises `Invalid`."""
    if not isinstance(value, list):
        raise Invalid("it is not a list of packages")
    return tuple(DebianPackage.read(item, f"packages[{number}]") for number, item in enumerate(value))


def _key(recipe: str, platform: Platform) -> str:
    return Digest.of(_wire.canonical([recipe, str(platform)])).hex
