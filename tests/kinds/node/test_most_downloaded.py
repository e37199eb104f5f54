"""The most downloaded npm packages, frozen: fetched from the configured registry, laid out, and loaded by Node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from ociassemble.registry.server import serve
from tests.interop.commands import Commands
from tests.kinds.node.compare import node_base
from tests.peers import find

FROZEN = Path(__file__).parent / "most-downloaded.json"
LOAD = """
const names = Object.keys(JSON.parse(require("fs").readFileSync("package.json")).dependencies)
Promise.all(names.map(async name => {
  const found = await import(name)
  if (!Object.keys(found).length) throw new Error(`${name} exports nothing`)
  console.log(name)
})).catch(error => { console.error(error); process.exitCode = 1 })
"""


def frozen() -> dict[str, str]:
    dependencies: dict[str, str] = json.loads(FROZEN.read_text())["packages"][""]["dependencies"]
    return dependencies


def test_there_are_thirty_and_each_is_pinned_by_its_hash() -> None:
    packages = json.loads(FROZEN.read_text())["packages"]
    assert len(frozen()) == 30
    for name, version in frozen().items():
        assert packages[f"node_modules/{name}"]["version"] == version
    assert all(entry["integrity"].startswith("sha512-") for place, entry in packages.items() if place)
    assert "://" not in FROZEN.read_text()


@pytest.mark.packages
@pytest.mark.long
@pytest.mark.spec("NPM-14", "NPM-16")
def test_all_of_them_load(tmp_path: Path) -> None:
    node = find("node")
    if node is None:
        pytest.skip("node is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()[1:]
    project = tmp_path / "project"
    project.mkdir()
    shutil.copyfile(FROZEN, project / "package-lock.json")
    (project / "package.json").write_text(json.dumps({"name": "all", "version": "1.0.0", "dependencies": frozen()}))
    (project / "index.js").write_text(LOAD)
    settings = {key: value for key, value in os.environ.items() if key.lower().startswith("npm_config")}
    ociassemble = Commands(tmp_path, **settings)
    layout = tmp_path / "layout"
    with serve("127.0.0.1", 0, tmp_path / "registry") as registry:
        base = node_base(registry.host, "linux/amd64", version)
        build = ("build", project, "--base", base, "--platform", "linux/amd64")
        ociassemble("lock", project, "--base", base, "--platform", "linux/amd64", "--no-base")
        # With the lock: no npm, no question.
        ociassemble("--offline", *build, "--pull", "missing", "-o", f"oci:{layout}", "--locked", PATH=str(tmp_path))

    root = tmp_path / "root"
    for layer in layers(layout):
        with tarfile.open(layer) as archive:
            archive.extractall(root, [item for item in archive if item.name.startswith("app/")], filter="data")
    done = subprocess.run([node, "index.js"], cwd=root / "app", capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == sorted(frozen())


def layers(layout: Path) -> list[Path]:
    blobs = layout / "blobs" / "sha256"
    top = json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
    manifest = json.loads((blobs / top.partition(":")[2]).read_bytes())
    return [blobs / layer["digest"].partition(":")[2] for layer in manifest["layers"]]
