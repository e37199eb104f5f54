"""A loopback mirror made of real packages: apt fetches and verifies them, our code then has to agree with apt."""

from __future__ import annotations

import hashlib
import lzma
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from ociassemble.errors import Error
from ociassemble.sources.debian import Suite, discover

_LIST = re.compile(
    r".*_dists_(?P<suite>[a-z-]+)_(?:(?P<release>InRelease)|main_binary-(?P<arch>[a-z0-9]+)_Packages\.xz)"
)


class Chosen(NamedTuple):
    """What apt would install."""

    filename: str
    size: int
    sha256: str


class RealMirror(NamedTuple):
    root: Path
    chosen: dict[str, Chosen]  # by package name


def real_mirror(
    folder: Path, suites: Sequence[Suite], packages: Sequence[str], *, architecture: str = "amd64"
) -> RealMirror:
    """`packages` of the real `suites` through the host's own apt, laid out below `folder` as a mirror."""
    if shutil.which("apt-get") is None:
        pytest.skip("apt-get is not installed")
    try:
        roots = discover(None).roots
    except Error as error:
        pytest.skip(f"apt knows no Debian archive on this host: {error}")
    keyring = folder / "keyring.gpg"
    keys = Path(__file__).parent.parent.parent / "ociassemble" / "attest" / "keys"
    keyring.write_bytes(b"".join(path.read_bytes() for path in sorted(keys.glob("*.gpg"))))
    apt = _Apt(folder, architecture)
    apt.sources(
        "".join(
            f"Types: deb\nURIs: {roots[suite.archive][0]}\nSuites: {suite.name}\nComponents: main\n"
            f"Signed-By: {keyring}\n\n"
            for suite in suites
            if suite.archive in roots
        )
    )
    apt("update")
    indexes: list[tuple[str, bytes]] = []
    archives = {suite.name: suite.archive for suite in suites}
    root = folder / "mirror"
    for path in sorted((folder / "state/lists").iterdir()):
        if match := _LIST.fullmatch(path.name):
            archive, data = archives[match["suite"]], path.read_bytes()
            dists = root / archive / "dists" / match["suite"]
            digest = hashlib.sha256(data).hexdigest()
            here = "InRelease" if match["release"] else f"main/binary-{match['arch']}/by-hash/SHA256/{digest}"
            _write(dists / here, data)
            if not match["release"]:
                indexes.append((archive, lzma.decompress(data)))
    apt("download", *packages)
    chosen: dict[str, Chosen] = {}
    for path in folder.glob("*.deb"):
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        # A security update that became part of a point release is in both archives.
        for archive, place in (found for item in indexes for found in _place(*item, sha256)):
            chosen[path.name.partition("_")[0]] = Chosen(place.rpartition("/")[2], len(data), sha256)
            _write(root / archive / place, data)
    return RealMirror(root, chosen)


def _place(archive: str, index: bytes, sha256: str) -> Iterator[tuple[str, str]]:
    """The archive and the path in it of the package with this hash, if the index has it."""
    at = index.find(b"\nSHA256: " + sha256.encode())
    if at >= 0:
        begin = index.rfind(b"\n\n", 0, at) + 1
        begin = index.index(b"\nFilename: ", begin) + len(b"\nFilename: ")
        yield archive, index[begin : index.index(b"\n", begin)].decode()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


class _Apt:
    """The host's apt, with every folder of its own below `folder`."""

    def __init__(self, folder: Path, architecture: str) -> None:
        self.folder = folder
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "apt.conf").write_text(
            f'Dir::State "{folder}/state";\nDir::State::status "{folder}/status";\nDir::Cache "{folder}/cache";\n'
            f'Dir::Etc::sourcelist "{folder}/trixie.sources";\nDir::Etc::sourceparts "/dev/null";\n'
            f'APT::Architecture "{architecture}";\nAPT::Architectures {{ "{architecture}"; }};\n'
            'APT::Sandbox::User "root";\nAcquire::Languages "none";\nAcquire::GzipIndexes "false";\n'
            'Acquire::IndexTargets::deb::Packages::KeepCompressed "true";\n'
            'Acquire::IndexTargets::deb::Packages::KeepCompressedAs "xz";\n'
            'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";\n'
        )

    def sources(self, text: str) -> None:
        (self.folder / "trixie.sources").write_text(text)

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            # Hosts made from container images switch apt's cache off; without it every run reads 57 MB again.
            [
                "apt-get",
                "-q",
                "-o",
                "Dir::Cache::pkgcache=pkg.bin",
                "-o",
                "Dir::Cache::srcpkgcache=src.bin",
                *arguments,
            ],
            cwd=self.folder,
            env={**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"apt-get {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout
