"""Which files are programs for Linux, what they are called, and which of them a platform gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.formats import elf
from ociassemble.kinds.binary.find import called, executable, fitting, name_of, programs, refuse
from ociassemble.oci.platform import Platform
from ociassemble.project import reading
from ociassemble.project.tree import ProjectTree, TreeFile
from tests.debian_archive import elf as library
from tests.kinds.binary.programs import GLIBC, MUSL, program
from tests.spec_tables import cases


def folder(root: Path, **files: bytes) -> ProjectTree:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return reading.read(root)


@pytest.mark.spec("BINARY-3", "BINARY-4")
@pytest.mark.parametrize("case", cases("binary-kind.md", "places"), ids=lambda case: case["path"])
def test_places(case: dict[str, str], tmp_path: Path) -> None:
    found = programs(folder(tmp_path, **{case["path"]: program(), "README": b""}))
    assert [item.name for item in found] == [case["name"]] * (case["name"] != "-")
    assert all(item.file.path == case["path"] for item in found)


@pytest.mark.spec("BINARY-3")
def test_what_is_at_the_top_comes_before_what_was_built(tmp_path: Path) -> None:
    found = programs(folder(tmp_path, server=program(), **{"bin/tool": program(), "dist/other": program()}))
    assert [item.file.path for item in found] == ["server"]


@pytest.mark.spec("BINARY-2")
@pytest.mark.parametrize(
    ("data", "is_program"),
    [
        (program(), True),
        (program("arm64"), True),
        (program(kind=3), True),  # static and position independent
        (program(kind=3, loader=GLIBC, needed=["libc.so.6"]), True),
        (program(kind=2, needed=["libc.so.6"], loader=MUSL), True),
        (program(system=3), True),
        (program(system=9), False),  # FreeBSD's
        (library("libx.so.1", ["libc.so.6"]), False),
        (library("", ["libc.so.6"]), False),  # an extension module
        (program(kind=3, loader=GLIBC, soname="libc.so.6"), False),  # libc.so.6 has a loader
        (program(kind=1), False),  # an object file
        (program(kind=4), False),  # a core dump
        (program()[:100], False),
        (b"\x7fELF", False),
        (b"", False),
        (b"#!/bin/sh\n", False),
    ],
)
def test_what_a_program_is(data: bytes, is_program: bool, tmp_path: Path) -> None:
    tree = folder(tmp_path, file=data)
    file = tree.packed("file")
    assert file is not None and (executable(tree, file) is not None) is is_program


@pytest.mark.spec("BINARY-2")
def test_static_is_what_needs_nothing(tmp_path: Path) -> None:
    tree = folder(tmp_path, a=program(), b=program(kind=3), c=program(loader=GLIBC, needed=["libc.so.6"]))
    assert [item.static for item in programs(tree)] == [True, True, False]


@pytest.mark.spec("BINARY-3")
def test_of_several_names_the_wanted_one(tmp_path: Path) -> None:
    tree = folder(
        tmp_path, **{"bin/a-linux-arm64": program("arm64"), "bin/a-linux-amd64": program(), "bin/b": program()}
    )
    found = programs(tree)
    assert called(found, ("x", "")) == () == called((), ("a",))
    assert [item.file.path for item in called(found, ("x", "a"))] == ["bin/a-linux-amd64", "bin/a-linux-arm64"]
    assert [item.file.path for item in called(found[:2], ())] == ["bin/a-linux-amd64", "bin/a-linux-arm64"]


@pytest.mark.spec("BINARY-5")
@pytest.mark.parametrize(
    ("platform", "path"),
    [
        ("linux/amd64", "dist/s_linux_amd64_v1/s"),
        ("linux/amd64/v3", "dist/s_linux_amd64_v3/s"),
        ("linux/amd64/v2", "dist/s_linux_amd64_v1/s"),
        ("linux/arm64", "dist/s_linux_arm64_v8.0/s"),
        ("linux/arm/v7", "dist/s_linux_arm_7/s"),
        ("linux/arm/v6", "dist/s_linux_arm_6/s"),
        ("linux/riscv64", None),
    ],
)
def test_the_program_of_a_platform(platform: str, path: str | None, tmp_path: Path) -> None:
    built = {
        "dist/s_linux_amd64_v3/s": program(),
        "dist/s_linux_amd64_v1/s": program(),
        "dist/s_linux_arm64_v8.0/s": program("arm64"),
        "dist/s_linux_arm64_v9.0/s": program("arm64"),
        "dist/s_linux_arm_6/s": program("arm"),
        "dist/s_linux_arm_7/s": program("arm"),
        "dist/s_darwin_arm64/s": b"\xcf\xfa\xed\xfe",
        "dist/s_windows_amd64/s.exe": b"MZ",
    }
    found = fitting(programs(folder(tmp_path, **built)), Platform.parse(platform))
    assert (found.file.path if found else None) == path


@pytest.mark.spec("BINARY-6")
@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\xcf\xfa\xed\xfe" + bytes(60), "macOS"),
        (b"\xfe\xed\xfa\xce" + bytes(60), "macOS"),
        (b"\xca\xfe\xba\xbe\0\0\0\x02" + bytes(60), "macOS"),
        (b"\xca\xfe\xba\xbe\0\0\0\x41" + bytes(60), "is not a program"),  # a Java class
        (b"MZ\x90\0", "Windows"),
        (b"\0asm\1\0\0\0", "WebAssembly"),
        (b"#!/usr/bin/env python3\nprint()", "script for `/usr/bin/env python3`"),
        (b"#!\xff\xfe", "script"),
        (b"hello", "is not a program"),
        (b"", "is not a program"),
        (program(system=9), "not for Linux"),
        (program()[:100], "broken"),
        (b"\x7fELF", "not for Linux"),
        (library("libx.so.1"), "library"),
    ],
)
def test_what_is_no_program_is_called_by_its_name(data: bytes, word: str, tmp_path: Path) -> None:
    tree = folder(tmp_path, file=data)
    error = refuse(tree, tree.files[0])
    assert word in error.message and error.hint and error.exit_code == 3


@given(st.binary(max_size=200), st.integers(0, 340), st.integers(0, 255))
def test_any_bytes_are_a_program_or_an_error(data: bytes, place: int, value: int) -> None:
    spoilt = bytearray(program(loader=GLIBC, needed=["libc.so.6"]))
    spoilt[min(place, len(spoilt) - 1)] = value

    class Tree:
        def __init__(self, data: bytes) -> None:
            self.data = data

        def part(self, path: str, offset: int, size: int) -> bytes:
            return self.data[offset : offset + size]

    for content in (data, elf.MAGIC + data, bytes(spoilt)):
        tree, file = Tree(content), TreeFile("file", "file")
        if executable(tree, file) is None:  # type: ignore[arg-type]
            assert refuse(tree, file).message  # type: ignore[arg-type]


@given(st.from_regex(r"[a-z0-9_.-]{1,20}", fullmatch=True))
def test_a_name_is_never_empty(name: str) -> None:
    assert name_of(name) and name.startswith(name_of(name))
