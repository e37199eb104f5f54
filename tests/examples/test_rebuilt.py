"""Examples of every kind are reproduced by a machine that has never seen them, from where they were pushed to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ociassemble.registry.server import serve
from ociassemble.testing import images
from tests.cli.tampering import content, tamper, top
from tests.examples.test_examples import EXAMPLES, node_base
from tests.interop.commands import Commands
from tests.interop.products import PLATFORMS, base
from tests.kinds.binary.programs import program

# Of each example a file of its own layer, and where in it a byte is changed.
CASES = {
    "python-flask": ("app/app.py", 3),
    "express": ("app/app.js", 5),
    "directory": ("app/index.html", 7),
    "binary": ("app/server", 4090),
}


@pytest.mark.packages
@pytest.mark.spec("VERIFY-1", "VERIFY-14")
@pytest.mark.parametrize("name", CASES)
def test_it_is_reproduced(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder)
    application = folder
    if name == "binary":
        application = folder / "server"
        application.write_bytes(program("amd64") + bytes(4096))
    ociassemble = Commands(tmp_path)
    with serve("127.0.0.1", 0, tmp_path / "registry") as registry:
        for repository, make in (("python3", base), ("nodejs24", node_base), ("static", _static)):
            made = images.index([make(platform) for platform in PLATFORMS])
            images.push(made, f"{registry.host}/distroless/{repository}-debian13:nonroot")
        mirror = ("--registry-mirror", f"gcr.io={registry.host}")
        both = () if name == "binary" else ("--platform", ",".join(PLATFORMS))
        image, layout = f"{registry.host}/app:v1", f"oci:{tmp_path}/layout:v1"
        ociassemble(*mirror, "build", application, "-q", "-t", image, "--push", "-o", layout, *both)

        elsewhere = ("--cache-dir", tmp_path / "elsewhere", *mirror)
        said = ociassemble(*elsewhere, "verify", "--rebuild", image, application, "-q")
        assert said.out.endswith(" reproduced\n")

        path, offset = CASES[name]
        tamper(tmp_path / "layout", "v1", "bad", top(content(path, offset, b"\xff")))
        bad = f"oci:{tmp_path}/layout:bad"
        done = ociassemble(*elsewhere, "verify", "--rebuild", bad, application, "-q", "--format", "json", status=7)
    differences = json.loads(done.out)["differences"]

    assert {(item["path"], item["field"], item["offset"]) for item in differences} == {(path, "content", offset)}
    assert len(differences) == max(1, len(both))


def _static(platform: str) -> images.Image:
    release = images.layer({"etc/os-release": 'ID="debian"\nVERSION_ID="13"\n'})
    return images.image([release], platform=platform, execution={})
