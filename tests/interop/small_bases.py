"""Small bases like those in the wild: an official python-slim, Wolfi's, Alpine's. Their programs cannot be run,
save those of the one that has this host's own Python.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import site
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from ociassemble.image.image import Image
from ociassemble.testing.images import Content, File, Folder, Link, image, layer, program

USRMERGE: dict[str, Content] = {
    **{name: Link(f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64")},
    **{f"usr/{name}": Folder() for name in ("bin", "sbin", "lib", "lib64")},
}
FOLDERS: dict[str, Content] = {
    "tmp": Folder(0o1777),
    "var/tmp": Folder(0o1777),
    "root": Folder(0o700),
    "home/nonroot": Folder(0o700, 65532, 65532),
    "usr/local/share": Folder(0o2775, 0, 50),  # Debian's own are like this: set-group-ID, of the group staff
}
GLIBC = b"\0GNU C Library (made for a test) stable release version 2.36.\0"
PATH = "PATH=/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _python(folder: str, minor: str) -> dict[str, Content]:
    return {
        f"{folder}/python{minor}": program(),
        f"{folder}/python3": Link(f"python{minor}"),
        f"{folder}/python": Link("python3"),
    }


def _apk(*packages: tuple[str, str]) -> str:
    return "\n".join(f"C:Q1abc=\nP:{name}\nV:{version}\nF:usr\n" for name, version in packages)


def slim(**options: object) -> Image:
    """Like an official `python:3.12-slim`: Debian 12, Python in /usr/local, root, no entrypoint."""
    bottom: dict[str, Content] = {
        **USRMERGE,
        **FOLDERS,
        "usr/lib/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "etc/os-release": Link("../usr/lib/os-release"),
        "usr/lib/x86_64-linux-gnu/libc.so.6": program(GLIBC),
        "usr/bin/perl": program(),
        "bin/sh": program(),
        "var/lib/dpkg/status": "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9+deb12u14\n",
        "var/cache/debconf/x": "",
    }
    python = {
        **_python("usr/local/bin", "3.12"),
        "usr/local/lib/python3.12/site-packages": Folder(),
        "usr/local/lib/python3.12/site-packages/pip/__init__.py": "",
        "var/cache/.wh.debconf": "",
        "tmp": Folder(0o1777),
    }
    layers = [layer(bottom), layer(python), layer({"usr/local/bin/idle": Link("idle3")})]
    history = [
        {"created": "2024-12-03T18:00:00Z", "created_by": "/bin/sh -c #(nop) ADD file:1 in /"},
        {"created": "2024-12-03T18:00:00Z", "created_by": 'CMD ["bash"]', "empty_layer": True},
        {"created": "2024-12-03T18:00:00Z", "created_by": "ENV PYTHON_VERSION=3.12.8", "empty_layer": True},
        {"created": "2024-12-03T18:00:00Z", "created_by": "RUN set -eux; ..."},
        {"created": "2024-12-03T18:00:00Z", "created_by": "RUN for src in idle3 ..."},
        {"created": "2024-12-03T18:00:00Z", "created_by": 'CMD ["python3"]', "empty_layer": True},
    ]
    env = [PATH, "LANG=C.UTF-8", "GPG_KEY=7169", "PYTHON_VERSION=3.12.8", "PYTHON_SHA256=c909"]
    return image(
        layers,
        execution={"Env": env, "Cmd": ["python3"]},
        created="2024-12-03T18:00:00Z",
        history=history,
        **options,  # type: ignore[arg-type]
    )


def wolfi(database: str = "usr/lib/apk/db/installed", **options: object) -> Image:
    """Like Chainguard's python: Wolfi's glibc and apk, one layer, the interpreter as entrypoint, nonroot."""
    files: dict[str, Content] = {
        **(USRMERGE if database.startswith("usr") else {"lib": Folder(), "usr/lib": Folder()}),
        **FOLDERS,
        "etc/os-release": 'ID=wolfi\nNAME="Wolfi"\nVERSION_ID="20230201"\n',
        "usr/lib/libc.so.6": program(),
        **_python("usr/bin", "3.13"),
        "usr/lib/python3.13/site-packages": Folder(),
        database: _apk(("glibc", "2.41-r3"), ("python-3.13-base", "3.13.1-r2"), ("python-3.13", "3.13.1-r2")),
    }
    execution = {
        "User": "65532",
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Entrypoint": ["/usr/bin/python"],
    }
    history = [{"author": "apko", "created": "2025-01-02T00:00:00Z", "created_by": "apko", "comment": "one layer"}]
    return image(
        [layer(files, dialect="pax")],
        execution=execution,
        created="2025-01-02T00:00:00Z",
        history=history,
        **options,  # type: ignore[arg-type]
    )


def alpine(minor: str = "3.13", machine: str = "x86_64", **options: object) -> Image:
    """Like an official `python:3.13-alpine`: musl, Python in /usr/local."""
    loader = f"ld-musl-{machine}.so.1"
    files: dict[str, Content] = {
        **FOLDERS,
        "lib": Folder(),
        "bin": Folder(),
        "bin/busybox": File(b"\x7fELF", 0o755),
        "bin/sh": Link("/bin/busybox"),
        "etc/os-release": "ID=alpine\nVERSION_ID=3.21.0\n",
        f"lib/{loader}": program(),
        f"lib/libc.musl-{machine}.so.1": Link(loader),
        "lib/apk/db/installed": _apk(("musl", "1.2.5-r8")),
    }
    layers = [layer(files), layer(_python("usr/local/bin", minor))]
    env = [PATH, f"PYTHON_VERSION={minor}.1"]
    return image(layers, execution={"Env": env, "Cmd": ["python3"]}, **options)  # type: ignore[arg-type]


def of_this_host() -> Image:
    """Like python-slim, with the interpreter that runs the tests: what it needs of this host, in /usr/local.

    Skips where that is not a Python that may be moved.
    """
    if shutil.which("ldd") is None or platform.libc_ver()[0] != "glibc":
        pytest.skip("this host has no glibc, or no ldd to ask what Python needs")
    if any("dist-packages" in folder for folder in site.getsitepackages([sys.base_prefix])):
        pytest.skip("this host's Python is Debian's, which looks for packages elsewhere")
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    binary = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    library = Path(sysconfig.get_path("stdlib"))
    left_out = {"test", "idlelib", "tkinter", "ensurepip", "lib2to3", "site-packages", "__pycache__", "turtledemo"}
    python: dict[str, Content] = {
        f"usr/local/bin/python{minor}": program(binary.read_bytes()),
        "usr/local/bin/python3": Link(f"python{minor}"),
        "usr/local/bin/python": Link("python3"),
        f"usr/local/lib/python{minor}/site-packages": Folder(),
    }
    modules: list[Path] = []
    for folder, folders, files in os.walk(library):
        folders[:] = sorted(name for name in folders if name not in left_out and not name.startswith("config-"))
        for name in sorted(files):
            place = Path(folder, name)
            python[f"usr/local/lib/python{minor}/{place.relative_to(library)}"] = File(place.read_bytes())
            modules += [place] * place.name.endswith(".so")
    said = subprocess.run(["ldd", binary, *modules], capture_output=True, text=True, check=True).stdout
    needed = {Path(path) for path in re.findall(r"(/\S+) \(0x", said)}
    system: dict[str, Content] = {**USRMERGE, **FOLDERS, "etc/os-release": "ID=debian\n"}
    for place in sorted(needed):
        where = "usr/lib64" if place.name.startswith("ld-linux") else "usr/lib"
        system[f"{where}/{place.name}"] = program(place.read_bytes())
    env = [PATH, "LANG=C.UTF-8", f"PYTHON_VERSION={platform.python_version()}"]
    layers = [layer(system), layer(python)]
    return image(layers, platform=f"linux/{platform.machine()}", execution={"Env": env, "Cmd": ["python3"]})
