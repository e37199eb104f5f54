"""The most downloaded packages of Python's index, each an application: built, proved, imported under runc."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.interop.commands import Commands
from tests.interop.containers import Unpacked, usable
from tests.interop.test_debian_base_runs import Bases, bases

__all__ = ["bases"]

pytestmark = [pytest.mark.packages, pytest.mark.interop, pytest.mark.long]

VERSIONS = Path(__file__).parent / "most-downloaded-python.txt"
# Package -> the module that says it is there, where that is not its name.
MODULES = {
    "aiobotocore": "", "aiohttp": "", "attrs": "attr", "boto3": "", "botocore": "", "certifi": "", "cffi": "",
    "charset-normalizer": "charset_normalizer", "click": "", "cryptography": "cryptography.hazmat.bindings._rust",
    "filelock": "", "fsspec": "", "google-auth": "google.auth", "grpcio": "grpc", "idna": "",
    "importlib-metadata": "importlib_metadata", "jinja2": "", "jmespath": "", "markupsafe": "markupsafe._speedups",
    "numpy": "numpy.linalg", "packaging": "", "pandas": "", "pip": "", "platformdirs": "",
    "protobuf": "google.protobuf.descriptor_pb2", "pyasn1": "", "pycparser": "", "pydantic": "",
    "pydantic-core": "pydantic_core", "python-dateutil": "dateutil.tz", "pytz": "", "pyyaml": "yaml", "requests": "",
    "s3fs": "", "s3transfer": "", "setuptools": "", "six": "", "typing-extensions": "typing_extensions", "urllib3": "",
    "wheel": "",
}  # fmt: skip


def test_there_are_forty_and_each_is_frozen() -> None:
    frozen = {line.partition("==")[0] for line in VERSIONS.read_text().splitlines() if "==" in line}

    assert len(MODULES) == 40
    assert set(MODULES) <= frozen


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all: what one has fetched, the next need not."""
    return tmp_path_factory.mktemp("most-downloaded")


@pytest.mark.parametrize("package", MODULES)
def test_it_is_built_proved_and_imported(package: str, bases: Bases, cache: Path, tmp_path: Path) -> None:
    usable()
    module = MODULES[package] or package
    project = tmp_path / "project"
    project.mkdir()
    shutil.copyfile(VERSIONS, project / "versions.txt")
    (project / "requirements.txt").write_text(f"-c versions.txt\n{package}\n")
    (project / "main.py").write_text(
        f"import sys\nimport {module}\nprint('imported', sys.modules[{module!r}].__name__)\n"
    )
    layout = tmp_path / "layout"

    built = Commands(cache)(
        "build", project, "--base", f"oci:{bases.layout}:python3-nonroot", "--platform", "linux/amd64",
        "-o", f"oci:{layout}:it",
    )  # fmt: skip
    image = Unpacked(layout, "it", tmp_path / "unpacked")
    done = image.start(*image.config.cmd)

    warnings = [line for line in built.err.splitlines() if line.startswith("warning:")]
    assert not warnings
    assert (done.returncode, done.stdout) == (0, f"imported {module}\n"), done.stderr
