"""node_modules of real locks equals what the pinned npm lays down: every path, byte, link and mode.

What npm says of version ranges and of the order of names is asked of it, too.
"""

from __future__ import annotations

import functools
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ociassemble.kinds.node import semver
from ociassemble.kinds.node.bins import collation
from ociassemble.registry.server import serve
from tests.interop.commands import Commands
from tests.kinds.node.compare import Npm, build, compare, host_settings, in_image, layers, node_base, pinned
from tests.kinds.node.ranges import Ranges

pytestmark = [pytest.mark.packages, pytest.mark.long]

LOCKS = Path(__file__).parent / "locks"
NAMES = sorted(path.name for path in LOCKS.iterdir())


class World:
    """A registry with bases, the command line, and the pinned npm: fetched by the first test that asks for it."""

    def __init__(self, folder: Path, registry: str) -> None:
        self.ociassemble = Commands(folder, **host_settings())
        self.registry = registry
        self._folder = folder

    @functools.cached_property
    def npm(self) -> Npm:
        return pinned(self.ociassemble, self.registry, self._folder / "pinned")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("npm-ci")
    with serve("127.0.0.1", 0, folder / "registry") as registry:
        yield World(folder, registry.host)


@pytest.mark.spec("NODE-7", "NODE-9", "NODE-12", "NODE-14", "NODE-15", "NODE-17", "NODE-19")
@pytest.mark.parametrize(
    ("name", "platform"), [*((name, "linux/amd64") for name in NAMES), ("platforms", "linux/arm64")]
)
def test_what_npm_lays_down(world: World, name: str, platform: str, tmp_path: Path) -> None:
    base = node_base(world.registry, platform, world.npm.version)
    found = compare(world.ociassemble, world.npm, base, LOCKS / name, tmp_path, platform)
    print(f"{name} {platform}: {found.files} files; npm ci {found.npm:.2f} s, ociassemble build {found.ours:.2f} s")
    assert found.files > 100
    assert not found.differences, "\n".join(found.differences[:50])


_JUDGE = """
const semver = require(process.argv[1]);
const pairs = JSON.parse(require("fs").readFileSync(0));
console.log(JSON.stringify(pairs.map(([version, range]) => [
  semver.satisfies(version, range),
  semver.satisfies(version, range, { includePrerelease: true }),
  semver.validRange(range) !== null,
])));
"""


@pytest.mark.spec("NODE-20")
@pytest.mark.parametrize("seed", range(10))
def test_npms_own_semver_says_the_same(world: World, seed: int) -> None:
    pairs = Ranges(seed).pairs(5000)
    judged = world.npm.node(_JUDGE, world.npm.modules / "npm" / "node_modules" / "semver", pairs)
    assert 500 < sum(valid for _, _, valid in judged) < 4500
    for (version, spec), expected in zip(pairs, judged, strict=True):
        ours = [
            semver.satisfies(version, spec),
            semver.satisfies(version, spec, prereleases=True),
            semver.valid(spec),
        ]
        assert ours == expected, f"{version!r} in {spec!r}"


_SORT = """
const names = JSON.parse(require("fs").readFileSync(0));
console.log(JSON.stringify(names.sort((a, b) => a.localeCompare(b, "en"))));
"""


@pytest.mark.spec("NODE-17")
def test_npm_sorts_names_alike(world: World) -> None:
    pick = random.Random(1)
    alphabet = "abzABZ019-_.@/~!'()*"
    names = list({"".join(pick.choice(alphabet) for _ in range(pick.randint(1, 7))) for _ in range(5000)})
    assert sorted(names, key=collation) == world.npm.node(_SORT, "-", names)


EXPRESS = Path(__file__).parent.parent.parent.parent / "examples" / "express"


def test_the_example_is_smaller_than_what_its_dockerfile_leaves(world: World, tmp_path: Path) -> None:
    """On layers that are built both ways: all of `npm ci` copied, as the README's Dockerfile does, and ours."""
    base = node_base(world.registry, "linux/amd64", world.npm.version)
    whole = shutil.copytree(EXPRESS, tmp_path / "whole")
    world.npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", cwd=whole)
    (whole / "ociassemble.lock").unlink()
    (whole / ".dockerignore").write_text("!node_modules\neslint.config.js\nREADME.md\n")
    build(world.ociassemble, whole, base, tmp_path / "theirs", "linux/amd64", "--kind", "directory")
    build(world.ociassemble, EXPRESS, base, tmp_path / "ours", "linux/amd64", "--no-lock")
    theirs, ours = in_image(tmp_path / "theirs"), in_image(tmp_path / "ours")
    sizes = [sum(path.stat().st_size for path in layers(tmp_path / name)) for name in ("theirs", "ours")]
    print(f"with all of node_modules {sizes[0]} bytes and {len(theirs)} paths, ours {sizes[1]} bytes and {len(ours)}")
    assert set(ours) < set(theirs)
    assert sizes[1] * 4 < sizes[0] and len(ours) * 3 < len(theirs)
