"""Where an image's Python looks for modules: sys.path as command line, environment and path files make it. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ociassemble.audit.process import Process
from ociassemble.audit.table import Table, absolute

_SUFFIX = re.compile(r"\.(?:pyc?|so|abi3\.so|cpython-[\w-]+\.so)")
# Path files whose code makes nothing importable.
_HARMLESS = r"(?:distutils-precedence|.*-nspkg|coverage|a1_coverage|matplotlib.*|pywin32|zzz_.*)\.pth"


_AT_START = ("sitecustomize", "usercustomize")


class Command(NamedTuple):
    """An interpreter's command line. `mode` is "script", "module", "code" or "" for anything else."""

    mode: str
    value: str
    arguments: tuple[str, ...]
    options: str  # single letters


def parse(words: Sequence[str]) -> Command:
    """The command line after the interpreter (Python's own grammar, `python --help`)."""
    letters = ""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--" and rest:
            return Command("script", rest[0], tuple(rest[1:]), letters)
        if word.startswith("--"):
            if word == "--check-hash-based-pycs" and rest:
                rest.pop(0)
            continue
        if not word.startswith("-") or word == "-":
            return Command("script" if word != "-" else "", word, tuple(rest), letters)
        for position, letter in enumerate(word[1:], 2):
            if letter in "cm":
                value = word[position:] or (rest.pop(0) if rest else "")
                return Command("code" if letter == "c" else "module", value, tuple(rest), letters)
            if letter in "WX":
                if not word[position:] and rest:
                    rest.pop(0)
                break
            letters += letter
    return Command("", "", (), letters)


class Imports:
    """The folders that modules are looked for in. `certain` False: code in path files may add others."""

    def __init__(self, table: Table, folders: Sequence[str], certain: bool) -> None:
        self._table, self.folders, self.certain = table, tuple(dict.fromkeys(folders)), certain

    def find(self, module: str) -> str | None:
        """The real path of a module's file, or of its folder for a package; None where there is none."""
        folders: list[str] = list(self.folders)
        found: str | None = None
        for name in module.split("."):
            if found is not None and not folders:
                return found  # below a plain module: `os.path` is what its code makes it
            found, folders = self._one(name, folders)
            if found is None:
                return None
        return found

    def _one(self, name: str, folders: Sequence[str]) -> tuple[str | None, list[str]]:
        portions: list[str] = []  # of a namespace package
        for folder in folders:
            top = self._table.find(folder)
            if top.problem or top.item is None or top.item.kind != "directory":
                continue
            names = self._table.listing(top.place)
            inner = self._table.find(f"/{top.place}/{name}")
            if not inner.problem and inner.item is not None and inner.item.kind == "directory":
                if self._has(inner.place, "__init__"):
                    return inner.place, [f"/{inner.place}"]
                portions.append(f"/{inner.place}")
            file = next((item for item in sorted(names) if _is(item, name)), None)
            if file is not None:
                self._table.seen.add(f"{top.place}/{file}".lstrip("/"))
                return f"{top.place}/{file}".lstrip("/"), []
        return (portions[0].strip("/"), portions) if portions else (None, [])

    def runnable(self, place: str) -> bool:
        """Whether a package has a `__main__`."""
        return self._has(place, "__main__")

    def _has(self, place: str, module: str) -> bool:
        """Whether a module is a file of this folder."""
        found = sorted(name for name in self._table.listing(place) if _is(name, module))
        self._table.seen.update(f"{place}/{name}" for name in found[:1])
        return bool(found)


def _is(file: str, module: str) -> bool:
    return file.startswith(module + ".") and _SUFFIX.fullmatch(file[len(module) :]) is not None


def import_path(table: Table, process: Process, version: str, command: Command) -> Imports | None:
    """sys.path; None where the standard library is not where it is looked for."""
    prefix = "/" + posixpath.dirname(posixpath.dirname(process.program))
    libraries = [posixpath.join(prefix, folder, f"python{version}") for folder in ("lib", "lib64")]
    if not any(table.has(f"{folder}/os.py{end}") for folder in libraries for end in ("", "c")):
        return None
    isolated = "I" in command.options
    folders: list[str] = []
    certain = True
    if not isolated and "P" not in command.options and not process.env.get("PYTHONSAFEPATH"):
        script = absolute(command.value, process.workdir) if command.mode == "script" else ""
        folders.append(posixpath.dirname("/" + table.find(script).place) if script else process.workdir)
    if not isolated and "E" not in command.options:
        stated = [absolute(part, process.workdir) for part in process.env.get("PYTHONPATH", "").split(":") if part]
        folders += stated
        # What is not there may be mounted.
        certain = all(table.has(folder) for folder in stated)
    folders.append(f"{prefix}/lib/python{version.replace('.', '').rstrip('t')}.zip")
    for library in libraries:
        folders += (library, f"{library}/lib-dynload")
    if "S" not in command.options:
        for site in _sites(table, process, prefix, version):
            more, plain = _path_files(table, site)
            folders += (site, *more)
            certain = certain and plain
    certain = certain and not any(_open_ended(table, folder) for folder in folders)
    return Imports(table, folders, certain)


def _open_ended(table: Table, folder: str) -> bool:
    """Whether more may be importable from there than its listing says: an archive, or code that runs at every start."""
    found = table.find(folder)
    if found.problem or found.item is None:
        return found.problem == "mounted"
    if found.item.kind != "directory":
        return True
    names = [name for name in table.listing(found.place) if name.partition(".")[0] in _AT_START]
    return any(table.brought(f"{found.place}/{name}".lstrip("/")) for name in names)


def _sites(table: Table, process: Process, prefix: str, version: str) -> Iterator[str]:
    """The site directories: those of a virtual environment around the program, else those of the interpreter."""
    folder = posixpath.dirname(absolute(process.argv[0], process.workdir))
    for home in (folder, posixpath.dirname(folder)):
        text = table.text(f"{home}/pyvenv.cfg")
        if text is not None:
            yield f"{home}/lib/python{version}/site-packages"
            yield f"{home}/lib64/python{version}/site-packages"
            if not re.search(r"(?im)^include-system-site-packages\s*=\s*true", text):
                return
            break
    if prefix == "/usr" and table.has("/var/lib/dpkg"):
        plain = version.rstrip("t")
        yield f"/usr/local/lib/python{plain}/dist-packages"
        yield from ("/usr/lib/python3/dist-packages", f"/usr/lib/python{plain}/dist-packages")
        return
    for lib in ("lib", "lib64"):
        yield f"{prefix}/{lib}/python{version}/site-packages"


def _path_files(table: Table, site: str) -> tuple[list[str], bool]:
    """Folders that the path files of a site directory add, and whether that is all they can do."""
    top = table.find(site)
    folders, plain = [], True
    if top.problem:
        return [], True
    for name in sorted(table.listing(top.place)):
        if not name.endswith(".pth") or name.startswith("."):
            continue
        text = table.facts(f"{top.place}/{name}").text
        if text is None:
            plain = plain and not table.files.paths[f"{top.place}/{name}"].size
        for line in (text or "").splitlines():
            if line.startswith(("import ", "import\t")):
                plain = plain and re.fullmatch(_HARMLESS, name) is not None
            elif line.strip() and not line.startswith("#"):
                folders.append(posixpath.join(site, line.strip()))
    return folders, plain
