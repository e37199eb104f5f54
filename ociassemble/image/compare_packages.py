"""Which layers differ, by how many files and in the versions of which packages (VERIFY-19)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ociassemble.formats.package_name import normalised
from ociassemble.image.differences import Difference, LayerDifference, LayerName, Moved

Packages = Mapping[str, str]  # the version of each package in a layer

# Every installed wheel has such a folder; of two versions of one wheel each side has its own.
_INSTALLED = re.compile(r"(?:^|/)([A-Za-z0-9._]+)-([A-Za-z0-9._+!]+)\.dist-info(?:/|$)")


def layer_difference(
    name: LayerName,
    platform: str,
    differences: Sequence[Difference],
    omitted: int,
    one: Packages | None,
    other: Packages | None,
) -> LayerDifference:
    """The sum of what differs in one layer; `one` and `other` are what is known to be in it, None where nothing is.

    Where one of them is not known, versions are those that the folders of installed wheels give.
    """
    files = {item.path for item in differences if item.where == "file" and not _is_directory(item)}
    if one is None or other is None:
        one, other = _installed(differences)
    return LayerDifference(name, platform, len(files), omitted > 0, tuple(_moved(one, other)))


def _is_directory(item: Difference) -> bool:
    return item.field == "presence" and "directory" in (item.one, item.other)


def _moved(one: Packages, other: Packages) -> Iterator[Moved]:
    for name in sorted({*one, *other}):
        if one.get(name) != other.get(name):
            yield Moved(name, one.get(name), other.get(name))


def _installed(differences: Sequence[Difference]) -> tuple[Packages, Packages]:
    sides: tuple[dict[str, str], dict[str, str]] = {}, {}
    for item in differences:
        if item.field == "presence" and (found := _INSTALLED.search(item.path)):
            sides[item.one is None][normalised(found[1])] = found[2]
    return sides
