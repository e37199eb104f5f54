"""Which files of a folder are programs for Linux, what they are called, and for which platform (BINARY-1 to BINARY-7).

The ELF header says what a file is and for which machine; names and folders only say where to look, what a program is
called without its platform, and which of two variants of one architecture it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ociassemble.errors import ProjectError
from ociassemble.formats import elf
from ociassemble.formats.elf import Elf
from ociassemble.oci.platform import Platform
from ociassemble.project.tree import ProjectTree, TreeFile

_MACHINE = (
    r"(?:x86_64|x86-64|amd64|x64|i[3-6]86|386|aarch64|arm64|armv[5-7][a-z]*|armhf|arm|riscv64(?:gc)?|s390x"
    r"|ppc64le|powerpc64le|ppc64el|loong(?:arch)?64)"
)
_VARIANT = r"(?:[-_]?v?\d+(?:\.\d+)?)?"
_SYSTEM = r"(?:linux|Linux)"
# "linux_amd64_v1", "linux-arm64", "Linux_x86_64", "x86_64-unknown-linux-musl", "aarch64-linux-gnu"
_TRIPLE = rf"{_MACHINE}-(?:[a-z]+-)?linux(?:-(?:gnu|musl)(?:eabihf|eabi|abi64)?)?"
_TOKEN = rf"(?:{_SYSTEM}[-_/.]{_MACHINE}{_VARIANT}|{_TRIPLE})"
_OUTPUTS = r"(?:dist|bin|build|out|release|_output|artifacts|zig-out/bin)"
# Where build tools put what they made, below the folder; a folder inside must name a platform.
_PLACES = re.compile(
    rf"{_OUTPUTS}/(?:[^/]*{_TOKEN}[^/]*/|{_SYSTEM}/{_MACHINE}/(?:v\d+/)?)?[^/]+"
    rf"|target/(?:{_TOKEN}/)?release/[^/]+|[^/]*{_TOKEN}[^/]*/[^/]+"
)
_NAMED = re.compile(rf"^(.+?)[-_.](?:{_TOKEN}|{_MACHINE})$")
_LEVEL = re.compile(rf"{_MACHINE}(?:[-_/]v?|v)(\d+)(?![A-Za-z0-9])|armv(\d)")
_LINUX = (b"\0", b"\3")  # EI_OSABI: System V, and GNU/Linux
_OTHERS = (
    (b"\xfe\xed\xfa\xce", "macOS"),
    (b"\xfe\xed\xfa\xcf", "macOS"),
    (b"\xce\xfa\xed\xfe", "macOS"),
    (b"\xcf\xfa\xed\xfe", "macOS"),
    (b"MZ", "Windows"),
    (b"\0asm", "WebAssembly"),
)


class NotLinuxError(ProjectError):
    """A program that no Linux kernel starts, or a file that is no program."""

    code = "project.binary"


class Program(NamedTuple):
    """One executable for Linux. `name` is what it is called whatever the platform."""

    file: TreeFile
    name: str
    elf: Elf

    @property
    def static(self) -> bool:
        """Whether it needs neither a loader nor libraries."""
        return not self.elf.interpreter and not self.elf.needed

    @property
    def platform(self) -> str:
        return f"linux/{self.elf.architecture or f'machine {self.elf.machine}'}"


def programs(tree: ProjectTree) -> tuple[Program, ...]:
    """The programs at the top of the folder, else those where build tools put them; by path."""
    files = [file for file in tree.files if file.kind == "file"]
    top = tuple(_programs(tree, (file for file in files if "/" not in file.path)))
    return top or tuple(_programs(tree, (file for file in files if _PLACES.fullmatch(file.path))))


def _programs(tree: ProjectTree, files: Iterable[TreeFile]) -> Iterator[Program]:
    for file in files:
        found = executable(tree, file)
        if found is not None:
            yield Program(file, name_of(file.path), found)


def executable(tree: ProjectTree, file: TreeFile) -> Elf | None:
    """The header of a program for Linux; None for anything else, libraries too."""
    head = tree.part(file.path, 0, 8)
    if head[:4] != elf.MAGIC or head[7:8] not in _LINUX:
        return None
    try:
        found = elf.read(lambda offset, size: tree.part(file.path, offset, size))
    except elf.ElfFormatError:
        return None
    if found.type == elf.EXECUTABLE:
        return found
    # A library has no loader of its own (libc.so.6 has, and a SONAME), and most have nowhere to begin.
    runs = bool(found.interpreter) or (not found.needed and found.entry != 0)
    return found if found.type == elf.SHARED and runs and not found.soname else None


def name_of(path: str) -> str:
    """What a program is called, without its platform: `server` of `bin/server-linux-arm64`."""
    name = path.rpartition("/")[2]
    found = _NAMED.fullmatch(name)
    return found[1] if found else name


def called(found: Iterable[Program], wanted: Iterable[str]) -> tuple[Program, ...]:
    """The programs of one name: the only one there is, else the first of `wanted` that is there; () for none."""
    by_name: dict[str, list[Program]] = {}
    for program in found:
        by_name.setdefault(program.name, []).append(program)
    if len(by_name) == 1:
        return tuple(*by_name.values())
    return next((tuple(by_name[name]) for name in wanted if name in by_name), ())


def fitting(found: Iterable[Program], platform: Platform) -> Program | None:
    """The program for a platform: of several variants the one it names, else the lowest; None where there is none."""
    fits = [program for program in found if program.elf.architecture == platform.architecture]
    asked = platform.variant.removeprefix("v") if platform.variant else ""

    def order(program: Program) -> tuple[bool, float, int, str]:
        variant = _variant(program.file.path)
        return (variant != asked, float(variant or 0), program.file.path.count("/"), program.file.path)

    return min(fits, key=order, default=None)


def _variant(path: str) -> str:
    found = list(_LEVEL.finditer(path))
    return (found[-1][1] or found[-1][2] or "") if found else ""


def refuse(tree: ProjectTree, file: TreeFile) -> NotLinuxError:
    """The error for a file that was named and is no program for Linux."""
    head = tree.part(file.path, 0, 512)
    shown = f"`{file.path}`"
    other = next((system for magic, system in _OTHERS if head.startswith(magic)), None)
    if head.startswith(b"\xca\xfe\xba\xbe"):  # a universal binary, which counts its parts, or a Java class
        other = "macOS" if 0 < int.from_bytes(head[4:8], "big") < 20 else None
    if other is not None:
        return NotLinuxError(
            f"{shown} is a {other} program; an image needs one for Linux",
            hint="build it for Linux: `GOOS=linux go build`, `cargo build --target x86_64-unknown-linux-musl`",
        )
    if head.startswith(b"#!"):
        line = head[2:].partition(b"\n")[0].decode("utf-8", "backslashreplace").strip()
        return NotLinuxError(
            f"{shown} is a script for `{line:.80}`, not a program",
            hint="name the folder of the application; for a plain folder pass `--kind directory`",
        )
    if head[:4] != elf.MAGIC:
        return NotLinuxError(f"{shown} is not a program", hint="name the folder of the application, or its program")
    if head[7:8] not in _LINUX:
        return NotLinuxError(f"{shown} is an ELF program, but not for Linux", hint="build it for Linux")
    try:
        elf.read(lambda offset, size: tree.part(file.path, offset, size))
    except elf.ElfFormatError as error:
        return NotLinuxError(f"{shown} is a broken program: {error.message}", hint="copy or build it again")
    return NotLinuxError(f"{shown} is a library, not a program", hint="name the program itself")
