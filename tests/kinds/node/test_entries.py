"""Reading package-lock.json: strict, and total."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ociassemble.kinds.node.entries import bins, key_of, owner, parse, within
from ociassemble.kinds.node.errors import PackageLockError
from tests.kinds.node import samples


def refused(text: str) -> PackageLockError:
    with pytest.raises(PackageLockError) as caught:
        parse(text)
    assert caught.value.hint
    return caught.value


@pytest.mark.spec("NODE-4")
def test_a_lock_is_read() -> None:
    text = samples.lock(
        {
            "node_modules/@s/a": {
                "bin": {"a": "./bin/a.js"},
                "engines": {"node": ">=20"},
                "os": "linux",
                "peerDependencies": {"b": "1", "c": "2"},
                "peerDependenciesMeta": {"c": {"optional": True}},
                "hasInstallScript": True,
            },
            "node_modules/x": {"link": True, "resolved": "packages/x"},
            "packages/x": {"name": "x", "version": "2.0.0"},
        },
        {"name": "app", "workspaces": ["packages/*"], "dependencies": {"@s/a": "^1.0.0"}},
    )
    for version in (2, 3):
        lock = parse("\ufeff" + text.replace('"lockfileVersion": 3', f'"lockfileVersion": {version}'))
        entry = lock.entries["node_modules/@s/a"]
        assert (entry.name, entry.key, entry.version) == ("@s/a", "@s/a", "1.0.0")
        assert (entry.bins, entry.node, entry.os) == ((("a", "bin/a.js"),), ">=20", ("linux",))
        assert entry.peers == {"b": "1", "c": "2"} and entry.optional_peers == {"c"}
        assert entry.packaged and entry.has_script
        assert lock.entries["node_modules/x"].target == "packages/x"
        assert not lock.entries["node_modules/x"].packaged and not lock.entries["packages/x"].packaged
        assert lock.folders == ("packages/x",)
        assert lock.root.workspaces == ("packages/*",) and lock.root.dependencies == {"@s/a": "^1.0.0"}


@pytest.mark.spec("NODE-4")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("<<<<<<< HEAD\n{}", "not JSON"),
        ("[" * 100_000, "nested too deeply|not JSON"),
        ('{"lockfileVersion": 1' + "0" * 10_000 + "}", "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "lockfileVersion 1"),
        ('{"lockfileVersion": 1, "dependencies": {}}', "lockfileVersion 1"),
        ('{"lockfileVersion": 4, "packages": {"": {}}}', "lockfileVersion 4 is not known"),
        ('{"lockfileVersion": true, "packages": {"": {}}}', "lockfileVersion true"),
        ('{"lockfileVersion": "3", "packages": {"": {}}}', 'lockfileVersion "3"'),
        ('{"lockfileVersion": 3}', "no `packages`"),
        ('{"lockfileVersion": 3, "packages": []}', "no `packages`"),
        ('{"lockfileVersion": 3, "packages": {"node_modules/a": {}}}', "no `packages` with an entry for the project"),
        ('{"lockfileVersion": 3, "packages": {"": {}, "node_modules/a": 1}}', "is not an object"),
    ],
)
def test_what_is_no_lock(text: str, message: str) -> None:
    error = refused(text)
    assert re.search(message, error.message)
    if "lockfileVersion 1" in message:
        assert "npm install --package-lock-only" in str(error.hint)


@pytest.mark.spec("NODE-5")
@pytest.mark.parametrize(
    "place",
    [
        "/etc/passwd",
        "../a",
        "node_modules/../../a",
        "node_modules/./a",
        "node_modules//a",
        "node_modules/",
        "node_modules",
        "a/node_modules",
        "node_modules/a\0b",
        "node_modules/a\nb",
        "node_modules/a/",
        "node_modules/\ud800",
    ],
)
def test_places_outside_of_the_project(place: str) -> None:
    refused(samples.lock({place: {"version": "1.0.0"}}))


@pytest.mark.parametrize("place", ["node_modules/.bin", "node_modules/.bin/tsc", "node_modules/@s", "node_modules/.x"])
def test_what_is_in_node_modules_and_no_package_is_not_installed(place: str) -> None:
    """npm takes such an entry for a folder that belongs to something else."""
    lock = parse(samples.lock({place: {"version": "1.0.0"}}))
    assert not lock.entries[place].packaged


@pytest.mark.spec("NODE-5")
@pytest.mark.parametrize("resolved", ["../x", "/x", "..", "", "a/../../x", "file:../x"])
def test_links_out_of_the_project(resolved: str) -> None:
    error = refused(samples.lock({"node_modules/x": {"link": True, "resolved": resolved}}))
    assert "out of the project" in error.message


def test_a_link_needs_its_target() -> None:
    error = refused(samples.lock({"node_modules/x": {"link": True, "resolved": "packages/x"}}))
    assert "`packages/x`, which it does not describe" in error.message
    loop = {"link": True, "resolved": "node_modules/y"}
    refused(samples.lock({"node_modules/x": loop, "node_modules/y": {"link": True, "resolved": "node_modules/x"}}))
    itself = parse(samples.lock({"node_modules/x": {"link": True, "resolved": "."}}))
    assert itself.entries["node_modules/x"].target == ""


@pytest.mark.parametrize(
    "value",
    [
        {"version": 1},
        {"version": "1\n2"},
        {"resolved": []},
        {"integrity": "md5"},
        {"integrity": "sha512-<script>"},
        {"name": "../x"},
        {"name": "a/b"},
        {"name": {}},
    ],
)
def test_entries_that_are_none(value: dict[str, Any]) -> None:
    error = refused(json.dumps({"lockfileVersion": 3, "packages": {"": {}, "node_modules/a": value}}))
    assert "`node_modules/a`" in error.message


def test_what_is_of_another_type_counts_as_not_there() -> None:
    odd = {"os": 1, "cpu": {}, "libc": [1], "engines": [], "bin": 1, "dependencies": [], "peerDependenciesMeta": 3}
    entry = parse(samples.lock({"node_modules/a": odd})).entries["node_modules/a"]
    assert (entry.os, entry.cpu, entry.libc, entry.node, entry.bins, dict(entry.dependencies)) == (
        *(None, None, (), "", ()),
        {},
    )


@pytest.mark.spec("NODE-6")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("cli.js", {"b": "cli.js"}),
        ({"a": "./bin/../x.js"}, {"a": "x.js"}),
        ({"a": "../../../etc/passwd"}, {"a": "etc/passwd"}),
        ({"a": "/abs"}, {"a": "abs"}),
        ({"a": "win\\dows.js"}, {"a": "win/dows.js"}),
        ({"../../x": "a.js", "dir/y": "b.js", "c:\\z": "c.js"}, {"x": "a.js", "y": "b.js", "z": "c.js"}),
        ({"": "a.js", ".": "b.js", "..": "c.js", "ok": 1, "empty": "", "root": "/"}, {}),
        (["bin/one", "two"], {"one": "bin/one", "two": "two"}),
        (None, {}),
        (3, {}),
        ({"n\nl": "a.js"}, {}),
    ],
)
def test_commands_are_normalised(value: Any, expected: dict[str, str]) -> None:
    assert dict(bins(value, "@s/b")) == expected


def test_places() -> None:
    assert owner("node_modules/a") == "" and owner("node_modules/@s/a") == ""
    assert owner("node_modules/a/node_modules/@s/b") == "node_modules/a"
    assert owner("packages/x/node_modules/a") == "packages/x"
    assert owner("packages/x") is None and owner("") is None and owner("my_node_modules/a") is None
    assert owner("node_modules/a/lib") is None
    assert key_of("x/node_modules/@s/b") == "@s/b" and key_of("packages/x") == "x"
    assert within("", "a") == "node_modules/a" and within("p", "a") == "p/node_modules/a"
