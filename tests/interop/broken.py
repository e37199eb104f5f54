"""Images with one thing wrong each, and what `ociassemble validate` has to say about it."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ociassemble.content.blob import Blob
from ociassemble.image.image import Image, Layer, Node
from ociassemble.oci import mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.platform import Platform
from ociassemble.testing.images import File, archive, image, index, layer

BlobAt = Callable[[str], Path]  # where a place keeps the blob with this digest
GOOD = layer({"etc/os-release": "ID=debian\n"})


def nothing(where: BlobAt) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Case:
    """`what` is written by a client that notices nothing; then `damage` is done to the files of the place."""

    name: str
    what: Image | Node
    finding: str
    damage: Callable[[BlobAt], None] = nothing
    remotely: str = ""  # another finding where it is read from a registry
    status: int = 7
    crane: bool = True  # whether `crane validate` notices


def _layer(data: bytes, plain: bytes, media_type: str = mediatype.OCI_LAYER_GZIP) -> Layer:
    descriptor = Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))
    return Layer(blob=Blob.of(data, descriptor), diff_id=Digest.of(plain))


def _unique(name: str) -> Layer:
    """A layer that no other case has: damage to it stays its own."""
    return layer({"etc/motd": name * 200, "usr/share/data": File(bytes(range(256)) * 40)})


def _truncate(digest: str, size: int) -> Callable[[BlobAt], None]:
    def damage(where: BlobAt) -> None:
        with where(digest).open("r+b") as stream:
            stream.truncate(size)

    return damage


def _flip(made: Layer) -> Callable[[BlobAt], None]:
    def damage(where: BlobAt) -> None:
        data = bytearray(made.blob.read())
        data[len(data) // 2] ^= 1
        where(made.descriptor.digest).write_bytes(data)

    return damage


def _lose(digest: str) -> Callable[[BlobAt], None]:
    return lambda where: where(digest).unlink()


def _as(made: Image, platform: str) -> Node:
    return replace(made.node, descriptor=made.descriptor.with_(platform=Platform.parse(platform)))


def _with_manifest(made: Image, layers: Sequence[Descriptor]) -> Image:
    return replace(made, manifest=Manifest.create(config=made.config_blob.descriptor, layers=list(layers)))


def _cases() -> list[Case]:
    plain = archive({"a": "1" * 4000, "b": "2"})
    packed = gzip.compress(plain, mtime=0)
    climbing = io.BytesIO()
    with tarfile.open(fileobj=climbing, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../outside"))
    lie = layer({"a": "1"}, diff_id=Digest.of(b"a lie"))
    missing, short, flipped = _unique("missing"), _unique("short"), _unique("flipped")
    sized = image([GOOD], more={"author": "sized"})
    lost = image([GOOD], more={"author": "lost"})
    child = image([GOOD], more={"author": "child"})
    return [
        Case(name="wrong diff_id", what=image([GOOD, lie]), finding=f"the image config says {lie.diff_id}"),
        Case(
            name="path twice", what=image([layer([("a/b", "1"), ("c", ""), ("a/b", "2")])]),
            finding="`a/b` is in it twice",
        ),
        Case(
            name="path twice by other names", what=image([layer([("./a/b", "1"), ("a//b", "2")])]),
            finding="`a/b` is in it twice", crane=False,
        ),
        Case(
            name="missing layer", what=image([GOOD, missing]), damage=_lose(missing.descriptor.digest),
            finding=f"the blob {missing.descriptor.digest} is missing", remotely=f"{missing.descriptor.digest}",
        ),
        Case(
            name="missing config", what=lost, damage=_lose(lost.config_blob.descriptor.digest),
            finding=f"the blob {lost.config_blob.descriptor.digest} is missing",
            remotely=f"{lost.config_blob.descriptor.digest}",
        ),
        Case(
            name="missing manifest", what=index([image([GOOD], platform="linux/arm64"), child]),
            damage=_lose(child.digest), finding=f"{child.digest} is missing", remotely=str(child.digest), status=4,
        ),
        Case(
            name="another platform", finding="the index says it is for linux/arm64, its config says linux/amd64",
            what=index([image([GOOD], platform="linux/s390x"), _as(image([GOOD]), "linux/arm64")]),
        ),
        Case(
            name="truncated layer", what=image([GOOD, short]), damage=_truncate(short.descriptor.digest, 100),
            finding=f"ends after 100 of {short.descriptor.size} bytes",
            remotely=f"{short.descriptor.digest}",
        ),
        Case(
            name="empty layer file", what=image([_unique("empty")]),
            damage=_truncate(_unique("empty").descriptor.digest, 0), finding="ends after 0 of",
            remotely=f"{_unique('empty').descriptor.digest}",
        ),
        Case(
            name="one bit of a layer", what=image([GOOD, flipped]), damage=_flip(flipped),
            finding=f"layer {flipped.descriptor.digest}: ",
        ),
        Case(
            name="truncated before it was pushed", what=image([_layer(packed[:-12], plain)]),
            finding=f"layer {Digest.of(packed[:-12])}: ",
        ),
        Case(
            name="more behind the archive", what=image([_layer(packed + b"more", plain)]),
            finding=f"layer {Digest.of(packed + b'more')}: ",
        ),
        Case(
            name="archive cut short", what=image([_layer(gzip.compress(plain[:3000], mtime=0), plain[:3000])]),
            finding=f"layer {Digest.of(gzip.compress(plain[:3000], mtime=0))}: ",
        ),
        Case(
            name="not gzip", what=image([_layer(plain, plain)]), finding=f"layer {Digest.of(plain)}: ",
        ),
        Case(
            name="a path that climbs out", crane=False,
            what=image([_layer(gzip.compress(climbing.getvalue(), mtime=0), climbing.getvalue())]),
            finding="climbs with `..`: '../outside'",
        ),
        Case(
            name="wrong size", finding=f"ends after {GOOD.descriptor.size} of {GOOD.descriptor.size + 1} bytes",
            what=_with_manifest(sized, [GOOD.descriptor.with_(size=GOOD.descriptor.size + 1)]),
            remotely=str(GOOD.descriptor.digest),
        ),
        Case(
            name="a layer without a diff_id", finding="2 layers, but 1 diff_ids",
            what=_with_manifest(image([GOOD]), [GOOD.descriptor, GOOD.descriptor]),
        ),
        Case(
            name="history that does not fit", finding="2 history entries that are not empty for 1 layers", crane=False,
            what=image([GOOD], history=[{"created_by": "a"}, {"created_by": "b"}]),
        ),
    ]  # fmt: skip


CASES = _cases()
