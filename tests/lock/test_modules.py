"""node_modules by pnpm and Yarn: what is asked of the tool, and what becomes of what it lays down.

The tool here is a script in its place, which lays down what a test wants; the real ones are in
tests/interop/test_pnpm_yarn.py.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from ociassemble.content.memory import MemoryStore
from ociassemble.lock import modules_pack
from ociassemble.lock.modules_pack import ModulesLinkError
from ociassemble.testing import images
from tests.examples.test_examples import node_base
from tests.interop.commands import Commands

MANIFEST = {"name": "shop", "version": "1.0.0", "dependencies": {"a": "1.0.0"}}
# Lays down `a` with what every tool writes for itself; says what it was given.
TOOL = """#!/bin/sh
if [ "$1" = --version ]; then echo "${TOOL_VERSION:-10.34.9}"; exit; fi
echo "$@" >> "$TOOL_LOG"; ls -A >> "$TOOL_LOG"; env | grep '^OCI' >> "$TOOL_LOG"
mkdir -p node_modules/a node_modules/.bin
echo "{\\"name\\": \\"a\\", \\"version\\": \\"1.0.0\\"}" > node_modules/a/package.json
echo "${TOOL_SAYS:-module}" > node_modules/a/index.js
printf '#!/usr/bin/env node\\n' > node_modules/a/cli.js; chmod 700 node_modules/a/cli.js
ln -s ../a/cli.js node_modules/.bin/a
date > node_modules/.yarn-integrity
pwd > node_modules/.modules.yaml
exit "${TOOL_STATUS:-0}"
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in the working directory, beside a base."""
    monkeypatch.chdir(tmp_path)
    images.lay_out(images.index([node_base(name) for name in ("linux/amd64", "linux/arm64")]), tmp_path / "base", "v1")
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "package.json").write_text(json.dumps(MANIFEST))
    (folder / "index.js").write_text("")
    (folder / ".npmrc").write_text("node-linker=hoisted\n")
    return folder


class Tooled(Commands):
    """`ociassemble` with a script of ours as `name` on PATH."""

    def __init__(self, folder: Path, name: str, script: str = TOOL) -> None:
        super().__init__(folder, TOOL_LOG=str(folder / "log"))
        programs = folder / "programs"
        programs.mkdir()
        if script:
            (programs / name).write_text(script)
            (programs / name).chmod(0o755)
        self.environment["PATH"] = f"{programs}:/usr/bin:/bin" if script else str(programs)
        self.log = folder / "log"


def built(tag: str = "v1", *more: str) -> tuple[str, ...]:
    return ("build", "shop", "-b", "oci:base:v1", "--platform", "linux/amd64", "-o", f"oci:image:{tag}", *more)


@pytest.mark.spec("PNPM-2")
@pytest.mark.parametrize(("lock", "name"), [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn")])
def test_without_the_tool_that_is_said(shop: Path, tmp_path: Path, lock: str, name: str) -> None:
    (shop / lock).write_text("")

    ended = Tooled(tmp_path, name, script="")(*built(), status=10)

    assert f"error: `{lock}` needs {name}, and it is not on PATH" in ended.err
    assert f"npm install --global {name}" in ended.err


@pytest.mark.spec("PNPM-1")
def test_a_lock_of_yarn_2_is_refused_with_a_way_out(shop: Path, tmp_path: Path) -> None:
    (shop / "yarn.lock").write_text("# comment\n\n__metadata:\n  version: 8\n")

    ended = Tooled(tmp_path, "yarn")(*built(), status=3)

    assert "`yarn.lock` is one of Yarn 2 or later" in ended.err
    assert "`prebuilt = true`" in ended.err


@pytest.mark.spec("PNPM-2", "PNPM-3", "PNPM-4")
def test_the_tool_is_told_runs_on_copies_and_knows_nothing_of_ours(shop: Path, tmp_path: Path) -> None:
    (shop / "pnpm-lock.yaml").write_text("lockfileVersion: '9.0'\n")
    (shop / "fix.patch").write_text("")
    ociassemble = Tooled(tmp_path, "pnpm")

    ended = ociassemble(*built())

    assert "running: pnpm install --prod --frozen-lockfile --ignore-scripts --ignore-pnpmfile" in ended.err
    said = ociassemble.log.read_text().splitlines()
    assert "--os linux --cpu x64 --libc glibc" in said[0]
    assert sorted(said[1:]) == [".npmrc", "fix.patch", "package.json", "pnpm-lock.yaml"]
    assert not (shop / "node_modules").exists()


@pytest.mark.spec("PNPM-4")
def test_offline_and_the_workspace_are_handed_on(shop: Path, tmp_path: Path) -> None:
    (shop / "pnpm-lock.yaml").write_text("")
    (shop / "pnpm-workspace.yaml").write_text("packages: ['packages/*']\n")
    (shop / "packages/api").mkdir(parents=True)
    (shop / "packages/api/package.json").write_text('{"name": "api", "main": "api.js"}')
    (shop / "packages/api/api.js").write_text("")
    (shop / "ociassemble.toml").write_text('[node]\nworkspace = "api"\n')
    ociassemble = Tooled(tmp_path, "pnpm")

    ended = ociassemble("--offline", *built())

    assert ociassemble.log.read_text().splitlines()[0].endswith("--offline --filter {./packages/api}...")
    assert "starts `node api.js`" in ended.err


@pytest.mark.spec("PNPM-5")
def test_yarn_knows_only_its_own_platform(shop: Path, tmp_path: Path) -> None:
    (shop / "yarn.lock").write_text("# yarn lockfile v1\n")
    other = "arm64" if os.uname().machine == "x86_64" else "amd64"

    ended = Tooled(tmp_path, "yarn")("build", "shop", "-b", "oci:base:v1", "--platform", f"linux/{other}", status=3)

    assert f"and linux/{other} is asked for" in ended.err


@pytest.mark.spec("PNPM-2")
def test_a_pnpm_that_knows_no_platforms(shop: Path, tmp_path: Path) -> None:
    (shop / "pnpm-lock.yaml").write_text("")

    ended = Tooled(tmp_path, "pnpm")(*built(), status=10, TOOL_VERSION="9.15.0")

    assert "pnpm 9.15.0 cannot be told for which platform it installs" in ended.err


def test_a_tool_that_fails_is_shown_without_paths_of_ours(shop: Path, tmp_path: Path) -> None:
    (shop / "pnpm-lock.yaml").write_text("")
    script = TOOL.replace('exit "', 'echo "ERR_PNPM_X in $(pwd)/package.json" >&2; exit "')

    ended = Tooled(tmp_path, "pnpm", script)(*built(), status=10, TOOL_STATUS="1")

    assert "error: `pnpm` failed with status 1 on `pnpm-lock.yaml`\n  ERR_PNPM_X in ./package.json" in ended.err


@pytest.mark.spec("PNPM-8", "PNPM-9")
def test_a_lock_needs_the_tool_only_where_the_store_has_lost_something(shop: Path, tmp_path: Path) -> None:
    (shop / "pnpm-lock.yaml").write_text("")
    ociassemble = Tooled(tmp_path, "pnpm")
    ociassemble("lock", "shop", "-b", "oci:base:v1", "--platform", "linux/amd64,linux/arm64")
    runs = ociassemble.log.read_text().count("install")
    locked = ["build", "shop", "-b", "oci:base:v1", "--platform", "linux/amd64", "--locked", "--no-cache", "-o"]

    first = ociassemble(*locked, "oci:image:v1")
    assert ociassemble.log.read_text().count("install") == runs == 2
    fresh = {"OCIASSEMBLE_CACHE_DIR": str(tmp_path / "another")}
    again = ociassemble(*locked, "oci:image:v2", **fresh)
    assert ociassemble.log.read_text().count("install") == 3
    changed = ociassemble(
        *locked, "oci:image:v3", status=7, TOOL_SAYS="other", OCIASSEMBLE_CACHE_DIR=str(tmp_path / "third")
    )

    assert first.out.partition("@")[2] == again.out.partition("@")[2]
    assert "`pnpm` lays down other files than were locked" in changed.err
    assert '"name": "node_modules/a"' in (shop / "ociassemble.lock").read_text()


# --- packing -----------------------------------------------------------------------------------------------------


def packed(root: Path, *, commands: bool = True, project: tuple[str, ...] = ()) -> dict[str, list[tarfile.TarInfo]]:
    store = MemoryStore()
    found = modules_pack.pack(root, store, commands=commands, outside=lambda path: path in project)
    members = {}
    for package in found:
        with store.open(package.artifact.digest) as stream:
            data = io.BytesIO(stream.read())
        with tarfile.open(fileobj=data) as archive:
            members[package.name] = archive.getmembers()
    return members


def lay(root: Path, *paths: str) -> None:
    for path in paths:
        name, arrow, target = path.partition(" -> ")
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if arrow:
            (root / name).symlink_to(target)
        else:
            (root / name).write_text(name)


PNPM_TREE = (
    "node_modules/express -> .pnpm/express@4.20.0/node_modules/express",
    "node_modules/@s/x -> ../.pnpm/@s+x@1.0.0/node_modules/@s/x",
    "node_modules/.modules.yaml",
    "node_modules/.pnpm-workspace-state-v1.json",
    "node_modules/.bin/mime",
    "node_modules/.pnpm/lock.yaml",
    "node_modules/.pnpm/node_modules/mime -> ../mime@1.6.0/node_modules/mime",
    "node_modules/.pnpm/express@4.20.0/node_modules/express/index.js",
    "node_modules/.pnpm/express@4.20.0/node_modules/express/node_modules/.bin/mime",
    "node_modules/.pnpm/express@4.20.0/node_modules/mime -> ../../mime@1.6.0/node_modules/mime",
    "node_modules/.pnpm/mime@1.6.0/node_modules/mime/.bin/kept",
    "node_modules/.pnpm/@s+x@1.0.0/node_modules/@s/x/index.js",
    "packages/api/node_modules/lib -> ../../lib",
)


@pytest.mark.spec("PNPM-6", "PNPM-8")
def test_a_tree_of_pnpm_in_parts(tmp_path: Path) -> None:
    lay(tmp_path, *PNPM_TREE)

    found = packed(tmp_path, commands=False, project=("packages/lib",))

    names = {place: [f"{item.name} -> {item.linkname}" if item.issym() else item.name for item in members]
             for place, members in found.items()}  # fmt: skip
    assert names == {
        "node_modules": [
            "@s/x -> ../.pnpm/@s+x@1.0.0/node_modules/@s/x",
            "express -> .pnpm/express@4.20.0/node_modules/express",
        ],
        "node_modules/.pnpm/@s+x@1.0.0": ["node_modules/@s/x/index.js"],
        "node_modules/.pnpm/express@4.20.0": [
            "node_modules/express/index.js",
            "node_modules/mime -> ../../mime@1.6.0/node_modules/mime",
        ],
        "node_modules/.pnpm/mime@1.6.0": ["node_modules/mime/.bin/kept"],
        "node_modules/.pnpm/node_modules": ["mime -> ../mime@1.6.0/node_modules/mime"],
        "packages/api/node_modules": ["lib -> ../../lib"],
    }


@pytest.mark.spec("PNPM-6")
def test_modes_and_times_are_those_of_every_machine(tmp_path: Path) -> None:
    lay(tmp_path, "node_modules/a/run", "node_modules/a/read")
    (tmp_path / "node_modules/a/run").chmod(0o4710)
    (tmp_path / "node_modules/a/read").chmod(0o600)

    (members,) = packed(tmp_path).values()

    assert [(item.name, item.mode, item.uid) for item in members] == [("read", 0o644, 0), ("run", 0o755, 0)]
    assert {item.mtime for item in members} == {315619200}


@pytest.mark.spec("PNPM-6")
def test_links_to_commands_of_yarn_are_kept(tmp_path: Path) -> None:
    lay(
        tmp_path, "node_modules/mime/cli.js", "node_modules/.bin/mime -> ../mime/cli.js", "node_modules/.yarn-integrity"
    )

    found = packed(tmp_path)

    assert {place: [item.name for item in members] for place, members in found.items()} == {
        "node_modules": [".bin/mime"],
        "node_modules/mime": ["cli.js"],
    }


@pytest.mark.spec("PNPM-7")
@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("node_modules/a -> ../../elsewhere", "leads out of the project"),
        ("node_modules/a -> /etc", "leads out of the project"),
        ("node_modules/b/c/d -> ../../../../x", "leads out of the project"),
        ("node_modules/a -> ../src", "leads to `src`, which is not packed"),
    ],
)
def test_links_that_lead_nowhere_in_the_image(tmp_path: Path, link: str, message: str) -> None:
    lay(tmp_path, link)

    with pytest.raises(ModulesLinkError, match=message):
        packed(tmp_path)


@pytest.mark.spec("PNPM-10")
def test_what_would_have_to_be_compiled_is_named(tmp_path: Path) -> None:
    lay(tmp_path, "node_modules/good/binding.gyp", "node_modules/good/build/good.node", "node_modules/bad/binding.gyp")
    for name in ("good", "bad"):
        (tmp_path / f"node_modules/{name}/package.json").write_text(json.dumps({"name": name, "version": "2.0.0"}))

    (problem,) = modules_pack.addons(tmp_path, "x64")

    assert "`bad@2.0.0` is an addon that must be compiled" in problem
