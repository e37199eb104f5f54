"""Building on bases as they are in the wild: pushed to docker-registry, built from through a mirror, read and run by
programs of others. What the base is made of stays byte for byte as it was.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ociassemble.image.filesystem import members
from ociassemble.image.image import Image, Layer, Node, open_image
from ociassemble.image.validate import validate_config, validate_node
from ociassemble.oci import mediatype
from ociassemble.oci.digest import Digest
from ociassemble.runtime.probe import RuntimeChoice, choose, probe
from ociassemble.runtime.request import Port
from ociassemble.runtime.run import start
from ociassemble.testing.images import Link, image, index, lay_out, layer, push
from ociassemble.transports.layout import LayoutSource
from tests.interop.wild import (
    FOLDERS,
    GOOGLE,
    PLATFORMS,
    USRMERGE,
    Cli,
    Ended,
    Registry,
    alpine,
    cli,
    google,
    registry,
    shared_cache,
    slim,
    wolfi,
)
from tests.layer.wheel_builder import wheel
from tests.peers import Peer, find

__all__ = ["cli", "google", "registry", "shared_cache"]

pytestmark = pytest.mark.interop

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with a few files."""
    folder = tmp_path / "app"
    (folder / "deep").mkdir(parents=True)
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "deep" / "data").write_text("1")
    return folder


def on_top(base: Image, made: Image) -> tuple[Layer, ...]:
    """The layers that were added, after all has been held against the base: what came from it is what it was."""
    count = len(base.layers)
    for before, after in zip(base.layers, made.layers, strict=False):
        wanted = before.descriptor.with_(media_type=mediatype.to_oci(before.descriptor.media_type))
        assert after.descriptor == wanted
        assert after.diff_id == before.diff_id
    assert made.manifest.media_type == mediatype.OCI_MANIFEST
    assert made.manifest.config.media_type == mediatype.OCI_CONFIG
    assert validate_node(made.node) == ()
    assert validate_config(made.config, len(made.layers)) == ()
    filled = [item for item in made.config.history if not item.get("empty_layer")]
    assert len(filled) == len(made.layers)
    kept = base.config.history
    assert made.config.history[: len(kept)] == kept
    for key, value in base.config.document.items():
        if key not in ("created", "config", "rootfs", "history"):
            assert made.config.document[key] == value
    assert made.manifest.annotations["org.opencontainers.image.base.digest"] == base.digest
    return made.layers[count:]


def paths(*layers: Layer) -> set[str]:
    return {member.path for item in layers for member in members(item) if member.kind != "directory"}


# --- Google's ------------------------------------------------------------------------------------------------


@pytest.mark.packages
def test_the_cards_command_on_googles_base(
    cli: Cli, registry: Registry, google: dict[str, Image], shared_cache: Path, skopeo: Peer
) -> None:
    name = f"{registry.host}/team/flask"
    ended = cli(
        "build", EXAMPLES / "python-flask", "--base", "distroless/python3", *registry.mirror,
        "--platform", ",".join(PLATFORMS), "-t", f"{name}:1", "--push", cache=shared_cache,
    )  # fmt: skip
    node = registry.read(f"{name}:1")

    assert ended.name == f"{name}@{node.descriptor.digest}"
    assert "warning" not in ended.err
    assert f"distroless/python3 -> {GOOGLE}" in ended.err
    assert validate_node(node) == ()
    assert [str(child.descriptor.platform) for child in node.children] == list(PLATFORMS)
    for made in map(open_image, node.children):
        base = google[str(made.platform)]
        assert len(base.layers) == 48
        dependencies, application = on_top(base, made)
        assert made.manifest.annotations["org.opencontainers.image.base.name"] == GOOGLE
        assert made.platform == base.platform
        assert made.config.user == "65532"
        assert {item["created_by"] for item in made.config.history[:48]} == {"base layer"}
        assert "usr/local/lib/python3.13/dist-packages/flask/app.py" in paths(dependencies)
        assert "app/app.py" in paths(application)
        machine = {"amd64": "x86_64", "arm64": "aarch64"}[made.platform.architecture]
        compiled = [path for path in paths(dependencies) if path.endswith(".so")]
        assert compiled and all(path.endswith(f"-{machine}-linux-gnu.so") for path in compiled)
        # Somebody else reads the same.
        seen = skopeo.json("inspect", "--tls-verify=false", f"docker://{name}@{made.digest}")
        assert seen["Layers"] == [item.descriptor.digest for item in made.layers]
        assert len(seen["Layers"]) == 50


@pytest.mark.packages
def test_the_base_is_mounted_in_its_own_registry(
    cli: Cli, registry: Registry, google: dict[str, Image], app: Path
) -> None:
    base = GOOGLE.replace("gcr.io", registry.host)
    before = len(registry.requests())
    argv = ("--base", base, "--platform", "linux/amd64", "--cmd", "/app/run", "--push")
    ended = cli("build", app, *argv, "-t", f"{registry.host}/team/mounted:1")

    layers = {str(item.descriptor.digest) for item in google["linux/amd64"].layers}
    assert len(layers) == 47  # of 48: Google's list names zlib1g twice
    assert "blobs 47 mounted, 2 uploaded" in ended.err
    on_top(google["linux/amd64"], registry.image(ended.name))
    read = [path for path in registry.since(before, "GET") if path.rpartition("/")[2] in layers]
    assert {path.rpartition("/")[2] for path in read} == layers  # once, for the facts
    assert len(read) <= 48

    before = len(registry.requests())
    again = cli("build", app, *argv, "-t", f"{registry.host}/team/again:1")
    assert again.digest == ended.digest
    # The facts are known, the config is kept, the layers are mounted: nothing of the base is read.
    assert not [path for path in registry.since(before, "GET") if path.rpartition("/")[2] in layers]


@pytest.fixture
def runtime(runc: Peer, umoci: Peer) -> RuntimeChoice:
    found = choose(probe(find, root=os.geteuid() == 0), "runc")
    namespaces = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    if namespaces.returncode != 0:
        pytest.skip(f"no namespaces here: {namespaces.stderr.decode().strip()}")
    return found


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        number: int = one.getsockname()[1]
    return number


def asked(runtime: RuntimeChoice, layout: Path, path: str, folder: Path, **options: Any) -> Any:
    """What the application in the image `t` of a layout answers, as JSON."""
    folder.mkdir()
    port, log = free_port(), folder.with_suffix(".log")
    with (
        log.open("wb") as output,
        start(runtime, layout, "t", port=Port("", port), folder=folder, output=output, **options) as running,
    ):
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                    return json.load(answer)
            except OSError:
                ended = running.process.poll()
                assert ended is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)


@pytest.mark.packages
@pytest.mark.parametrize(
    ("example", "source"),
    [
        ("python-flask", "registry"),
        ("python-fastapi", "debian"),
        pytest.param("python-fastapi", "registry", marks=pytest.mark.long),
        pytest.param("python-flask", "debian", marks=pytest.mark.long),
    ],
)
def test_examples_answer_from_both_kinds_of_base(
    cli: Cli,
    registry: Registry,
    google: dict[str, Image],
    shared_cache: Path,
    runtime: RuntimeChoice,
    tmp_path: Path,
    example: str,
    source: str,
) -> None:
    ended = cli(
        "build", EXAMPLES / example, "--base", "distroless/python3", *registry.mirror, "--base-source", source,
        "--platform", "linux/amd64", "-o", f"oci:{tmp_path}/image:t", cache=shared_cache,
    )  # fmt: skip
    made = open_image(LayoutSource(tmp_path / "image", "t").read())
    health = asked(runtime, tmp_path / "image", "/health", tmp_path / "bundles")

    assert ended.digest == made.digest
    assert made.manifest.annotations.get("org.opencontainers.image.base.name") == (
        GOOGLE if source == "registry" else None
    )
    assert (health["status"], health["uid"]) == ("ok", 65532)
    assert health["python"].startswith("3.13.")
    assert not any(value for key, value in health.items() if key.endswith("writable"))


# --- python-slim, Wolfi, Alpine ------------------------------------------------------------------------------

SMALL = {
    "slim": (slim, "/usr/local/bin/python3.12", "usr/local/lib/python3.12/site-packages"),
    "wolfi": (wolfi, "/usr/bin/python3.13", "usr/lib/python3.13/site-packages"),
    "older wolfi": (lambda: wolfi("lib/apk/db/installed"), "/usr/bin/python3.13", "usr/lib/python3.13/site-packages"),
    "alpine": (alpine, "/usr/local/bin/python3.13", "usr/local/lib/python3.13/site-packages"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A program, and a wheel built by its user with a console script."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "main.py").write_text("import foo_bar\n")
    data = wheel(
        {
            "foo_bar/__init__.py": b"",
            "foo_bar-1.0.dist-info/entry_points.txt": b"[console_scripts]\nfoo = foo_bar:main\n",
        }
    )
    (tmp_path / "foo_bar-1.0-py3-none-any.whl").write_bytes(data)
    return folder


@pytest.mark.parametrize("which", SMALL)
def test_a_program_and_a_wheel_on_small_bases(
    cli: Cli, registry: Registry, project: Path, umoci: Peer, which: str, tmp_path: Path
) -> None:
    make, interpreter, site = SMALL[which]
    base = make()
    name = f"{registry.host}/small/{which.replace(' ', '-')}"
    push(base, f"{name}:1")
    ended = cli(
        "build", project, "--base", f"{name}:1", "--platform", "linux/amd64", "--push", "-t", f"{name}-app:1",
        "--wheel", project.parent / "foo_bar-1.0-py3-none-any.whl", "-o", f"oci:{tmp_path}/image:t",
    )  # fmt: skip
    made = registry.image(f"{name}-app:1")
    added = on_top(base, made)
    scripts = interpreter.rpartition("/")[0].lstrip("/")

    assert [line.rpartition("@")[2] for line in ended.out.splitlines()] == [made.digest] * 2
    assert {f"{site}/foo_bar/__init__.py", f"{scripts}/foo", "app/main.py"} <= paths(*added)
    assert made.config.entrypoint + made.config.cmd == (interpreter, "main.py")
    assert made.config.workdir == "/app"
    assert made.config.user == base.config.user
    for key, value in base.config.env.items():
        assert made.config.env[key] == value
    umoci("unpack", "--image", f"{tmp_path}/image:t", tmp_path / "bundle")
    script = (tmp_path / "bundle/rootfs" / scripts / "foo").read_text()
    assert script.startswith(f"#!{interpreter}\n")


@pytest.mark.packages
@pytest.mark.parametrize(
    ("base", "compiled"),
    [
        (lambda: slim(), "cpython-312-x86_64-linux-gnu.so"),
        (lambda: wolfi(), "cpython-313-x86_64-linux-gnu.so"),
        (lambda: alpine(), "cpython-313-x86_64-linux-musl.so"),
        (lambda: alpine("3.12", "aarch64", platform="linux/arm64"), "cpython-312-aarch64-linux-musl.so"),
    ],
    ids=["slim", "wolfi", "alpine", "alpine on arm64"],
)
def test_real_wheels_are_those_for_the_bases_c_library(
    cli: Cli, tmp_path: Path, shared_cache: Path, base: Any, compiled: str
) -> None:
    made = base()
    place = lay_out(made, tmp_path / "base", "t")
    ended = cli(
        "build", EXAMPLES / "python-fastapi", "--base", place, "--platform", str(made.platform), "--no-lock",
        "-o", f"oci:{tmp_path}/image:t", cache=shared_cache,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    found = paths(*on_top(made, open_image(LayoutSource(tmp_path / "image", "t").read())))

    (core,) = [path for path in found if "/pydantic_core/" in path and path.endswith(".so")]
    assert core.endswith(f"/_pydantic_core.{compiled}")


# --- documents, archives, compressions -----------------------------------------------------------------------


@pytest.mark.parametrize("many", [False, True], ids=["single", "index"])
@pytest.mark.parametrize(
    ("docker", "compression"),
    [(False, "gzip:1"), (False, "none"), (False, "zstd:1"), (True, "gzip:1"), (True, "none")],
)
def test_documents_of_both_dialects(
    cli: Cli, registry: Registry, app: Path, docker: bool, many: bool, compression: str
) -> None:
    layers = [
        layer({**USRMERGE, **FOLDERS}, compression=compression, dialect="ustar"),
        layer({"lib/" + "n" * 120: "1", "etc": Link("usr/etc")}, compression=compression, dialect="gnu"),
        layer({"usr/ü" + "m" * 200: "1"}, compression=compression, dialect="pax"),
    ]
    base = image(layers, docker=docker, created="2020-01-01T00:00:00.5Z", annotations=None if docker else {"a": "b"})
    other = image(layers[:1], platform="linux/arm64", docker=docker)
    name = f"{registry.host}/documents/{'docker' if docker else 'oci'}-{many}-{compression.partition(':')[0]}".lower()
    push(index([other, base], docker=docker) if many else base, f"{name}:1")
    ended = cli(
        "build", app, "--base", f"{name}:1", "--platform", "linux/amd64", "--cmd", "/app/run", "--push", "-t",
        f"{name}-app:1",
    )  # fmt: skip
    (application,) = on_top(base, registry.image(ended.name))

    assert paths(application) == {"app/run", "app/deep/data"}


# --- the base's own tree -------------------------------------------------------------------------------------


@pytest.fixture
def everywhere(tmp_path: Path) -> Path:
    """A folder with files for places that the base has as links, or with a mode and owner of its own."""
    folder = tmp_path / "everywhere"
    for name in ("lib/x/data", "bin/tool", "lib64/y", "tmp/z", "root/r", "home/nonroot/n", "usr/lib/u", "srv/new/s"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "bin/tool").chmod(0o700)
    (folder / "srv").chmod(0o700)  # not the base's: a folder like any other
    return folder


def check_tree(root: Path) -> None:
    """What became of the base below `root`, unpacked as root."""

    def what(path: str) -> tuple[int, int, int]:
        info = (root / path).lstat()
        return stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid

    for name in ("lib", "bin", "lib64"):
        assert (root / name).is_symlink()
        assert os.readlink(root / name) == f"usr/{name}"  # noqa: PTH115
    assert what("tmp") == (0o1777, 0, 0)
    assert what("root") == (0o700, 0, 0)
    assert what("home/nonroot") == (0o700, 65532, 65532)
    assert what("srv") == what("srv/new") == what("usr/lib/x") == (0o755, 0, 0)
    assert what("usr/bin/tool") == (0o755, 0, 0)
    for name in ("usr/lib/x/data", "usr/lib64/y", "tmp/z", "root/r", "home/nonroot/n", "usr/lib/u"):
        assert what(name) == (0o644, 0, 0)
        assert (root / name).read_text() in (name, name.removeprefix("usr/"))


def unpacked(umoci: Peer, layout: Path, folder: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("owners need root")
    umoci("unpack", "--image", f"{layout}:t", folder)
    return folder / "rootfs"


def test_links_modes_and_owners_of_a_base_stay(cli: Cli, everywhere: Path, umoci: Peer, tmp_path: Path) -> None:
    base = lay_out(slim(), tmp_path / "base", "t")
    ended = cli(
        "build", everywhere, "--base", base, "--platform", "linux/amd64", "--workdir", "/", "--cmd", "/bin/tool",
        "-o", f"oci:{tmp_path}/image:t",
    )  # fmt: skip

    assert ended.status == 0, ended.err
    check_tree(unpacked(umoci, tmp_path / "image", tmp_path / "bundle"))


@pytest.mark.packages
def test_links_modes_and_owners_of_googles_base_stay(
    cli: Cli, registry: Registry, google: dict[str, Image], everywhere: Path, umoci: Peer, tmp_path: Path
) -> None:
    ended = cli(
        "build", everywhere, "--base", "distroless/python3", *registry.mirror, "--platform", "linux/amd64",
        "--workdir", "/", "--cmd", "/usr/bin/python3 -V", "-o", f"oci:{tmp_path}/image:t",
    )  # fmt: skip

    assert ended.status == 0, ended.err
    root = unpacked(umoci, tmp_path / "image", tmp_path / "bundle")
    check_tree(root)
    # The base still is what it was: its loader is found where it was found before.
    done = subprocess.run(
        ["chroot", root, "/bin/python3", "-c", "print(1)"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"


# --- read once -----------------------------------------------------------------------------------------------


def test_facts_are_read_once_and_known_by_the_manifests_digest(cli: Cli, registry: Registry, app: Path) -> None:
    base = slim()
    name = f"{registry.host}/once/base"
    push(base, f"{name}:1")
    layers = {str(item.descriptor.digest) for item in base.layers}
    argv = ("--platform", "linux/amd64", "--cmd", "/app/run", "--push")

    def layers_read(before: int) -> list[str]:
        return [path for path in registry.since(before, "GET") if path.rpartition("/")[2] in layers]

    before = len(registry.requests())
    first = cli("build", app, "--base", f"{name}:1", *argv, "-t", f"{registry.host}/once/a:1")
    assert len(layers_read(before)) == len(layers) == 3

    # Another tag of the same image, then the layers gone from everywhere: they are not needed any more.
    push(index([base, image([layer({"x": ""})], platform="linux/arm64")]), f"{name}:2")
    before = len(registry.requests())
    second = cli("build", app, "--base", f"{name}:2", *argv, "-t", f"{registry.host}/once/b:1")
    assert layers_read(before) == []
    assert second.status == 0
    asked = [path for path in registry.since(before, "GET") if "/once/base/" in path]
    assert asked == ["/v2/once/base/manifests/2"]  # the manifest for this platform is in the store

    before = len(registry.requests())
    other = cli("build", app, "--base", f"{name}:1", *argv, "-t", f"{registry.host}/once/c:1", cache=app.parent / "new")
    assert len(layers_read(before)) == 3
    assert other.digest == first.digest


# --- errors --------------------------------------------------------------------------------------------------


def fails(cli: Cli, registry: Registry, app: Path, base: str, *options: str) -> Ended:
    """A build on `base` that goes wrong, and leaves nothing behind."""
    before = len(registry.requests())
    target = app.parent / "layout"
    ended = cli(
        "build", app, "--base", base, *options, "--cmd", "/app/run", "--push", "-t", f"{registry.host}/errors/app:1",
        "-o", f"oci:{target}:t",
    )  # fmt: skip
    assert ended.status not in (0, 1), ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert registry.since(before, "PUT") == []
    assert not (target / "index.json").exists()
    assert not list((app.parent / "cache").glob("store/refs/*"))
    return ended


def test_no_such_base(cli: Cli, registry: Registry, app: Path, tmp_path: Path) -> None:
    push(slim(), f"{registry.host}/errors/base:1")
    for base in (f"{registry.host}/errors/base:2", f"{registry.host}/errors/none:1", "gcr.io/distroless/none"):
        ended = fails(cli, registry, app, base, "--registry-mirror", f"gcr.io={registry.host}", "--offline")
        assert ended.status == 9
    ended = fails(cli, registry, app, f"{registry.host}/errors/base:2")
    assert ended.status == 4
    assert f"`{registry.host}/errors/base:2`" in ended.err
    assert fails(cli, registry, app, f"{registry.host}/errors/none:1").status == 4
    assert fails(cli, registry, app, f"oci:{tmp_path}/none:1").status == 4
    lay_out(slim(), tmp_path / "base", "1")
    assert fails(cli, registry, app, f"oci:{tmp_path}/base:2").status == 4


def test_a_base_without_the_platform_in_the_promised_words(cli: Cli, registry: Registry, app: Path) -> None:
    made = [image([layer({"x": name})], platform=name) for name in ("linux/amd64", "linux/arm64", "linux/riscv64")]
    push(index(made), f"{registry.host}/platforms/python3-debian13:nonroot")
    ended = fails(
        cli, registry, app, "gcr.io/platforms/python3-debian13:nonroot", *registry.mirror, "--platform", "linux/arm/v7"
    )

    assert ended.status == 4
    assert ended.err.endswith(
        "error: base image `gcr.io/platforms/python3-debian13:nonroot` has no linux/arm/v7 variant\n"
        "  available: linux/amd64, linux/arm64, linux/riscv64\n"
        "\n"
        "hint: pass `--platform linux/arm64`, or choose a base that has linux/arm/v7\n"
    )


def test_an_unreachable_registry(cli: Cli, registry: Registry, app: Path) -> None:
    options = ("--registry-mirror", "gcr.io=127.0.0.1:1", "--base-source", "registry")
    ended = fails(cli, registry, app, "127.0.0.1:1/a:1", *options)
    assert ended.status == 6
    assert "127.0.0.1:1" in ended.err

    ended = fails(cli, registry, app, "unreachable.example/distroless/python3:1", "--base-source", "registry")
    assert ended.status == 6


@pytest.mark.parametrize("what", ["layer", "config", "manifest"])
def test_bytes_that_were_tampered_with(cli: Cli, registry: Registry, app: Path, what: str) -> None:
    base = image([layer({"etc/os-release": f"ID={what}\n"})], annotations={"what": what})
    name = f"{registry.host}/tampered/{what}:1"
    push(base, name)
    digests = {"layer": base.layers[0].descriptor.digest, "config": base.config.digest, "manifest": base.digest}
    place = registry.blob_file(digests[what])
    data = place.read_bytes()
    # A manifest that is still JSON: docker-registry parses those it hands out, but does not hash them.
    place.write_bytes(data.replace(b"what", b"that") if what == "manifest" else data[:-1] + bytes([data[-1] ^ 1]))
    ended = fails(cli, registry, app, f"{name.rpartition(':')[0]}@{base.digest}")

    assert ended.status == 7
    assert digests[what] in ended.err


def test_a_diff_id_that_lies(cli: Cli, registry: Registry, app: Path) -> None:
    base = image([layer({"a": "1"}), layer({"b": "2"}, diff_id=Digest.of(b"other"))])
    push(base, f"{registry.host}/lies/base:1")

    for _ in range(2):  # nothing that was read the first time is believed the second time
        ended = fails(cli, registry, app, f"{registry.host}/lies/base:1")
        assert ended.status == 7
        assert f"the image config says {Digest.of(b'other')}" in ended.err


def test_a_base_that_is_no_image(cli: Cli, registry: Registry, app: Path) -> None:
    base = image([layer({"a": "1"})])
    config = base.manifest.config.with_(media_type="application/vnd.example.config+json")
    artifact = base.manifest.create(config=config, layers=base.manifest.layers)
    blobs = (replace(base.config_blob, descriptor=config), base.layers[0].blob)
    push(Node(descriptor=artifact.descriptor, raw=artifact.raw, blobs=blobs), f"{registry.host}/artifact:1")
    ended = fails(cli, registry, app, f"{registry.host}/artifact:1")

    assert ended.status == 7
    assert "is not an image" in ended.err
