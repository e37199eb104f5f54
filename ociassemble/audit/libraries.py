"""What the layers bring besides the start command: extension modules, addons, libraries, other programs. Warnings.

Nobody knows which of them are ever opened, nor in which order, so that only what can hardly work is told: a library
that is nowhere in the image, a version that no library there has, another C library, another machine, another Python.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ociassemble.audit import hints
from ociassemble.audit.loader import Loader, Missing
from ociassemble.audit.process import Process
from ociassemble.audit.prove import Finding
from ociassemble.audit.table import Account, Table, account_of, environment
from ociassemble.formats.elf import Elf
from ociassemble.oci.platform import Platform

_SHOWN = 2  # files named in one finding
_PACKAGE = re.compile(r"(?:.*/)?(?:site-packages|dist-packages|node_modules)/((?:@[^/]+/)?[^/]+)")
_EXTENSION = re.compile(r"(.+)\.cpython-3(\d+)(t?)[a-z]*-[\w-]+\.so", re.ASCII)
_PYTHON = re.compile(r"(?:.*/)?python3\.(\d+)(t?)", re.ASCII)
# Parts of packages that do without them.
_OPTIONAL = re.compile(r"(?:.*/)?(?:numba/np/ufunc/(?:tbb|omp)pool|PIL/_imagingtk|matplotlib/backends/_tkagg)\.[^/]*")
# Words in a path that say a file is for other machines or C libraries, and is chosen when the program runs.
_VARIANT = re.compile(
    r"(?<![a-z0-9])(?:x86|i[3-6]86|ia32|x64|x86[_-]64|amd64|arm|arm64|armv[5-8]\w*|armhf|aarch64|ppc64\w*|s390x?|riscv64|"
    r"mips\w*|loong\w*|wasm\w*|linux|linuxmusl|musl\w*|glibc|gnu|android|darwin|macos|osx|win(?:32|64|dows)?|freebsd)(?![a-z0-9])",
    re.IGNORECASE,
)


class _Trouble(NamedTuple):
    """What is wrong with some files; `message` is the library's name where that is what is missing."""

    package: str  # "" outside of packages
    lasting: bool
    code: str
    message: str


def prove(
    table: Table, process: Process | None, execution: Mapping[str, Any], platform: Platform, *, lasting: bool = True
) -> Iterator[Finding]:
    """Warnings about ELF files of our layers that are not in the start command's closure.

    Without `lasting` those in layers of dependencies are left out.
    """
    env = environment(execution.get("Env") or ())
    account = account_of(execution.get("User") or "", table)
    who = account if isinstance(account, Account) else Account(0, frozenset())
    who = who._replace(folder=execution.get("WorkingDir") or "/")
    closure = {one.place for one in process.objects} if process is not None else set()
    if process is not None:
        closure.add(process.program)
    found: dict[_Trouble, list[str]] = {}
    loaders: dict[tuple[Any, ...], Loader] = {}
    for place, facts in sorted(table.files.facts.items()):
        if facts.elf is None or not facts.elf.dynamic or place in closure or not table.brought(place):
            continue
        if not lasting and table.lasting(place):
            continue
        group = _package(place), table.lasting(place)
        kind = _abi(place, table, process)
        if kind is None:
            kind = _machine(place, facts.elf, platform)
        if kind is None:
            for code, message in _needs(table, process, place, facts.elf, loaders, who, env):
                found.setdefault(_Trouble(*group, code, message), []).append(place)
        elif kind[0]:
            found.setdefault(_Trouble(*group, *kind), []).append(place)
    yield from _told(found, table)


def _told(found: Mapping[_Trouble, list[str]], table: Table) -> Iterator[Finding]:
    """One finding for each package and kind of trouble; libraries that are missing are told together."""
    lacking: dict[tuple[str, bool], dict[str, list[str]]] = {}
    for (package, lasting, code, message), places in found.items():
        if code == "library-missing":
            lacking.setdefault((package, lasting), {})[message] = places
            continue
        hint = "it was installed for another Python: let it be chosen for this base" if code == "python" else ""
        if code == "libc":
            hint = "choose the package's build for the base's C library, or the other base"
        yield Finding(f"prove.{code}", "warning", f"{_of(package)}{message} ({_shown(places)})", hint, lasting)
    for (package, lasting), libraries in lacking.items():
        names = ", ".join(f"`{name}`" for name in libraries)
        message = f"needs {names}, which {'is' if len(libraries) == 1 else 'are'} nowhere in the image"
        places = sorted({place for some in libraries.values() for place in some})
        told = f"{_of(package)}{message} ({_shown(places)})"
        yield Finding("prove.library-missing", "warning", told, hints.libraries(libraries, table), lasting)


def _of(package: str) -> str:
    return f"of {package}: " if package else ""


def _shown(places: Sequence[str]) -> str:
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return ", ".join(f"`/{place}`" for place in places[:_SHOWN]) + more


def _package(place: str) -> str:
    named = _PACKAGE.match(place)
    return named[1].removesuffix(".libs") if named else ""


def _abi(place: str, table: Table, process: Process | None) -> tuple[str, str] | None:
    """What is wrong with the Python an extension module is for; None for anything that may be right."""
    named = _EXTENSION.fullmatch(posixpath.basename(place))
    running = _PYTHON.fullmatch(process.program) if process is not None else None
    if named is None or running is None or (named[2], named[3]) == (running[1], running[2]):
        return None
    folder = posixpath.dirname(place)
    others = [_EXTENSION.fullmatch(name) for name in table.listing(folder) if name.startswith(named[1] + ".")]
    if None in others or any(other and (other[2], other[3]) == (running[1], running[2]) for other in others):
        return "", ""  # one of several, and the right one is among them
    return "python", f"for Python 3.{named[2]}{named[3]}, and the image has 3.{running[1]}{running[2]}"


def _machine(place: str, elf: Elf, platform: Platform) -> tuple[str, str] | None:
    if elf.architecture == platform.architecture:
        return None
    if _variant(place):
        return "", ""
    told = elf.architecture or f"machine {elf.machine}"
    return "platform", f"for {told}, and the image is for {platform}"


def _variant(place: str) -> bool:
    """Whether the name below the package says that this is one of several builds."""
    named = _PACKAGE.match(place)
    inner = place[named.start(1) :] if named else place
    # An extension module's own tag names the machine it is for, of which there is one.
    return _VARIANT.search(re.sub(r"\.cpython-[\w-]+\.so$", "", inner)) is not None


def _needs(
    table: Table,
    process: Process | None,
    place: str,
    elf: Elf,
    loaders: dict[tuple[Any, ...], Loader],
    account: Account,
    env: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    # Some libraries name a loader as well, so that they say their version when they are started.
    program = bool(elf.interpreter) and ".so" not in posixpath.basename(place)
    interpreter = elf.interpreter if program else _running_loader(table, process)
    if program and table.find(interpreter).problem:
        if not _variant(place):
            yield "loader-missing", f"needs {hints.named(interpreter)}, which is not in the image"
        return
    if not interpreter:
        return
    musl = any(name.startswith("libc.musl-") for name in elf.needed)
    key = (interpreter, elf.machine, elf.bits, elf.little)
    if key not in loaders:
        own = process.loader if process is not None and not program else None
        loaders[key] = own or Loader(table, account, elf, interpreter, env)
    loader = loaders[key]
    if not loader.certain:
        return
    if not program and (musl != loader.musl) and (musl or "libc.so.6" in elf.needed):
        if not _variant(place):
            yield (
                "libc",
                f"built for {'musl' if musl else 'glibc'}, and the image has {'musl' if loader.musl else 'glibc'}",
            )
        return
    running = process.objects[0] if process is not None and process.objects and not program else None
    for item in loader.extend(f"/{place}", place, elf, running):
        # What is missing of a library that comes along is told where that library is looked at.
        if item.path == place:
            yield from _lack(item, table)


def _running_loader(table: Table, process: Process | None) -> str:
    """The loader of the process that would open a library: that of the start command's program."""
    if process is None or not process.objects or process.objects[0].elf is None:
        return ""
    return process.objects[0].elf.interpreter


def _lack(item: Missing, table: Table) -> Iterator[tuple[str, str]]:
    if item.version:
        yield "version-missing", f"needs {item.version} of `{item.library}`, which `/{item.found}` does not have"
    elif posixpath.basename(item.library) not in table.names() and not _OPTIONAL.fullmatch(item.path):
        # A library that is somewhere in the image is most often opened beforehand, by its path.
        yield "library-missing", item.library
