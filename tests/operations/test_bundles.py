"""A build outside, a bundle, and the same build where there is no network: everything between the two."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jsonschema
import pytest

from ociassemble.operations.bundle_tool import needed
from ociassemble.registry.server import serve
from ociassemble.testing import images
from tests.failure.scene import REPOSITORY, Done, Scene, python_base, scene_below
from tests.operations import audited
from tests.sources.wheels import wheel

ALPHA, BETA = wheel("alpha", "1.0"), wheel("beta", "1.0", requires=["alpha"])
SCHEMA = json.loads((REPOSITORY / "specs/schema/wants.schema.json").read_bytes())
BOTH = ("linux/amd64", "linux/arm64")


class Outside(NamedTuple):
    """What was made where there is a network; `digest` is that of the build there, `host` its registry."""

    scene: Scene
    digest: str
    host: str

    def inside(self, name: str) -> dict[str, str]:
        """The environment of a machine without network: an empty store and home, no program on PATH."""
        home = self.scene.root / f"home-{name}"
        home.mkdir(exist_ok=True)
        return {
            "HOME": str(home),
            "PATH": str(home),
            "OCIASSEMBLE_CACHE_DIR": str(self.scene.root / f"cache-{name}"),
            "UV_DEFAULT_INDEX": "",
        }


def digest_of(done: Done) -> str:
    return done.worked().out.strip().rpartition("@")[2]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """A Python project on a base of a registry, locked for two platforms, built and saved."""
    with scene_below(tmp_path_factory.mktemp("outside")) as scene:
        registry = scene.stack.enter_context(serve("127.0.0.1", 0, scene.root / "upstream"))
        images.push(images.index([python_base(platform) for platform in BOTH]), f"{registry.host}/base:v1")
        scene.wheels(ALPHA, BETA)
        scene.files(
            main__py="import beta\n",
            requirements__txt="beta\n",
            ociassemble__toml=f'base = "{registry.host}/base:v1"\nplatforms = ["linux/amd64", "linux/arm64"]\n',
        )
        scene.run("lock", "project", "-q").worked()
        digest = digest_of(scene.run("build", "project", "-q", "--locked", "-o", "oci:outputs/a:v1"))
        scene.run("bundle", "save", "project", "-q", "-o", "shop.bundle", "--contents", "list.txt").worked()
        # A lock that leaves the base open, too.
        shutil.copytree(scene.project, scene.root / "open")
        (scene.root / "open" / "ociassemble.lock").unlink()
        scene.run("lock", "open", "-q", "--no-base").worked()
        scene.run("bundle", "save", "open", "-q", "-o", "open.bundle").worked()
        yield Outside(scene, digest, registry.host)


def built(outside: Outside, place: str, name: str, *argv: str) -> tuple[Done, list[str]]:
    return audited.run(
        outside.scene, "--offline", "build", place, "-q", "-o", f"oci:outputs/{name}:v1", *argv, **outside.inside(name)
    )


@pytest.mark.spec("OFFLINE-1", "OFFLINE-2", "BUNDLE-14", "BUNDLE-17")
def test_a_build_from_a_bundle_is_the_build_outside(outside: Outside) -> None:
    loaded, events = audited.run(
        outside.scene, "--offline", "bundle", "load", "shop.bundle", "-q", **outside.inside("b")
    )
    assert loaded.worked().out.startswith("localhost/bundles/project@sha256:") and events == []

    done, events = built(outside, "project", "b", "--locked")

    assert digest_of(done) == outside.digest
    assert events == []
    names = outside.scene.run("ls", **outside.inside("b")).worked().out
    assert "localhost/bundles/project:" in names


def test_the_hook_sees_what_is_forbidden(outside: Outside) -> None:
    inside = outside.inside("hook")

    _, events = audited.run(outside.scene, "digest", f"{outside.host}/base:v1", **inside)
    assert any(event.startswith("socket.connect") for event in events)
    _, events = audited.run(outside.scene, "digest", "registry.example/base:v1", **inside)
    assert any(event.startswith("socket.getaddrinfo") for event in events)


@pytest.mark.spec("OFFLINE-1", "OFFLINE-4", "BUNDLE-14")
def test_an_open_base_is_what_the_bundle_says(outside: Outside) -> None:
    scene, inside = outside.scene, outside.inside("open")
    loaded = scene.run("bundle", "load", "open.bundle", **inside).worked()
    assert f"offline, `{outside.host}/base:v1` is sha256:" in loaded.err

    done, events = built(outside, "open", "open")

    assert digest_of(done) == digest_of(scene.run("build", "open", "-q", "-o", "oci:outputs/open-a:v1"))
    assert events == []


@pytest.mark.spec("OFFLINE-1", "OFFLINE-3")
def test_a_push_is_refused_before_any_work(outside: Outside) -> None:
    inside = outside.inside("push")

    done, events = audited.run(
        outside.scene, "--offline", "build", "project", "-t", "registry.example/x:v1", "--push", **inside
    )

    done.failed(9, "`registry.example/x:v1` is in a registry", hint="ociassemble copy")
    assert events == []
    assert "application:" not in done.err
    copied, events = audited.run(outside.scene, "--offline", "copy", "oci:outputs/a:v1", "registry.example/x", **inside)
    copied.failed(9, "registry.example/x")
    assert events == []


@pytest.mark.spec("OFFLINE-1", "OFFLINE-5", "OFFLINE-7")
def test_all_that_is_missing_is_named_at_once(outside: Outside) -> None:
    done, events = built(outside, "project", "empty", "--locked")

    done.failed(9, "4 files", hint="bundle save --wants")
    for name in ("base image", "for linux/amd64 sha256:", "for linux/arm64 sha256:", ALPHA[0], BETA[0]):
        assert name in done.error
    assert f"wheel {ALPHA[0]}: {len(ALPHA[1]):,} bytes" in done.error
    assert f"{len(ALPHA[1]) + len(BETA[1]):,} bytes" in done.error
    assert events == []


@pytest.mark.spec("OFFLINE-6")
def test_what_other_platforms_of_the_lock_need_is_not_missing(outside: Outside) -> None:
    """A build that names no platform is for this host; `lock --missing` is about all that is locked."""
    root = outside.scene.root
    shutil.copytree(outside.scene.project, root / "host")
    settings = root / "host" / "ociassemble.toml"
    settings.write_text(settings.read_text().partition("platforms")[0])

    done, _ = built(outside, "host", "nothing", "--locked")
    done.failed(9, "3 files")
    assert done.error.count("base image") == 1
    found = outside.scene.run("lock", "host", "--missing", "-q", **outside.inside("nothing")).worked()
    assert sorted(json.loads(found.out)["base"]["platforms"]) == sorted(BOTH)


@pytest.mark.spec("OFFLINE-6")
def test_a_finished_layer_needs_no_wheels(outside: Outside) -> None:
    scene, inside = outside.scene, outside.inside("finished")
    scene.run("bundle", "load", "shop.bundle", "-q", **inside).worked()
    built(outside, "project", "finished", "--locked")[0].worked()
    for path in (Path(inside["OCIASSEMBLE_CACHE_DIR"]) / "store" / "blobs" / "sha256").iterdir():
        if path.read_bytes() in (ALPHA[1], BETA[1]):
            path.unlink()

    found = json.loads(scene.run("lock", "project", "--missing", "-q", **inside).worked().out)
    assert found["artifacts"] == [] and found["base"] is None
    (scene.project / "main.py").write_text("import beta  # changed\n")
    try:
        built(outside, "project", "finished", "--locked")[0].worked()
        done, _ = built(outside, "project", "finished", "--locked", "--no-cache")
        done.failed(9, ALPHA[0], BETA[0], "2 files")
        assert "base image" not in done.error
    finally:
        (scene.project / "main.py").write_text("import beta\n")
    # What a layer is made of is known from the lock, where the base that it stands upon is gone as well.
    for item in json.loads(scene.run("bundle", "list", "shop.bundle", "--format", "json").worked().out)["files"]:
        if item["kind"] == "base-manifest":
            (Path(inside["OCIASSEMBLE_CACHE_DIR"]) / "store" / "blobs" / "sha256" / item["sha256"]).unlink()
    found = json.loads(scene.run("lock", "project", "--missing", "-q", **inside).worked().out)
    assert found["artifacts"] == [] and set(found["base"]["platforms"]) == set(BOTH)


@pytest.mark.spec("OFFLINE-7", "BUNDLE-10", "BUNDLE-17")
def test_what_is_wanted_inside_is_saved_outside(outside: Outside) -> None:
    scene, inside = outside.scene, outside.inside("wants")
    done, events = audited.run(scene, "lock", "project", "--missing", "-q", **inside)
    wants = done.worked().out
    document = json.loads(wants)
    jsonschema.validate(document, SCHEMA)
    assert events == []
    assert [item["filename"] for item in document["artifacts"]] == sorted([ALPHA[0], BETA[0]])
    assert set(document["base"]["platforms"]) == set(BOTH)
    assert document["base"]["name"] == f"{outside.host}/base:v1"  # as the project writes it
    assert str(scene.root) not in wants and "http" not in wants and "simple" not in wants
    (scene.root / "wants.json").write_text(wants)

    elsewhere = {"OCIASSEMBLE_CACHE_DIR": str(scene.root / "cache-elsewhere")}
    scene.run("bundle", "save", "--wants", "wants.json", "-q", "-o", "wants.bundle", **elsewhere).worked()
    scene.run("bundle", "load", "wants.bundle", "-q", **inside).worked()

    assert json.loads(scene.run("lock", "project", "--missing", "-q", **inside).worked().out) == {
        "version": 1, "name": "project", "base": None, "artifacts": [], "releases": [],
    }  # fmt: skip
    assert digest_of(built(outside, "project", "wants", "--locked")[0]) == outside.digest


@pytest.mark.spec("OFFLINE-7")
def test_an_open_base_is_wanted_by_its_name(outside: Outside) -> None:
    done = outside.scene.run("lock", "open", "--missing", "-q", **outside.inside("by-name"))

    document = json.loads(done.worked().out)
    jsonschema.validate(document, SCHEMA)
    assert document["base"]["platforms"] == {"linux/amd64": None, "linux/arm64": None}
    assert len(document["artifacts"]) == 2


@pytest.mark.spec("OFFLINE-7", "BUNDLE-5")
def test_without_a_lock_that_answers_nothing_is_known(outside: Outside) -> None:
    scene = outside.scene
    (scene.root / "bare").mkdir()
    (scene.root / "bare" / "index.html").write_text("x")

    scene.run("lock", "bare", "--missing").failed(3, "there is none", hint="ociassemble lock")
    scene.run("bundle", "save", "bare", "-o", "x.bundle").failed(3, "ociassemble.lock", hint="ociassemble lock")
    shutil.copytree(scene.project, scene.root / "stale")
    (scene.root / "stale" / "requirements.txt").write_text("alpha\n")
    scene.run("bundle", "save", "stale", "-o", "x.bundle").failed(8, "stale", hint="ociassemble lock")
    scene.run("lock", "stale", "--missing").failed(8, "stale", hint="ociassemble lock")
    assert not (scene.root / "x.bundle").exists()


@pytest.mark.spec("BUNDLE-2", "BUNDLE-8")
def test_the_list_names_everything(outside: Outside) -> None:
    scene = outside.scene
    text = (scene.root / "list.txt").read_text()

    assert scene.run("bundle", "list", "shop.bundle").worked().out == text
    listed = json.loads(scene.run("bundle", "list", "shop.bundle", "--format", "json").worked().out)
    kinds = [item["kind"] for item in listed["files"]]
    assert kinds.count("base-manifest") == 2 and kinds.count("wheel") == 2 and kinds.count("lock") == 1
    with tarfile.open(scene.root / "shop.bundle") as archive:
        blobs = {member.name.rpartition("/")[2]: member.size for member in archive if "/" in member.name}
    # All that is in the archive, but for the documents that say what is in it, and the empty config.
    named = {item["sha256"]: item["size"] for item in listed["files"]}
    assert named.items() <= blobs.items() and len(blobs) - len(named) == 4
    for item in listed["files"]:
        assert item["sha256"] in text
    assert listed["digest"] in text.splitlines()[0]
    assert all(item["here"] for item in listed["files"]) and listed["sizeHere"] == sum(named.values())


@pytest.mark.spec("BUNDLE-4")
def test_saved_again_elsewhere_it_is_the_same(outside: Outside) -> None:
    scene = outside.scene
    elsewhere = str(scene.root / "cache-again")
    scene.run("bundle", "save", "project", "-q", "-o", "again.bundle", OCIASSEMBLE_CACHE_DIR=elsewhere).worked()

    assert (scene.root / "again.bundle").read_bytes() == (scene.root / "shop.bundle").read_bytes()


@pytest.mark.spec("BUNDLE-5", "BUNDLE-7")
def test_one_platform_of_the_lock_in_a_part(outside: Outside) -> None:
    scene, inside = outside.scene, outside.inside("one")
    arm = ("--platform", "linux/arm64")
    scene.run("bundle", "save", "project", "-q", "-o", "one.bundle", *arm, "--split", "64K").worked()

    scene.run("bundle", "load", "one.bundle.001", "-q", **inside).worked()

    built(outside, "project", "one", "--locked", *arm)[0].worked()
    built(outside, "project", "one", "--locked", "--platform", "linux/amd64")[0].failed(9, "linux/amd64")


@pytest.mark.spec("BUNDLE-6", "BUNDLE-13")
def test_a_delta_completes_an_older_bundle(outside: Outside) -> None:
    scene, inside = outside.scene, outside.inside("delta")
    old = json.loads(scene.run("bundle", "list", "shop.bundle", "--format", "json").worked().out)["digest"]
    scene.run("bundle", "save", "open", "-q", "--since", "shop.bundle", "-o", "delta.bundle").worked()
    assert (scene.root / "delta.bundle").stat().st_size < (scene.root / "shop.bundle").stat().st_size

    refused = scene.run("bundle", "load", "delta.bundle", **inside)
    refused.failed(4, ALPHA[0], "neither in it nor in the store", hint=f"{old}: load that first")
    store = Path(inside["OCIASSEMBLE_CACHE_DIR"]) / "store"
    assert not [path for path in store.rglob("*") if path.is_file() and "blobs" in path.parts]
    scene.run("bundle", "load", "shop.bundle", "-q", **inside).worked()
    scene.run("bundle", "load", "delta.bundle", "-q", **inside).worked()
    built(outside, "open", "delta")[0].worked()


@pytest.mark.spec("BUNDLE-6", "BUNDLE-8")
def test_the_list_of_a_delta_says_what_is_in_it(outside: Outside) -> None:
    scene = outside.scene
    saved = scene.run(
        "bundle", "save", "open", "--since", "shop.bundle", "-o", "more.bundle", "--contents", "more.txt", "--format",
        "json",
    )  # fmt: skip
    with tarfile.open(scene.root / "more.bundle") as archive:
        blobs = {member.name.rpartition("/")[2]: member.size for member in archive if "/" in member.name}

    listed = json.loads(scene.run("bundle", "list", "more.bundle", "--format", "json").worked().out)

    here = {item["sha256"]: item["size"] for item in listed["files"] if item["here"]}
    assert here.items() <= blobs.items() and listed["sizeHere"] == sum(here.values())
    gone = {item["sha256"] for item in listed["files"] if not item["here"]}
    assert gone and gone.isdisjoint(blobs)
    text = scene.run("bundle", "list", "more.bundle").worked().out
    assert text == (scene.root / "more.txt").read_text()
    assert json.loads(saved.worked().out)["files"] == listed["files"]
    rows = [line.split() for line in text.splitlines()]
    assert {row[0] for row in rows if ALPHA[0] in row} == {"no"}
    assert {row[0] for row in rows if "ociassemble.lock" in row} == {"yes"}
    assert text.endswith(f" bytes\nhere: {len(here)} of them, {sum(here.values())} bytes\n")


@pytest.mark.spec("BUNDLE-18")
def test_what_is_damaged_is_named(outside: Outside) -> None:
    scene, inside = outside.scene, outside.inside("damaged")
    raw = (scene.root / "shop.bundle").read_bytes()

    def load(name: str, data: bytes) -> Done:
        (scene.root / name).write_bytes(data)
        return scene.run("bundle", "load", name, "-q", **inside)

    flipped = bytearray(raw)
    for _, data in (ALPHA, BETA):
        flipped[raw.index(data) + 100] ^= 1
    done = load("flipped.bundle", bytes(flipped))
    done.failed(7, "`flipped.bundle` is damaged", "2 of its files", hint="compare its sha256")
    assert f"wheel alpha 1.0 {ALPHA[0]}" in done.error and f"wheel beta 1.0 {BETA[0]}" in done.error
    assert not list((Path(inside["OCIASSEMBLE_CACHE_DIR"]) / "store").glob("refs/*"))
    document = bytearray(raw)
    document[raw.index(b"dev.ociassemble.bundle.version") + 5] ^= 1
    load("document.bundle", bytes(document)).failed(7, "`document.bundle` is damaged", hint="copy it anew")
    for end in (len(raw) // 2, len(raw) - 3000, 700):
        load("cut.bundle", raw[:end]).failed(7, "`cut.bundle`", hint="copy it anew, and compare its sha256")
    target = scene.serve()
    done = scene.run("bundle", "load", "flipped.bundle", "-q", "--to", f"{target.host}/mirror")
    done.failed(7, "`flipped.bundle` is damaged", ALPHA[0], hint="copy it anew")


@pytest.mark.spec("BUNDLE-9")
def test_offline_all_that_the_tool_needs_is_named(outside: Outside) -> None:
    done = outside.scene.run("--offline", "bundle", "save", "project", "-o", "x", "--with-tool")

    versions = needed("ociassemble")
    done.failed(9, f"asked for {len(versions)} wheels", *(f"{name} {version}" for name, version in versions.items()),
                hint="where there is a network")  # fmt: skip
    assert not (outside.scene.root / "x").exists()


@pytest.mark.spec("BUNDLE-19")
def test_a_bundle_in_the_application_is_warned_of(outside: Outside) -> None:
    scene, place = outside.scene, outside.scene.root / "inner"
    shutil.copytree(scene.project, place)

    def save(*words: str) -> str:
        return scene.run("bundle", "save", "inner", "-q", *words).worked().err

    inner = scene.run("build", "inner", "-q", "--locked", "-o", "oci:outputs/inner:v1")
    said = save("-o", "inner/x.bundle", "--contents", "inner/list.txt")
    assert "the next build packs inner/x.bundle" not in said
    assert "the next build packs x.bundle, list.txt" in said
    assert "elsewhere (`-o ../x.bundle`), or name them in `.ociassembleignore`" in said
    assert digest_of(scene.run("build", "inner", "-q", "--locked", "-o", "oci:outputs/inner:v2")) != digest_of(inner)
    said = save("-o", "inner/p.bundle", "--split", "64K")
    assert "packs p.bundle.001, p.bundle.parts.json, which are in the folder" in said
    assert save("-o", "inner.bundle") == ""
    (place / "__pycache__").mkdir()
    assert save("-o", "inner/__pycache__/x.bundle") == "" and "packs x.pyc.bundle" in save("-o", "inner/x.pyc.bundle")
    (place / ".dockerignore").write_text("*.bundle*\n!y.bundle\n")
    said = save("-o", "inner/x.bundle", "--contents", "inner/list.txt")
    assert "packs list.txt, which is in the folder" in said and "name it in `.dockerignore`" in said
    assert "packs y.bundle" in save("-o", "inner/y.bundle")
    (place / "list.txt").unlink()
    (place / "y.bundle").unlink()
    assert save("-o", "inner/x.bundle", "--split", "64K") == ""
    done = scene.run("build", "inner", "-q", "--locked", "-o", "oci:outputs/inner:v3")
    assert digest_of(done) == digest_of(inner)


@pytest.mark.spec("BUNDLE-15")
def test_into_a_registry_that_is_then_a_mirror(outside: Outside) -> None:
    scene, inside = outside.scene, outside.inside("mirror")
    target = scene.serve()
    done = scene.run("bundle", "load", "shop.bundle", "-q", "--to", f"{target.host}/mirror", **inside).worked()
    lines = done.out.split()
    assert lines[0].startswith(f"{target.host}/mirror/base@sha256:")
    assert lines[1].startswith(f"{target.host}/mirror/bundles/project@sha256:")
    listed = json.loads(scene.run("bundle", "list", "shop.bundle", "--format", "json").worked().out)
    assert lines[1].endswith(listed["digest"])

    # Packages from the bundle in the mirror, the base through it: the host it was locked from is not asked.
    other = outside.inside("mirrored")
    scene.run("bundle", "load", f"docker://{target.host}/mirror/bundles/project:latest", "-q", **other).worked()
    store = Path(other["OCIASSEMBLE_CACHE_DIR"]) / "store" / "blobs" / "sha256"
    for item in listed["files"]:
        if item["kind"].startswith("base-"):
            (store / item["sha256"]).unlink()
    mirror = ("--registry-mirror", f"{outside.host}={target.host}/mirror")
    found = scene.run("build", "project", "-q", "--locked", "-o", "oci:outputs/mirror:v1", *mirror, **other)
    assert digest_of(found) == outside.digest


@pytest.mark.spec("BUNDLE-16")
def test_a_bundle_is_a_place_to_read_from(outside: Outside) -> None:
    scene = outside.scene
    (scene.root / "site").mkdir()
    (scene.root / "site" / "index.html").write_text("hello")

    assert scene.run("ls", "bundle:shop.bundle").worked().out.split() == ["base", "bundle"]
    shown = scene.run("inspect", "bundle:shop.bundle").worked().out
    assert "linux/amd64" in shown and "linux/arm64" in shown
    assert scene.run("digest", "bundle:shop.bundle:base").out == scene.run("digest", "bundle:shop.bundle").worked().out
    done, events = audited.run(
        scene, "--offline", "build", "site", "-q", "-b", "bundle:shop.bundle", "--platform", "linux/amd64", "--cmd",
        "/usr/bin/python3.13", "-o", "oci:outputs/site:v1", **outside.inside("site"),
    )  # fmt: skip
    assert digest_of(done) and events == []
    scene.run("copy", "oci:outputs/a:v1", "bundle:x").failed(2, "bundles are read here", hint="bundle save -o x")
    scene.run("validate", "bundle:shop.bundle").worked()


@pytest.mark.spec("BUNDLE-10", "BUNDLE-15")
def test_what_cannot_be_meant(outside: Outside) -> None:
    scene = outside.scene
    scene.run("bundle", "save", "project", "-o", "-").failed(2, "to a file", hint="-o FILE")
    scene.run("bundle", "save", "project", "-o", "no/x.bundle").failed(11, "no such folder")
    scene.run("bundle", "save", "project", "-o", "x", "--split", "7").failed(2, "`7`", hint="700M")
    scene.run("bundle", "save", "--wants", "none.json", "-o", "x").failed(3, "none.json", hint="lock --missing")
    # Before anything else is looked at.
    scene.run("bundle", "save", "nosuch", "-o", "x", "--since", "none").failed(4, "cannot read `none`", hint="--since")
    scene.run("bundle", "save", "project", "-o", "x", "--contents", "./x").failed(2, "written twice", hint="each")
    scene.run("bundle", "save", "project", "-o", "x", "--contents", "project").failed(11, "is a folder", hint="another")
    older = (scene.root / "shop.bundle").read_bytes()
    for name in ("shop.bundle", "./project/../shop.bundle", "bundle:shop.bundle", "shop.bundle.001"):
        done = scene.run("bundle", "save", "project", "-o", "shop.bundle", "--since", name)
        done.failed(2, "would be overwritten", hint="another file")
    assert (scene.root / "shop.bundle").read_bytes() == older
    scene.run("bundle", "load", "none").failed(4, "cannot read `none`", hint=None)
    long = f"{'x' * 300}.example/x"  # no file system takes such a name
    for name in ("none/x", "./none.d/x", "project/x:1", "registry.example/a b", long):
        scene.run("bundle", "load", name).failed(4, f"cannot read `{name}`", hint=None)
    for verb, name in (("load", "registry.example/x"), ("list", "localhost/x:v1"), ("load", "127.0.0.1:1/x/y")):
        scene.run("bundle", verb, name).failed(4, f"cannot read `{name}`", hint=f"is named `docker://{name}`")
    for name in ("registry.example/x", "docker://registry.example/x"):
        done = scene.run("bundle", "load", "shop.bundle", name)
        done.failed(2, "several", hint=f"`ociassemble bundle load shop.bundle --to {name}`")
    for words, said in (
        (["project"], "project"),
        (["."], "."),
        (["--platform", "linux/arm64"], "--platform"),
        (["--lockfile", "x.lock"], "--lockfile"),
    ):
        done = scene.run("bundle", "save", *words, "--wants", "bad.json", "-o", "x")
        done.failed(2, f"`{said}` would not be looked at", hint=f"leave `{said}` away")
    done = scene.run("bundle", "save", "--wants", "none.json", "-o", "x", OCIASSEMBLE_PLATFORM="linux/arm64")
    done.failed(3, "none.json", hint="lock --missing")
    scene.run("bundle", "load", "shop.bundle", "open.bundle").failed(2, "several", hint="one after another")
    scene.run("bundle", "list", "project/main.py").failed(7, "no archive", hint="copy it anew")
    (scene.root / "bad.json").write_text('{"version": 1}')
    scene.run("bundle", "save", "--wants", "bad.json", "-o", "x").failed(3, "`base` is missing", hint="lock --missing")
    assert not (scene.root / "x").exists()
