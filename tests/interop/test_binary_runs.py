"""Binaries in images, under runc: as one file, as a folder, and as a build tool lays them down for several platforms.

On a base without anything for static programs; on the assembled bases for what Debian has linked (C, C++).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ociassemble.image.image import open_image
from ociassemble.testing.images import image, index, lay_out, layer
from ociassemble.transports.layout import LayoutSource
from tests.debian_archive import served
from tests.interop.commands import Commands
from tests.interop.containers import Unpacked, usable
from tests.interop.test_debian_base_runs import Bases, bases
from tests.kinds.binary.programs import program

__all__ = ["bases"]

pytestmark = pytest.mark.interop


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A base for two platforms that has nothing but a user, in the working directory: no lock holds a host's path."""
    usable()
    monkeypatch.chdir(tmp_path)
    files = {"etc/passwd": "nonroot:x:65532:65532::/:/sbin/nologin\n"}
    made = [
        image([layer(files)], platform=platform, execution={"User": "65532"})
        for platform in ("linux/amd64", "linux/arm64")
    ]
    lay_out(index(made), tmp_path / "base", "t")
    return "oci:base:t"


@pytest.mark.spec("BINARY-1", "BINARY-20")
def test_one_file_with_its_lock_beside_it(base: str, tmp_path: Path) -> None:
    (tmp_path / "server").write_bytes(program(says="from a file\n"))
    (tmp_path / "secret.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    ociassemble = Commands(tmp_path)
    ociassemble("lock", tmp_path / "server", "--base", base, "--platform", "linux/amd64")
    assert (tmp_path / "server.ociassemble.lock").exists()
    done = ociassemble("build", tmp_path / "server", "--base", base, "--platform", "linux/amd64", "--locked",
                       "-o", f"oci:{tmp_path}/image:t")  # fmt: skip
    assert "stale" not in done.err

    tree = Unpacked(tmp_path / "image", "t", tmp_path / "unpacked")
    assert [path.name for path in (tree.root / "app").iterdir()] == ["server"]
    ran = tree.start()
    assert (ran.stdout, ran.returncode) == ("from a file\n", 0)


@pytest.mark.spec("BINARY-1")
def test_run_takes_a_program(base: str, tmp_path: Path) -> None:
    (tmp_path / "server").write_bytes(program(says=""))
    done = Commands(tmp_path)("run", "./server", "--base", base, "--runtime", "runc")
    assert "application: binary (server)" in done.err and "running with runc" in done.err


@pytest.mark.spec("BINARY-5", "BINARY-20", "BINARY-21")
def test_two_platforms_as_goreleaser_lays_them_down(base: str, tmp_path: Path) -> None:
    app = tmp_path / "app"
    for name, data in {
        "dist/shop_linux_amd64_v1/shop": program(says="amd64\n"),
        "dist/shop_linux_arm64_v8.0/shop": program("arm64"),
        "dist/shop_darwin_all/shop": b"\xca\xfe\xba\xbe\0\0\0\x02",
        "web/index.html": b"<p>",
    }.items():
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_bytes(data)
    build = ("build", app, "--base", base, "-o", f"oci:{tmp_path}/image:t", "--platform")
    Commands(tmp_path)(*build, "linux/amd64,linux/arm64")

    node = LayoutSource(tmp_path / "image", "t").read()
    made = {str(one.platform): one for one in map(open_image, node.children)}
    assert set(made) == {"linux/amd64", "linux/arm64"}
    assert {one.config.entrypoint for one in made.values()} == {("/app/shop",)}
    Commands(tmp_path)(*build, "linux/amd64")
    tree = Unpacked(tmp_path / "image", "t", tmp_path / "unpacked")
    assert sorted(path.name for path in (tree.root / "app").iterdir()) == ["shop", "web"]
    assert (tree.start().stdout, (tree.root / "app/web/index.html").read_text()) == ("amd64\n", "<p>")


@pytest.mark.packages
@pytest.mark.spec("BINARY-10")
@pytest.mark.parametrize(
    ("name", "chosen", "arguments", "said"),
    [
        ("busybox", "static", ("echo", "hello"), "hello\n"),
        ("getent", "base", ("passwd", "nonroot"), "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"),
        ("ninja", "cc", ("--version",), "1.1"),
    ],
)
def test_programs_of_debian_on_the_base_that_was_chosen(
    name: str, chosen: str, arguments: tuple[str, ...], said: str, bases: Bases, tmp_path: Path
) -> None:
    with served(bases.mirror) as url:
        done = bases.commands(OCIASSEMBLE_DEBIAN_MIRROR=url)(
            "build", bases.programs / name, "--base-source", "debian", "--platform", "linux/amd64",
            "-o", f"oci:{tmp_path}/image:t",
        )  # fmt: skip
    assert f"base: distroless/{chosen} (`{name}` " in done.err and "warning" not in done.err

    tree = Unpacked(tmp_path / "image", "t", tmp_path / "unpacked")
    ran = tree.start(*arguments)
    assert ran.stdout.startswith(said), ran.stderr
    shutil.rmtree(tmp_path / "unpacked")
