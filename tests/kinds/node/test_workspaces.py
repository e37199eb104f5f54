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
