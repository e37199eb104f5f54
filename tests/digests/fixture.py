"""What is built here: an application, a folder, their wheels and a base, all made by hand and equal everywhere.

Nothing of it comes out of a compressor or a clock of this machine, so that its digests can be committed: deflate
streams are written in stored blocks, except for one that is committed as it is. Shares no writing code with the
package.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.formats import tar_builder as tar
from tests.formats.zip_builder import Member, archive
from tests.layer.wheel_builder import row

PLATFORMS = ("linux/amd64", "linux/arm64")
EPOCH = "1700000000"  # 2023-11-14T22:13:20Z
KINDS = ("python", "directory")

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_TAR = "application/vnd.oci.image.layer.v1.tar"
_DOCKER = {
    _MANIFEST: "application/vnd.docker.distribution.manifest.v2+json",
    _INDEX: "application/vnd.docker.distribution.manifest.list.v2+json",
    _CONFIG: "application/vnd.docker.container.image.v1+json",
    _TAR: "application/vnd.docker.image.rootfs.diff.tar",
    f"{_TAR}+gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


def noise(seed: str, size: int) -> bytes:
    """Bytes that no compressor makes smaller."""
    blocks = (hashlib.sha256(f"{seed} {number}".encode()).digest() for number in range(-(-size // 32)))
    return b"".join(blocks)[:size]


def prose(seed: str, size: int) -> bytes:
    """Text that compresses about as source code does."""
    words = [noise(f"{seed} word {number}", 4).hex()[: 2 + number % 7] for number in range(500)]
    picked = (words[byte * 7 % 500] if byte < 230 else f"{byte}\n" for byte in noise(seed, size // 4))
    return " ".join(picked).encode().ljust(size, b"#")[:size]


def stored(data: bytes) -> bytes:
    """A deflate stream (RFC 1951) that compresses nothing."""
    blocks = [data[at : at + 0xFFFF] for at in range(0, len(data), 0xFFFF)] or [b""]
    return b"".join(
        bytes([number == len(blocks)]) + len(block).to_bytes(2, "little") + (len(block) ^ 0xFFFF).to_bytes(2, "little")
        + block
        for number, block in enumerate(blocks, 1)
    )  # fmt: skip


def gzip(data: bytes) -> bytes:
    trailer = binascii.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes.fromhex("1f8b08000000000002ff") + stored(data) + trailer


# --- wheels --------------------------------------------------------------------------------------------------

_POEM = b"".join(b"%d bottles of beer on the wall\n" % number for number in range(99, 0, -1))
# What zlib 1.2.13 makes of it at level 9: one stream that is really compressed.
_POEM_DEFLATED = bytes.fromhex(
    "85d6c14d04310c40d13b55a404e2c44eb61c569a15871123c148b44f078ff3bf3dc5761e8ff6bceefb3c7edaf56acfe3f86e"
    "d757bb3f8ff6fb719e6f8fedbc9ccb399da7f3700ee7eefccebcadb6adb6adb6adb6adb6adb6adb6adb6adb6adb6acb6acb6"
    "acb6acb6acb6acb6acb6acb6acb6ac56562bab95d5ca6a65b5b25a59adac56562baba5d5d26a69b5b45a5a2dad96564baba5"
    "d5d26ad36ad36ad36ad36ad36ad36ad36ad36ad36ad36ac36ac36ac36ac36ac36ac36ac36ac36ac36ac36a61b5b05a582dac"
    "16560bab85d5c26a61b5b05ab75ab75ab75ab75ab75ab75ab75ab75ab75ab7da3fdf359f679f21af5baf158f8f9f893958ff"
    "00"
)


class Wheel(NamedTuple):
    filename: str
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def wheel(
    name: str, tag: str, files: Mapping[str, bytes], *, modes: Mapping[str, int] | None = None, entry: str = ""
) -> Wheel:
    info = f"{name}-1.0.dist-info"
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    if entry:
        content[f"{info}/entry_points.txt"] = entry.encode()
    record = "".join(f"{row(path, data)}\n" for path, data in content.items()) + f"{info}/RECORD,,\n"
    content[f"{info}/RECORD"] = record.encode()
    members = [
        Member(
            path,
            data,
            mode=(modes or {}).get(path, 0o100644),
            packed=_POEM_DEFLATED if data == _POEM else stored(data),
        )
        for path, data in content.items()
    ]
    return Wheel(f"{name}-1.0-{tag}.whl", archive(members))


def wheels() -> tuple[Wheel, ...]:
    """A big one (a layer of its own), small ones with all that installers map, and one for each platform."""
    return (
        wheel(
            "alpha",
            "py3-none-any",
            {
                "alpha/__init__.py": b"from alpha.data import DATA\n",
                "alpha/data.bin": noise("alpha", 700_000),
                "alpha/text.txt": prose("alpha", 600_000),
            },
        ),
        wheel(
            "beta",
            "py3-none-any",
            {
                "beta/__init__.py": b"def main():\n    print('beta')\n",
                "beta/Zoo.py": b"Z = 1\n",
                "beta/_a.py": b"A = 1\n",
                "beta/a-b.py": b"",
                "beta/a/b.py": b"B = 1\n",
                "beta/n\u00e4me, \u65e5\u672c.txt": "\u00e4\u0308\n".encode(),
                "beta/poem.txt": _POEM,
                "beta/tool.sh": b"#!/bin/true\n",
                "beta-1.0.data/scripts/beta-raw": b"#!python\nprint('raw')\n",
                "beta-1.0.data/data/share/beta/x.conf": b"[x]\n",
                "beta-1.0.data/headers/beta.h": b"#define BETA 1\n",
                f"beta/{'long/' * 25}path.py": b"LONG = 1\n",
            },
            modes={"beta/tool.sh": 0o100755},
            entry="[console_scripts]\nbeta = beta:main\nbeta-too = beta:main\n",
        ),
        *(
            wheel("gamma", f"cp313-cp313-manylinux_2_28_{machine}", {"gamma.so": noise(machine, 5000)})
            for machine in ("x86_64", "aarch64")
        ),
    )


# --- the application -----------------------------------------------------------------------------------------


class File(NamedTuple):
    path: str
    data: bytes = b""
    mode: int = 0o644
    target: str = ""  # of a symlink


def application(kind: str) -> tuple[File, ...]:
    """Names that sort differently in different locales, long ones, links, an empty folder, more than one block."""
    common = (
        File("B.txt", b"B\n"),
        File("_c.txt", b"_c\n"),
        File("a.txt", b"a\n"),
        File("a/z.txt", b"z\n"),
        File("a-b/y.txt", b"y\n"),
        File("A/x.txt", b"x\n"),
        File("\u00e4\u00f6.txt", "\u00e4\u00f6\n".encode()),
        File("a\u0308-nfd.txt", b"decomposed\n"),
        File("\u65e5\u672c/\U0001f40d.txt", b"snake\n"),
        File("\uff21.txt", b"behind the surrogates in UTF-16\n"),
        File("bin/tool", b"#!/bin/true\n", 0o755),
        File("bin/link", target="tool"),
        File("empty/"),
        File("data/prose.txt", prose("application", 700_000)),
        File("data/noise.bin", noise("application", 300_000)),
        File(f"deep/{'folder-of-some-length/' * 6}file-with-a-name.txt", b"deep\n"),
        File(".dockerignore", b"*.log\nnode_modules\n"),
        File("left.log", b"not packed\n"),
    )
    if kind == "directory":
        return common
    return (
        *common,
        File("main.py", b"import demo\n\ndemo.main()\n"),
        File("src/demo/__init__.py", b"def main():\n    print('demo')\n"),
        File("pyproject.toml", b'[project]\nname = "demo"\nversion = "1.0"\ndependencies = ["alpha", "beta", "gamma"]\n'
                               b'[project.scripts]\ndemo = "demo:main"\n[build-system]\nrequires = ["hatchling"]\n'
                               b'build-backend = "hatchling.build"\n'),
        File("pylock.toml", pylock(wheels())),
        File("requirements.txt", requirements(wheels())),
        File(
            "ociassemble.toml",
            # The start is said: the digests are of what is assembled, not of how a kind starts a script.
            'env = { ZED = "1", ALPHA = "\u00e4" }\nlabels = { "z.label" = "z", "a.label" = "a" }\n'
            'entrypoint = ["python"]\ncmd = ["-c", "import sys; from demo import main; sys.exit(main())"]\n'.encode(),
        ),
    )  # fmt: skip


def pylock(found: Iterable[Wheel]) -> bytes:
    text = 'lock-version = "1.0"\ncreated-by = "hand"\n'
    by_name: dict[str, list[Wheel]] = {}
    for wheel in found:
        by_name.setdefault(wheel.filename.partition("-")[0], []).append(wheel)
    for name, items in by_name.items():
        text += f'\n[[packages]]\nname = "{name}"\nversion = "1.0"\n'
        for wheel in items:
            text += (
                f'[[packages.wheels]]\nname = "{wheel.filename}"\nurl = "https://registry.example/{wheel.filename}"\n'
                f'size = {len(wheel.data)}\nhashes = {{ sha256 = "{wheel.sha256}" }}\n'
            )
    return text.encode()


def requirements(found: Iterable[Wheel]) -> bytes:
    by_name: dict[str, list[str]] = {}
    for wheel in found:
        by_name.setdefault(wheel.filename.partition("-")[0], []).append(f" --hash=sha256:{wheel.sha256}")
    return "".join(f"{name}==1.0 \\\n   {' '.join(hashes)}\n" for name, hashes in by_name.items()).encode()


def write(files: Sequence[File], folder: Path) -> None:
    """The files, in the order given; the umask of this process decides on their other permissions."""
    folder.mkdir(parents=True)
    for file in files:
        path = folder / file.path
        if file.path.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.target:
            path.symlink_to(file.target)
            continue
        path.write_bytes(file.data)
        if file.mode & 0o100:
            path.chmod(path.stat().st_mode | 0o100)


# --- the base ------------------------------------------------------------------------------------------------


def _directory(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> bytes:
    numbers = {"mode": tar.octal(mode, 8), "uid": tar.octal(uid, 8), "gid": tar.octal(gid, 8)}
    return tar.block(f"{path}/".encode(), type=b"5", **numbers)


def _base_layers(architecture: str) -> tuple[tuple[str, bytes, bytes], ...]:
    """(media type, blob, tar) each: like Debian's, with links, a sticky folder, and owners of its own."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[architecture]
    system = b"".join(
        (
            _directory("usr"), _directory("usr/bin"), _directory("usr/lib"), _directory(f"usr/lib/{machine}-linux-gnu"),
            tar.block(b"bin", type=b"2", link=b"usr/bin", mode=b"0000777\0"),
            tar.block(b"lib", type=b"2", link=b"usr/lib", mode=b"0000777\0"),
            _directory("tmp", 0o1777), _directory("var"), _directory("usr/local", 0o2775, 0, 50),
            _directory("etc"), tar.file(b"etc/os-release", b'ID=debian\nVERSION_ID="13"\n'),
            tar.file(f"usr/lib/{machine}-linux-gnu/libc.so.6".encode(), noise(machine, 900)),
            _directory("var/lib"), _directory("var/lib/dpkg"), _directory("var/lib/dpkg/status.d"),
            tar.file(b"var/lib/dpkg/status.d/libc6", b"Package: libc6\nVersion: 2.41-12\n"),
            tar.END,
        )
    )  # fmt: skip
    python = b"".join(
        (
            tar.file(b"usr/bin/python3.13", noise(f"python {machine}", 2000), mode=b"0000755\0"),
            tar.block(b"usr/bin/python3", type=b"2", link=b"python3.13", mode=b"0000777\0"),
            tar.file(b"var/lib/dpkg/status.d/python3.13-minimal", b"Package: python3.13-minimal\nVersion: 3.13.5-2\n"),
            _directory("srv", 0o750, 1000, 1000),
            tar.END,
        )
    )
    return (f"{_TAR}+gzip", gzip(system), system), (_TAR, python, python)


class Flavour(NamedTuple):
    """A base like another one, and yet not it."""

    docker: bool = False  # of Docker's schema 2, with what Docker's builder leaves behind
    moved: bool = False  # a later release of the same: one more layer, another label


def write_base(folder: Path, flavour: Flavour = Flavour()) -> None:  # noqa: B008
    """The base as an OCI layout with an index over both platforms: no `created`, no `history`, keys of its own."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(media_type: str, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": _DOCKER.get(media_type, "") if flavour.docker else media_type,
                "digest": f"sha256:{digest}", "size": len(data)}  # fmt: skip

    manifests = []
    for platform in PLATFORMS:
        architecture = platform.partition("/")[2]
        layers = list(_base_layers(architecture))
        if flavour.moved:
            security = tar.file(b"etc/security", b"fixed\n") + tar.END
            layers.append((_TAR, security, security))
        config: dict[str, Any] = {
            "architecture": architecture,
            "os": "linux",
            "config": {
                "User": "65532",
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
                "Entrypoint": ["/usr/bin/python3.13"],
                "Labels": {"org.example.base": "moved" if flavour.moved else "yes"},
                "example.unknown": {"z": 1, "a": [1.5, 100.0, 1e-7, True, None, "\u00e4"]},
            },
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(plain).hexdigest()}" for _, _, plain in layers],
            },
            "example.other": "kept",
        }
        if flavour.docker:
            config |= {
                "created": "2024-05-06T07:08:09.123456789Z",
                "docker_version": "20.10",
                "container": "0" * 64,
                "container_config": {"Hostname": "builder"},
                "history": [
                    {"created": "2024-05-06T07:08:09Z", "created_by": "ADD file"},
                    {"created": "2024-05-06T07:08:09Z", "created_by": "CMD", "empty_layer": True},
                ],
            }
        manifest = {
            "schemaVersion": 2,
            "mediaType": _DOCKER[_MANIFEST] if flavour.docker else _MANIFEST,
            "config": put(_CONFIG, _json(config)),
            "layers": [put(media_type, blob) for media_type, blob, _ in layers],
        }
        variant = {"variant": "v8"} if architecture == "arm64" else {}
        manifests.append(
            {
                **put(_MANIFEST, _json(manifest)),
                "platform": {"architecture": architecture, "os": "linux", **variant},
            }
        )
    media_type = _DOCKER[_INDEX] if flavour.docker else _INDEX
    index = put(_INDEX, _json({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}))
    (folder / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_bytes(_json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [index]}))


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def write_wheels(folder: Path) -> None:
    folder.mkdir()
    for wheel in wheels():
        (folder / wheel.filename).write_bytes(wheel.data)


assert zlib.decompress(_POEM_DEFLATED, -15) == _POEM
