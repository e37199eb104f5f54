"""Real poetry, of two generations, over real projects: what we read out of its locks is what it exports (LOCK-27, 28).

Poetry is installed from the configured index into an environment of its own, and told that index as its source.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ociassemble.lock.uv import find
from tests.lock.test_poetry import chosen, read

pytestmark = [pytest.mark.packages, pytest.mark.long]

CLASSIC = """
[tool.poetry]
name = "classic"
version = "0.1.0"
description = ""
authors = []
package-mode = false
[tool.poetry.dependencies]
python = "^3.11"
flask = "^3.0"
requests = {version = "*", extras = ["socks"]}
uvicorn = {version = "*", optional = true, extras = ["standard"]}
numpy = [{version = "<2.3", python = "<3.12"}, {version = ">=2.3", python = ">=3.12"}]
[tool.poetry.extras]
web = ["uvicorn"]
[tool.poetry.group.dev.dependencies]
pytest = "*"
click = "*"
[tool.poetry.group.docs]
optional = true
[tool.poetry.group.docs.dependencies]
markdown = "*"
"""
STANDARD = """
[project]
name = "standard"
version = "0.1.0"
requires-python = ">=3.11,<4"
dependencies = ["fastapi[standard]>=0.110", "sqlalchemy>=2", "tzdata; sys_platform == 'win32'"]
[project.optional-dependencies]
pg = ["psycopg[binary]"]
[dependency-groups]
test = ["pytest", "httpx"]
[tool.poetry]
package-mode = false
"""
SCIENCE = """
[tool.poetry]
name = "science"
version = "0.1.0"
description = ""
authors = []
package-mode = false
[tool.poetry.dependencies]
python = ">=3.11,<3.15"
pandas = "*"
django = "~5.2"
boto3 = {version = "*", markers = "platform_machine != 's390x'"}
celery = {version = "^5", extras = ["redis", "msgpack"]}
"""
CHOICES: dict[str, tuple[str, list[tuple[tuple[str, ...], tuple[str, ...]]]]] = {
    "classic": (CLASSIC, [((), ()), (("dev",), ()), ((), ("web",)), (("dev", "docs"), ("web",))]),
    "standard": (STANDARD, [((), ()), ((), ("pg",)), (("test",), ("pg",))]),
    "science": (SCIENCE, [((), ())]),
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The index that uv uses here."""
    empty = tmp_path_factory.mktemp("index") / "requirements.in"
    empty.write_text("")
    said = subprocess.run(
        [uv(), "pip", "compile", "--offline", "--emit-index-url", empty], capture_output=True, text=True, check=True
    )
    found = re.search(r"--index-url (\S+)", said.stdout)
    assert found, said.stdout
    return found[1]


def uv() -> str:
    found = find(environment=os.environ, prefix=Path(sys.prefix), python=Path(sys.executable))
    assert found is not None
    return str(found)


@pytest.fixture(scope="module", params=["poetry>=2.3 poetry-plugin-export", "poetry<2 poetry-plugin-export<1.9"])
def poetry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bool]:
    """The program, and whether it is an old one."""
    folder = tmp_path_factory.mktemp("poetry")
    subprocess.run([uv(), "venv", "-q", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([uv(), "pip", "install", "-q", "--python", python, *request.param.split()], check=True)
    return str(folder / "bin" / "poetry"), "<2" in request.param


def exported(program: str, folder: Path, groups: Sequence[str], extras: Sequence[str]) -> list[Requirement]:
    command = [program, "export", "-n", "-f", "requirements.txt", "--without-hashes"]
    command += [word for group in groups for word in ("--with", group)]
    command += [word for extra in extras for word in ("-E", extra)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    lines = (line.strip() for line in done.stdout.splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


@pytest.mark.spec("LOCK-27", "LOCK-28", "LOCK-30")
@pytest.mark.parametrize("name", CHOICES)
def test_what_is_chosen_is_what_poetry_exports(name: str, poetry: tuple[str, bool], index: str, tmp_path: Path) -> None:
    program, old = poetry
    project, choices = CHOICES[name]
    if old and "[project]" in project:  # which the old one does not know
        project = CLASSIC.replace('"*"', '">=0.1"')
        choices = CHOICES["classic"][1]
    source = f'[[tool.poetry.source]]\nname = "here"\nurl = "{index}"\npriority = "primary"\n'
    (tmp_path / "pyproject.toml").write_text(project + source)
    environment = {**os.environ, "POETRY_CACHE_DIR": str(tmp_path / "cache"), "POETRY_VIRTUALENVS_CREATE": "false"}
    subprocess.run([program, "lock", "-n"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    files = {path: (tmp_path / path).read_bytes() for path in ("poetry.lock", "pyproject.toml")}

    for groups, extras in choices:
        lock, said = read(files, groups, extras), exported(program, tmp_path, groups, extras)
        for python in ("3.11", "3.12", "3.13", "3.14"):
            environment_of = {
                "python_version": python,
                "python_full_version": f"{python}.1",
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
                "platform_machine": "x86_64",
                "sys_platform": "linux",
                "platform_system": "Linux",
                "os_name": "posix",
            }
            wanted = {
                canonicalize_name(item.name): str(item.specifier).lstrip("=")
                for item in said
                if item.marker is None or item.marker.evaluate(environment_of)
            }
            assert chosen(lock, python) == wanted, (groups, extras, python)
            assert wanted
