"""crane, skopeo, umoci and docker-registry read what we write, we read what they write, and all see the same digests.

The manifest digest is one in registries and layouts; where a format has no manifests (docker-archive, a bundle), the
config digest and the diff_ids are.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ociassemble.testing import images
from tests.digests import fixture
from tests.interop.commands import Commands
from tests.interop.products import NAMES, Product, Products, blob_at, document_at, entries
from tests.peers import Peer, RegistryServer, start_docker_registry

pytestmark = pytest.mark.interop

NOT_ZSTD = [name for name in NAMES if "-zstd-" not in name]  # neither Docker's schema 2 nor umoci 0.4 knows zstd
SINGLE = [name for name in NOT_ZSTD if name.endswith("-1")]
LONG = {"python-zstd-1", "python-none-2", "directory-gzip-2", "directory-zstd-1", "directory-none-2"}
MTIME = 315619200  # 1980-01-02T00:00:00Z


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    server = start_docker_registry(tmp_path_factory.mktemp("docker-registry"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, registry: RegistryServer) -> Products:
    """Every product by its name, in the registry and in one layout."""
    return Products(tmp_path_factory.mktemp("products"), registry.host)


@pytest.fixture
def product(made: Products, request: pytest.FixtureRequest) -> Product:
    return made[request.param]


def each(names: list[str]) -> pytest.MarkDecorator:
    """For every product of these names; what others of them show as well is for the long run."""
    chosen = [pytest.param(name, marks=pytest.mark.long if name in LONG else ()) for name in names]
    return pytest.mark.parametrize("product", chosen, indirect=True)


@pytest.fixture
def ociassemble(tmp_path: Path) -> Commands:
    """With an empty cache: whatever a command says, it has read from where it was told to."""
    return Commands(tmp_path / "own")


@pytest.fixture
def copy(skopeo: Peer) -> Callable[..., None]:
    """`skopeo copy` of all there is, which may recompress nothing."""

    def run(source: str, destination: str, *more: str) -> None:
        options = ["--src-tls-verify=false", "--dest-tls-verify=false", *more]
        if destination.startswith("oci:"):
            options.append("--dest-oci-accept-uncompressed-layers")
        skopeo("copy", "--quiet", "--all", *options, source, destination)

    return run


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


# --- what we write -------------------------------------------------------------------------------------------


@each(NAMES)
def test_one_digest_whoever_is_asked(product: Product, crane: Peer, skopeo: Peer, ociassemble: Commands) -> None:
    name = f"docker://{product.reference}"
    raw = skopeo("inspect", "--raw", "--tls-verify=false", name).stdout

    # What is on this machine first, registries last.
    assert product.lines == (
        f"oci:{product.place}@{product.digest}",
        f"{product.reference.rpartition(':')[0]}@{product.digest}",
    )
    assert sha256(raw.encode()) == product.digest
    assert crane("manifest", product.reference).stdout == raw
    assert crane("digest", product.reference).stdout.strip() == product.digest
    assert entries(product.layout)[product.tag] == product.digest
    assert blob_at(product.layout, product.digest).read_text() == raw
    for place in (product.reference, f"oci:{product.place}"):
        assert ociassemble("digest", place).lines == [product.digest]
        assert ociassemble("manifest", place).out == raw
    if not product.is_index:
        assert skopeo.json("inspect", "--tls-verify=false", name)["Digest"] == product.digest
        assert skopeo.json("inspect", f"oci:{product.place}")["Digest"] == product.digest


@each(NAMES)
def test_crane_finds_the_image_well_formed(product: Product, crane: Peer) -> None:
    # Reading layers, `crane validate` takes every one for gzip; of others it can only see the documents.
    layers = () if product.compression == "gzip" else ("--fast",)
    done = crane("validate", *layers, "--remote", product.reference)

    assert done.stdout.startswith("PASS: ")


@each(NAMES)
def test_crane_reads_every_file(product: Product, crane: Peer, tmp_path: Path) -> None:
    archive = tmp_path / "flat.tar"
    crane("export", "--platform", "linux/amd64", product.reference, archive)
    with tarfile.open(archive) as tar:
        found = {item.name.strip("/"): item for item in tar}

        for file in fixture.application(product.kind):
            path = f"app/{file.path.rstrip('/')}"
            if path.endswith((".log", ".dockerignore", "ociassemble.toml")):
                assert path not in found
                continue
            item = found[path]
            assert (item.mtime, item.uid, item.gid) == (MTIME, 0, 0)
            if item.isfile():
                assert tar.extractfile(item).read() == file.data  # type: ignore[union-attr]


@each(NAMES)
def test_skopeo_sees_the_same_config(product: Product, skopeo: Peer, crane: Peer, ociassemble: Commands) -> None:
    built = {image["platform"]: image["layers"] for image in product.result["images"]}
    for platform, _, manifest in product.manifests():
        name, choice = f"docker://{product.reference}", f"--override-arch={platform.partition('/')[2]}"
        config = skopeo(choice, "inspect", "--config", "--raw", "--tls-verify=false", name).stdout
        shown = skopeo.json(choice, "inspect", "--tls-verify=false", name)

        assert sha256(config.encode()) == manifest["config"]["digest"]
        assert crane("config", "--platform", platform, product.reference).stdout == config
        assert ociassemble("config", "--platform", platform, product.reference).out == config
        assert (shown["Os"], shown["Architecture"]) == tuple(platform.split("/"))
        assert shown["Created"] == "1980-01-02T00:00:00Z"
        assert shown["Layers"] == [layer["digest"] for layer in manifest["layers"]]
        ours = built[platform]
        assert shown["Layers"][2:] == [layer["digest"] for layer in ours]
        assert json.loads(config)["rootfs"]["diff_ids"][2:] == [layer["diffId"] for layer in ours]


@each(NAMES)
def test_skopeo_copies_change_nothing(
    product: Product, copy: Callable[..., None], registry: RegistryServer, ociassemble: Commands, tmp_path: Path
) -> None:
    layout, back = tmp_path / "copied", f"{registry.host}/back/{product.tag}:v1"
    copy(f"docker://{product.reference}", f"oci:{layout}:v1")
    copy(f"oci:{layout}:v1", f"docker://{back}")
    copy(f"oci:{product.place}", f"docker://{back}-2")

    assert entries(layout) == {"v1": product.digest}
    for name in (f"oci:{layout}:v1", back, f"{back}-2"):
        assert ociassemble("digest", name).lines == [product.digest]
    assert product.digest in ociassemble("validate", f"oci:{layout}:v1").out


@each(NOT_ZSTD)
def test_a_docker_archive_has_the_same_config_and_diff_ids(
    product: Product, copy: Callable[..., None], crane: Peer, skopeo: Peer, tmp_path: Path
) -> None:
    for platform, _, manifest in product.manifests():
        architecture = platform.partition("/")[2]
        archive = tmp_path / f"{architecture}.tar"
        skopeo(f"--override-arch={architecture}", "copy", f"oci:{product.place}", f"docker-archive:{archive}:a/b:c")
        with tarfile.open(archive) as tar:
            (entry,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
            hashes = [sha256(tar.extractfile(name).read()) for name in entry["Layers"]]  # type: ignore[union-attr]

        assert f"sha256:{entry['Config'].removesuffix('.json')}" == manifest["config"]["digest"]
        assert hashes == product.diff_ids(manifest)
        assert crane("validate", "--tarball", archive).stdout.startswith("PASS: ")


@each(SINGLE)
def test_umoci_unpacks_what_was_packed(product: Product, umoci: Peer, tmp_path: Path) -> None:
    bundle, root = tmp_path / "bundle", tmp_path / "bundle" / "rootfs"
    umoci("unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", product.place, bundle)
    ((_, digest, manifest),) = product.manifests()
    history = umoci.json("stat", "--image", product.place, "--json")["history"]
    process = json.loads((bundle / "config.json").read_bytes())["process"]

    assert (bundle / f"{digest.replace(':', '_')}.mtree").is_file()
    assert [item["diff_id"] for item in history] == product.diff_ids(manifest)
    assert [item["layer"]["digest"] for item in history] == [item["digest"] for item in manifest["layers"]]
    assert (process["cwd"], process["user"]["uid"]) == ("/app", 65532)
    for file in fixture.application(product.kind):
        path = root / "app" / file.path
        if path.name.endswith((".log", ".dockerignore", "ociassemble.toml")):
            assert not path.exists()
        elif file.target:
            assert str(path.readlink()) == file.target
        elif not file.path.endswith("/"):
            assert path.read_bytes() == file.data
            assert path.stat().st_mode & 0o7777 == file.mode
            assert path.stat().st_mtime == MTIME
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / "lib").readlink() == Path("usr/lib")
    if product.kind == "python":
        site = root / "usr/local/lib/python3.13/dist-packages"
        assert (site / "beta/__init__.py").read_bytes() == b"def main():\n    print('beta')\n"
        assert (root / "usr/local/bin/beta").read_text().startswith("#!/usr/bin/python3.13\n")
        assert (root / "usr/local/bin/beta").stat().st_mode & 0o7777 == 0o755
    if os.geteuid() == 0:
        owner = (root / "usr/local").stat()
        assert (owner.st_mode & 0o7777, owner.st_uid, owner.st_gid) == (0o2775, 0, 50)
        assert {path.lstat().st_uid for path in (root / "app").rglob("*")} == {0}


@each([name for name in NAMES if name.startswith("python")])
def test_docker_registry_serves_us(product: Product, registry: RegistryServer, ociassemble: Commands) -> None:
    """Pulled by digest with an empty cache, pushed under another name: nothing is sent that is there already."""
    name = f"{product.reference.rpartition(':')[0]}@{product.digest}"
    local, other = "local:localhost/pulled:v1", f"{registry.host}/other/{product.tag}:v1"
    assert ociassemble("pull", name, "-o", local).lines == [f"localhost/pulled@{product.digest}"]
    pushed = ociassemble("push", local, other)
    copied = ociassemble("copy", name, f"{other}-2")

    assert pushed.lines == copied.lines == [f"{registry.host}/other/{product.tag}@{product.digest}"]
    assert "already there" in copied.err and "uploaded" not in copied.err, copied.err


# --- what others write ---------------------------------------------------------------------------------------


@pytest.fixture
def theirs(umoci: Peer, tmp_path: Path) -> Path:
    """A layout with the image `t`: three layers by umoci, one of them a removal, and a config of its own."""
    layout, tree = tmp_path / "theirs", tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/os-release").write_text('ID=debian\nVERSION_ID="13"\n')
    (tree / "etc/gone").write_text("1")
    (tree / "lib").symlink_to("usr/lib")
    (tree / "usr/lib").mkdir(parents=True)
    (tree / "srv").mkdir(mode=0o700)
    (tree / "bin").mkdir()
    (tree / "bin/x").touch(mode=0o755)
    name = f"{layout}:t"
    umoci("init", "--layout", layout)
    umoci("new", "--image", name)
    umoci("insert", "--image", name, tree, "/")
    umoci("insert", "--image", name, "--whiteout", "/etc/gone")
    umoci("insert", "--image", name, tree / "etc/os-release", "/usr/lib/é")
    umoci("config", "--image", name, "--architecture=amd64", "--os=linux", "--config.user=1000:1000",
          "--config.env=A=b", "--config.label=x=y", "--config.entrypoint=/bin/x", "--config.cmd=1",
          "--config.cmd=2", "--config.workingdir=/srv", "--config.exposedports=80/tcp")  # fmt: skip
    return layout


def described(shown: dict[str, Any]) -> tuple[Any, ...]:
    names = ("user", "workingDir", "entrypoint", "cmd", "env", "labels", "platforms")
    return tuple(shown[name] for name in names)


def test_we_read_what_umoci_writes(theirs: Path, umoci: Peer, ociassemble: Commands) -> None:
    place, digest = f"oci:{theirs}:t", entries(theirs)["t"]
    shown = ociassemble("inspect", place, "--format", "json").json
    history = [item for item in umoci.json("stat", "--image", f"{theirs}:t", "--json")["history"] if item["layer"]]

    assert shown["digest"] == digest
    assert described(shown) == (
        "1000:1000", "/srv", ["/bin/x"], ["1", "2"], {"A": "b"}, {"x": "y"}, ["linux/amd64"],
    )  # fmt: skip
    assert [(item["digest"], item["diffId"], item["title"]) for item in shown["layers"]] == [
        (item["layer"]["digest"], item["diff_id"], "umoci insert") for item in history
    ]
    assert ociassemble("validate", place).out.startswith(f"{digest}: 4 blobs")


def test_what_umoci_wrote_travels_unchanged(
    theirs: Path, registry: RegistryServer, ociassemble: Commands, copy: Callable[..., None], crane: Peer
) -> None:
    digest, name = entries(theirs)["t"], f"{registry.host}/umoci:v1"
    ociassemble("copy", f"oci:{theirs}:t", name)
    ociassemble("pull", name, "-o", f"oci:{theirs}:pulled")
    copy(f"docker://{name}", f"oci:{theirs}:skopeo")

    assert set(entries(theirs).values()) == {digest}
    assert crane("digest", name).stdout.strip() == digest
    assert crane("validate", "--remote", name).stdout.startswith("PASS: ")


@pytest.mark.parametrize("form", ["oci", "v2s2", "dir"])
def test_we_build_on_what_others_write(
    form: str,
    theirs: Path,
    registry: RegistryServer,
    ociassemble: Commands,
    copy: Callable[..., None],
    crane: Peer,
    umoci: Peer,
    tmp_path: Path,
) -> None:
    """The base as umoci wrote it, as skopeo makes Docker's schema 2 of it, and by way of skopeo's own folder."""
    base = f"{registry.host}/bases/{form}:v1"
    if form == "dir":
        copy(f"oci:{theirs}:t", f"dir:{tmp_path / 'dir'}")
        copy(f"dir:{tmp_path / 'dir'}", f"docker://{base}")
    else:
        copy(f"oci:{theirs}:t", f"docker://{base}", "--format", form)
    read = json.loads(crane("manifest", base).stdout)
    shown = ociassemble("inspect", base, "--format", "json").json
    assert ociassemble("validate", base).out.startswith(shown["digest"])
    assert shown["digest"] == crane("digest", base).stdout.strip()
    assert shown["mediaType"].startswith("application/vnd.docker.") == (form == "v2s2")
    assert ociassemble("pull", base, "-o", f"oci:{tmp_path / 'pulled'}:t").out.strip().endswith(shown["digest"])

    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "x").write_bytes(b"ours")
    layout = tmp_path / "built"
    ociassemble("build", tmp_path / "project", "--base", base, "--platform", "linux/amd64", "--cmd", '["3"]',
                "-o", f"oci:{layout}:t", "-w", "/lib/app", "-t", f"{base}-app", "--push")  # fmt: skip
    manifest = document_at(layout, entries(layout)["t"])
    assert [item["digest"] for item in manifest["layers"][:3]] == [item["digest"] for item in read["layers"]]
    assert {item["mediaType"] for item in manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar+gzip"}
    assert crane("validate", "--remote", f"{base}-app").stdout.startswith("PASS: ")
    umoci("unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", f"{layout}:t", tmp_path / "bundle")
    root = tmp_path / "bundle" / "rootfs"
    assert (root / "usr/lib/app/x").read_bytes() == b"ours"
    assert (root / "lib").is_symlink()
    assert (root / "usr/lib/é").exists()
    assert not (root / "etc/gone").exists()


def test_a_list_of_dockers_schema_2(
    made: Products, registry: RegistryServer, ociassemble: Commands, copy: Callable[..., None], crane: Peer,
    tmp_path: Path,
) -> None:  # fmt: skip
    """skopeo makes Docker's documents of an index of ours: every digest is another one, but configs and layers."""
    product, name = made["python-gzip-2"], f"{registry.host}/lists/python:v1"
    copy(f"oci:{product.place}", f"docker://{name}", "--format", "v2s2")
    digest = crane("digest", name).stdout.strip()
    assert digest != product.digest
    assert ociassemble("validate", name).out.startswith(digest)
    for platform, _, manifest in product.manifests():
        shown = ociassemble("inspect", name, "--platform", platform, "--format", "json").json
        assert (shown["digest"], shown["platforms"]) == (digest, list(product.platforms))
        assert [item["digest"] for item in shown["layers"]] == [item["digest"] for item in manifest["layers"]]
        assert sha256(ociassemble("config", name, "--platform", platform).raw) == manifest["config"]["digest"]
    ociassemble("pull", name, "-o", f"oci:{tmp_path / 'pulled'}:t")
    ociassemble("copy", f"oci:{tmp_path / 'pulled'}:t", f"{name}-back")
    assert crane("digest", f"{name}-back").stdout.strip() == digest
    assert crane("validate", "--remote", f"{name}-back").stdout.startswith("PASS: ")


def test_umoci_packs_again_what_it_unpacked_of_ours(
    made: Products, umoci: Peer, ociassemble: Commands, tmp_path: Path
) -> None:
    """A change made in a bundle is a layer on top of ours; nothing else has changed in between."""
    product, layout = made["python-gzip-1"], tmp_path / "layout"
    ociassemble("copy", f"oci:{product.place}", f"oci:{layout}:t")
    bundle = tmp_path / "bundle"
    umoci("unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", f"{layout}:t", bundle)
    (bundle / "rootfs/app/new").write_text("new")
    umoci("repack", "--image", f"{layout}:t2", bundle)
    before, after = (document_at(layout, entries(layout)[name]) for name in ("t", "t2"))

    assert after["layers"][:-1] == before["layers"]
    assert ociassemble("validate", f"oci:{layout}:t2").out.startswith(entries(layout)["t2"])
    with tarfile.open(blob_at(layout, after["layers"][-1]["digest"])) as tar:
        assert [item.name.strip("/") for item in tar if not item.isdir()] == ["app/new"]


# --- our registry --------------------------------------------------------------------------------------------


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[str]:
    """`ociassemble registry serve`, as a program of its own."""
    command = [sys.executable, "-m", "ociassemble", "registry", "serve", "--address", "127.0.0.1:0", "--storage"]
    process = subprocess.Popen([*command, str(tmp_path / "registry")], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stdout.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["python-gzip-1", "python-zstd-2", "directory-none-1"])
def test_our_registry_serves_crane(
    name: str, made: Products, ours: str, crane: Peer, ociassemble: Commands, tmp_path: Path
) -> None:
    product, there = made[name], f"{ours}/a/{name}"
    crane("copy", product.reference, f"{there}:v1")
    crane("tag", f"{there}:v1", "v2")
    assert {crane("digest", f"{there}:{tag}").stdout.strip() for tag in ("v1", "v2")} == {product.digest}
    assert crane("ls", there).stdout.split() == ociassemble("ls", there).lines == ["v1", "v2"]
    assert crane("catalog", ours).stdout.split() == [f"a/{name}"]
    crane("validate", "--fast", "--remote", f"{there}:v1")
    crane("pull", "--format=oci", f"{there}:v1", tmp_path / "pulled")
    assert set(entries(tmp_path / "pulled").values()) == {product.digest}
    assert ociassemble("validate", f"oci:{tmp_path / 'pulled'}").out.startswith(product.digest)
    crane("push", tmp_path / "pulled", f"{ours}/pushed:v1")
    assert ociassemble("validate", f"{ours}/pushed:v1").out.startswith(product.digest)
    crane("push", "--index", tmp_path / "pulled", f"{ours}/pushed:within")  # an index around what is in the layout
    assert "all as they should be" in ociassemble("validate", f"{ours}/pushed:within").out
    config = ociassemble("config", "--platform", "linux/amd64", f"{ours}/pushed:within").raw
    assert sha256(config) == next(product.manifests())[2]["config"]["digest"]
    crane("delete", f"{there}@{product.digest}")
    assert crane("ls", there, check=False).stdout.split() == []
    assert crane("digest", f"{there}:v1", check=False).returncode != 0


def test_crane_changes_images_in_our_registry(
    made: Products, ours: str, crane: Peer, ociassemble: Commands, tmp_path: Path
) -> None:
    """Appended, mutated, joined to an index: what crane makes of ours is an image to us, and to itself."""
    product, there = made["directory-gzip-2"], f"{ours}/changed"
    crane("copy", product.reference, f"{there}:v1")
    archive = tmp_path / "more.tar"
    archive.write_bytes(images.archive({"app/more": "more"}))
    crane("append", "--platform=linux/amd64", "-b", f"{there}:v1", "-f", archive, "-t", f"{there}:appended")
    crane("mutate", f"{there}:appended", "--label", "k=v", "--env", "K=V", "-t", f"{there}:mutated")
    crane("index", "append", f"{there}:v1", "-m", f"{there}:mutated", "-t", f"{there}:joined")
    shown = ociassemble("inspect", f"{there}:mutated", "--format", "json").json
    joined = ociassemble("manifest", f"{there}:joined").json["manifests"]

    assert len(shown["layers"]) == 4
    assert (shown["labels"]["k"], shown["env"]["K"], shown["user"]) == ("v", "V", "65532")
    assert [item["digest"] for item in joined][2:] == [shown["digest"]]
    for tag in ("appended", "mutated", "joined"):
        digest = crane("digest", f"{there}:{tag}").stdout.strip()
        assert ociassemble("validate", f"{there}:{tag}").out.startswith(digest)
        assert crane("validate", "--remote", f"{there}:{tag}").stdout.startswith("PASS: ")


def test_our_registry_serves_skopeo(
    made: Products, ours: str, skopeo: Peer, copy: Callable[..., None], ociassemble: Commands, tmp_path: Path
) -> None:
    product, there = made["python-gzip-2"], f"docker://{ours}/skopeo"
    copy(f"docker://{product.reference}", f"{there}:v1")
    copy(f"{there}:v1", f"oci:{tmp_path / 'copied'}:v1")
    copy(f"oci:{tmp_path / 'copied'}:v1", f"{there}:docker", "--format", "v2s2")

    assert skopeo.json("list-tags", "--tls-verify=false", there)["Tags"] == ["docker", "v1"]
    assert entries(tmp_path / "copied") == {"v1": product.digest}
    assert ociassemble("digest", f"{ours}/skopeo:v1").lines == [product.digest]
    assert "all as they should be" in ociassemble("validate", f"{ours}/skopeo:docker").out
    skopeo("delete", "--tls-verify=false", f"{there}:docker")
    assert ociassemble("ls", f"{ours}/skopeo").lines == ["v1"]
