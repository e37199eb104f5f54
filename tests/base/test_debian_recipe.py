"""Recipes: the shipped one, its schema, and what is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import jsonschema
import pytest

from ociassemble.base import names
from ociassemble.base.debian import recipe as recipes
from ociassemble.base.debian.recipe import RecipeFormatError, RecipeMissingError
from ociassemble.errors import Error
from ociassemble.oci.platform import Platform
from tests.base.debian_bases import google_recipe
from tests.spec_tables import SPECS

SHIPPED = json.loads((resources.files("ociassemble.base.debian") / "recipes/debian13.json").read_bytes())
SCHEMA = json.loads((SPECS / "schema" / "recipe.schema.json").read_text())

# What Google's python3 has and nothing in Python 3.13 links or uses.
DEAD = {
    "libcom-err2", "libcrypt1", "libgssapi-krb5-2", "libk5crypto3", "libkeyutils1", "libkrb5-3", "libkrb5support0",
    "libnsl2", "libtirpc3t64", "python3.13-venv",
}  # fmt: skip


@pytest.mark.spec("DEBIAN-IMAGE-1", "DEBIAN-IMAGE-2")
def test_the_shipped_recipe() -> None:
    recipe = recipes.load()

    assert {name: len(image.layers) for name, image in recipe.images.items()} == {
        "static": 1, "base-nossl": 2, "base": 3, "cc": 4, "python3": 6, "nodejs22": 5, "nodejs24": 5, "nodejs26": 6,
    }  # fmt: skip
    assert set(recipe.images) == {names.expand(name, overrides={}).recipe for name, _ in names.known()}
    assert set(recipe.platforms) == {"linux/amd64", "linux/arm64"}
    assert recipe.user("nonroot") == {"User": "65532", "WorkingDir": "/home/nonroot"}
    assert recipe.user("root") == {"User": "0", "WorkingDir": "/"}
    assert recipe.images["python3"].entrypoint == ("/usr/bin/python3.13",)
    assert recipe.images["python3"].env["LANG"] == "C.UTF-8"
    assert [suite.name for suite in recipe.suites] == ["trixie", "trixie-updates", "trixie-security"]


def test_a_line_of_node_is_one_release_on_every_platform() -> None:
    for name, source in recipes.load().archives.items():
        versions = {release.version for release in source.platforms.values()}
        assert len(versions) == 1, (name, versions)


def test_it_has_googles_packages_without_the_dead_ones() -> None:
    google = google_recipe()
    ours = recipes.load().images
    for name, image in google.images.items():
        assert set(ours[name].packages) == set(image.packages) - DEAD
    for name, more in {"nodejs22": set[str](), "nodejs24": set[str](), "nodejs26": {"libatomic1"}}.items():
        assert set(ours[name].packages) == {*google.images["cc"].packages, *more}


def test_googles_shape() -> None:
    assert {name: len(image.layers) for name, image in google_recipe().images.items()} == {
        "static": 13, "base-nossl": 14, "base": 17, "cc": 21, "python3": 48,
    }  # fmt: skip


def test_platforms_by_any_of_their_names() -> None:
    recipe = recipes.load()

    assert recipe.platform(Platform.parse("linux/arm64/v8")).debian == "arm64"
    with pytest.raises(RecipeMissingError) as caught:
        recipe.platform(Platform.parse("linux/s390x"))
    assert caught.value.exit_code == 4
    assert "linux/amd64" in caught.value.details[0]


def test_names_that_do_not_exist() -> None:
    recipe = recipes.load()
    for function, name in ((recipe.image, "java"), (recipe.user, "admin"), (recipes.load, "x"), (recipes.load, "../x")):
        with pytest.raises(RecipeMissingError):
            function(name)


def test_the_schema_takes_the_recipes() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(SHIPPED, SCHEMA)


def first(document: Any) -> Any:
    return document["images"]["static"]["layers"][0]["sources"]


def node(document: Any) -> Any:
    return document["archives"]["nodejs24"]["platforms"]["linux/amd64"]


CHANGES: dict[str, Callable[[Any], object]] = {
    "unknown name": lambda d: d.update(packages=[]),
    "unknown name in an image": lambda d: d["images"]["cc"].update(user="root"),
    "no rule": lambda d: d["rules"].append("remove:usr/**"),
    "no list": lambda d: d.update(rules="drop:**"),
    "setuid": lambda d: first(d).append({"directory": "/x", "mode": "4755"}),
    "not octal": lambda d: first(d).append({"directory": "/x", "mode": "0888"}),
    "a mode that is a number": lambda d: first(d).append({"directory": "/x", "mode": 755}),
    "relative": lambda d: first(d).append({"file": "etc/x", "lines": []}),
    "not a package": lambda d: first(d).append({"package": "../x"}),
    "nobody can derive it": lambda d: first(d).append({"derived": "locale", "packages": []}),
    "two things at once": lambda d: first(d).append({"package": "libc6", "file": "/x", "lines": []}),
    "nothing": lambda d: first(d).append({}),
    "negative owner": lambda d: first(d).append({"directory": "/x", "uid": -1}),
    "lines that are a text": lambda d: first(d).append({"file": "/x", "lines": "a"}),
    "no suites": lambda d: d.pop("suites"),
    "an archive without home": lambda d: d["archives"]["nodejs24"].pop("home"),
    "a home that is no folder": lambda d: d["archives"]["nodejs24"].update(home="https://mirror.example/node"),
    "a home in clear": lambda d: d["archives"]["nodejs24"].update(home="http://mirror.example/"),
    "no version": lambda d: node(d).update(version="v24"),
    "no files": lambda d: node(d).update(files=[]),
    "from nowhere": lambda d: node(d).update({"from": []}),
    "from elsewhere": lambda d: node(d)["from"][0].update(source="pip"),
    "no hash": lambda d: node(d)["from"][0].pop("sha256"),
    "a file without hash": lambda d: node(d)["files"][0].pop("sha256"),
    "a file without size": lambda d: node(d)["files"][0].pop("size"),
    "a setuid file": lambda d: node(d)["files"][1].update(mode="4755"),
    "a relative place": lambda d: node(d)["files"][1].update(path="nodejs/bin/node"),
    "a name inside": lambda d: node(d).update(name="nodejs24"),
    "an archive and a package": lambda d: first(d).append({"archive": "nodejs24", "package": "libc6"}),
    "a suite with a path": lambda d: d["suites"][0].update(suite="../trixie"),
}


@pytest.mark.spec("DEBIAN-IMAGE-5")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_reader_and_schema_refuse_alike(change: Callable[[Any], object]) -> None:
    document = copy.deepcopy(SHIPPED)
    change(document)
    with pytest.raises(Error) as caught:
        recipes.parse(json.dumps(document).encode(), "the recipe")
    assert caught.value.exit_code == 7
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


@pytest.mark.spec("DEBIAN-IMAGE-5")
@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["images"]["static"].update({"from": "cc"}),
        lambda d: d["images"]["static"].update({"from": "static"}),
        lambda d: d["platforms"].update({"not a platform": {"debian": "amd64", "links": {}}}),
        lambda d: first(d).append({"directory": "/usr/../etc"}),
        lambda d: first(d).append({"archive": "nodejs28"}),
        lambda d: d["archives"]["nodejs24"]["platforms"].update({"not a platform": node(d)}),
        lambda d: node(d)["files"][1].update(path="/nodejs/../bin/node"),
        lambda d: node(d)["files"][1].update(inside="LICENSE"),
        lambda d: node(d)["from"][0].update(filename="../node.tar.gz"),
    ],
)
def test_what_only_the_reader_can_see(change: Callable[[Any], object]) -> None:
    document = copy.deepcopy(SHIPPED)
    change(document)
    with pytest.raises(RecipeFormatError):
        recipes.parse(json.dumps(document).encode(), "the recipe")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"name": "x", "name": "y"}', b"\xff", b"[" * 5000])
def test_what_is_no_recipe(raw: bytes) -> None:
    with pytest.raises(Error):
        recipes.parse(raw, "the recipe")
