"""`verify --rebuild`: what was built is reproduced from an empty cache; what somebody changed is named, no more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ociassemble.content import compress
from ociassemble.image.image import Image
from ociassemble.oci.annotations import LAYER_CODEC
from ociassemble.testing import images
from tests.cli.tampering import Change, annotation, config_value, content, header, made, same, swapped, tamper, top
from tests.cli.test_reports import holds
from tests.failure.scene import Scene, python_base, scene_below
from tests.sources.wheels import wheel

GZIP = compress.parse("gzip", "application").identity
BASE = "org.opencontainers.image.base.digest"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """An application with a dependency, locked, built and pushed, and a cache folder that has never been used."""
    with scene_below(tmp_path_factory.mktemp("shop")) as made:
        made.wheels(wheel("alpha", "1.0"))
        base = made.registry_base("linux/amd64", "linux/arm64")
        settings = f'base = "{base}"\nplatforms = ["linux/amd64"]\nenv = {{ GREETING = "hello" }}\n'
        made.files(main__py="print('hello')\n", requirements__txt="alpha\n", ociassemble__toml=settings)
        made.file("static/a.txt", "aaaa")
        made.file("static/b.txt", "bbbb")
        made.run("lock", "project").worked()
        made.built("-t", f"{made.serve().host}/app:v1", "--push")
        shutil.rmtree(made.cache)
        yield made


def verified(scene: Scene, image: str, *argv: str, status: int = 7) -> Any:
    done = scene.run("verify", "--rebuild", image, "project", "-q", "--format", "json", *argv)
    assert done.status == status, done.err
    return holds(done.out, "verify")


@pytest.mark.spec("VERIFY-1", "VERIFY-2")
def test_what_was_pushed_is_reproduced_from_an_empty_cache(shop: Scene, tmp_path: Path) -> None:
    name = f"{shop.serve().host}/app:v1"
    digest = shop.run("digest", name).out.strip()
    done = shop.run("--cache-dir", str(tmp_path), "verify", "--rebuild", name, "project", "--locked").worked()

    assert done.out == f"{name}@{digest} reproduced\n"
    assert verified(shop, name, status=0)["differences"] == []
    pinned = f"{shop.serve().host}/app@{digest}"
    assert shop.run("verify", "--rebuild", pinned, "project").worked().out == f"{pinned} reproduced\n"


@pytest.mark.spec("VERIFY-6", "VERIFY-10", "VERIFY-11", "VERIFY-13", "VERIFY-14", "VERIFY-15", "VERIFY-17")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (top(content("app/main.py", 7, b"J")), ("content", "file", "app/main.py", "content", ..., ...)),
        (top(header("app/main.py", 100, b"0000755\0")), ("metadata", "file", "app/main.py", "mode", "0755", "0644")),
        (top(header("app/static", 100, b"0000777\0")), ("metadata", "file", "app/static", "mode", "0777", "0755")),
        (top(header("app/main.py", 136, b"14777777777\0")),
         ("metadata", "file", "app/main.py", "mtime", 0o14777777777, 315619200)),
        (top(header("app/main.py", 108, b"0000012\0")), ("metadata", "file", "app/main.py", "uid", 10, 0)),
        (top(header("app/main.py", 116, b"0000012\0")), ("metadata", "file", "app/main.py", "gid", 10, 0)),
        (top(header("app/main.py", 265, b"root")), ("metadata", "file", "app/main.py", "user name", "root", "")),
        (top(swapped("app/static/a.txt", "app/static/b.txt")), ("order", "file", "app/static/a.txt", "order", 6, 5)),
        (top(same, "gzip:9"),
         ("compression", "layer", "", "compression", GZIP, GZIP)),
        (config_value("User", "0"), ("metadata", "config", "", "/config/User", "0", "65532")),
        (config_value("Env", ["PATH=/x"]), ("metadata", "config", "", "/config/Env/0", "PATH=/x", "PATH=/usr/bin")),
        (annotation("a", "b"), ("metadata", "manifest", "", "/annotations/a", "b", None)),
    ],
    ids=["content", "mode", "folder", "mtime", "owner", "group", "name", "order", "codec", "user", "env", "annotation"],
)  # fmt: skip
def test_each_change_is_named(shop: Scene, change: Change, expected: tuple[Any, ...]) -> None:
    tamper(shop.outputs / "image", "v1", "bad", change)
    report = verified(shop, "oci:outputs/image:bad")
    found = [
        (item["kind"], item["where"], item["path"], item["field"], item["image"], item["rebuild"])
        for item in report["differences"]
    ]

    assert len(found) == 1 or expected[3] == "/config/Env/0"  # the other variables are gone, too
    assert all(want is ... or want == have for want, have in zip(expected, found[0], strict=True)), found
    assert report["kind"] == expected[0]
    assert not report["reproduced"]
    if expected[1] in ("file", "layer"):
        assert report["differences"][0]["layer"] == {"number": 3, "title": "application", "role": "application"}
    if expected[3] == "content":
        assert report["differences"][0]["offset"] == 7


@pytest.mark.spec("VERIFY-6")
def test_a_change_is_an_error_with_its_place(shop: Scene) -> None:
    tamper(shop.outputs / "image", "v1", "bad", top(content("app/main.py", 7, b"J")))
    shop.run("verify", "--rebuild", "oci:outputs/image:bad", "project", "-q").failed(
        7,
        "is not what `project` builds",
        "what is in it differs",
        "layer 4 `application` (application): `app/main.py`: content differs from byte 7 on: image sha256:",
        hint="verify with the commit, the lock and the flags",
    )


@pytest.mark.spec("VERIFY-6", "VERIFY-19", "EXPLAIN-3")
def test_a_bumped_dependency_is_told_by_its_versions(scene: Scene) -> None:
    """Whether or not the image's build is remembered here; and the application's layer is not lost below it."""
    scene.wheels(wheel("alpha", "1.0"), wheel("alpha", "2.0"))
    scene.files(requirements__txt="alpha==1.0\n")
    scene.built()
    scene.files(requirements__txt="alpha==2.0\n")
    scene.run("build", "project", "-q", "-o", "oci:outputs/image:v2").worked()
    for _ in range(2):
        done = scene.run("verify", "--rebuild", scene.layout, "project", "-q")
        lines = [line.strip() for line in done.err.splitlines()]
        number = next(place for place, line in enumerate(lines) if line.startswith("layer "))
        assert lines[number].startswith("layer 3 `dependencies` (dependency): alpha (image 1.0, rebuild 2.0), ")
        assert lines[number + 1] == "layer 4 `application` (application): 1 file differs"
        report = verified(scene, scene.layout)
        assert [(item["title"], item["packages"]) for item in report["layers"]] == [
            ("dependencies", [{"name": "alpha", "image": "1.0", "rebuild": "2.0"}]),
            ("application", []),
        ]
        against = explained(scene, scene.layout, "--against", "oci:outputs/image:v2")["against"]
        assert against["layers"][0]["packages"] == [{"name": "alpha", "image": "1.0", "against": "2.0"}]
        told = scene.run("explain", scene.layout, "--against", "oci:outputs/image:v2").worked().out
        assert ": alpha (image 1.0, other 2.0), " in told
        assert told.index(": alpha (image") < told.index("layer 4 `application`")
        shutil.rmtree(scene.store / "records" / "builds", ignore_errors=True)


@pytest.mark.spec("VERIFY-6")
def test_compression_alone_is_told_from_content(shop: Scene) -> None:
    tamper(shop.outputs / "image", "v1", "bad", top(same, "gzip:9"))
    shop.run("verify", "--rebuild", "oci:outputs/image:bad", "project", "-q").failed(
        7, "the same content, compressed differently", hint="nothing of its content differs"
    )


@pytest.mark.spec("VERIFY-3")
def test_what_the_image_says_of_itself_is_not_believed(shop: Scene) -> None:
    """Flags of the build are given again; that the image has their result is no proof that they were given."""
    shop.run("build", "project", "-q", "-e", "DEBUG=1", "-o", "oci:outputs/flags:v1").worked()
    asked = ("verify", "--rebuild", "oci:outputs/flags:v1", "project", "-q")

    shop.run(*asked).failed(7, "config /config/Env/2: only in the image (DEBUG=1)", hint="give them again")
    shop.run(*asked, "-e", "DEBUG=1").worked()
    (item,) = verified(shop, "oci:outputs/flags:v1")["differences"]
    assert item["field"] == "/config/Env/2"


@pytest.mark.spec("VERIFY-4")
def test_nothing_finished_is_used_and_nothing_is_left(shop: Scene) -> None:
    shop.run("build", "project", "-q", "-o", "oci:outputs/again:v1").worked()  # and downloads
    for _ in range(2):
        before = sorted(path for path in (shop.store / "records").rglob("*") if path.is_file())
        done = shop.run("verify", "--rebuild", "oci:outputs/image:v1", "project").worked()
    assert done.err.count("layer     ") == 2  # both are written, neither is found
    assert sorted(path for path in (shop.store / "records").rglob("*") if path.is_file()) == before
    assert not list(shop.temporary.iterdir())

    offline = shop.run("--offline", "verify", "--rebuild", "oci:outputs/image:v1", "project").worked()
    assert "reproduced" in offline.out


@pytest.mark.spec("VERIFY-5")
def test_equal_layers_are_not_read(shop: Scene) -> None:
    shutil.copytree(shop.outputs / "image", shop.outputs / "thin")
    manifest = json.loads(shop.run("manifest", "oci:outputs/thin:v1").out)
    for layer in manifest["layers"]:
        (shop.outputs / "thin" / "blobs" / "sha256" / layer["digest"][7:]).unlink()

    assert "reproduced" in shop.run("verify", "--rebuild", "oci:outputs/thin:v1", "project").worked().out
    shutil.rmtree(shop.outputs / "thin")


@pytest.mark.spec("VERIFY-18")
@pytest.mark.parametrize("plain", [b"no tar at all" * 100, b"", b"\0" * 5000, b"x"])
def test_a_layer_that_is_none_is_named(shop: Scene, plain: bytes) -> None:
    tamper(shop.outputs / "image", "v1", "bad", top(lambda data: plain))
    report = verified(shop, "oci:outputs/image:bad")

    fields = {item["field"] for item in report["differences"]}
    assert fields == ({"unreadable"} if plain.strip(b"\0") else {"presence"})
    assert report["kind"] == "content"


# ------------------------------------------------------------------------------------ places, platforms, codecs


@pytest.mark.spec("VERIFY-1")
@pytest.mark.parametrize(
    "place", ["oci-archive:outputs/a.tar:v1", "docker-archive:outputs/d.tar:app:v1", "local:app:v1"]
)
def test_places(scene: Scene, place: str) -> None:
    scene.run("build", "project", "-q", "-o", place).worked()

    assert scene.run("verify", "--rebuild", place, "project", "-q").worked().out.startswith(f"{place}@sha256:")


@pytest.mark.spec("VERIFY-2")
@pytest.mark.parametrize("codec", ["gzip", "gzip:7", "zstd", "zstd:3", "none"])
def test_the_codec_is_read_back(scene: Scene, codec: str) -> None:
    scene.built("--compression", codec)
    assert scene.run("verify", "--rebuild", scene.layout, "project", "-q").worked()

    scene.file("main.py", "print(2)\n")
    found = verified(scene, scene.layout)["differences"]
    assert {item["field"] for item in found} == {"content", "/layers/2/annotations/dev.ociassemble.layer.key"}


@pytest.mark.spec("VERIFY-2")
@pytest.mark.parametrize("said", ["", "gzip", "gzip:x:y", "gzip:zlib-ng/1:99999999999999:1", "\n:::", "zstd:a:77:"])
def test_a_codec_of_nobody_decides_nothing(scene: Scene, said: str) -> None:
    def change(image: Image) -> Image:
        (*below, layer) = image.layers
        descriptor = replace(layer.descriptor, annotations={**layer.descriptor.annotations, LAYER_CODEC: said})
        return made(image, layers=(*below, replace(layer, blob=replace(layer.blob, descriptor=descriptor))))

    scene.built()
    tamper(scene.outputs / "image", "v1", "bad", change)
    (item,) = verified(scene, "oci:outputs/image:bad")["differences"]
    assert item["field"] == f"/layers/2/annotations/{LAYER_CODEC}"


@pytest.mark.spec("VERIFY-2")
def test_created_is_read_back(scene: Scene) -> None:
    scene.built("--source-date-epoch", "1700000000")

    done = scene.run("verify", "--rebuild", scene.layout, "project", SOURCE_DATE_EPOCH="1").worked()
    assert "created: 2023-11-14T22:13:20Z (read from the image)" in done.err
    said = scene.run("verify", "--rebuild", scene.layout, "project", "--source-date-epoch", "1").err
    assert "created: 1970-01-01T00:00:01Z (--source-date-epoch)" in said
    (first, *_) = verified(scene, scene.layout, "--source-date-epoch", "1")["differences"]
    assert (first["field"], first["image"]) == ("/created", "2023-11-14T22:13:20Z")


@pytest.mark.spec("VERIFY-2")
def test_the_base_is_read_at_the_digest_that_the_image_gives(scene: Scene) -> None:
    """Its tag has moved since; and where there is no lock, nothing else pins it."""
    name = scene.registry_base("linux/amd64", "linux/arm64")
    argv = ("-b", name, "--platform", "linux/amd64,linux/arm64")
    scene.built(*argv)
    scene.registry_base("linux/amd64", "linux/arm64", size=2000)

    assert scene.run("verify", "--rebuild", scene.layout, "project", "-q", "-b", name).worked()
    tamper(scene.outputs / "image", "v1", "bad", annotation(BASE, "sha256:" + 64 * "0"))
    done = scene.run("verify", "--rebuild", "oci:outputs/image:bad", "project", "-b", name)
    assert done.status == 7
    assert "the base is taken by its name instead" in done.err
    assert "diff_id image sha256:" in done.err


@pytest.mark.spec("VERIFY-2", "VERIFY-3")
def test_a_base_that_only_the_store_has_is_not_the_one_that_is_named(scene: Scene) -> None:
    """Somebody's base, seen once, and an image upon it that says it stands upon the project's."""
    name = scene.registry_base()
    other = f"{scene.serve().host}/other/base:v1"
    images.push(python_base(size=2000), other)
    scene.built("-b", other)  # and all of that base is in the store
    tamper(scene.outputs / "image", "v1", "bad", annotation("org.opencontainers.image.base.name", name))
    for more in ([], ["--offline"]):
        scene.run("pull", name).worked()  # offline, a tag is what it was
        done = scene.run(*more, "verify", "--rebuild", "oci:outputs/image:bad", "project", "-b", name)
        assert done.status == 7, done.out
        assert f"manifest /annotations/{BASE}: image" in done.err
        assert ("the base is taken by its name instead" in done.err) == (not more)


@pytest.mark.spec("VERIFY-3")
def test_the_base_is_the_one_that_the_project_names(scene: Scene) -> None:
    """An image that stands on another base is not verified by saying so."""
    name = scene.registry_base()
    scene.built("-b", name)

    scene.run("verify", "--rebuild", scene.layout, "project", "-q").failed(
        7, "manifest /annotations/org.opencontainers.image.base.name: only in the image", hint=f"`-b {name}`"
    )


@pytest.mark.spec("VERIFY-1", "VERIFY-7")
def test_every_platform_of_an_index(scene: Scene) -> None:
    both = "linux/amd64,linux/arm64"
    host = scene.serve().host
    scene.built("--platform", both, "-t", f"{host}/app:v1", "--push")
    assert scene.run("verify", "--rebuild", f"{host}/app:v1", "project", "-q").worked()

    tamper(scene.outputs / "image", "v1", "bad", config_value("User", "0"))
    report = verified(scene, "oci:outputs/image:bad")
    assert [item["platform"] for item in report["differences"]] == ["linux/amd64", "linux/arm64"]
    one = verified(scene, "oci:outputs/image:bad", "--platform", "linux/arm64")
    assert [(item["platform"], item["field"]) for item in one["differences"]] == [("", "/config/User")]
    assert scene.run("verify", "--rebuild", scene.layout, "project", "-q", "--platform", "linux/arm64").worked()
    scene.run("verify", "--rebuild", scene.layout, "project", "--platform", both).failed(2, "names one image")


@pytest.mark.spec("VERIFY-1")
def test_mistakes(scene: Scene) -> None:
    scene.built()
    scene.run("verify", scene.layout, "project").failed(2, "nothing is said about how to verify", hint="--rebuild")
    scene.run("verify", "--rebuild", "oci:outputs/none", "project").failed(4, "is not an OCI layout", hint="layout")
    scene.run("verify", "--rebuild", scene.layout, "nowhere").failed(3, "nowhere")


# ------------------------------------------------------------------------------------ explain


def explained(scene: Scene, *argv: str) -> Any:
    return holds(scene.run("explain", *argv, "-q", "--format", "json").worked().out, "explain")


@pytest.mark.spec("EXPLAIN-1", "EXPLAIN-2", "EXPLAIN-4")
def test_who_says_why_a_layer_is_there(shop: Scene, tmp_path: Path) -> None:
    name = f"{shop.serve().host}/app:v1"
    shop.run("build", "project", "-q", "-t", name, "--push", "--no-cache").worked()
    (image,) = explained(shop, name)["images"]
    assert image["recorded"]
    assert [layer["by"] for layer in image["layers"]] == ["base", "base", "record", "record"]
    assert [layer["origin"] for layer in image["layers"]] == ["base", "base", "built", "built"]
    assert image["layers"][2]["why"] == "alpha-1.0-py3-none-any.whl"
    assert image["layers"][2]["sources"][0]["digest"].startswith("sha256:")
    assert image["layers"][3]["why"] == "4 files of the project"
    assert image["base"]["name"].endswith("/base:v1")
    assert image["size"] == sum(layer["size"] for layer in image["layers"])

    (image,) = explained(shop, name, "project")["images"]
    assert image["lock"] == "project/ociassemble.lock"
    assert [layer["by"] for layer in image["layers"]] == ["base", "base", "lock", "record"]
    assert image["layers"][2]["why"] == "alpha-1.0-py3-none-any.whl"

    elsewhere = ("--cache-dir", str(tmp_path))
    (image,) = holds(shop.run(*elsewhere, "explain", name, "project", "-q", "--format", "json").out, "explain")[
        "images"
    ]
    assert not image["recorded"]
    assert [layer["by"] for layer in image["layers"]] == ["base", "base", "lock", "history"]
    assert {layer["origin"] for layer in image["layers"]} == {""}
    told = shop.run(*elsewhere, "explain", name).worked().out
    assert "where layers came from is not recorded" in told
    assert (
        f"no lock here knows its layers: `ociassemble explain {name} APP`, or `--lockfile FILE`, asks another" in told
    )


@pytest.mark.spec("EXPLAIN-4")
def test_a_damaged_record_is_none(scene: Scene) -> None:
    scene.built()
    for raw in (b"", b"{", b"[]", b'{"version":1}', b'{"version":1,"layers":[{}]}', b"[" * 5000):
        for path in (scene.store / "records" / "builds").iterdir():
            path.write_bytes(raw)
        (image,) = explained(scene, scene.layout)["images"]
        assert not image["recorded"]


@pytest.mark.spec("EXPLAIN-3")
def test_why_it_changed(scene: Scene) -> None:
    scene.built()
    scene.file("main.py", "print(2)\n")
    scene.run("build", "project", "-q", "-e", "A=1", "-o", "oci:outputs/image:v2").worked()
    against = explained(scene, "oci:outputs/image:v2", "--against", scene.layout)["against"]

    assert against["kind"] == "content"
    assert [(item["field"], item["path"]) for item in against["differences"]] == [
        ("/config/Env/1", ""),
        ("content", "app/main.py"),
        ("/layers/2/annotations/dev.ociassemble.layer.key", ""),
    ]
    told = scene.run("explain", "oci:outputs/image:v2", "--against", scene.layout).worked().out
    assert "`app/main.py`: content differs from byte 6 on" in told
    assert "the same as" in scene.run("explain", scene.layout, "--against", scene.layout).worked().out


@pytest.mark.spec("EXPLAIN-1")
def test_an_image_of_others(scene: Scene) -> None:
    (one, two) = explained(scene, "oci:base:v1")["images"]

    assert (one["platform"], two["platform"]) == ("linux/amd64", "linux/arm64")
    assert {layer["by"] for layer in one["layers"]} == {""}
    told = scene.run("explain", "oci:base:v1", "--platform", "linux/amd64").worked().out
    assert "nobody says" in told
    assert "inputs      not known: no layer says that ociassemble built it" in told


@pytest.mark.spec("EXPLAIN-5")
def test_a_build_says_it_of_every_layer(scene: Scene) -> None:
    host = scene.serve().host
    argv = ("build", "project", "-q", "-t", f"{host}/app:v1", "--push", "--format", "json")
    report = holds(scene.run(*argv).worked().out, "build")
    (image,) = report["images"]
    (layer,) = image["layers"]
    assert (layer["role"], layer["origin"], layer["cached"]) == ("application", "built", False)
    assert layer["why"] == "1 file of the project"
    assert image["base"]["digest"].startswith("sha256:")
    assert image["findings"] == []
    assert report["destinations"][0]["totals"]["uploaded"]["count"] == 4

    report = holds(scene.run(*argv).worked().out, "build")
    assert (report["images"][0]["layers"][0]["origin"], report["lock"]) == ("store", False)
    assert report["destinations"][0]["totals"]["exists"]["count"] == 4
