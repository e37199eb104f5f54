"""What moved between two locks, as people and machines are told (LOCK-26)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ociassemble.lock.changes import changes, lines, unknown
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.lock import Lock
from ociassemble.plan.locked import LockedLayer, LockedPackage
from ociassemble.plan.locked_base import DebianBase
from tests.plan.lock_examples import example, opened, sha

REPORT = json.loads((Path(__file__).parents[2] / "specs/schema/report.schema.json").read_text("utf-8"))
MOVED = jsonschema.Draft202012Validator({"$ref": "#/$defs/moved", "$defs": REPORT["$defs"]})


def moved(before: Lock, after: Lock) -> list[str]:
    """The lines, each platform's document validated on the way."""
    found = changes(before, after)
    for item in found.values():
        MOVED.validate(json.loads(json.dumps(item.document())))
    return lines(found)


def package(name: str, version: str, content: str = "") -> LockedPackage:
    return LockedPackage(name, version, ArtifactRef(sha(content or name + version), 5, f"{name}-{version}.whl"))


def layer(title: str, content: str, size: int = 5) -> LockedLayer:
    return LockedLayer(title, sha(content), sha(content + "d"), sha(content + "b"), size, "gzip")


def with_(lock: Lock, *names: str, **fields: Any) -> Lock:
    there = {name: item._replace(**fields) if name in names else item for name, item in lock.platforms.items()}
    return lock._replace(platforms=there)


AMD64, ARM64 = "linux/amd64", "linux/arm64"


@pytest.mark.spec("LOCK-26")
def test_nothing_moved() -> None:
    assert moved(example(), example()) == []
    assert moved(opened(), opened()) == []
    assert not any(item.any for item in changes(example(), example()).values())


@pytest.mark.spec("LOCK-26")
def test_what_holds_for_every_platform_is_told_once() -> None:
    before = with_(
        example(),
        AMD64,
        ARM64,
        packages=(package("flask", "3.1.3"), package("gone", "1"), package("same", "1", "x")),
        layers=(layer("dependencies", "a"), layer("numpy", "n")),
    )
    after = with_(
        before,
        AMD64,
        ARM64,
        packages=(package("flask", "3.2.0"), package("new", "2"), package("same", "1", "y")),
        layers=(layer("dependencies", "b", 1_234_567), layer("numpy", "n")),
    )

    assert moved(before, after) == [
        "flask 3.1.3 -> 3.2.0",
        "- gone 1",
        "+ new 2",
        "same 1, another file",
        "layer `dependencies` changes (1.2 MB)",
        "1 layer stays as it is",
    ]
    only = with_(before, ARM64, packages=(), layers=())
    assert moved(before, only) == [
        f"{ARM64}: - flask 3.1.3",
        f"{ARM64}: - gone 1",
        f"{ARM64}: - same 1",
        f"{ARM64}: layer `dependencies` goes",
        f"{ARM64}: layer `numpy` goes",
    ]


@pytest.mark.spec("LOCK-26")
def test_a_base_of_debian_packages_says_where_they_are_from() -> None:
    base = example().platforms[ARM64].base
    assert isinstance(base, DebianBase)
    was = base.packages[0]._replace(version="3.5.4-1", suite="trixie", digest=sha("old"))
    before = with_(example(), ARM64, base=base._replace(digest=sha("before"), packages=(was,)))
    release = base.releases[0]._replace(version="24.20.0", files=base.releases[0].files[:1])
    after = with_(example(), ARM64, base=base._replace(releases=(release,)))

    assert moved(before, after) == [
        f"{ARM64}: base {sha('before').short} -> {sha('manifest').short}",
        f"{ARM64}: libssl3t64 3.5.4-1 -> 3.5.4-1~deb13u1 (trixie-security)",
        f"{ARM64}: nodejs24 24.19.0 -> 24.20.0 (upstream release)",
    ]


@pytest.mark.spec("LOCK-26")
def test_a_base_that_is_left_open_and_a_platform_that_is_new() -> None:
    opened_now = with_(example(), AMD64, ARM64, base=None)
    assert moved(example(), opened_now)[0] == f"base {sha('manifest').short} -> none"
    fewer = example()._replace(platforms={AMD64: example().platforms[AMD64]})
    assert f"{ARM64}: + flask 3.1.3" in moved(fewer, example())


@pytest.mark.spec("LOCK-25")
def test_names_that_the_lock_does_not_have() -> None:
    lock = with_(example(), AMD64, packages=(package("zope-interface", "1"), package("node_modules/express", "5")))

    assert unknown(["Zope.Interface", "express", "flask"], lock) == []
    assert unknown(["flaks", "nothing-like-it"], lock) == [("flaks", "flask"), ("nothing-like-it", "")]
