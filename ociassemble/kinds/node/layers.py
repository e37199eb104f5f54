"""How node_modules is cut into layers (NODE-18, NODE-19): big packages alone, small ones together with the links."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from ociassemble.kinds.node.bins import BinLink
from ociassemble.kinds.node.entries import owner
from ociassemble.kinds.node.errors import PackageLockError
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.plan.plan import LayerPlan, LinkSource, NpmSource, Source, TarSource

# A layer of its own costs a request and a descriptor; below a mebibyte that is more than re-sending it saves.
BIG = 1 << 20
BUDGET = 20
MOST = 100  # an image may have 127 layers, those of its base among them


def dependencies(
    packages: Sequence[LockedPackage], links: Iterable[BinLink], workdir: str, cut: str, *, packed: bool = False
) -> tuple[tuple[LayerPlan, ...], tuple[LinkSource, ...]]:
    """The layers of `packages`, and the links that found no place in them.

    `cut` is "auto", "single" or "per-package". Links go with the packages that share a layer. With
    `packed` the packages are parts of a node_modules folder, as locking packed them.
    """
    executables: dict[str, list[str]] = {}
    for link in links:
        executables.setdefault(link.owner, []).append(link.file)
    sources: dict[LockedPackage, Source] = {
        package: TarSource(package.artifact, posixpath.join(workdir, package.name))
        if packed
        else _source(package, executables.get(package.name, ()), workdir)
        for package in packages
    }
    alone = _alone(packages, cut)
    layers = [
        LayerPlan(title=_title(package.name), role="dependency", sources=(sources[package],))
        for package in packages
        if package in alone
    ]
    commands = tuple(LinkSource(posixpath.join(workdir, link.path), link.target) for link in links)
    together: tuple[Source, ...] = tuple(sources[package] for package in packages if package not in alone)
    if not together:
        return tuple(layers), commands
    layers.append(LayerPlan(title="dependencies", role="dependency", sources=(*together, *commands)))
    return tuple(layers), ()


def _alone(packages: Sequence[LockedPackage], cut: str) -> frozenset[LockedPackage]:
    for package in packages:
        if package.artifact.size < 0:
            raise PackageLockError(f"the size of `{package.artifact.filename}` is not known")
    if cut == "single":
        return frozenset()
    candidates = [package for package in packages if cut == "per-package" or package.artifact.size >= BIG]
    ranked = sorted(candidates, key=lambda package: (-package.artifact.size, package.name))
    return frozenset(ranked[: MOST if cut == "per-package" else BUDGET])


def _source(package: LockedPackage, executables: Iterable[str], workdir: str) -> NpmSource:
    return NpmSource(package.artifact, posixpath.join(workdir, package.name), tuple(sorted(set(executables))))


def _title(place: str) -> str:
    return place.removeprefix("node_modules/") if owner(place) == "" else place
