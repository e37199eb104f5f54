"""The kind `binary`: what it claims, which base it chooses, and the image it plans."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.errors import Error, UsageError
from ociassemble.kinds.binary.find import NotLinuxError
from ociassemble.kinds.binary.kind import Binary, MuslError, NoProgramError
from ociassemble.kinds.registry import KindError, choose
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import ApplicationPlan, FilesSource
from ociassemble.project import reading
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree
from tests.kinds.binary.programs import GLIBC, MUSL, program

AMD64, ARM64 = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
GLIBC_ARM64 = "/lib/ld-linux-aarch64.so.1"
KIND = Binary()


def folder(root: Path, **files: bytes | str) -> ProjectTree:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return reading.read(root)


def planned(tree: ProjectTree, platform: Platform = AMD64, **settings: object) -> ApplicationPlan:
    return KIND.plan(tree, Settings(**settings), BaseFacts(platform=platform), ())  # type: ignore[arg-type]


def files(plan: ApplicationPlan) -> dict[str, str]:
    """Path in the image -> path in the folder."""
    (layer,) = plan.layers
    (source,) = layer.sources
    assert layer.role == "application" and isinstance(source, FilesSource)
    return {item.path: item.source for item in source.items}


# --- what it claims ------------------------------------------------------------------------------------------


@pytest.mark.spec("BINARY-3")
def test_it_claims_one_program(tmp_path: Path) -> None:
    kind, claim = choose(folder(tmp_path, server=program(), **{"static/a.css": ""}), "auto")
    assert (kind.name, claim.evidence, claim.weak) == ("binary", "server", False)


@pytest.mark.spec("BINARY-3")
def test_several_are_none_unless_one_is_named_like_the_folder(tmp_path: Path) -> None:
    two = {"server": program(), "tool": program()}
    assert choose(folder(tmp_path / "app", **two), "auto")[0].name == "directory"
    assert choose(folder(tmp_path / "tool", **two), "auto")[1].evidence == "tool"
    tree = folder(tmp_path / "app")
    with pytest.raises(NoProgramError, match="several programs: server, tool") as caught:
        planned(tree)
    assert "`name`" in (caught.value.hint or "")
    assert files(planned(tree, name="server")) == {"/app/server": "server"}


@pytest.mark.spec("BINARY-3")
def test_what_was_built_counts_only_where_nothing_else_claims_the_folder(tmp_path: Path) -> None:
    built = {"dist/linux_amd64/server": program()}
    assert choose(folder(tmp_path / "a", **built), "auto")[0].name == "binary"
    assert choose(folder(tmp_path / "b", **built, **{"main.py": ""}), "auto")[0].name == "python"
    with pytest.raises(KindError, match="several kinds"):
        choose(folder(tmp_path / "c", server=program(), **{"main.py": ""}), "auto")
    assert choose(folder(tmp_path / "c"), "binary")[0].name == "binary"


@pytest.mark.spec("BINARY-1")
def test_one_file_is_the_application(tmp_path: Path) -> None:
    folder(
        tmp_path, server=program(), **{".dockerignore": "*", "ociassemble.toml": "x = 1", "go.mod": "", ".env": "A=1"}
    )
    (tmp_path / "way").symlink_to("server")
    for name in ("server", "way"):
        tree = reading.read(tmp_path / name)
        assert tree.alone and tree.root == tmp_path and [file.path for file in tree.files] == ["server"]
        assert tree.names() == ("server",) and tree.names("sub") == () and not tree.has("go.mod")
        with pytest.raises(Error, match="no file"):
            tree.text("go.mod")
        kind, claim = choose(tree, "auto")
        assert (kind.name, claim.evidence) == ("binary", "server")
        assert files(planned(tree)) == {"/app/server": "server"} and planned(tree).reasons[1:] == ()


@pytest.mark.spec("BINARY-6")
@pytest.mark.parametrize("data", [b"MZ", b"\xcf\xfa\xed\xfe", b"#!/bin/sh", b"text"])
def test_one_file_that_is_no_program(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    tree = reading.read(tmp_path / "file")
    kind, _ = choose(tree, "auto")
    with pytest.raises(NotLinuxError):
        kind.default_base(tree, Settings(), (AMD64,))


def test_nothing_was_built(tmp_path: Path) -> None:
    with pytest.raises(NoProgramError, match="no program for Linux") as caught:
        planned(folder(tmp_path, **{"main.go": "", "go.mod": ""}))
    assert "build it first" in (caught.value.hint or "")


# --- its base ------------------------------------------------------------------------------------------------


@pytest.mark.spec("BINARY-10")
@pytest.mark.parametrize(
    ("amd64", "arm64", "base", "word"),
    [
        (program(), program("arm64"), "static", "are static"),
        (program(kind=3), program("arm64"), "static", "are static"),
        (program(loader=GLIBC, needed=["libc.so.6"]), program("arm64"), "base", "glibc"),
        (program(), program("arm64", loader=GLIBC_ARM64, needed=["libc.so.6"]), "base", "glibc"),
        (program(loader=GLIBC, needed=["libssl.so.3", "libz.so.1", "libc.so.6"]), program("arm64"), "base", "glibc"),
        (program(loader=GLIBC, needed=["libgcc_s.so.1", "libc.so.6"]), program("arm64"), "cc", "libgcc_s.so.1"),
        (
            program(loader=GLIBC, needed=["libc.so.6"]),
            program("arm64", loader=GLIBC_ARM64, needed=["libstdc++.so.6", "libm.so.6", "libgomp.so.1"]),
            "cc",
            "libstdc++.so.6, libgomp.so.1",
        ),
    ],
)
def test_the_smallest_base_that_has_it_all(amd64: bytes, arm64: bytes, base: str, word: str, tmp_path: Path) -> None:
    tree = folder(tmp_path, **{"bin/s-linux-amd64": amd64, "bin/s-linux-arm64": arm64})
    found = KIND.default_base(tree, Settings(), (AMD64, ARM64))
    assert found.name == f"distroless/{base}" and word in found.evidence


@pytest.mark.spec("BINARY-10")
def test_only_what_is_asked_for_decides(tmp_path: Path) -> None:
    dynamic = program("arm64", loader=GLIBC_ARM64, needed=["libc.so.6"])
    tree = folder(tmp_path, **{"bin/s-linux-amd64": program(), "bin/s-linux-arm64": dynamic})
    found = KIND.default_base(tree, Settings(), (AMD64,))
    assert found == ("distroless/static", "`bin/s-linux-amd64` is static")


@pytest.mark.spec("BINARY-11")
def test_musl_has_no_base_of_ours(tmp_path: Path) -> None:
    tree = folder(tmp_path, server=program(loader=MUSL, needed=["libc.musl-x86_64.so.1"]))
    with pytest.raises(MuslError, match="musl's loader") as caught:
        KIND.default_base(tree, Settings(), (AMD64,))
    assert "statically" in (caught.value.hint or "")
    assert planned(tree).config.entrypoint == ("/app/server",)  # on a base that was named


@pytest.mark.spec("BINARY-5")
def test_no_program_for_a_platform_says_which_there_are(tmp_path: Path) -> None:
    tree = folder(tmp_path, **{"bin/s-linux-arm64": program("arm64"), "bin/s-linux-riscv64": program("riscv64")})
    for ask in (lambda: planned(tree), lambda: KIND.default_base(tree, Settings(), (ARM64, AMD64))):
        with pytest.raises(NoProgramError, match="no program for linux/amd64") as caught:
            ask()
        assert caught.value.details == (
            "`bin/s-linux-arm64` is for linux/arm64", "`bin/s-linux-riscv64` is for linux/riscv64",
        )  # fmt: skip
        assert "--platform linux/arm64,linux/riscv64" in (caught.value.hint or "")


# --- the image -----------------------------------------------------------------------------------------------


@pytest.mark.spec("BINARY-20", "BINARY-21")
def test_what_lies_beside_it_comes_along(tmp_path: Path) -> None:
    tree = folder(tmp_path, server=program(), **{"static/a.css": "", "conf.toml": "", "lib/libx.so": b"x"})
    plan = planned(tree)
    assert files(plan) == {
        "/app/conf.toml": "conf.toml", "/app/lib": "lib", "/app/lib/libx.so": "lib/libx.so", "/app/server": "server",
        "/app/static": "static", "/app/static/a.css": "static/a.css",
    }  # fmt: skip
    assert [reason.decision for reason in plan.reasons] == [
        "starts `/app/server`", "what lies beside the program is copied as well",
    ]  # fmt: skip
    assert plan.config.entrypoint == ("/app/server",) and plan.config.cmd == () and plan.config.workdir == "/app"


@pytest.mark.spec("BINARY-4", "BINARY-20", "BINARY-21")
def test_one_of_several_platforms(tmp_path: Path) -> None:
    tree = folder(
        tmp_path,
        **{
            "dist/shop_linux_amd64_v1/shop": program(),
            "dist/shop_linux_arm64/shop": program("arm64"),
            "dist/shop_darwin_arm64/shop": b"\xcf\xfa\xed\xfe",
            "dist/checksums.txt": "",
            "web/index.html": "",
        },
    )
    for platform, path in ((AMD64, "dist/shop_linux_amd64_v1/shop"), (ARM64, "dist/shop_linux_arm64/shop")):
        assert files(planned(tree, platform)) == {
            "/app/shop": path, "/app/web": "web", "/app/web/index.html": "web/index.html",
        }  # fmt: skip


@pytest.mark.spec("BINARY-21")
@pytest.mark.parametrize("source", ["go.mod", "Cargo.toml", "Makefile", "main.c", "server.go", "CMakeLists.txt"])
def test_a_source_tree_stays_out(source: str, tmp_path: Path) -> None:
    tree = folder(tmp_path, server=program(), **{source: "", "web/index.html": "", "internal/db.go": ""})
    plan = planned(tree)
    assert files(plan) == {"/app/server": "server"}
    assert plan.reasons[1].evidence.startswith(f"{source}: ") and "--add" in plan.reasons[1].evidence


@pytest.mark.spec("BINARY-20")
def test_it_can_be_executed_whatever_its_mode_was(tmp_path: Path) -> None:
    tree = folder(tmp_path, server=program())
    (source,) = planned(tree).layers[0].sources
    assert isinstance(source, FilesSource) and [item.mode for item in source.items] == [0o755]


@pytest.mark.spec("BINARY-22")
@pytest.mark.parametrize(
    ("settings", "entrypoint", "cmd"),
    [
        ({}, ("/app/server",), ()),
        ({"cmd": ("--port", "80")}, ("/app/server",), ("--port", "80")),
        ({"cmd": ("server", "--port", "80")}, ("/app/server",), ("--port", "80")),
        ({"cmd": ("./server",)}, ("/app/server",), ()),
        ({"cmd": ("/app/server", "x")}, ("/app/server",), ("x",)),
        ({"entrypoint": ("/init", "--")}, ("/init", "--"), None),
        ({"entrypoint": (), "cmd": ("/x",)}, (), ("/x",)),
        ({"workdir": "/srv/"}, ("/srv/server",), ()),
    ],
)
def test_how_it_starts(
    settings: dict[str, object], entrypoint: tuple[str, ...], cmd: tuple[str, ...] | None, tmp_path: Path
) -> None:
    config = planned(folder(tmp_path, server=program()), **settings).config
    assert (config.entrypoint, config.cmd) == (entrypoint, cmd)


@pytest.mark.parametrize("workdir", ["/", "app", "/a/../b", "//"])
def test_where_it_cannot_be_put(workdir: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        planned(folder(tmp_path, server=program()), workdir=workdir)


@pytest.mark.spec("BINARY-23")
def test_it_has_no_dependencies(tmp_path: Path) -> None:
    tree = folder(tmp_path, server=program())
    assert KIND.request(tree, Settings(), None) is None
