"""Building on bases as they are in the wild: pushed to docker-registry, built from through a mirror, read and run by
programs of others. What the base is made of stays byte for byte as it was.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from ociassemble.image.image import Image, open_image
from ociassemble.image.validate import validate_node
from ociassemble.runtime.probe import RuntimeChoice, choose, probe
from ociassemble.runtime.request import Port
from ociassemble.runtime.run import start
from ociassemble.testing.images import lay_out, push
from ociassemble.transports.layout import LayoutSource
from tests.interop.small_bases import alpine, of_this_host, slim, wolfi
from tests.interop.wild import GOOGLE, PLATFORMS, Cli, Registry, app, cli, google, on_top, paths, registry, shared_cache
from tests.layer.wheel_builder import wheel
from tests.peers import Peer, find
from tests.ports import free_port
from tests.runtime.layouts import request_of

__all__ = ["app", "cli", "google", "registry", "shared_cache"]

pytestmark = pytest.mark.interop

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


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
    assert "47 blobs mounted, 2 uploaded" in ended.err
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


def asked(runtime: RuntimeChoice, layout: Path, path: str, folder: Path, **options: Any) -> Any:
    """What the application in the image `t` of a layout answers, as JSON."""
    folder.mkdir()
    port, log = free_port(), folder.with_suffix(".log")
    with (
        log.open("wb") as output,
        start(
            runtime, request_of(layout, "t", port=Port("", port), **options), folder=folder, output=output
        ) as running,
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


@pytest.mark.parametrize(
    "example",
    ["python-plain", pytest.param("python-flask", marks=[pytest.mark.packages, pytest.mark.long])],
)
def test_a_python_in_usr_local_runs(
    cli: Cli, registry: Registry, runtime: RuntimeChoice, tmp_path: Path, shared_cache: Path, example: str
) -> None:
    """The base has the interpreter that runs this test, where an official image has its own."""
    base = of_this_host()
    name = f"{registry.host}/this-host/python:1"
    push(base, name)
    ended = cli(
        "build", EXAMPLES / example, "--base", name, "--no-lock", "--platform", str(base.platform), "-u", "65532",
        "-o", f"oci:{tmp_path}/image:t", cache=shared_cache,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    health = asked(runtime, tmp_path / "image", "/health", tmp_path / "bundles")

    assert (health["status"], health["uid"]) == ("ok", 65532)
    assert health["python"] == base.config.env["PYTHON_VERSION"]


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
