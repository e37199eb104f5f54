"""What a base's Python can import: wheel tags, best first, and the marker environment (PY-9, PY-10).

Both are computed from `BaseFacts` alone: the interpreter running this code is never asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ociassemble.kinds.python.errors import NoPythonError
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts, PythonFacts

if TYPE_CHECKING:
    from packaging.tags import Tag

# What `uname -m` says, and wheels say after it, for a GOARCH (and variant).
_MACHINES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "386": "i686",
    "arm": "armv7l",
    "arm/v6": "armv6l",
    "arm/v5": "armv5tel",
}
# manylinux1 (glibc 2.5) exists for Intel only; everybody else starts at manylinux2014.
_OLDEST_GLIBC = {"x86_64": 5, "i686": 5}
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# Where a base does not tell how old its C library is, only the oldest wheels are safe.
_UNKNOWN_GLIBC = (2, 17)
_UNKNOWN_MUSL = (1, 1)
# A patch level nobody told is taken as a late one: lower bounds ("3.13.2 or newer") are what projects write.
_UNKNOWN_PATCH = "99"


def python_of(facts: BaseFacts) -> PythonFacts:
    """The base's Python; NoPythonError where it has none."""
    if facts.python is None:
        raise NoPythonError(
            f"the base image for {facts.platform} has no Python interpreter",
            hint="choose a base that has one: `--base distroless/python3`, or any python image",
        )
    return facts.python


def describe(facts: BaseFacts) -> str:
    """The base's Python for people: "Python 3.13.5 on linux/amd64 (glibc 2.41)"."""
    python = python_of(facts)
    libc = f" ({facts.libc} {facts.libc_version})".replace(" )", ")") if facts.libc else ""
    threads = "free-threaded " if python.free_threaded else ""
    return f"{threads}Python {python.version or python.minor} on {facts.platform}{libc}"


def machine(platform: Platform) -> str:
    """`platform_machine` of a platform: "x86_64"."""
    known = _MACHINES.get(f"{platform.architecture}/{platform.variant}")
    return known or _MACHINES.get(platform.architecture, platform.architecture)


def platform_tags(facts: BaseFacts) -> tuple[str, ...]:
    """The platform parts of wheel tags this base accepts, newest C library first, plain `linux_*` last."""
    name = machine(facts.platform)
    tags: list[str] = []
    if facts.libc == "glibc":
        major, newest = _version(facts.libc_version, _UNKNOWN_GLIBC)
        for minor in range(newest, _OLDEST_GLIBC.get(name, 17) - 1, -1) if major == 2 else ():
            tags.append(f"manylinux_2_{minor}_{name}")
            if minor in _LEGACY:
                tags.append(f"{_LEGACY[minor]}_{name}")
    elif facts.libc == "musl":
        major, newest = _version(facts.libc_version, _UNKNOWN_MUSL)
        tags += (f"musllinux_{major}_{minor}_{name}" for minor in range(newest, -1, -1))
    tags.append(f"linux_{name}")
    return tuple(tags)


def tags(facts: BaseFacts) -> tuple[Tag, ...]:
    """Every wheel tag the base's Python accepts, best first."""
    from packaging.tags import compatible_tags, cpython_tags

    python = python_of(facts)
    version = _version(python.minor, (3, 0))
    interpreter = f"cp{version[0]}{version[1]}"
    abi = interpreter + ("t" if python.free_threaded else "")
    platforms = platform_tags(facts)
    return (
        *cpython_tags(version, [abi], platforms),
        *compatible_tags(version, interpreter, platforms),
    )


def wanted(facts: BaseFacts) -> str:
    """The tags in a line for people: the best compiled one, the stable ABI, and the pure ones."""
    python = python_of(facts)
    interpreter = "cp" + python.minor.replace(".", "")
    platforms = platform_tags(facts)
    best = f"{interpreter}-{interpreter}{'t' if python.free_threaded else ''}-{platforms[0]}"
    older = f" (down to {platforms[-2]})" if len(platforms) > 2 else ""
    stable = "" if python.free_threaded else f", {interpreter}-abi3-* and older"
    return f"{best}{older}{stable}, py3-none-any"


def environment(facts: BaseFacts) -> Mapping[str, str]:
    """The eleven environment markers (PEP 508) of the base's Python."""
    python = python_of(facts)
    full = python.version or f"{python.minor}.{_UNKNOWN_PATCH}"
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": machine(facts.platform),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": python.minor,
        "sys_platform": "linux",
    }


def accepts(specifier: str, facts: BaseFacts) -> bool:
    """Whether the base's Python is within `specifier` (a requires-python); a broken specifier accepts nothing."""
    from packaging.specifiers import SpecifierSet

    try:
        return SpecifierSet(specifier).contains(environment(facts)["python_full_version"], prereleases=True)
    except ValueError:  # InvalidSpecifier, or a number of thousands of digits
        return False


def _version(text: str, unknown: tuple[int, int]) -> tuple[int, int]:
    major, _, rest = text.partition(".")
    minor = rest.partition(".")[0]
    if not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()) or len(text) > 100:
        return unknown
    return int(major), min(int(minor), 999)
