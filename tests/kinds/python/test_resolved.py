"""Against uv itself: what its locks hold is selected as uv would select it (needs a package index)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from ociassemble.kinds.protocol import Resolution, ResolveRequest
from ociassemble.kinds.python.errors import LockedHashError, NoWheelError
from ociassemble.kinds.python.kind import Python
from ociassemble.kinds.python.target import machine
from ociassemble.project import reading
from ociassemble.project.settings import Settings
from tests.kinds.python import samples

pytestmark = pytest.mark.packages
# Few packages with many wheels: asking an index takes most of the time here.
WANTED = "markupsafe==3.0.2\ncolorama==0.4.6 ; sys_platform == 'win32'\n"
WRONG = WANTED.replace("3.0.2\n", f"3.0.2 --hash=sha256:{'0' * 64}\n") + "psycopg2==2.9.10\n"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("uv"))


def uv(folder: Path, *arguments: str) -> str:
    program = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if program is None:
        pytest.skip("uv is not installed")
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def compiled(folder: Path, cache: str, *arguments: str) -> str:
    common = ("--python-version", "3.13", "--only-binary", ":all:", "--format", "pylock.toml", "--quiet")
    return uv(folder, "pip", "compile", "requirements.txt", "--cache-dir", cache, *arguments, *common)


class Universal(NamedTuple):
    request: ResolveRequest
    text: str


@pytest.fixture(scope="module")
def universal(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Universal:
    """A lock for all platforms, made of requirements with a wrong hash and a package without wheels for Linux."""
    folder = tmp_path_factory.mktemp("universal")
    project = samples.project(folder, {"requirements.txt": WRONG, "main.py": ""})
    request = Python().request(project, Settings(), None)
    assert request is not None
    return Universal(request, compiled(folder, cache, "--universal"))


@pytest.mark.parametrize("platform", ["linux/arm64"])
def test_one_universal_lock_gives_what_uv_chooses_for_a_platform(
    platform: str, universal: Universal, cache: str, tmp_path: Path
) -> None:
    facts = samples.distroless(platform)._replace(libc_version="2.40")  # the newest that uv knows by name
    request = universal.request._replace(required_hashes=(), provided=("psycopg2",))
    ours = Python().select(request, Resolution("pylock", universal.text), facts)
    samples.project(tmp_path, {"requirements.txt": WANTED})
    theirs = tomllib.loads(compiled(tmp_path, cache, "--python-platform", f"{machine(facts.platform)}-manylinux_2_40"))
    expected = {item["name"]: item["wheels"] for item in theirs["packages"]}
    assert {item.name for item in ours} == set(expected) == {"markupsafe"}
    for item in ours:
        hashes = {wheel["hashes"]["sha256"]: wheel["size"] for wheel in expected[item.name]}
        assert hashes[item.artifact.digest.hex] == item.artifact.size


@pytest.mark.spec("PY-6")
def test_a_hash_that_uv_ignores_is_enforced(universal: Universal) -> None:
    request = universal.request._replace(provided=("psycopg2",))
    with pytest.raises(LockedHashError, match=r"no wheel of `markupsafe` 3\.0\.2 has a hash"):
        Python().select(request, Resolution("pylock", universal.text), samples.distroless())


@pytest.mark.spec("PY-13")
def test_a_package_without_a_wheel_for_linux(universal: Universal) -> None:
    request = universal.request._replace(required_hashes=())
    with pytest.raises(NoWheelError) as caught:
        Python().select(request, Resolution("pylock", universal.text), samples.distroless())
    assert any("win_amd64" in line for line in caught.value.details)
    assert "psycopg2-binary" in (caught.value.hint or "")


def test_an_uv_lock_and_its_local_packages(cache: str, tmp_path: Path) -> None:
    member = (
        '[project]\nname = "core"\nversion = "1"\ndependencies = ["click"]\n[build-system]\nrequires = ["hatchling"]\n'
    )
    project = samples.project(
        tmp_path,
        {
            "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\n'
            'dependencies = ["core", "itsdangerous"]\n[tool.uv.workspace]\nmembers = ["libs/*"]\n'
            "[tool.uv.sources]\ncore = { workspace = true }\n",
            "libs/core/pyproject.toml": member,
            "libs/core/src/core/__init__.py": "",
            "main.py": "import core\n",
        },
    )
    uv(tmp_path, "lock", "--quiet", "--cache-dir", cache)
    project = reading.read(tmp_path)
    kind, facts = Python(), samples.distroless()
    request = kind.request(project, Settings(), facts)
    assert request is not None
    assert request.inputs == ("uv.lock", "pyproject.toml", "libs/core/pyproject.toml")
    # As the resolver is run: on copies of the inputs, offline.
    copies = tmp_path / "copies"
    for name in request.inputs:
        (copies / name).parent.mkdir(parents=True, exist_ok=True)
        (copies / name).write_bytes((tmp_path / name).read_bytes())
    text = uv(
        copies,
        "export",
        "--cache-dir",
        cache,
        "--frozen",
        "--offline",
        "--format",
        "pylock.toml",
        "--no-dev",
        "--quiet",
    )
    chosen = kind.select(request, Resolution("pylock", text), facts)
    assert [item.name for item in chosen] == ["click", "itsdangerous"]
    (last,) = (layer for layer in kind.plan(project, Settings(), facts, chosen).layers if layer.role == "application")
    paths = {getattr(source, "path", ""): getattr(source, "text", "") for source in last.sources}
    assert paths["/usr/local/lib/python3.13/dist-packages/ociassemble.pth"] == "/app/libs/core/src\n"
