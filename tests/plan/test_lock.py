"""The lock's JSON: one way to write it, and no mercy when reading it (specs/behaviour/lock.md)."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from ociassemble.errors import Error, ProjectError
from ociassemble.plan.lock import Lock, LockedPlatform, LockFormatError, LockVersionError
from ociassemble.plan.locked_base import DebianBase
from tests.plan.lock_examples import SCHEMA, example, opened, sha, written

AMD64 = ("platforms", "linux/amd64")
ARM64 = ("platforms", "linux/arm64")
RELEASE = (*ARM64, "base", "releases", 0)


@pytest.mark.spec("LOCK-1")
def test_a_lock_is_sorted_indented_json_with_one_newline_at_its_end() -> None:
    raw = written(example())
    document = json.loads(raw)

    assert raw == (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
    assert list(document) == ["asked", "assembly-version", "created", "lock-version", "platforms"]
    assert "libs/é/pyproject.toml".encode() in raw


@pytest.mark.spec("LOCK-1")
def test_the_file_of_a_small_lock() -> None:
    assert (
        written(opened()).decode()
        == """{
  "asked": {
    "base": "distroless/static",
    "inputs": {},
    "kind": "directory",
    "platforms": [
      "linux/amd64"
    ],
    "settings": {}
  },
  "assembly-version": 1,
  "created": "2026-01-31T12:00:00Z",
  "lock-version": 1,
  "platforms": {
    "linux/amd64": {
      "artifacts": [],
      "base": null,
      "facts": {
        "distribution": "debian",
        "distribution-version": "13",
        "free-threaded": false,
        "libc": "",
        "libc-version": "",
        "python": "",
        "python-version": ""
      },
      "layers": [],
      "verdict": null
    }
  }
}
"""
    )


@pytest.mark.spec("LOCK-1")
@pytest.mark.parametrize("lock", [example(), opened()], ids=["all", "open"])
def test_what_was_written_is_read_back(lock: Lock) -> None:
    assert Lock.parse(written(lock)) == lock
    assert Lock.parse(written(lock)).dump() == lock.dump()


def _set(*path: Any) -> Callable[[Any], None]:
    """A change: the last item becomes the value at the path of the others."""

    def change(document: Any) -> None:
        *way, last, value = path
        for step in way:
            document = document[step]
        document[last] = value

    return change


def _delete(*path: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        *way, last = path
        for step in way:
            document = document[step]
        del document[last]

    return change


HEX = "0" * 64
BROKEN: list[tuple[str, Callable[[Any], None]]] = [
    ("asked", _delete("asked")),
    ("surprise", _set("surprise", 1)),
    ("asked.surprise", _set("asked", "surprise", None)),
    ("asked.base", _set("asked", "base", "")),
    ("asked.base", _set("asked", "base", 7)),
    ("asked.platforms", _set("asked", "platforms", [])),
    ("asked.platforms", _set("asked", "platforms", ["linux/amd64", "linux/amd64"])),
    ("asked.platforms[0]", _set("asked", "platforms", [1])),
    ("asked.platforms", _set("asked", "platforms", "linux/amd64")),
    ("asked.settings.x", _set("asked", "settings", "x", None)),
    ("asked.settings.x", _set("asked", "settings", "x", 1.5)),
    ("asked.settings.x.y", _set("asked", "settings", "x", {"y": {"z": 1}})),
    ("asked.settings.x[0]", _set("asked", "settings", "x", [1])),
    ("asked.inputs", _set("asked", "inputs", [])),
    ("asked.inputs.a", _set("asked", "inputs", "a", "sha256:" + HEX)),
    ("asked.inputs.a", _set("asked", "inputs", "a", HEX.upper().replace("0", "A"))),
    ("asked.inputs.a", _set("asked", "inputs", "a", None)),
    ("asked.inputs.../a", _set("asked", "inputs", "../a", HEX)),
    ("asked.inputs./etc/passwd", _set("asked", "inputs", "/etc/passwd", HEX)),
    ("asked.inputs.a//b", _set("asked", "inputs", "a//b", HEX)),
    ("asked.inputs.a/./b", _set("asked", "inputs", "a/./b", HEX)),
    ("asked.inputs.a/", _set("asked", "inputs", "a/", HEX)),
    ("created", _set("created", "yesterday")),
    ("created", _set("created", "2026-13-01T00:00:00Z")),
    ("created", _set("created", "2026-01-31T12:00:00+00:00")),
    ("assembly-version", _set("assembly-version", True)),
    ("assembly-version", _set("assembly-version", 0)),
    ("assembly-version", _set("assembly-version", 1.0)),
    ("platforms", _set("platforms", {})),
    ("platforms", _set("platforms", "linux/s390x", None)),
    ("platforms", _delete(*ARM64)),
    ("facts.libc", _delete(*AMD64, "facts", "libc")),
    ("facts.free-threaded", _set(*AMD64, "facts", "free-threaded", 0)),
    ("base.releases", _set(*RELEASE[:-1], {})),
    ("base.releases[0].name", _delete(*RELEASE, "name")),
    ("base.releases[0].version", _set(*RELEASE, "version", "v24")),
    ("base.releases[0].from", _set(*RELEASE, "from", [])),
    ("base.releases[0].from[0].source", _set(*RELEASE, "from", 0, "source", "mirror")),
    ("base.releases[0].from[0].filename", _set(*RELEASE, "from", 0, "filename", "../x.tar.gz")),
    ("base.releases[0].from[0].size", _set(*RELEASE, "from", 0, "size", -1)),
    ("base.releases[0].from[1].sha256", _set(*RELEASE, "from", 1, "sha256", "0")),
    ("base.releases[0].files", _set(*RELEASE, "files", [])),
    ("base.releases[0].files", _set(*RELEASE, "files", 0, "path", "/nodejs/bin/node")),
    ("base.releases[0].files[0].path", _set(*RELEASE, "files", 0, "path", "/a/../b")),
    ("base.releases[0].files[0].inside", _set(*RELEASE, "files", 0, "inside", "/a")),
    ("base.releases[0].files[0].mode", _set(*RELEASE, "files", 0, "mode", "4755")),
    ("base.releases[0].files[0].size", _delete(*RELEASE, "files", 0, "size")),
    ("facts.node", _set(*AMD64, "facts", "node", 24)),
    ("facts.node", _set(*AMD64, "facts", "node", "")),
    ("facts.node-version", _set(*AMD64, "facts", "node-version", [])),
    ("artifacts[0].size", _set(*AMD64, "artifacts", 0, "size", -1)),
    ("artifacts[0].size", _set(*AMD64, "artifacts", 0, "size", True)),
    ("artifacts[0].size", _set(*AMD64, "artifacts", 0, "size", "7")),
    ("artifacts[0].sha256", _set(*AMD64, "artifacts", 0, "sha256", HEX[1:])),
    ("artifacts[0].filename", _set(*AMD64, "artifacts", 0, "filename", "../x.whl")),
    ("artifacts[0].filename", _set(*AMD64, "artifacts", 0, "filename", "..")),
    ("artifacts[0].filename", _set(*AMD64, "artifacts", 0, "filename", "")),
    ("artifacts[0].filename", _set(*AMD64, "artifacts", 0, "filename", "a\n.whl")),
    ("artifacts[0].url", _set(*AMD64, "artifacts", 0, "url", "https://registry.example/x.whl")),
    ("artifacts[0]", _set(*AMD64, "artifacts", [None])),
    ("layers[0].key", _set(*AMD64, "layers", 0, "key", HEX)),
    ("layers[0].digest", _set(*AMD64, "layers", 0, "digest", "md5:" + HEX)),
    ("layers[0].codec", _set(*AMD64, "layers", 0, "codec", "")),
    ("layers", _set(*AMD64, "layers", {})),
    ("base", _set(*AMD64, "base", "gcr")),
    ("base.source", _set(*AMD64, "base", "source", "ftp")),
    ("base.source", _delete(*AMD64, "base", "source")),
    ("base.recipe", _set(*AMD64, "base", "recipe", "x")),
    ("base.recipe", _delete(*ARM64, "base", "recipe")),
    ("base.layers[1].diff_id", _delete(*AMD64, "base", "layers", 1, "diff_id")),
    ("packages[0].filename", _set(*ARM64, "base", "packages", 0, "filename", "/pool/x.deb")),
    ("packages[0].filename", _set(*ARM64, "base", "packages", 0, "filename", "https://mirror.example/x.deb")),
    ("packages[0].archive", _set(*ARM64, "base", "packages", 0, "archive", "a/b")),
    ("verdict", _set(*AMD64, "verdict", [])),
    ("verdict.command[0]", _set(*AMD64, "verdict", "command", [None])),
    ("verdict.findings[0].severity", _set(*AMD64, "verdict", "findings", 0, "severity", "fatal")),
    ("verdict.findings[0].more", _set(*AMD64, "verdict", "findings", 0, "more", 1)),
]


@pytest.mark.spec("LOCK-2", "LOCK-10")
@pytest.mark.parametrize(("where", "change"), BROKEN, ids=[f"{n}-{where}" for n, (where, _) in enumerate(BROKEN)])
def test_a_broken_lock_is_refused_by_reader_and_schema_and_the_place_is_named(
    where: str, change: Callable[[Any], None]
) -> None:
    document = copy.deepcopy(json.loads(example().dump()))
    change(document)

    with pytest.raises(LockFormatError, match=re.escape(where)) as caught:
        Lock.parse(json.dumps(document).encode(), "app.lock")

    assert "app.lock" in caught.value.message
    assert caught.value.exit_code == 3
    assert caught.value.hint
    if where not in ("platforms",) and document["assembly-version"] != 1.0:  # which platforms, JSON Schema cannot say
        assert not SCHEMA.is_valid(document)


@pytest.mark.spec("LOCK-2")
@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"\xff{}", "not UTF-8"),
        (b'{"lock-version": NaN}', "NaN"),
        (b'{"lock-version": 1, "lock-version": 1}', "duplicate name"),
        (b'{"lock-version": 1, "x": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"lock-version": 1, "x": ' + b"[" * 40 + b"]" * 40 + b"}", "nested too deeply"),
        (b'{"lock-version": 1' + b"0" * 5000 + b"}", "lock"),
        (b'{\n<<<<<<< ours\n "created": 1\n=======\n', "merge conflicts"),
        (b'{"x": "\\ud800"}', "surrogate"),
        (b" " * (5 << 20), "larger than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_json_object_is_refused(raw: bytes, what: str) -> None:
    with pytest.raises(ProjectError, match=what) as caught:
        Lock.parse(raw)

    assert caught.value.exit_code == 3
    assert caught.value.code.startswith("project.lock")


@pytest.mark.spec("LOCK-3")
@pytest.mark.parametrize(
    ("version", "hint"),
    [(2, "upgrade"), (10**9, "upgrade"), (0, "anew"), (True, "anew"), ("1", "anew"), (1.5, "anew"), (None, "anew")],
)
def test_an_unknown_version_is_refused_whatever_else_is_in_the_file(version: Any, hint: str) -> None:
    with pytest.raises(LockVersionError, match="lock-version") as caught:
        Lock.parse(json.dumps({"lock-version": version, "surprise": []}).encode())

    assert hint in str(caught.value.hint)
    assert caught.value.exit_code == 3


@pytest.mark.spec("LOCK-4")
def test_created_stays_where_nothing_else_moved() -> None:
    old = example()
    later = old._replace(created="2027-01-01T00:00:00Z")
    changed = later._replace(asked=later.asked._replace(base="distroless/base"))

    assert later.after(old) is old
    assert later.after(None).created == "2027-01-01T00:00:00Z"
    assert changed.after(old).created == "2027-01-01T00:00:00Z"


@pytest.mark.spec("LOCK-4")
def test_lists_and_tuples_in_settings_are_the_same_lock() -> None:
    old = example()
    now = old._replace(asked=old.asked._replace(settings={"layers": "auto", "python": {"extras": ["web"]}}))

    assert now.after(Lock.parse(old.dump())).dump() == old.dump()


@pytest.mark.spec("LOCK-8")
def test_a_layer_counts_by_its_key_and_a_verdict_by_all_it_is_about() -> None:
    locked = example().platforms["linux/amd64"]
    assert locked.verdict is not None
    about = (locked.verdict.base, locked.verdict.dependencies, locked.verdict.command)

    assert locked.layer(sha("key")) == locked.layers[0]
    assert locked.layer(sha("another")) is None
    assert locked.proved(*about) == locked.verdict
    assert locked.proved(sha("another base"), *about[1:]) is None
    assert locked.proved(about[0], (*about[1], sha("more")), about[2]) is None
    assert locked.proved(*about[:2], ("/bin/other",)) is None
    assert LockedPlatform(facts=locked.facts).proved(*about) is None


@pytest.mark.spec("LOCK-9")
def test_a_debian_package_is_named_by_archive_path_size_and_sha256() -> None:
    base = Lock.parse(written(example())).platforms["linux/arm64"].base
    assert isinstance(base, DebianBase)
    package = base.packages[0]

    assert package.artifact.filename == "libssl3t64_3.5.4-1~deb13u1_arm64.deb"
    assert (package.artifact.digest, package.artifact.size) == (package.digest, package.size)
    assert set(package.document()) == {"name", "version", "archive", "filename", "sha256", "size", "suite"}


def test_errors_of_the_reader_are_ours_for_any_type_anywhere() -> None:
    """Every value of a lock replaced by every kind of JSON value: our error or a lock, never a traceback."""
    document = json.loads(example().dump())
    for path in _paths(document):
        for value in (None, True, 0, -1, 1.5, "", "x", [], [[]], {}, {"": {}}):
            changed = copy.deepcopy(document)
            _set(*path, value)(changed)
            try:
                lock = Lock.parse(json.dumps(changed).encode())
            except Error:
                continue
            assert Lock.parse(written(lock)) == lock


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += _paths(item, (*path, key))
    return found
