"""`explain`: why each layer of an image is there and where it came from; and what differs from another image.

What is said has a witness, and says which (specs/behaviour/verify.md, EXPLAIN-1 on): the image's own annotations and
history, a lock that has a layer of the same key, and this store's record of the build of that manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ociassemble.errors import ProjectError, UsageError
from ociassemble.image.compare import codec_of, compare, titles_of
from ociassemble.image.compare_packages import Packages
from ociassemble.image.differences import Comparison
from ociassemble.image.image import Image, Node, open_image, platforms_within, select_platform
from ociassemble.lock.application import read_lock
from ociassemble.oci import annotations as keys
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.operations.images import image_of, read
from ociassemble.operations.versions import by_key
from ociassemble.plan.lock import Lock, LockedPlatform
from ociassemble.plan.locked import LockedLayer, LockedPackage
from ociassemble.plan.locked_base import DebianBase
from ociassemble.session import Session
from ociassemble.session.built_record import MAX_SOURCES, in_words, recall
from ociassemble.session.inputs import lock_path
from ociassemble.session.request import BuildRequest


class ExplainedLayer(NamedTuple):
    """One layer, from the bottom. `by` says who knows why: "base", "lock", "record", "history", "" for nobody.

    `origin` is "base", "built", "store" or a repository, "" where this store did not build the image; `seconds` is
    None then.
    """

    number: int
    title: str
    role: str
    why: str
    by: str
    digest: Digest
    diff_id: Digest
    key: str
    codec: str
    size: int
    origin: str = ""
    seconds: float | None = None
    sources: tuple[Mapping[str, Any], ...] = ()


class ExplainedImage(NamedTuple):
    """One image. `base` as its annotations say it; `lock` is the lock that knows layers of it, "" for none."""

    platform: str
    digest: Digest
    base: Mapping[str, str]
    recorded: bool
    lock: str
    layers: tuple[ExplainedLayer, ...]

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self.layers)


class Against(NamedTuple):
    """Another image, and what differs."""

    name: str
    digest: Digest
    comparison: Comparison


class Explanation(NamedTuple):
    name: str
    digest: Digest
    images: tuple[ExplainedImage, ...]
    against: Against | None


def explain(
    session: Session,
    text: str,
    *,
    application: Path | None = None,
    lockfile: Path | None = None,
    platform: str | None = None,
    against: str | None = None,
) -> Explanation:
    """What is known of the image at `text`. The lock is that of `application`; without one, that of this folder."""
    node = _chosen(session, text, platform)
    path, lock = _lock(session, application, lockfile)
    images = tuple(_explained(session, image, path, lock) for image in _images(node))
    if not images:
        raise UsageError(f"`{text}` is no image: it has no layers to explain", hint="`ociassemble manifest` shows it")
    other = None
    if against is not None:
        found = _chosen(session, against, platform)
        if node.is_index and not found.is_index:
            node = select_platform(node, open_image(found).platform, text)
        elif found.is_index and not node.is_index:
            found = select_platform(found, open_image(node).platform, against)
        comparison = compare(
            node,
            found,
            roles=_roles(images),
            packages=_packages((*images, *(_explained(session, image, path, lock) for image in _images(found)))),
            closed=_other_bases(node, found),
        )
        other = Against(against, found.descriptor.digest, comparison)
    return Explanation(text, node.descriptor.digest, images, other)


def _chosen(session: Session, text: str, platform: str | None) -> Node:
    node = read(session, text)
    return image_of(session, node, text, platform).node if platform is not None else node


def _images(node: Node) -> Iterator[Image]:
    for platform in platforms_within(node):
        yield open_image(select_platform(node, platform, "the image"))


def _lock(session: Session, application: Path | None, lockfile: Path | None) -> tuple[Path, Lock | None]:
    """The lock that was asked for, which must be readable; else that of this folder, if it happens to be."""
    path = lock_path(BuildRequest(application=application or Path(), lockfile=lockfile))
    try:
        found = read_lock(path)
    except ProjectError as error:
        if application is not None or lockfile is not None:
            raise
        session.progress.warn(f"{error}: it is not asked")
        return path, None
    if found is None and (application is not None or lockfile is not None):
        session.progress.warn(f"there is no lock `{path}`")
    return path, found


def _explained(session: Session, image: Image, path: Path, lock: Lock | None) -> ExplainedImage:
    record = recall(session.store, image.digest)
    platform = str(Platform.parse(str(image.platform)))
    locked = lock.platforms.get(platform) if lock is not None else None
    said = image.manifest.annotations
    base = {
        "name": said.get(keys.BASE_NAME, ""),
        "source": said.get(keys.BASE_SOURCE, "registry" if keys.BASE_NAME in said else ""),
        "digest": said.get(keys.BASE_DIGEST, ""),
    }
    if record is not None and isinstance(record.get("base"), dict):
        base = {name: str(record["base"].get(name, "")) for name in base}
    recorded = {item["digest"]: item for item in record["layers"]} if record is not None else {}
    layers = tuple(
        _layer(image, number, title, base, recorded.get(str(layer.descriptor.digest)), locked)
        for number, (layer, title) in enumerate(zip(image.layers, titles_of(image), strict=True))
    )
    used = any(layer.by == "lock" for layer in layers)
    return ExplainedImage(platform, image.digest, base, record is not None, str(path) if used else "", layers)


def _layer(
    image: Image,
    number: int,
    title: str,
    base: Mapping[str, str],
    recorded: Mapping[str, Any] | None,
    locked: LockedPlatform | None,
) -> ExplainedLayer:
    layer = image.layers[number]
    key = layer.descriptor.annotations.get(keys.LAYER_KEY, "")
    found = ExplainedLayer(
        number=number,
        title=title,
        role="",
        why="",
        by="",
        digest=layer.descriptor.digest,
        diff_id=layer.diff_id,
        key=key,
        codec=codec_of(layer),
        size=layer.descriptor.size,
    )
    if recorded is not None:
        sources = tuple(recorded["sources"])
        found = found._replace(
            role=recorded["role"],
            by="base" if recorded["role"] == "base" else "record",
            why=in_words(sources),
            sources=sources,
            origin=recorded["origin"],
            seconds=float(recorded["seconds"]),
        )
    item = _in_lock(key, locked)
    if item is not None and locked is not None:
        sources = tuple(_locked_sources(item, locked))
        found = found._replace(role="dependency", by="lock", why=in_words(sources), sources=sources)
    if found.role == "base" or (not key and not found.title) or _in_base(layer.diff_id, locked):
        if not (base["name"] or base["digest"] or found.role):
            return found._replace(why="nobody says: of a base image, or of another builder")
        return found._replace(role="base", by="base", why=why_base(base, found.title, locked))
    if not found.by and found.title:
        found = found._replace(by="history", role="application" if found.title == "application" else "")
    return found


def _in_lock(key: str, locked: LockedPlatform | None) -> LockedLayer | None:
    return next((item for item in locked.layers if str(item.key) == key), None) if locked is not None and key else None


def _in_base(diff_id: Digest, locked: LockedPlatform | None) -> bool:
    base = locked.base if locked is not None else None
    return base is not None and any(item.diff_id == diff_id for item in base.layers)


def why_base(base: Mapping[str, str], title: str, locked: LockedPlatform | None) -> str:
    """What a layer of the base is from: an image, Debian packages, or the upstream release that it is called after."""
    name = base["name"] or base["digest"]
    if base["source"] != "debian":
        return f"base image {name}".rstrip()
    pinned = locked.base if locked is not None else None
    known = isinstance(pinned, DebianBase) and str(pinned.digest) == base["digest"]
    if not isinstance(pinned, DebianBase) or not known:
        return "base, assembled from Debian packages"
    called = re.sub(r"[^a-z0-9]", "", title.lower())  # recipes call a release nodejs24, and its layer Node.js 24
    for release in pinned.releases:
        if release.name == called:
            return f"base, from the upstream release {release.name} {release.version}"
    return f"base, assembled from {len(pinned.packages)} Debian packages"


def _locked_sources(item: LockedLayer, locked: LockedPlatform) -> list[dict[str, Any]]:
    """The packages in a locked layer: the one it is named after, else all that have no layer of their own."""
    titles = {layer.title for layer in locked.layers}
    mine = [package for package in locked.packages if item.title in _names(package)]
    if not mine:
        mine = [package for package in locked.packages if not titles.intersection(_names(package))]
    found: list[dict[str, Any]] = [_source(package) for package in mine[:MAX_SOURCES]]
    if len(mine) > MAX_SOURCES:
        found.append({"type": "more", "count": len(mine) - MAX_SOURCES})
    return found


def _names(package: LockedPackage) -> set[str]:
    return {package.name, package.name.removeprefix("node_modules/")}


def _source(package: LockedPackage) -> dict[str, Any]:
    artifact = package.artifact
    said = {"type": "wheel"} if artifact.filename.endswith(".whl") else {"type": "npm", "path": package.name}
    return {**said, "name": artifact.filename, "digest": str(artifact.digest)}


def _roles(images: tuple[ExplainedImage, ...]) -> dict[str, str]:
    return {layer.key: layer.role for image in images for layer in image.layers if layer.key and layer.role}


def _packages(images: Iterable[ExplainedImage]) -> dict[str, Packages]:
    return by_key((layer.key, layer.sources) for image in images for layer in image.layers)


def _other_bases(one: Node, other: Node) -> frozenset[Digest]:
    """Layers of bases that differ as a whole: which files of them differ is the bases' business."""
    bases = {image.manifest.annotations.get(keys.BASE_DIGEST, "") for image in _images(one)}
    return frozenset(
        layer.descriptor.digest
        for image in _images(other)
        if image.manifest.annotations.get(keys.BASE_DIGEST, "") not in bases
        for layer in image.layers
        if keys.LAYER_KEY not in layer.descriptor.annotations
    )
