"""poetry.locks with fields that are not what they should be: an error that names them, and never a package less."""

from __future__ import annotations

import contextlib
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.errors import Error
from ociassemble.lock.poetry_fields import PoetryLockError
from tests.lock.test_poetry import EXTRAS, NEW, NEW_PACKAGES, OLD, OLD_PACKAGES, chosen, locked, package, read

IN = "of `lib` in the poetry.lock is not"
GROUPS = 'groups = ["main"]\n'
SIMPLE = '[tool.poetry.dependencies]\npython = "^3.11"\nlib = "*"\n'
NEEDS = "[package.dependencies]\n"


@pytest.mark.spec("LOCK-32")
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("", f"`groups` {IN} there"),
        ('groups = "main"', f"`groups` {IN} a list of texts"),
        ("groups = [1]", f"`groups` {IN} a list of texts"),
        ("groups = {main = true}", f"`groups` {IN} a list of texts"),
        (GROUPS + "markers = 1", f"`markers` {IN} a text"),
        (GROUPS + "markers = []", f"`markers` {IN} a text"),
        (GROUPS + "markers = {main = 1}", f"`markers` {IN} a text"),
        (GROUPS + "markers = \"colour == 'red'\"", f"`markers` {IN} a marker: `colour == 'red'`"),
        (GROUPS + "markers = \"sys_platform == 'linux' and\"", f"`markers` {IN} a marker"),
        (GROUPS + "markers = \"python_version >= 'three'\"", f"`markers` {IN} a marker"),
        (GROUPS + "markers = \"'three' <= python_full_version\"", f"`markers` {IN} a marker"),
        (GROUPS + "markers = \"extra in 'web'\"", f"`markers` {IN} a marker that can be decided"),
        (GROUPS + "markers = \"'dev' in dependency_groups\"", f"`markers` {IN} a marker that can be decided"),
        (GROUPS + 'source = "here"', f"`source` {IN} a table"),
        (GROUPS + 'source = {type = 1, url = "x"}', f"`type` {IN} a text"),
        (GROUPS + 'source = {type = "url"}', f"`url` {IN} a text"),
        (GROUPS + 'source = {type = "hg", url = "x"}', f"`source.type` {IN} a kind of place that is known: `hg`"),
    ],
)
def test_packages_of_new_locks(more: str, says: str) -> None:
    with pytest.raises(PoetryLockError) as caught:
        read(locked(NEW, package("lib", more=more)))
    assert says in caught.value.message
    assert caught.value.hint == "run `poetry lock`"


@pytest.mark.spec("LOCK-32")
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('dependencies = "flask"', f"`dependencies` {IN} a table"),
        ('dependencies = ["flask"]', f"`dependencies` {IN} a table"),
        (NEEDS + "dep = 3", f"`dependencies.dep` {IN} a dependency"),
        (NEEDS + "dep = []", f"`dependencies.dep` {IN} a dependency"),
        (NEEDS + "dep = [[]]", f"`dependencies.dep` {IN} a dependency"),
        (NEEDS + "dep = {version = 3}", "`version` of `dependencies.dep`"),
        (NEEDS + 'dep = {optional = "yes"}', "is not true or false"),
        (NEEDS + 'dep = {extras = "all"}', "`extras` of `dependencies.dep`"),
        (NEEDS + "dep = {markers = 3}", "`markers` of `dependencies.dep`"),
        (NEEDS + 'dep = {markers = "maybe"}', "is not a marker: `maybe`"),
        (NEEDS + "dep = {markers = \"extra in 'x'\"}", "is not a marker that can be decided"),
        (NEEDS + "dep = {python = 3}", "`python` of `dependencies.dep`"),
        (NEEDS + 'dep = {python = "^x"}', "is not a constraint: `^x`"),
        (NEEDS + 'dep = {python = ">=x"}', "`python` of `dependencies.dep`"),
        (NEEDS + "dep = {platform = 3}", "`platform` of `dependencies.dep`"),
        (NEEDS + 'gone = ">=1"', "`gone` is in no fitting version in the poetry.lock"),
        ('extras = "x"', f"`extras` {IN} a table"),
        ("[package.extras]\nx = 3", f"`x` {IN} a list of texts"),
    ],
)
def test_dependencies_of_old_locks(more: str, says: str) -> None:
    files = locked(SIMPLE, package("lib", more=more), package("dep"), version="2.0")
    with pytest.raises(PoetryLockError) as caught:
        read(files)
    assert says in caught.value.message and "`lib` in the poetry.lock" in str([caught.value, caught.value.details])


@pytest.mark.spec("LOCK-32")
@pytest.mark.parametrize(
    ("lock", "says"),
    [
        ('package = "x"\n', "`package` of the poetry.lock is not a list of tables"),
        ("package = [1]\n", "`package` of the poetry.lock is not a list of tables"),
        ('[[package]]\nversion = "1"\n', "`name` of a package of the poetry.lock is not a text"),
        ('[[package]]\nname = 1\nversion = "1"\n', "`name` of a package of the poetry.lock"),
        ('[[package]]\nname = ""\nversion = "1"\n', "`name` of a package of the poetry.lock"),
        ('[[package]]\nname = "lib"\ngroups = ["main"]\n', f"`version` {IN} a text"),
        ('[[package]]\nname = "lib"\nversion = 1.0\ngroups = ["main"]\n', f"`version` {IN} a text"),
        (package("lib", more=GROUPS, files='"lib.whl"'), f"`files` {IN} a list of tables"),
        (package("lib", more=GROUPS, files="{}"), f"`file` {IN} a text"),
        (package("lib", more=GROUPS, files='{file = "lib-1.0-py3-none-any.whl"}'), f"`hash` {IN} a text"),
        (package("lib", more=GROUPS, files='{file = "lib-1.0-py3-none-any.whl", hash = 1}'), f"`hash` {IN} a text"),
        ('extras = "x"\n' + package("lib", more=GROUPS), "`extras` of the poetry.lock is not a table"),
    ],
)
@pytest.mark.parametrize("version", ["2.1", "2.0"])
def test_locks_of_the_wrong_shape(lock: str, says: str, version: str) -> None:
    with pytest.raises(PoetryLockError) as caught:
        read(locked(SIMPLE, lock, version=version))
    assert says in caught.value.message


@pytest.mark.spec("LOCK-32")
@pytest.mark.parametrize(
    ("project", "says"),
    [
        ("[tool.poetry]\ndependencies = 3", "`dependencies` of the pyproject.toml is not a table"),
        ("[tool]\npoetry = 3", "`tool.poetry` of the pyproject.toml is not a table"),
        (SIMPLE + "dep = 3", "`dependencies.dep` of the pyproject.toml is not a dependency"),
        (SIMPLE + "dep = {version = 3}", "`version` of `dependencies.dep` of the pyproject.toml"),
        (
            SIMPLE + 'dep = {markers = "x"}',
            "`markers` of `dependencies.dep` of the pyproject.toml is not a marker: `x`",
        ),
        (SIMPLE + "[tool.poetry.extras]\nweb = 3", "`web` of the extras of the pyproject.toml"),
        (SIMPLE + "[tool.poetry.group]\nweb = 3", "`web` of the groups of the pyproject.toml is not a table"),
        (
            SIMPLE + "[tool.poetry.group.web]\ndependencies = 3",
            "`dependencies` of the group `web` of the pyproject.toml",
        ),
    ],
)
def test_projects_of_old_locks(project: str, says: str) -> None:
    groups = ("web",) if "group" in project else ()
    with pytest.raises(PoetryLockError) as caught:
        read(locked(project, package("lib"), package("dep"), version="2.0", more=EXTRAS), groups, ("web",))
    assert says in caught.value.message


@pytest.mark.spec("LOCK-28")
@pytest.mark.parametrize(
    ("marker", "names"),
    [
        ("extra == 'web' or extra == 'all'", [set(), {"dep"}, {"dep"}]),
        ("python_version < '3.12' or extra == 'all'", [set(), set(), {"dep"}]),
        ("extra == 'all' and sys_platform == 'linux'", [set(), set(), {"dep"}]),
        ("'web' == extra", [set(), {"dep"}, set()]),
        ("extra != 'web'", [{"dep"}, {"dep"}, {"dep"}]),
    ],
)
def test_markers_with_more_than_one_extra_are_settled(marker: str, names: list[set[str]]) -> None:
    for extra, expected in zip(("", "web", "all"), names, strict=True):
        project = SIMPLE.replace('"*"', f'{{version = "*", extras = ["{extra}"]}}' if extra else '"*"')
        files = locked(
            project, package("lib", more=NEEDS + f'dep = {{markers = "{marker}"}}'), package("dep"), version="2.0"
        )
        assert set(chosen(read(files))) == {"lib"} | expected


def test_what_a_lock_may_leave_out() -> None:
    """Never needed, for extras that nobody asked for, or left out by old poetry."""
    more = NEEDS + 'setuptools = "*"\nfar = {version = "*", optional = true}\nold = {version = "*", python = "<3.8"}'
    files = locked(SIMPLE, package("lib", more=more), version="1.1")
    assert set(chosen(read(files))) == {"lib"}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_value_of_another_type_never_takes_a_package_away(data: st.DataObject) -> None:
    packages, project = data.draw(st.sampled_from([(NEW_PACKAGES, NEW), (OLD_PACKAGES, OLD)]))
    good = locked(project, *packages, version="2.1" if project == NEW else "2.0", more=EXTRAS)
    names = set(chosen(read(good, ("dev",), ("web",)), "3.13"))
    head, metadata = good["poetry.lock"].decode().split("[metadata]")
    lines = head.splitlines()
    number = data.draw(st.integers(1, len(lines) - 1).filter(lambda one: " = " in lines[one]))
    key, _, _ = lines[number].partition(" = ")
    lines[number] = f"{key} = {data.draw(st.sampled_from(['1', 'true', '[]', '[1]', '{}', '{x = 1}', '1979-05-27']))}"
    changed = "\n".join(lines) + "\n[metadata]" + metadata
    with contextlib.suppress(tomllib.TOMLDecodeError, Error):
        tomllib.loads(changed)
        found = set(chosen(read({**good, "poetry.lock": changed.encode()}, ("dev",), ("web",)), "3.13"))
        # An empty list or table is what it says: nothing of the kind.
        assert found >= names or lines[number].endswith((" []", " {}"))
