"""Which versions of packages are in a layer, by the file names of its inputs: what a comparison names (VERIFY-19)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ociassemble.formats.package_name import normalised
from ociassemble.image.compare_packages import Packages
from ociassemble.image.image import Image
from ociassemble.session import Session
from ociassemble.session.built_record import recall

_TARBALL = re.compile(r"(.+?)-v?([0-9][^/]*)\.tgz", re.DOTALL)


def recorded(session: Session, images: Iterable[Image]) -> dict[str, Packages]:
    """By layer key, what the records say of these images: those of them that this store built."""
    records = (recall(session.store, image.digest) for image in images)
    layers = [layer for record in records if record is not None for layer in record["layers"]]
    return by_key((str(layer.get("key", "")), layer["sources"]) for layer in layers)


def by_key(layers: Iterable[tuple[str, Iterable[Mapping[str, Any]]]]) -> dict[str, Packages]:
    """Of layers' keys and inputs; a layer whose inputs are not all told is left out, for it would seem to lack some."""
    found = ((key, _versions(list(sources))) for key, sources in layers if key)
    return {key: packages for key, packages in found if packages is not None}


def _versions(sources: list[Mapping[str, Any]]) -> Packages | None:
    if not sources or any(source.get("type") == "more" for source in sources):
        return None
    found: dict[str, set[str]] = {}
    for source in sources:
        kind, file = source.get("type"), str(source.get("name", ""))
        if kind == "wheel" and file.count("-") >= 2:
            name, version, *_ = file.split("-")
            found.setdefault(normalised(name), set()).add(version)
        elif kind == "npm" and (match := _TARBALL.fullmatch(file)):
            # A scope is in the path alone; one package may be there twice, below others.
            name = str(source.get("path", "")).rpartition("node_modules/")[2] or match[1]
            found.setdefault(name, set()).add(match[2])
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}
