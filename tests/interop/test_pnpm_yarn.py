"""pnpm and Yarn 1 themselves: what is in the image is what they lay down, and it starts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ociassemble.testing import images
from tests.examples.test_examples import node_base as bare
from tests.interop.commands import Commands, once, shared
from tests.interop.containers import Unpacked, usable
from tests.interop.products import blob_at, document_at, entries
from tests.interop.test_authorities import NOWHERE, PASSED

pytestmark = [pytest.mark.packages, pytest.mark.long]

DEPENDENCIES = {"express": "4.20.0", "sharp": "0.33.5", "esbuild": "0.24.0", "semver": "7.6.3"}
# Asks itself, and ends: a binary addon, a package in the tree of links, a file found beside its own package.
PROGRAM = """
const sharp = require("sharp"), express = require("express"), semver = require("semver");
const server = express().get("/", (ask, answer) => answer.send("hello")).listen(0, async () => {
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/`);
  const image = sharp({ create: { width: 2, height: 3, channels: 3, background: "red" } });
  const { width, height } = (await image.png().toBuffer({ resolveWithObject: true })).info;
  console.log(JSON.stringify([await answer.text(), width, height, semver.valid("1.2.3"), process.getuid()]));
  server.close();
});
"""


class Tools(NamedTuple):
    """pnpm and Yarn, below a folder; with a home of their own."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.folder / 'node_modules/.bin'}:{os.environ['PATH']}"
        passed = {name: os.environ[name] for name in (*PASSED, "NODE_EXTRA_CA_CERTS") if name in os.environ}
        return {**passed, "PATH": path, "HOME": str(self.folder / "home"), "npm_config_update_notifier": "false"}

    def __call__(self, folder: Path, *argv: str) -> None:
        done = subprocess.run(argv, cwd=folder, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    folder = shared(tmp_path_factory, "pnpm-yarn")
    with once(folder) as wanted:
        made = Tools(folder)
        if wanted():
            (folder / "home").mkdir(exist_ok=True)
            made(folder, "npm", "install", "--prefix", str(folder), "--ignore-scripts", "pnpm@10", "yarn@1.22.22")
    return made


@pytest.fixture
def node_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Debian's packages with Node; assembled once a run, for the tests of Node bases too."""
    folder = shared(tmp_path_factory, "node-bases")
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    folder.mkdir(exist_ok=True)
    commands = Commands(folder, OCIASSEMBLE_NODE_MIRROR=NOWHERE, **passed)

    def find() -> str:
        with once(folder / "nodejs24") as wanted:
            if wanted():
                place = f"oci:{folder}/layout:nodejs24"
                commands("base", "build", "distroless/nodejs24", "-o", place, "--platform", "linux/amd64")
        return f"oci:{folder}/layout:nodejs24"

    return find


def laid_down(root: Path) -> dict[str, tuple[str, ...]]:
    """Files and links of node_modules folders on disk, but what the tools write for themselves."""
    found: dict[str, tuple[str, ...]] = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if "node_modules" not in name.split("/"):
            continue
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))  # noqa: PTH115
        elif path.is_file():
            mode = "755" if path.stat().st_mode & 0o111 else "644"
            found[name] = (mode, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def in_image(layout: Path, tag: str) -> dict[str, tuple[str, ...]]:
    """Files and links of node_modules folders below /app."""
    found: dict[str, tuple[str, ...]] = {}
    for layer in document_at(layout, entries(layout)[tag])["layers"]:
        with tarfile.open(blob_at(layout, layer["digest"])) as archive:
            for member in archive:
                name = member.name.removeprefix("app/")
                if not member.name.startswith("app/") or "node_modules" not in name.split("/"):
                    continue
                if member.issym():
                    found[name] = ("link", member.linkname)
                elif content := archive.extractfile(member) if member.isreg() else None:
                    found[name] = (f"{member.mode:o}", hashlib.sha256(content.read()).hexdigest())
    return found


def project(folder: Path) -> Path:
    folder.mkdir()
    manifest = {"name": "shop", "version": "1.0.0", "private": True, "dependencies": DEPENDENCIES}
    (folder / "package.json").write_text(json.dumps({**manifest, "devDependencies": {"typescript": "5.6.3"}}))
    (folder / "main.js").write_text(PROGRAM)
    return folder


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to, ignore=shutil.ignore_patterns("node_modules")))


def ran(tmp_path: Path, tag: str, *words: str) -> list[object]:
    usable()
    done = Unpacked(tmp_path / "image", tag, tmp_path / f"unpacked-{tag}").start(*words)
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    assert isinstance(answer, list)
    return answer


@pytest.mark.spec("PNPM-4", "PNPM-6")
def test_pnpm(tools: Tools, node_base: Callable[[], str], tmp_path: Path) -> None:
    shop = project(tmp_path / "shop")
    tools(shop, "pnpm", "install", "--lockfile-only")
    theirs = copied(shop, tmp_path / "theirs")
    tools(theirs, "pnpm", "install", "--prod", "--frozen-lockfile", "--ignore-scripts", "--libc", "glibc")

    ociassemble = Commands(tmp_path, **tools.environment)
    ociassemble("build", shop, "-b", node_base(), "--platform", "linux/amd64", "-o", f"oci:{tmp_path}/image:v1")

    ours, wanted = in_image(tmp_path / "image", "v1"), laid_down(theirs)
    missing = sorted(set(wanted) - set(ours))
    assert {name: ours[name] for name in ours if ours[name] != wanted.get(name)} == {}
    assert [name for name in missing if "/.bin/" not in name] == [
        "node_modules/.modules.yaml", "node_modules/.pnpm-workspace-state-v1.json", "node_modules/.pnpm/lock.yaml",
    ]  # fmt: skip
    assert len(ours) > 500 and not [name for name in ours if "typescript" in name]
    assert ran(tmp_path, "v1", "main.js") == ["hello", 2, 3, "1.2.3", 65532]


@pytest.mark.spec("PNPM-5", "PNPM-9")
def test_pnpm_for_another_platform_twice(tools: Tools, tmp_path: Path) -> None:
    """Two machines: neither has anything of the other's, and both make the same image."""
    shop = project(tmp_path / "shop")
    tools(shop, "pnpm", "install", "--lockfile-only")
    images.lay_out(images.index([bare(name) for name in ("linux/amd64", "linux/arm64")]), tmp_path / "base", "v1")
    digests = []
    for name in ("one", "two"):
        home = tmp_path / name
        home.mkdir()
        ociassemble = Commands(home, **(tools.environment | {"HOME": str(home)}))
        place = f"oci:{tmp_path}/image:{name}"
        build = ("build", shop, "-b", f"oci:{tmp_path}/base:v1", "--platform", "linux/arm64", "-o", place)
        done = ociassemble(*build)
        digests.append(done.out.partition("@")[2])

    assert digests[0] == digests[1]
    found = in_image(tmp_path / "image", "one")
    assert [name for name in found if "sharp-linux-arm64" in name]
    assert not [name for name in found if "x64" in name.partition("/.pnpm/")[2].partition("/")[0]]


@pytest.mark.spec("PNPM-4", "PNPM-6", "PNPM-7")
def test_a_workspace_of_pnpm(tools: Tools, node_base: Callable[[], str], tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    for name, manifest, code in (
        ("api", {"dependencies": {"@shop/lib": "workspace:*", "semver": "7.6.3"}}, "console.log(JSON.stringify(["
         'require("@shop/lib"), require("semver").valid("1.2.3")]))'),
        ("lib", {"dependencies": {"ms": "2.1.3"}}, 'module.exports = require("ms")("2 days")'),
        ("other", {"dependencies": {"express": "4.20.0"}}, ""),
    ):  # fmt: skip
        (shop / "packages" / name).mkdir(parents=True)
        (shop / f"packages/{name}/package.json").write_text(
            json.dumps({"name": f"@shop/{name}", "version": "1.0.0", "main": "index.js", **manifest})
        )
        (shop / f"packages/{name}/index.js").write_text(code)
    (shop / "package.json").write_text('{"name": "shop", "private": true}')
    (shop / "pnpm-workspace.yaml").write_text("packages:\n  - packages/*\n")
    (shop / "ociassemble.toml").write_text('[node]\nworkspace = "@shop/api"\n')
    tools(shop, "pnpm", "install", "--lockfile-only")
    theirs = copied(shop, tmp_path / "theirs")
    tools(theirs, "pnpm", "install", "--prod", "--frozen-lockfile", "--ignore-scripts", "--filter",
          "{./packages/api}...")  # fmt: skip

    ociassemble = Commands(tmp_path, **tools.environment)
    ociassemble("build", shop, "-b", node_base(), "--platform", "linux/amd64", "-o", f"oci:{tmp_path}/image:v1")

    ours, wanted = in_image(tmp_path / "image", "v1"), laid_down(theirs)
    assert {name: ours[name] for name in ours if ours[name] != wanted.get(name)} == {}
    assert ours["packages/api/node_modules/@shop/lib"] == ("link", "../../../lib")
    assert not [name for name in ours if "express" in name]
    assert ran(tmp_path, "v1", "index.js") == [172800000, "1.2.3"]


@pytest.mark.spec("PNPM-6")
def test_yarn(tools: Tools, node_base: Callable[[], str], tmp_path: Path) -> None:
    shop = project(tmp_path / "shop")
    tools(shop, "yarn", "install", "--ignore-scripts", "--non-interactive")
    shutil.rmtree(shop / "node_modules")
    theirs = copied(shop, tmp_path / "theirs")
    tools(theirs, "yarn", "install", "--production", "--frozen-lockfile", "--ignore-scripts", "--non-interactive")

    ociassemble = Commands(tmp_path, **tools.environment)
    ociassemble("build", shop, "-b", node_base(), "--platform", "linux/amd64", "-o", f"oci:{tmp_path}/image:v1")

    ours, wanted = in_image(tmp_path / "image", "v1"), laid_down(theirs)
    assert set(wanted) - set(ours) == {"node_modules/.yarn-integrity"}
    assert {name: ours[name] for name in ours if ours[name] != wanted.get(name)} == {}
    assert ours["node_modules/.bin/semver"] == ("link", "../semver/bin/semver.js")
    assert ran(tmp_path, "v1", "main.js") == ["hello", 2, 3, "1.2.3", 65532]
