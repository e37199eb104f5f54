"""One digest on other machines: other users, versions of Python, and models of the CPU."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.digests import builds, fixture, hosts
from tests.digests.conftest import Shared
from tests.digests.test_one_digest import UV, check

QEMU = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
ON_AMD64 = os.uname().machine == "x86_64" and sys.platform == "linux"
# The smallest x86-64 there is, two generations with and without AVX2, and everything qemu knows.
MODELS = ("Nehalem", "qemu64", "Haswell", "EPYC", "max")
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
# Newer ones are tried where they happen to be.
PYTHONS = [
    minor
    for minor in ("3.11", "3.12", "3.13", "3.14", "3.15")
    if minor != HERE and (minor < "3.14" or hosts.interpreters(minor))
]


@pytest.mark.spec("DIGEST-2")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("kind", fixture.KINDS)
def test_another_user(kind: str, shared: Shared) -> None:
    python = hosts.for_everybody()
    if python is None:
        pytest.skip(f"no Python {HERE} that other users may run")
    packages = shared.folder / "packages"
    if not packages.exists():
        hosts.copied(shared.folder)
    found = builds.build(
        kind, shared.applications[kind], shared.inputs, shared.folder / f"nobody-{kind}",
        command=(str(python), "-m", "ociassemble"), user=hosts.NOBODY, umask=0o077,
        environment={"PYTHONPATH": str(packages)},
    )  # fmt: skip
    check(kind, found, "another user")
    layout = shared.folder / f"nobody-{kind}" / "image" / "index.json"
    assert layout.stat().st_uid == hosts.NOBODY


@pytest.mark.spec("DIGEST-2")
@pytest.mark.packages
@pytest.mark.parametrize("minor", PYTHONS)
def test_other_versions_of_python(minor: str, shared: Shared, tmp_path: Path) -> None:
    found = hosts.interpreters(minor)
    if not found:
        pytest.skip(f"Python {minor} is not installed")
    if not UV:
        pytest.skip("uv is not installed")
    try:
        python = hosts.environment_of(found[-1], UV)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no environment for Python {minor}: {error.stderr.decode(errors='replace')[-300:]}")
    command = (str(python), "-m", "ociassemble")
    for kind in fixture.KINDS:
        built = builds.build(kind, shared.applications[kind], shared.inputs, tmp_path / kind, command=command)
        check(kind, built, f"Python {minor}")
    for name in ("codecs", "sources"):
        done = builds.run((), shared.inputs, tmp_path, command=(str(python), "-m", f"tests.digests.{name}"))
        assert json.loads(done.stdout) == builds.golden()[name]


@pytest.mark.spec("DIGEST-2", "DIGEST-12")
@pytest.mark.interop
@pytest.mark.skipif(not QEMU or not ON_AMD64, reason="qemu-x86_64-static (qemu-user-static) is not installed")
@pytest.mark.parametrize("model", [MODELS[0], *(pytest.param(model, marks=pytest.mark.long) for model in MODELS[1:])])
def test_other_models_of_the_cpu(model: str, shared: Shared, tmp_path: Path) -> None:
    """A build, every codec, and a layer of each source, on a CPU without what this one has."""
    # The program itself and not its link in a virtual environment, whose settings are in PYTHONPATH then.
    command = (str(QEMU), "-cpu", model, os.path.realpath(sys.executable), "-S")
    paths = [str(builds.REPOSITORY), *(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))]
    environment = {"PYTHONPATH": os.pathsep.join(paths)}

    for name in ("codecs", "sources"):
        program = (*command, "-m", f"tests.digests.{name}", "2")
        done = builds.run((), shared.inputs, tmp_path, command=program, environment=environment)
        assert json.loads(done.stdout) == builds.golden()[name], builds.ADVICE_CODEC

    found = builds.build(
        "directory", shared.applications["directory"], shared.inputs, tmp_path / "out",
        command=(*command, "-m", "ociassemble"), environment=environment,
    )  # fmt: skip
    check("directory", found, model)
