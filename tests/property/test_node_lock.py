"""Whatever a package-lock.json or package.json holds: an answer or one of our errors, and answers that fit together."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.errors import Error
from ociassemble.kinds.node import bins, command, manifest, native, semver, workspaces
from ociassemble.kinds.node.entries import owner, parse
from ociassemble.kinds.node.installed import Target, installed
from ociassemble.kinds.node.lockfile import wanted
from ociassemble.project.settings import Settings
from tests.kinds.node import samples

TEXT = st.text(max_size=12)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *(
            "name",
            "version",
            "resolved",
            "integrity",
            "link",
            "dev",
            "optional",
            "devOptional",
            "inBundle",
            "os",
            "cpu",
        ),
        *("libc", "engines", "bin", "dependencies", "optionalDependencies", "peerDependencies", "workspaces"),
        *(
            "peerDependenciesMeta",
            "hasShrinkwrap",
            "hasInstallScript",
            "lockfileVersion",
            "packages",
            "scripts",
            "main",
        ),
    ]
)
NAMES = ("a", "b", "c", "@s/d", "e")
PLACES = st.sampled_from(
    [
        *(f"node_modules/{name}" for name in NAMES),
        *(f"node_modules/{outer}/node_modules/{inner}" for outer in NAMES[:3] for inner in NAMES),
        *("packages/x", "packages/x/node_modules/a", "packages/x/node_modules/b", "other", "other/node_modules/c"),
    ]
)
DEPENDENCIES = st.dictionaries(st.sampled_from(NAMES), st.just("*"), max_size=3)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dev": st.booleans(),
        "optional": st.booleans(),
        "devOptional": st.booleans(),
        "inBundle": st.booleans(),
        "os": st.lists(st.sampled_from(["linux", "darwin", "!linux", "!win32"]), max_size=2),
        "dependencies": DEPENDENCIES,
        "optionalDependencies": DEPENDENCIES,
        "bin": st.dictionaries(st.sampled_from(["x", "y"]), st.just("x.js"), max_size=2),
    },
)


@given(st.dictionaries(PLACES, ENTRY, max_size=10), st.booleans())
@settings(max_examples=150)
def test_what_is_installed_holds_together(packages: dict[str, Any], optional: bool) -> None:
    lock = parse(samples.lock(packages, {"workspaces": ["packages/*"]}))
    target = Target.of(samples.distroless())
    try:
        found = installed(lock, target, optional=optional)
    except Error as error:
        assert "does not work on" in error.message
        return
    places = [entry.place for entry in found]
    assert len(set(places)) == len(places)
    for entry in found:
        assert entry.os is None or "!linux" not in entry.os
        above = owner(entry.place)
        # What lies in a package is there only if that is, as far as the lock knows of it.
        if above and above in lock.entries and lock.entries[above].packaged:
            assert above in places
    if optional:
        fewer = {entry.place for entry in installed(lock, target, optional=False)}
        assert fewer <= set(places)
    links = bins.links(lock, found, lambda folder: ())
    assert len({link.path for link in links}) == len(links)
    for link in links:
        assert "/.bin/" in link.path and link.owner in places and not link.target.startswith("/")


@given(
    st.dictionaries(KEYS | PLACES, VALUE, max_size=6),
    st.dictionaries(PLACES | TEXT, st.dictionaries(KEYS, VALUE), max_size=4),
)
@settings(max_examples=150)
def test_reading_a_lock_is_total(top: dict[str, Any], packages: dict[str, Any]) -> None:
    document = {"lockfileVersion": 3, "packages": {"": {}, **packages}, **top}
    try:
        wanted(json.dumps(document), Settings(), samples.distroless())
    except Error as error:
        assert error.message.isprintable() or "\n" in error.message


@given(st.text(max_size=60))
@settings(max_examples=150)
def test_texts_of_all_sorts(text: str) -> None:
    for reading in (
        lambda: parse(text),
        lambda: manifest.parse(text),
        lambda: command.parse(text, "here", {"start": text, "a": f"npm run {text}"}, lambda word: None),
        lambda: wanted(text, Settings(), samples.distroless()),
    ):
        try:
            reading()
        except Error as error:
            assert error.message
    semver.satisfies("1.2.3", text)
    semver.satisfies(text, "*")
    workspaces.matching([text], ["a/b", text])
    native.problem(text, text, [text], {"scripts": {"install": text}})


@given(st.dictionaries(KEYS, VALUE, max_size=8))
@settings(max_examples=100)
def test_reading_a_package_json_is_total(document: dict[str, Any]) -> None:
    found = manifest.parse(json.dumps(document))
    assert all(isinstance(value, str) for value in (found.name, found.main, found.node, *found.scripts.values()))


VERSIONS = st.builds("{}.{}.{}".format, *[st.integers(0, 30)] * 3)


@given(VERSIONS, VERSIONS)
@settings(max_examples=100)
def test_ranges_hold_together(one: str, other: str) -> None:
    older, newer = sorted((one, other), key=lambda text: semver.parse(text) or ())
    assert semver.satisfies(newer, f">={older}") and semver.satisfies(older, f"<={newer}")
    assert semver.satisfies(one, one) and semver.satisfies(one, f"^{one}") and semver.satisfies(one, f"~{one}")
    assert semver.satisfies(newer, f"{older} - {newer}") and semver.satisfies(older, f"{older} - {newer}")
    assert semver.satisfies(one, f"{other} || {one}")
    assert semver.satisfies(newer, f">{older}") == (newer != older)
    # A tilde's range is within a caret's of the same version, where the first part is not 0.
    if not one.startswith("0.") and semver.satisfies(other, f"~{one}"):
        assert semver.satisfies(other, f"^{one}")
    assert not semver.satisfies(f"{one}-rc.1", f">={older}", prereleases=False) or one == older
