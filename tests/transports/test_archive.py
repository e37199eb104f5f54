"""Archives: the bytes that are written, what is left by a run that fails, and what others' archives are read as."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import resource
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ociassemble.content.verify import DigestMismatchError, SizeMismatchError
from ociassemble.errors import DestinationError, Error, FormatError, IntegrityError, NotFoundError
from ociassemble.image.image import Node, open_image
from ociassemble.image.validate import validate_node
from ociassemble.oci import mediatype
from ociassemble.oci.digest import Digest
from ociassemble.oci.reference import Reference
from ociassemble.operations.images import validate
from ociassemble.progress import Progress
from ociassemble.testing import images
from ociassemble.transports.archive import ArchiveDestination, OciArchiveSource, OnePlatformError
from ociassemble.transports.dockerarchive import DockerArchiveSource, names_of
from ociassemble.transports.layout_reader import LayoutMissingError
from ociassemble.transports.members import Archive, ArchiveMissingError
from ociassemble.transports.transfer import write
from tests.failure.scene import Scene, Snapshot, scene_below, wait_for

NAME = "registry.example/team/app:v1"


def made(text: str = "hello", platform: str = "linux/amd64") -> images.Image:
    layers = [images.layer({"etc/name": text}), images.layer({"app/main": text * 1000})]
    return images.image(layers, platform=platform, execution={"Cmd": ["/app/main"]})


def put(node: Node, place: Path, form: str = "oci", stated: str = "", names: tuple[str, ...] = ()) -> str:
    references = tuple(map(Reference.parse, names))
    destination = ArchiveDestination(str(place), form, stated, references)  # type: ignore[arg-type]
    destination.prepare()
    return write(node, destination, progress=Progress(), jobs=4).line


def oci(place: Path, tag: str = "", digest: Digest | None = None) -> Node:
    return OciArchiveSource(Archive(str(place)), tag, digest).read()


def docker(place: Path, stated: str = "", digest: Digest | None = None) -> Node:
    return DockerArchiveSource(Archive(str(place)), stated, digest).read()


def members(place: Path) -> dict[str, bytes]:
    with tarfile.open(place) as archive:
        return {item.name: archive.extractfile(item).read() for item in archive if item.isfile()}  # type: ignore[union-attr]


def tar(place: Path, files: Mapping[str, bytes | str], *, mode: str = "w") -> Path:
    """An archive of others; a value that is a `str` is a symlink."""
    with tarfile.open(place, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            item = tarfile.TarInfo(name)
            if isinstance(content, str):
                item.type, item.linkname = tarfile.SYMTYPE, content
                archive.addfile(item)
            else:
                item.size = len(content)
                archive.addfile(item, io.BytesIO(content))
    return place


# ---------------------------------------------------------------------------------------------- written


@pytest.mark.spec("ARCH-1", "ARCH-2")
@pytest.mark.parametrize("form", ["oci", "docker"])
def test_the_same_image_is_the_same_archive(tmp_path: Path, form: str) -> None:
    image = made()
    for number in range(3):
        put(image.node, tmp_path / f"{number}.tar", form, stated=NAME)
    first = (tmp_path / "0.tar").read_bytes()
    assert first == (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()

    with tarfile.open(tmp_path / "0.tar") as archive:
        found = archive.getmembers()
    assert {(m.type, m.mode, m.uid, m.gid, m.mtime) for m in found} == {(tarfile.REGTYPE, 0o644, 0, 0, 315619200)}
    layers = [f"blobs/sha256/{layer.descriptor.digest.hex}" for layer in image.layers]
    tables = ["oci-layout", "index.json", *(["manifest.json"] if form == "docker" else [])]
    assert [m.name for m in found] == [
        *tables,
        f"blobs/sha256/{image.digest.hex}",
        f"blobs/sha256/{image.config_blob.descriptor.digest.hex}",
        *layers,
    ]
    assert len(first) % 512 == 0 and first.endswith(bytes(1024))


@pytest.mark.spec("ARCH-2")
def test_a_layer_that_comes_twice_is_written_once(tmp_path: Path) -> None:
    layer = images.layer({"x": "y"})
    image = images.image([layer, layer])
    put(image.node, tmp_path / "x.tar", "docker", NAME)
    (entry,) = json.loads(members(tmp_path / "x.tar")["manifest.json"])
    with tarfile.open(tmp_path / "x.tar") as archive:
        names = archive.getnames()
    assert len(names) == len(set(names))
    assert len(entry["Layers"]) == 2
    assert docker(tmp_path / "x.tar").raw == image.manifest.raw


@pytest.mark.spec("ARCH-3")
def test_several_platforms(tmp_path: Path) -> None:
    several = images.index([made(), made("other", "linux/arm64")])
    put(several, tmp_path / "x.tar")
    found = oci(tmp_path / "x.tar")
    assert found.raw == several.raw
    assert not validate(found).findings
    with pytest.raises(OnePlatformError, match="linux/amd64, linux/arm64") as caught:
        put(several, tmp_path / "y.tar", "docker")
    assert "--platform" in str(caught.value.hint)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar"]


@pytest.mark.spec("ARCH-3")
def test_a_docker_archive_is_an_oci_archive(tmp_path: Path) -> None:
    image = made()
    assert (
        put(image.node, tmp_path / "x.tar", "docker", NAME) == f"docker-archive:{tmp_path}/x.tar:{NAME}@{image.digest}"
    )
    assert oci(tmp_path / "x.tar").raw == docker(tmp_path / "x.tar").raw == image.manifest.raw


@pytest.mark.spec("ARCH-4")
def test_names(tmp_path: Path) -> None:
    image = made()

    def entries(place: Path) -> list[dict[str, str]]:
        index = json.loads(members(place)["index.json"])
        return [item.get("annotations", {}) for item in index["manifests"]]

    whole = {"io.containerd.image.name": NAME, "org.opencontainers.image.ref.name": "v1"}
    latest = {"org.opencontainers.image.ref.name": "latest"}
    other = {**latest, "io.containerd.image.name": "docker.io/library/other:latest"}
    for form, stated, names, wanted, tags in (
        ("oci", "", (), [latest], None),
        ("oci", "v2", (NAME,), [{"org.opencontainers.image.ref.name": "v2"}], None),
        ("oci", "", (NAME, "other"), [whole, other], None),
        ("oci", NAME, (), [{**whole, "org.opencontainers.image.ref.name": NAME}], None),
        ("docker", "", (), [{}], [None]),
        ("docker", "", (NAME, "other"), None, [[NAME, "docker.io/library/other:latest"]]),
        ("docker", "other:1", (NAME,), None, [["docker.io/library/other:1"]]),
    ):  # fmt: skip
        put(image.node, tmp_path / "x.tar", form, stated, names)
        if wanted is not None:
            assert entries(tmp_path / "x.tar") == wanted
        if tags is not None:
            assert [item["RepoTags"] for item in json.loads(members(tmp_path / "x.tar")["manifest.json"])] == tags


@pytest.mark.spec("ARCH-9")
def test_an_image_is_found_by_every_name_it_has(tmp_path: Path) -> None:
    image = made()
    put(image.node, tmp_path / "x.tar", names=(NAME, "docker.io/library/alpine:3"))
    for tag in ("", "v1", "3", NAME, "alpine:3", "docker.io/library/alpine:3"):
        assert oci(tmp_path / "x.tar", tag).raw == image.manifest.raw
    assert oci(tmp_path / "x.tar", digest=image.digest).raw == image.manifest.raw
    with pytest.raises(LayoutMissingError, match="not in the layout"):
        oci(tmp_path / "x.tar", "alpine:4")


@pytest.mark.spec("ARCH-5")
def test_an_archive_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "x.tar"
    put(made("one").node, place)
    before = place.read_bytes()
    image = made("two")
    bad = images.Blob(descriptor=image.layers[1].descriptor, source=image.layers[0].blob.source)
    node = Node(
        descriptor=image.descriptor, raw=image.manifest.raw, blobs=(image.config_blob, image.layers[0].blob, bad)
    )
    with pytest.raises(IntegrityError):
        put(node, place)
    assert place.read_bytes() == before
    assert list(tmp_path.iterdir()) == [place]
    put(image.node, place)
    assert oci(place).raw == image.manifest.raw
    assert place.stat().st_mode & 0o777 == 0o644


@pytest.mark.spec("ARCH-5")
def test_names_under_which_nothing_is_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "fifo", tmp_path / "folder", tmp_path / "none" / "x.tar", Path(os.devnull)):
        with pytest.raises(DestinationError):
            put(made().node, place)
    assert Path(os.devnull).is_char_device()


# ---------------------------------------------------------------------------------------------- failures of a run


@pytest.fixture
def scene(tmp_path: Path) -> object:
    with scene_below(tmp_path) as found:
        yield found


@pytest.mark.spec("ARCH-5", "FAIL-1")
@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
def test_a_full_disk(scene: Scene, form: str) -> None:
    base = scene.base(size=300_000)
    scene.run("copy", base, f"{form}:outputs/x.tar").worked()
    scene.files(main__txt="x")
    before = Snapshot.of(scene)

    def small() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    # Python itself would leave modules cut short in its cache.
    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    done = scene.spawn("copy", base, f"{form}:outputs/x.tar", before=small, environment=environment)
    done.failed(11, "cannot write", hint=None)
    before.holds(scene)


@pytest.mark.spec("ARCH-5", "FAIL-3", "FAIL-5")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_while_it_writes(scene: Scene, number: signal.Signals) -> None:
    """The layer comes through a pipe that nobody feeds: the run waits there, its temporary file begun."""
    base = scene.base()
    scene.run("copy", base, "oci-archive:outputs/x.tar").worked()
    before = Snapshot.of(scene)
    blobs = sorted((scene.root / "base" / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    layer = blobs[-1]
    layer.unlink()
    os.mkfifo(layer)

    child = scene.start("copy", base, "oci-archive:outputs/x.tar")
    wait_for(lambda: list(scene.outputs.glob(".ociassemble-archive-*")), "the temporary file")
    assert child.signalled(number, 20).status in (130, -number)
    if number == signal.SIGKILL:
        (left,) = scene.outputs.glob(".ociassemble-archive-*")
        other = images.lay_out(made(), scene.root / "other", "v1")
        scene.run("copy", f"oci:other:{other[-2:]}", "oci-archive:outputs/y.tar").worked()
        assert not left.exists()
        (scene.outputs / "y.tar").unlink()
    before.holds(scene)


@pytest.mark.spec("ARCH-3", "FAIL-2")
def test_what_cannot_be_written_is_known_before_the_work(scene: Scene) -> None:
    scene.files(page__html="x")
    before = Snapshot.of(scene)
    done = scene.run("build", "project", "-b", "nowhere.invalid/x", "--platform", "linux/amd64,linux/arm64",
                     "-o", "docker-archive:outputs/x.tar")  # fmt: skip
    done.failed(2, "holds one image", hint="--platform")
    scene.run("build", "project", "-b", "nowhere.invalid/x", "-o", "oci-archive:none/x.tar").failed(
        11, "no such folder"
    )
    before.holds(scene)


@pytest.mark.spec("ARCH-5", "CLI-3")
def test_standard_output_is_the_archive_alone(scene: Scene) -> None:
    base = scene.base()
    argv = [sys.executable, "-m", "ociassemble", "copy", base, "oci-archive:-", "oci:outputs/also:v1"]
    done = subprocess.run(argv, cwd=scene.root, env=scene.environment, capture_output=True, check=True)
    scene.run("copy", base, "oci-archive:outputs/x.tar").worked()
    assert done.stdout == (scene.outputs / "x.tar").read_bytes()
    said = done.stderr.decode().splitlines()
    assert any(line.startswith("oci-archive:-:latest@sha256:") for line in said)
    assert any(line.startswith("oci:outputs/also:v1@sha256:") for line in said)
    argv[4:] = ["oci-archive:-", "oci:outputs/back:v1"]
    subprocess.run(argv, cwd=scene.root, env=scene.environment, input=done.stdout, capture_output=True, check=True)
    assert scene.run("digest", "oci:outputs/back:v1").out == scene.run("digest", base).out


@pytest.mark.spec("ARCH-5", "CLI-3")
def test_only_one_thing_goes_to_standard_output(scene: Scene) -> None:
    scene.files(page__html="x")
    both = ("oci-archive:-", "docker-archive:-:x/y:1")
    scene.run("copy", scene.base(), *both).failed(2, "two archives", hint="name a file")
    argv = ("build", "project", "-b", "oci:base:v1", "--cmd", "/x")
    scene.run(*argv, "-o", both[0], "-o", both[1]).failed(2, "two archives", hint="name a file")
    scene.run(*argv, "-o", "type=docker,dest=-", "--format", "json").failed(2, "--format json", hint="--metadata-file")


@pytest.mark.spec("ARCH-5")
def test_an_archive_beside_the_application_is_no_part_of_it(scene: Scene) -> None:
    scene.files(page__html="x")
    base = scene.base()
    argv = ("build", "project", "-b", base, "--cmd", "/x", "-o", "oci-archive:project/x.tar:v1")
    first = scene.run(*argv).worked()
    assert scene.run(*argv).worked().out == first.out


# ---------------------------------------------------------------------------------------------- read


@pytest.mark.spec("ARCH-6")
def test_an_archive_may_be_copied_onto_itself(tmp_path: Path) -> None:
    image = made()
    put(image.node, tmp_path / "x.tar")
    node = oci(tmp_path / "x.tar")
    put(made("other").node, tmp_path / "x.tar")
    put(node, tmp_path / "x.tar")
    assert not validate(oci(tmp_path / "x.tar")).findings
    assert oci(tmp_path / "x.tar").raw == image.manifest.raw


@pytest.mark.spec("ARCH-6")
def test_a_spoilt_blob_is_refused_when_it_is_read(tmp_path: Path) -> None:
    image = made()
    put(image.node, tmp_path / "x.tar", "docker")
    data = bytearray((tmp_path / "x.tar").read_bytes())
    layer = image.layers[1].blob.read()
    data[data.index(layer) + len(layer) // 2] ^= 1
    (tmp_path / "x.tar").write_bytes(data)
    for node in (oci(tmp_path / "x.tar"), docker(tmp_path / "x.tar")):
        assert open_image(node).layers[0].blob.read()
        with pytest.raises(DigestMismatchError):
            open_image(node).layers[1].blob.read()


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
}


@pytest.mark.spec("ARCH-7")
@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_compressed_archive(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = made()
    put(image.node, tmp_path / "x.tar", "docker", NAME)
    (tmp_path / "x.tar.z").write_bytes(COMPRESSORS[name]((tmp_path / "x.tar").read_bytes()))
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    for node in (oci(tmp_path / "x.tar.z"), docker(tmp_path / "x.tar.z")):
        assert node.raw == image.manifest.raw
        assert not validate(node).findings
    assert list(scratch.iterdir()) == []


@pytest.mark.spec("ARCH-7")
def test_a_compressed_archive_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ociassemble.transports.members._LEAST", 1 << 20)
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(bytes(200 << 20), 9))
    with pytest.raises(FormatError, match="holds more than"):
        oci(tmp_path / "x.tar.gz")


@pytest.mark.spec("ARCH-9")
def test_one_of_several(tmp_path: Path) -> None:
    one, two = made("one"), made("two")
    files = {}
    table = []
    for image, tags in ((one, ["alpine:3", NAME]), (two, None)):
        files |= {f"{layer.diff_id.hex}/layer.tar": plain(layer) for layer in image.layers}
        config = f"{image.config.digest.hex}.json"
        files[config] = image.config.raw
        table.append(
            {"Config": config, "RepoTags": tags, "Layers": [f"{x.diff_id.hex}/layer.tar" for x in image.layers]}
        )
    place = tar(tmp_path / "x.tar", {**files, "manifest.json": json.dumps(table).encode()})
    assert names_of(Archive(str(place))) == ("alpine:3", NAME, "@1")
    for stated in ("alpine:3", "docker.io/library/alpine:3", NAME, "@0"):
        assert open_image(docker(place, stated)).config.raw == one.config.raw
    assert open_image(docker(place, "@1")).config.raw == two.config.raw
    with pytest.raises(LayoutMissingError, match="several images") as caught:
        docker(place)
    assert caught.value.hint == f"name one of them: alpine:3, {NAME}; @1"
    for stated in ("alpine:4", "@2", "@9999999999999"):
        with pytest.raises(LayoutMissingError, match="not in the archive"):
            docker(place, stated)
    with pytest.raises(LayoutMissingError, match="not in the archive"):
        docker(place, "@1", Digest.of(b"other"))


def plain(layer: images.Layer) -> bytes:
    return gzip.decompress(layer.blob.read())


@pytest.mark.spec("ARCH-10", "ARCH-8")
def test_an_archive_as_docker_wrote_it_for_years(tmp_path: Path) -> None:
    """`<id>/layer.tar`, the same layer a second time as a symlink to the first."""
    layer = images.layer({"x": "y"})
    image = images.image([layer, layer], execution={"User": "65532"})
    config = f"{image.config.digest.hex}.json"
    table = [{"Config": config, "RepoTags": [NAME], "Layers": ["a/layer.tar", "b/layer.tar"]}]
    place = tar(
        tmp_path / "x.tar",
        {
            "a/VERSION": b"1.0",
            "a/json": b"{}",
            "a/layer.tar": plain(layer),
            "b/layer.tar": "../a/layer.tar",
            config: image.config.raw,
            "manifest.json": json.dumps(table).encode(),
        },
    )
    node = docker(place)
    found = open_image(node)
    assert found.config.raw == image.config.raw
    assert [item.descriptor.media_type for item in found.layers] == [mediatype.OCI_LAYER] * 2
    assert [item.descriptor.digest for item in found.layers] == [layer.diff_id] * 2
    assert not validate(node).findings and not validate_node(node)
    assert docker(place).descriptor.digest == node.descriptor.digest


@pytest.mark.spec("ARCH-10")
def test_layers_that_are_compressed_stay_so(tmp_path: Path) -> None:
    """As crane, jib and kaniko write them."""
    image = images.image([images.layer({"x": "y"}), images.layer({"z": "y"}, compression="zstd")])
    files = {f"{number}.tar.gz": layer.blob.read() for number, layer in enumerate(image.layers)}
    table = [{"Config": "config", "RepoTags": None, "Layers": [*files]}]
    files |= {"config": image.config.raw, "manifest.json": json.dumps(table).encode()}
    node = docker(tar(tmp_path / "x.tar", files))
    assert [item.descriptor.digest for item in open_image(node).layers] == [x.descriptor.digest for x in image.layers]
    assert [item.descriptor.media_type for item in open_image(node).layers] == [
        mediatype.OCI_LAYER_GZIP,
        mediatype.OCI_LAYER_ZSTD,
    ]
    assert not validate(node).findings


@pytest.mark.spec("ARCH-10")
def test_a_platform_that_was_saved_out_of_an_index(tmp_path: Path) -> None:
    """An engine with a containerd store saves the whole index, and of its images those it has."""
    one, other = made(), made("other", "linux/arm64")
    several = images.index([one, other])
    put(several, tmp_path / "whole.tar")
    files = members(tmp_path / "whole.tar")
    for blob in (other.manifest.descriptor, *other.manifest.layers, other.manifest.config):
        files.pop(f"blobs/sha256/{blob.digest.hex}", None)
    path = "blobs/sha256/%s"
    table = [
        {
            "Config": path % one.config.digest.hex,
            "RepoTags": [NAME],
            "Layers": [path % layer.descriptor.digest.hex for layer in one.layers],
        }
    ]
    place = tar(tmp_path / "x.tar", {**files, "manifest.json": json.dumps(table).encode()})
    assert docker(place).raw == one.manifest.raw
    with pytest.raises(NotFoundError):
        oci(place)


@pytest.mark.spec("ARCH-11")
def test_a_config_under_the_name_of_another(tmp_path: Path) -> None:
    image = made()
    layers = {f"{layer.diff_id.hex}.tar": plain(layer) for layer in image.layers}
    config = f"{Digest.of(b'other').hex}.json"
    table = json.dumps([{"Config": config, "RepoTags": None, "Layers": [*layers]}]).encode()
    place = tar(tmp_path / "x.tar", {**layers, config: image.config.raw, "manifest.json": table})
    with pytest.raises(DigestMismatchError, match="the config"):
        docker(place)


@pytest.mark.spec("ARCH-11")
def test_a_layer_that_is_another_than_the_config_says(tmp_path: Path) -> None:
    image = made()
    layers = {f"{number}.tar": plain(layer) for number, layer in enumerate(image.layers)}
    layers["0.tar"] = layers["0.tar"].replace(b"hello", b"HELLO")
    table = json.dumps([{"Config": "c", "RepoTags": None, "Layers": [*layers]}]).encode()
    node = docker(tar(tmp_path / "x.tar", {**layers, "c": image.config.raw, "manifest.json": table}))
    with pytest.raises(DigestMismatchError):
        open_image(node).layers[0].blob.read()


# ---------------------------------------------------------------------------------------------- what is none


def test_what_is_no_archive(tmp_path: Path) -> None:
    image = made()
    layout = images.lay_out(image, tmp_path / "layout", "v1")
    assert layout
    put(image.node, tmp_path / "oci.tar")
    plain_tar = tar(tmp_path / "x.tar", {"etc/passwd": b"x"})
    old = tar(tmp_path / "old.tar", {"repositories": b"{}"})
    (tmp_path / "text").write_text("not an archive at all, whatever it is called" * 40)
    (tmp_path / "empty").write_bytes(b"")
    cases: list[tuple[Callable[[Path], Node], Path, type[Error], str]] = [
        (oci, tmp_path / "none.tar", ArchiveMissingError, ""),
        (oci, tmp_path / "layout", ArchiveMissingError, "oci:"),
        (oci, plain_tar, LayoutMissingError, "an OCI archive is"),
        (docker, plain_tar, LayoutMissingError, "docker save"),
        (docker, tmp_path / "oci.tar", LayoutMissingError, "oci-archive:"),
        (docker, old, LayoutMissingError, "before 1.10"),
        (oci, tmp_path / "text", FormatError, ""),
        (docker, tmp_path / "empty", NotFoundError, "docker save"),
    ]
    for read, place, kind, hint in cases:
        with pytest.raises(kind) as caught:
            read(place)
        assert hint in (caught.value.hint or ""), place


@pytest.mark.parametrize(
    "table",
    [b"", b"{}", b"[]", b"null", b"[1]", b"[{}]", b'[{"Config":1}]', b'[{"Config":"c","Layers":"x"}]',
     b'[{"Config":"c","Layers":[1]}]', b'[{"Config":"c","RepoTags":{}}]', b'[{"Config":"../c","Layers":[]}]',
     b'[{"Config":"c","Layers":["/etc/passwd"]}]', b'[{"Config":"c","Config":"d"}]', b'[],"images":[]',
     b'[{"Config":"c"}],"x":[]', b"[" * 5000, b'[{"Config":"c"}', b"\xff", b'[{"Config":"\\ud800"}]',
     b'[{"Config":"c","Layers":["loop"]}]', b'[{"Config":"loop","Layers":[]}]',
     b'[{"Config":"c","Layers":["out"]}]', b'[{"Config":"c","Layers":["bz2","bz2"]}]'],
)  # fmt: skip
def test_a_table_of_contents_that_makes_no_sense(tmp_path: Path, table: bytes) -> None:
    files: dict[str, bytes | str] = {
        "c": made().config.raw,
        "loop": "loop",
        "out": "../../etc/passwd",
        "bz2": b"BZh91AY",
    }
    with pytest.raises(Error):
        docker(tar(tmp_path / "x.tar", {**files, "manifest.json": table}))


def test_names_for_reading_alone(scene: Scene) -> None:
    base = scene.base()
    for text in ("oci-archive:x.tar@" + Digest.of(b""), "docker-archive:x.tar:@0"):
        scene.run("copy", base, text).failed(2, "is a name for reading", hint="write to")


def test_a_layout_member_with_a_wrong_size_is_refused(tmp_path: Path) -> None:
    image = made()
    put(image.node, tmp_path / "x.tar")
    files = members(tmp_path / "x.tar")
    manifest = f"blobs/sha256/{image.digest.hex}"
    place = tar(tmp_path / "y.tar", {**files, manifest: files[manifest] + b" "})
    with pytest.raises(SizeMismatchError):
        oci(place)
