"""What a dynamic loader finds for a program and its libraries, looked up in the merged table. Pure.

Rules of glibc's ld.so(8) and of musl's loader; what is asked of the machine (hardware capabilities) and what a
process does itself (dlopen, preloading) is left out. See specs/behaviour/prove.md, PROVE-12 to PROVE-17.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ociassemble.audit.table import READ, Account, Table, allows
from ociassemble.formats.elf import Elf

_MUSL_FOLDERS = ("/lib", "/usr/local/lib", "/usr/lib")
_MUSL_OWN = ("libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet.")
_MAX_OBJECTS = 4096  # in one closure; the largest real ones have some hundred
_MAX_LOOKS = 200_000  # paths that are tried; then nobody knows what would be found
_MAX_SEARCH = 256  # folders of one RPATH, RUNPATH or LD_LIBRARY_PATH
_SOFT_FLOAT, _HARD_FLOAT = 0x200, 0x400  # e_flags of arm
_TRIPLETS = {
    "amd64": ("x86_64", "x86_64-linux-gnu"),
    "386": ("i686", "i386-linux-gnu"),
    "arm64": ("aarch64", "aarch64-linux-gnu"),
    "arm": ("v7l", "arm-linux-gnueabihf"),
    "riscv64": ("riscv64", "riscv64-linux-gnu"),
    "ppc64le": ("ppc64le", "powerpc64le-linux-gnu"),
    "s390x": ("s390x", "s390x-linux-gnu"),
    "loong64": ("loongarch64", "loongarch64-linux-gnu"),
}


class Loaded(NamedTuple):
    """One object of a process. `path` is the one it was found by; `elf` None where nothing is known of it."""

    path: str
    place: str
    elf: Elf | None
    loader: Loaded | None = None  # whose need brought it; None for the program


class Missing(NamedTuple):
    """Something that `path` (relative to the root) needs: `library`, or `version` of it in the file `found`."""

    path: str
    library: str
    version: str = ""
    found: str = ""


class Loader:
    """The loader that a program names, with the image's configuration of it.

    `interpreter` is the absolute path the program names, `likeness` a file it runs: libraries for another machine
    are passed over.
    """

    def __init__(self, table: Table, account: Account, likeness: Elf, interpreter: str, env: Mapping[str, str]) -> None:
        self._table, self._account, self._like = table, account, likeness
        place = table.find(interpreter, account).place
        self._own = Loaded(interpreter, place, table.facts(place).elf)
        soname = self._own.elf.soname if self._own.elf is not None else ""
        self.musl = "musl" in interpreter or "musl" in soname
        self._paths = _split(env.get("LD_LIBRARY_PATH", ""), ":;")
        self._platform, self._triplet = _TRIPLETS.get(likeness.architecture, ("", ""))
        cache = None if self.musl else table.facts(table.find("/etc/ld.so.cache").place).cache
        self._cache: dict[str, list[str]] = {}
        for name, path in cache or ():
            self._cache.setdefault(name, []).append(path)
        # A cache that is there, and in a form nobody knows, may name any folder.
        self.certain = self.musl or cache is not None or not table.has("/etc/ld.so.cache")
        # A loader of neither kind (gcompat's) looks where it likes.
        if not self.musl and self._own.elf is not None and not soname.startswith("ld"):
            self.certain = self.certain and not any(name.startswith("ld-musl-") for name in table.names())
        self._defaults = self._default_folders(interpreter, place)
        self._known: dict[str, tuple[str, Elf | None] | None] = {}
        self._loaded: dict[str, Loaded] = {}
        for name in {posixpath.basename(interpreter), soname} - {""}:
            self._loaded[name] = self._own

    def _default_folders(self, interpreter: str, place: str) -> tuple[str, ...]:
        if not self.musl:
            # A glibc has them among its strings; where it cannot be read, what distributions have.
            usual = [f"{top}/{self._triplet}" for top in ("/lib", "/usr/lib") if self._triplet]
            return self._table.facts(place).folders or (*usual, "/lib64", "/usr/lib64", "/lib", "/usr/lib")
        name = posixpath.basename(interpreter).partition(".")[0]
        text = self._table.text(f"/etc/{name}.path")
        return tuple(part for part in (text or "").replace(":", "\n").split("\n") if part) or _MUSL_FOLDERS

    def start(self, path: str, place: str, elf: Elf) -> tuple[list[Loaded], list[Missing]]:
        """The program with all it needs, in the order of loading, and what is missing."""
        return self._closure(Loaded(path, place, elf), self._loaded)

    def extend(self, path: str, place: str, elf: Elf, program: Loaded | None) -> list[Missing]:
        """What is missing where the running `program` opens one library more."""
        # What one library brings is not there for the next: nobody knows in which order they are opened.
        return self._closure(Loaded(path, place, elf, program), dict(self._loaded))[1]

    def _closure(self, first: Loaded, loaded: dict[str, Loaded]) -> tuple[list[Loaded], list[Missing]]:
        objects, missing, places = [first], [], {first.place}
        if first.elf is not None and first.elf.soname:
            loaded.setdefault(first.elf.soname, first)
        for one in objects:  # grows while it is walked: breadth first, as a loader does
            if one.elf is None:
                continue
            resolved: dict[str, Loaded] = {}
            for name in one.elf.needed:
                found = loaded.get(name) or self._find(name, one)
                if found is None:
                    missing.append(Missing(one.place, name))
                    continue
                resolved[name] = found
                loaded.setdefault(name, found)
                if found.elf is not None and found.elf.soname:
                    loaded.setdefault(found.elf.soname, found)
                if found.place not in places and found is not self._own and len(objects) < _MAX_OBJECTS:
                    places.add(found.place)
                    objects.append(found)
            missing += () if self.musl else self._versions(one, resolved)
        return objects, missing

    def _versions(self, one: Loaded, resolved: Mapping[str, Loaded]) -> Iterator[Missing]:
        assert one.elf is not None
        for wanted in one.elf.wants:
            found = resolved.get(wanted.library)
            # A library that defines no versions at all is taken as it is, with a word of warning from the loader.
            if found is None or found.elf is None or not found.elf.offers:
                continue
            for version in wanted.versions:
                if version not in found.elf.offers:
                    yield Missing(one.place, wanted.library, version, found.place)

    def _find(self, name: str, one: Loaded) -> Loaded | None:
        if "/" in name:
            paths: Iterator[str] = iter((self._expanded(name, one),))
        elif self.musl and name.startswith(_MUSL_OWN):
            return self._own
        else:
            paths = (posixpath.join(folder, name) for folder in self._folders(one))
            paths = self._with_cache(paths, name) if not self.musl else paths
        for path in paths:
            found = self._candidate(path)
            if found is not None:
                return Loaded(path, found[0], found[1], one)
        return None

    def _with_cache(self, paths: Iterator[str], name: str) -> Iterator[str]:
        yield from paths
        yield from self._cache.get(name, ())
        for folder in self._defaults:
            yield posixpath.join(folder, name)

    def _folders(self, one: Loaded) -> Iterator[str]:
        """Where `one` says its libraries are, and the environment; of musl the defaults as well."""
        assert one.elf is not None
        if self.musl:
            yield from self._paths
            here: Loaded | None = one
            while here is not None:
                if here.elf is not None:
                    yield from self._searched(here.elf.runpath or here.elf.rpath, here)
                here = here.loader
            yield from self._defaults
            return
        here = None if one.elf.runpath else one
        while here is not None:
            if here.elf is not None and not here.elf.runpath:
                yield from self._searched(here.elf.rpath, here)
            here = here.loader
        yield from self._paths
        yield from self._searched(one.elf.runpath, one)

    def _searched(self, text: str, one: Loaded) -> Iterator[str]:
        for part in _split(text, ":"):
            if "$LIB" in part or "${LIB}" in part:
                for lib in (f"lib/{self._triplet}", "lib64", "lib"):
                    yield self._expanded(part, one, lib)
            else:
                yield self._expanded(part, one)

    def _expanded(self, text: str, one: Loaded, lib: str = "lib") -> str:
        if "$" not in text:
            return text
        # Of the program a loader knows the real path, of libraries the one they were found by.
        origin = posixpath.dirname(one.path if one.loader is not None else f"/{one.place}")
        for name, value in (("ORIGIN", origin), ("LIB", lib), ("PLATFORM", self._platform)):
            text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
        return text

    def _candidate(self, path: str) -> tuple[str, Elf | None] | None:
        """The real path and facts of a file that the loader would take, None where it looks further."""
        if path not in self._known:
            if len(self._known) >= _MAX_LOOKS:
                self.certain = False
                return None
            self._known[path] = self._look(path)
        return self._known[path]

    def _look(self, path: str) -> tuple[str, Elf | None] | None:
        found = self._table.find(path, self._account)
        if found.problem == "mounted":
            return found.place, None
        if (
            found.problem
            or found.item is None
            or found.item.kind != "file"
            or not allows(found.item, self._account, READ)
        ):
            return None
        facts = self._table.facts(found.place)
        if facts.elf is None:
            return (found.place, None) if facts.damaged else None
        return (found.place, facts.elf) if alike(facts.elf, self._like) else None


def alike(one: Elf, other: Elf) -> bool:
    """Whether both can be in one process."""
    if (one.machine, one.bits, one.little) != (other.machine, other.bits, other.little):
        return False
    floats = _SOFT_FLOAT | _HARD_FLOAT
    return one.architecture != "arm" or (one.flags | other.flags) & floats != floats


def _split(text: str, separators: str) -> list[str]:
    """The folders of a search path; an empty one is the working directory."""
    for separator in separators[1:]:
        text = text.replace(separator, separators[0])
    return text.split(separators[0])[:_MAX_SEARCH] if text else []
