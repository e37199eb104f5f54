"""Two images -> what differs, as values: documents by JSON pointer, layers by file and header field (VERIFY-10 on).

Layers of equal digest are never opened. Of a layer that differs both sides are read once, streaming; what a config
or manifest merely derives from its layers (digests, sizes, diff_ids) is not told a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ociassemble.content.store import SpoiltError
from ociassemble.errors import IntegrityError
from ociassemble.image.compare_layers import compare_layers
from ociassemble.image.compare_packages import Packages, layer_difference
from ociassemble.image.differences import Comparison, Difference, Findings, Kind, LayerName, Where
from ociassemble.image.filesystem import members
from ociassemble.image.image import Image, Layer, Node, open_image
from ociassemble.oci import _wire, mediatype
from ociassemble.oci.annotations import LAYER_CODEC, LAYER_KEY
from ociassemble.oci.digest import Digest

_CREATED_BY = "ociassemble: "  # how `image.assemble` begins a layer's line of history


class _Known(NamedTuple):
    """What `compare` was told."""

    roles: Mapping[str, str]
    packages: Mapping[str, Packages]
    closed: Container[Digest]


def compare(
    one: Node,
    other: Node,
    *,
    roles: Mapping[str, str] = _wire.EMPTY,
    packages: Mapping[str, Packages] = MappingProxyType({}),
    closed: Container[Digest] = (),
) -> Comparison:
    """What differs between two images, or two indexes of images.

    `roles` says what layers are for, and `packages` which versions are in them, by key (`LAYER_KEY`). Layers of `other`
    whose digest is in `closed` are not looked into: it is enough to know that they differ. Raises what opening a blob
    raises; a layer that cannot be read as one is itself a difference ("unreadable").
    """
    known = _Known(roles, packages, closed)
    findings = Findings()
    if one.descriptor.digest == other.descriptor.digest:
        return findings.comparison()
    if one.is_index or other.is_index:
        _indexes(one, other, known, findings)
    else:
        _images(open_image(one), open_image(other), known, findings, "")
    return findings.comparison()


def titles_of(image: Image) -> list[str]:
    """What the config's history calls each layer, the lowest first: "application"; "" for a base's."""
    filled = [item for item in image.config.history if not item.get("empty_layer")]
    if len(filled) != len(image.layers):
        return [""] * len(image.layers)
    said = [str(item.get("created_by", "")) for item in filled]
    return [text.removeprefix(_CREATED_BY) if text.startswith(_CREATED_BY) else "" for text in said]


def codec_of(layer: Layer) -> str:
    """What compressed a layer: the codec's identity where its descriptor says it, else what its media type says."""
    found = layer.descriptor
    return found.annotations.get(LAYER_CODEC) or mediatype.compression(found.media_type) or found.media_type


# ------------------------------------------------------------------------------------ indexes


def _indexes(one: Node, other: Node, known: _Known, findings: Findings) -> None:
    before, after = _by_platform(one), _by_platform(other)
    if one.is_index and other.is_index:
        first, second = (_without(_wire.parse(node.raw, "the index"), "manifests") for node in (one, other))
        findings.add(_values(first, second, "", "index", "metadata"))
        shared = [[name for name in names if name in others] for names, others in ((before, after), (after, before))]
        if shared[0] != shared[1]:
            findings.add([Difference("order", "index", "/manifests", shared[0], shared[1])])
    else:
        types = [node.descriptor.media_type for node in (one, other)]
        findings.add([Difference("metadata", "index", "/mediaType", types[0], types[1])])
    for number, name in enumerate(dict.fromkeys((*before, *after))):
        left, right = before.get(name), after.get(name)
        if left is None or right is None:
            said = [str(node.descriptor.digest) if node is not None else None for node in (left, right)]
            findings.add([Difference("content", "index", "/manifests", said[0], said[1], platform=name)])
            continue
        if one.is_index and other.is_index:
            described = [_without(node.descriptor.document(), "digest", "size", "data") for node in (left, right)]
            findings.add(_values(described[0], described[1], f"/manifests/{number}", "index", "metadata"))
        if left.descriptor.digest != right.descriptor.digest:
            _images(open_image(left), open_image(right), known, findings, name)
    if not findings:
        findings.add([_encoding("index", one.raw, other.raw)])


def _by_platform(node: Node) -> dict[str, Node]:
    """The images of an index by platform, its artifacts by digest; of two for one platform the first counts."""
    found: dict[str, Node] = {}
    for child in node.walk():
        if child.is_index:
            continue
        if not child.blobs or child.blobs[0].descriptor.media_type not in mediatype.CONFIGS:
            found.setdefault(str(child.descriptor.digest), child)
            continue
        platform = child.descriptor.platform or open_image(child).platform
        name = str(platform) if platform.os != "unknown" else str(child.descriptor.digest)
        found.setdefault(name, child)
    return found


# ------------------------------------------------------------------------------------ manifests and configs


def _images(one: Image, other: Image, known: _Known, findings: Findings, platform: str) -> None:
    pairs = _paired(one, other)
    found = [*_manifests(one, other), *_configs(one, other)]
    before = len(findings)
    findings.add(item._replace(platform=platform) for item in found)
    for pair in pairs:
        differences, omitted = _layers(pair, known.closed)
        differences += _descriptors(pair)
        if not differences:
            continue
        name = _name(pair, known.roles)
        findings.add((item._replace(platform=platform, layer=name) for item in differences), omitted)
        sides = [known.packages.get(_key(layer)) for layer in (pair.one, pair.other)]
        findings.add_layer(layer_difference(name, platform, differences, omitted, *sides))
    if len(findings) == before:
        # Two spellings of the same documents.
        both: list[tuple[Where, bytes, bytes]] = [
            ("config", one.config.raw, other.config.raw),
            ("manifest", one.manifest.raw, other.manifest.raw),
        ]
        said = next((_encoding(where, left, right) for where, left, right in both if left != right), None)
        findings.add([said._replace(platform=platform)] if said is not None else [])


def _manifests(one: Image, other: Image) -> Iterator[Difference]:
    documents = [_wire.parse(image.manifest.raw, "the manifest") for image in (one, other)]
    trimmed = [_without(document, "layers", "config") for document in documents]
    yield from _values(trimmed[0], trimmed[1], "", "manifest", "metadata")
    configs = [_without(document["config"], "digest", "size", "data") for document in documents]
    yield from _values(configs[0], configs[1], "/config", "manifest", "metadata")


def _descriptors(pair: _Pair) -> Iterator[Difference]:
    """What the manifests say of two layers, beside what is told of where the layers are."""
    if pair.one is None or pair.other is None:
        return
    left, right = pair.one.descriptor.document(), pair.other.descriptor.document()
    if left["digest"] != right["digest"]:
        left, right = (_without(item, "digest", "size", "data", "mediaType") for item in (left, right))
        left, right = (
            {**item, "annotations": _without(item.get("annotations", {}), LAYER_CODEC)} for item in (left, right)
        )
    yield from _values(left, right, f"/layers/{pair.number}", "manifest", "metadata")


def _configs(one: Image, other: Image) -> Iterator[Difference]:
    documents = (dict(image.config.document) for image in (one, other))
    # Its diff_ids are told of where the layers are.
    first, second = ({**item, "rootfs": _without(item["rootfs"], "diff_ids")} for item in documents)
    yield from _values(first, second, "", "config", "metadata")


def _without(document: Any, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}


def _values(one: Any, other: Any, pointer: str, where: Where, kind: Kind) -> Iterator[Difference]:
    """Where two JSON values differ, as deep as it can be told. Documents are at most `_wire.MAX_DEPTH` deep."""
    if _both(dict, one, other):
        one, other = one or {}, other or {}
        for key in dict.fromkeys((*one, *other)):
            yield from _values(one.get(key), other.get(key), f"{pointer}/{_escaped(key)}", where, kind)
    elif _both(list, one, other):
        one, other = one or [], other or []
        for number in range(max(len(one), len(other))):
            first, second = (item[number] if number < len(item) else None for item in (one, other))
            yield from _values(first, second, f"{pointer}/{number}", where, kind)
    elif one != other or type(one) is not type(other):  # 1 is not true, though Python says so
        yield Difference(kind, where, pointer, one, other)


def _both(kind: type, one: Any, other: Any) -> bool:
    """Whether both are of this kind, or one is and is more than nothing, where the other is not there."""
    if isinstance(one, kind) and isinstance(other, kind):
        return True
    return (isinstance(one, kind) and bool(one) and other is None) or (
        isinstance(other, kind) and bool(other) and one is None
    )


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _encoding(where: Where, one: bytes, other: bytes) -> Difference:
    """Two documents that say the same in other bytes."""
    size = min(len(one), len(other))
    offset = next((number for number in range(size) if one[number] != other[number]), size)
    return Difference("metadata", where, "encoding", offset=offset)


# ------------------------------------------------------------------------------------ layers


class _Pair(NamedTuple):
    """Two layers that are held against each other; None where there is no other."""

    first: int | None
    second: int | None
    one: Layer | None
    other: Layer | None
    moved: bool = False
    title: str = ""

    @property
    def number(self) -> int:
        return self.first if self.first is not None else self.second or 0


def _paired(one: Image, other: Image) -> list[_Pair]:
    """Layers of both images that belong together: by content, by key, by title, and what is left by place."""
    lefts, rights = dict(enumerate(one.layers)), dict(enumerate(other.layers))
    matched: dict[int, int] = {}
    titles = {id(image): titles_of(image) for image in (one, other)}  # once: an image may have thousands of layers
    traits: tuple[Callable[[Image, int], str], ...] = (
        lambda image, number: str(image.layers[number].descriptor.digest),
        lambda image, number: str(image.layers[number].diff_id),
        lambda image, number: _key(image.layers[number]),
        lambda image, number: titles[id(image)][number],
        lambda image, number: str(number),
        lambda image, number: str(number - len(image.layers)),
    )
    for trait in traits:
        waiting: dict[str, list[int]] = {}
        for number in rights:
            waiting.setdefault(trait(other, number), []).append(number)
        for number in list(lefts):
            name = trait(one, number)
            if name and waiting.get(name):
                matched[number] = waiting[name].pop(0)
                del lefts[number], rights[matched[number]]
    pairs = []
    furthest = -1
    for number, layer in enumerate(one.layers):
        partner = matched.get(number)
        if partner is None:
            pairs.append(_Pair(number, None, layer, None, title=titles[id(one)][number]))
            continue
        moved, title = partner < furthest, titles[id(one)][number]
        pairs.append(_Pair(number, partner, layer, other.layers[partner], moved, title))
        furthest = max(furthest, partner)
    pairs += (_Pair(None, number, None, layer, title=titles[id(other)][number]) for number, layer in rights.items())
    return sorted(pairs, key=lambda pair: pair.number)


def _name(pair: _Pair, roles: Mapping[str, str]) -> LayerName:
    layer = pair.one or pair.other
    assert layer is not None
    keys = [_key(item) for item in (pair.one, pair.other) if item is not None]
    role = next((roles[key] for key in keys if key in roles), "" if any(keys) or pair.title else "base")
    return LayerName(pair.number, pair.title, role)


def _key(layer: Layer | None) -> str:
    return layer.descriptor.annotations.get(LAYER_KEY, "") if layer is not None else ""


def _layers(pair: _Pair, closed: Container[Digest]) -> tuple[list[Difference], int]:
    one, other = pair.one, pair.other
    if one is None or other is None:
        said = [str(layer.descriptor.digest) if layer is not None else None for layer in (one, other)]
        return [Difference("content", "layer", "presence", said[0], said[1])], 0
    found: list[Difference] = []
    omitted = 0
    if pair.moved:
        found.append(Difference("order", "layer", "position", (pair.first or 0) + 1, (pair.second or 0) + 1))
    if one.descriptor.digest == other.descriptor.digest and one.diff_id == other.diff_id:
        return found, 0
    if other.descriptor.digest in closed:
        return [*found, Difference("content", "layer", "diff_id", str(one.diff_id), str(other.diff_id))], 0
    try:
        if one.diff_id != other.diff_id:
            inside, omitted = compare_layers(one, other)
            found += inside
        else:
            _read_through(one)  # its config says so: is it true?
    except SpoiltError:
        raise  # our own store's: fetched or built again, it may be read
    except IntegrityError as error:
        return [*found, Difference("content", "layer", "unreadable", str(error))], 0
    if one.diff_id == other.diff_id or codec_of(one) != codec_of(other):
        found.append(Difference("compression", "layer", "compression", codec_of(one), codec_of(other)))
    return found, omitted


def _read_through(layer: Layer) -> None:
    for member in members(layer):
        for _ in member.chunks():
            pass
