"""Our own image, built with itself, is a step of a pipeline as strict clusters run it.

An arbitrary user that no database of users knows, group 0, a read-only root, no capability, a tmpfs on /tmp and
nothing else to write to (what OpenShift's default asks for): it builds an example and pushes it.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ociassemble.registry.server import serve
from ociassemble.runtime.runc import container_spec
from tests.interop.commands import Commands
from tests.interop.containers import usable
from tests.interop.products import document_at, entries
from tests.interop.test_debian_base_runs import Bases, bases
from tests.peers import require
from tests.runtime.layouts import request_of

__all__ = ["bases"]

pytestmark = [pytest.mark.packages, pytest.mark.interop]

REPOSITORY = Path(__file__).parent.parent.parent
USER = 1000660000  # of no passwd, as OpenShift gives them to namespaces
LIMIT = 60_000_000  # bytes, compressed
# Names, servers and authorities are the host's business, not the image's.
_FROM_HOST = ("/etc/resolv.conf", "/etc/hosts")
_TRUST = "/etc/ssl/certs/ca-certificates.crt"


class Step:
    """The image, unpacked: each call is one container, as a cluster would start it."""

    def __init__(self, layout: Path, folder: Path) -> None:
        self._request, self._folder = request_of(layout, "own"), folder
        require("umoci")("unpack", "--image", f"{layout}:own", folder / "bundle")
        self._runc = require("runc", "--root", str(folder / "state"))

    def __call__(self, *words: str, project: Path, environment: dict[str, str]) -> tuple[int, str, str]:
        place = self._folder / "bundle" / "config.json"
        spec: dict[str, Any] = container_spec(
            json.loads(place.read_bytes()), self._request, environment, from_host=list(_FROM_HOST)
        )
        spec["process"] |= {"user": {"uid": USER, "gid": 0}, "args": [*self._request.config.entrypoint, *words]}
        mounts = [(str(project), "/workspace")]
        if trusted := ssl.get_default_verify_paths().cafile:
            mounts.append((trusted, _TRUST))
        spec["mounts"] += [
            {"destination": inside, "type": "bind", "source": outside, "options": ["bind", "ro"]}
            for outside, inside in mounts
        ]
        spec["process"]["cwd"] = "/workspace"
        bundle = self._folder / "step"
        shutil.rmtree(bundle, ignore_errors=True)
        bundle.mkdir()
        spec["root"] = {"path": str(self._folder / "bundle" / "rootfs"), "readonly": True}
        (bundle / "config.json").write_text(json.dumps(spec))
        done = self._runc("run", "--bundle", bundle, f"own-{self._folder.name}", check=False)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def layout(bases: Bases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make image` builds it, for one platform, on the base that the other tests have assembled."""
    folder = tmp_path_factory.mktemp("own") / "layout"
    base = f"oci:{bases.layout}:python3-nonroot"
    command = ["build", str(REPOSITORY), "--base", base, "--platform", "linux/amd64", "--no-lock"]
    # A process of its own: the guard at this one's sockets is opened by a test, not by what tests share.
    done = subprocess.run(
        [sys.executable, "-m", "ociassemble", *command, "-o", f"oci:{folder}:own"],
        env={"PATH": os.environ["PATH"], **bases.commands().environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def step(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Step:
    usable()
    folder = tmp_path_factory.mktemp("own-step")
    for above in (folder, *folder.parents):
        # Whoever the container's user is must reach the files that are bound into it.
        if above.stat().st_uid == 0 and not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    return Step(layout, folder)


def test_it_is_small(layout: Path) -> None:
    manifest = document_at(layout, entries(layout)["own"])

    assert sum(layer["size"] for layer in manifest["layers"]) < LIMIT


def test_it_has_the_package_and_nothing_else_of_the_repository(layout: Path, step: Step) -> None:
    root = step._folder / "bundle" / "rootfs" / "app"

    assert {path.name for path in root.iterdir()} == {"ociassemble", "LICENSE", "pyproject.toml"}


def test_it_builds_and_pushes_as_an_arbitrary_user_on_a_read_only_root(
    bases: Bases, step: Step, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = step._folder / "project"
    shutil.copytree(REPOSITORY / "examples" / "python-flask", project)
    # A module of the project that would stand in for one of ours, were it on Python's path.
    (project / "click.py").write_text("raise SystemExit('the project was imported')\n")
    with serve("127.0.0.1", 0, tmp_path / "registry") as registry:
        host = bases.commands()
        base = f"{registry.host}/distroless/python3-debian13:nonroot"
        host("copy", f"oci:{bases.layout}:python3-nonroot", base)
        same = ("--locked", "--registry-mirror", f"gcr.io={registry.host}", "--push", "-t")
        status, out, err = step("build", ".", *same, f"{registry.host}/inside:v1", project=project, environment={})
        assert status == 0, err
        outside = Commands(tmp_path)("build", project, *same, f"{registry.host}/outside:v1").out

    assert out.startswith(f"{registry.host}/inside@sha256:")
    assert out.rpartition("@")[2] == outside.rpartition("@")[2]


def test_it_says_what_is_wrong_and_leaves_no_traceback(step: Step, tmp_path: Path) -> None:
    project = step._folder / "empty"
    project.mkdir()

    status, out, err = step("build", "missing", "-o", "oci:/tmp/x", project=project, environment={})

    assert (status, out) == (3, "")
    assert "Traceback" not in err and "`missing`" in err
