"""Other Pythons, users and CPUs of this machine, ready to run the package with."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.digests.builds import REPOSITORY

NOBODY = 65534
# Before pytest gives each test a home of its own.
_PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
_SAYS = "import sys, sysconfig; print(sys.version_info[0], sys.version_info[1], sysconfig.get_config_var('SOABI'))"


def interpreters(minor: str) -> list[Path]:
    """CPythons of this minor version: on PATH, and pyenv's."""
    named = [shutil.which(f"python{minor}"), *map(str, sorted(_PYENV.glob(f"versions/{minor}.*/bin/python{minor}")))]
    return [Path(name) for name in named if name and _abi(Path(name), f"cpython-{minor.replace('.', '')}-")]


def _abi(python: Path, start: str, user: int | None = None) -> bool:
    """Whether it runs (as `user`), and takes extension modules of an ABI that begins with `start`."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", _SAYS], capture_output=True, text=True, timeout=60, check=False, cwd="/",
            user=user, group=user, extra_groups=None if user is None else [],
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.split()[-1].startswith(start)


def for_everybody() -> Path | None:
    """A Python that nobody may run, too, and that takes our own extension modules."""
    abi = str(sysconfig.get_config_var("SOABI"))
    own = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    base = getattr(sys, "_base_executable", sys.executable)
    candidates = [base, shutil.which(own), f"/usr/bin/{own}", f"/usr/local/bin/{own}"]
    return next((Path(name) for name in candidates if name and _abi(Path(name), abi, NOBODY)), None)


def copied(folder: Path) -> Path:
    """The package and all it depends on, copied to a folder for PYTHONPATH that everybody may read."""
    target = folder / "packages"
    shutil.copytree(REPOSITORY / "ociassemble", target / "ociassemble", ignore=shutil.ignore_patterns("__pycache__"))
    for name in dict.fromkeys(_closure(*_required())):
        for file in importlib.metadata.files(name) or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                place = target / file
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), place)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


def _closure(*names: str) -> Iterator[str]:
    """Distributions needed by `names`, as far as they are installed."""
    seen: set[str] = set()
    todo = list(names)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            needed = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        yield name
        todo += [re.split(r"[^A-Za-z0-9._-]", line)[0] for line in needed if "extra ==" not in line]


def _required() -> tuple[str, ...]:
    """The package's own requirements, as pyproject.toml states them."""
    import tomllib

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    return tuple(re.split(r"[^A-Za-z0-9._-]", line)[0] for line in project["dependencies"])


def environment_of(python: Path, uv: str) -> Path:
    """A virtual environment of `python` with our dependencies, kept in .make/ until pyproject.toml changes."""
    pyproject = REPOSITORY / "pyproject.toml"
    version = subprocess.run([str(python), "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    place = REPOSITORY / ".make" / f"digests-{version}-{zlib.crc32(pyproject.read_bytes()):08x}"
    if not (place / "ready").exists():
        for arguments in (
            ["venv", "--quiet", "--clear", "--python", str(python), str(place)],
            ["pip", "install", "--quiet", "--python", str(place), "--requirements", str(pyproject)],
        ):
            subprocess.run([uv, *arguments], check=True, timeout=600, capture_output=True)
        (place / "ready").touch()
    return place / "bin" / "python"
