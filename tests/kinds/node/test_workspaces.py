"""Which folders the globs of `workspaces` mean."""

from __future__ import annotations

import pytest

from ociassemble.kinds.node.workspaces import matching

FOLDERS = (
    "apps",
    "apps/api",
    "apps/web",
    "apps/web/lib",
    "packages/a",
    "packages/b",
    "packages/.hidden",
    "tools",
    "x[1]",
)


@pytest.mark.spec("NODE-12")
@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (["apps/api"], "apps/api"),
        (["./apps/api/"], "apps/api"),
        (["/apps/api"], "apps/api"),
        (["apps/*"], "apps/api apps/web"),
        (["apps/**"], "apps/api apps/web apps/web/lib"),
        (["**/web"], "apps/web"),
        (["*"], "apps tools x[1]"),
        (["packages/*", "!packages/b"], "packages/a"),
        (["packages/*", "!packages/*", "packages/b"], "packages/b"),
        (["!!tools"], "tools"),
        (["packages/[ab]"], "packages/a packages/b"),
        (["packages/[!a]"], "packages/b"),
        (["packages/?"], "packages/a packages/b"),
        (["{apps,packages}/{a,api}"], "apps/api packages/a"),
        (["{apps/api"], ""),
        (["x[1]"], ""),
        ([], ""),
        (["", "!"], ""),
        (["(((", "[", "**/" * 300 + "none"], ""),
    ],
)
def test_globs(globs: list[str], expected: str) -> None:
    assert matching(globs, FOLDERS) == tuple(expected.split())


@pytest.mark.spec("NODE-12")
def test_nothing_in_node_modules_is_a_workspace() -> None:
    assert matching(["**"], ["node_modules/a", "a/node_modules/b", "a"]) == ("a",)


@pytest.mark.spec("NODE-12")
def test_no_glob_takes_forever() -> None:
    deep, long = "a/" * 100 + "b", "a" * 200
    assert matching(["**/a" * 9 + "/**/c", "*a" * 20 + "b", "?" * 300, "{a,b}" * 100], [deep, long]) == ()
    assert matching(["**/a" * 9 + "/**/b"], [deep, long]) == (deep,)
    assert matching(["*a" * 20], [deep, long]) == (long,)
    assert matching(["x/{a,b{c,d}}/*"], ["x/a/1", "x/bc/1", "x/b/1", "x/bd/2"]) == ("x/a/1", "x/bc/1", "x/bd/2")
