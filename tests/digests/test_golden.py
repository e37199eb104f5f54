"""The committed digests: what they are of, that they still come out, and what a red test tells."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import pytest

from ociassemble.content import compress
from ociassemble.plan.plan import ASSEMBLY_VERSION
from tests.digests import __main__ as update
from tests.digests import builds, codecs, fixture, sources
from tests.digests.conftest import Shared


@pytest.mark.spec("DIGEST-1", "DIGEST-10", "DIGEST-11")
@pytest.mark.parametrize("kind", fixture.KINDS)
def test_the_committed_digests(kind: str, shared: Shared, tmp_path: Path) -> None:
    found = builds.build(kind, shared.applications[kind], shared.inputs, tmp_path)
    builds.check(found, builds.golden()["images"][kind], kind)


@pytest.mark.spec("DIGEST-12")
@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_the_committed_codecs(jobs: int) -> None:
    assert codecs.digests(jobs) == builds.golden()["codecs"], builds.ADVICE_CODEC


@pytest.mark.spec("DIGEST-10")
@pytest.mark.parametrize("jobs", [1, 4])
def test_the_committed_layers_of_each_source(jobs: int) -> None:
    found, expected = sources.digests(jobs), builds.golden()["sources"]
    moved = [name for name in expected if found[name]["diffId"] != expected[name]["diffId"]]
    assert not moved, builds.ADVICE_TAR
    assert found == expected, builds.ADVICE_CODEC


@pytest.mark.spec("DIGEST-14")
def test_what_the_cache_keeps_of_a_base_carries_a_version(shared: Shared, tmp_path: Path) -> None:
    """Other facts of the same base without a new version would give old caches other digests than new ones."""
    builds.build("directory", shared.applications["directory"], shared.inputs, tmp_path)
    assert update.facts(tmp_path / "cache") == builds.golden()["facts"], (
        "what is read from a base changed: raise _VERSION in ociassemble/base/inspect.py, and run "
        "`python -m tests.digests`"
    )


def test_facts_do_not_move_without_a_new_version() -> None:
    before = builds.golden()
    version, known = before["facts"]["version"], before["facts"]["linux/amd64"]
    other = {**before, "facts": {**before["facts"], "linux/amd64": known[::-1]}}
    assert update.broken(before, other) == ["facts of a base moved; raise _VERSION in ociassemble/base/inspect.py"]
    assert update.broken(before, {**other, "facts": {**other["facts"], "version": version + "0"}}) == []


def test_the_fixture_itself_is_the_same_everywhere() -> None:
    """Where this is red, Python or zlib made other inputs, and nothing else here means anything."""
    hashed = hashlib.sha256()
    for kind in fixture.KINDS:
        for file in fixture.application(kind):
            hashed.update(ascii(file).encode())
    for wheel in fixture.wheels():
        hashed.update(wheel.data)
    for _, package in sources.DEBS.values():
        hashed.update(package)
    hashed.update(codecs.SAMPLE)
    assert hashed.hexdigest() == "59467aa7cd57a30c510ed081886ed275172c26ae0d4ba09c33c392692263680d"


@pytest.mark.spec("DIGEST-10")
def test_golden_files_are_of_this_version() -> None:
    golden = builds.golden()
    assert golden["assemblyVersion"] == ASSEMBLY_VERSION, builds.ADVICE_TAR
    codec = compress.parse("gzip").identity
    assert {image["codec"] for image in golden["images"].values()} == {codec}, builds.ADVICE_CODEC
    assert codec in golden["codecs"]


def _changed(found: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    changed = copy.deepcopy(found)
    image = changed["images"]["linux/amd64"]
    (image["layers"][0] if name in ("diffId", "digest") else image)[name] = value
    return changed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("diffId", r"of assembly-version 1\n(.*\n)*.*raise ASSEMBLY_VERSION"),
        ("digest", r"made other bytes of the same tar\n(.*\n)*.*new codec identity and a release"),
        ("config", "the layers are equal"),
    ],
)
def test_a_red_test_says_which_promise_is_broken(name: str, message: str) -> None:
    expected = builds.golden()["images"]["python"]
    with pytest.raises(pytest.fail.Exception, match=message):
        builds.check(_changed(expected, name, "sha256:" + "0" * 64), expected, "a build")


def test_another_codec_is_told_apart_from_other_bytes() -> None:
    expected = builds.golden()["images"]["python"]
    found = _changed({**expected, "codec": "gzip:zlib-ng/9.9.9:3:262144"}, "digest", "sha256:" + "0" * 64)
    with pytest.raises(pytest.fail.Exception, match=r"the codec is gzip:zlib-ng/9\.9\.9"):
        builds.check(found, expected, "a build")


def test_golden_digests_do_not_move_without_a_new_version() -> None:
    before = builds.golden()
    image = before["images"]["python"]
    moved = {**before, "images": {"python": _changed(image, "diffId", "sha256:" + "0" * 64)}}
    assert update.broken(before, before) == []
    assert update.broken(before, moved) == [
        "python: diff_ids moved; raise ASSEMBLY_VERSION in ociassemble/plan/plan.py"
    ]
    assert update.broken(before, {**moved, "assemblyVersion": 99}) == []
    other = {**before, "codecs": dict.fromkeys(before["codecs"], "0")}
    assert len(update.broken(before, other)) == len(before["codecs"])
