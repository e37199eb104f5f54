"""Requirements files, as far as their lines decide what must be read and trusted (PY-5 to PY-8).

uv resolves them; here they are read to follow `-r` and `-c` (so that every file the answer depends on is known),
to collect the hashes they pin (uv ignores a wrong one), to find local packages, and to refuse what cannot be
honoured with the line's number and a way out.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ociassemble.formats.package_name import normalised
from ociassemble.kinds.python.errors import RequirementsError
from ociassemble.project.tree import ProjectTree

_DEPTH = 30
_COMMENT = re.compile(r"(^|\s)#.*$")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}", re.ASCII)
# A name with its extras, or one version of it: what most lines are. Reading them needs no `packaging`, which takes
# long to load.
_NAME = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"
_VERSION = r"[0-9]{1,9}(?:\.[0-9]{1,9})*(?:(?:a|b|rc)[0-9]{1,9})?(?:\.post[0-9]{1,9})?(?:\.dev[0-9]{1,9})?"
_PLAIN = re.compile(rf"({_NAME})(?:\[{_NAME}(?:,{_NAME})*\])?(?:\s*==\s*{_VERSION})?", re.ASCII | re.IGNORECASE)
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII | re.IGNORECASE)
_PER_REQUIREMENT = re.compile(r"\s+--?(?=[a-zA-Z])")
_ARCHIVES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")
_VCS = ("git", "hg", "svn", "bzr")

# Options that uv understands and that need nothing from us.
_PASSED = frozenset({"-i", "--index-url", "--pypi-url", "--extra-index-url", "--no-index", "--require-hashes"})
_HARMLESS = frozenset({"--prefer-binary", "--trusted-host", "--use-feature", "--pre"})
_SHORT = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-f": "--find-links", "-i": "--index-url"}


class Requirements(NamedTuple):
    """What a requirements file and all it includes say. Paths are relative to the project's folder."""

    files: tuple[str, ...]  # as read, the first one first
    names: tuple[str, ...] = ()  # normalised names of what is required, constraints not among them
    hashes: tuple[tuple[str, tuple[str, ...]], ...] = ()  # sha256 by normalised name
    local: tuple[str, ...] = ()  # folders of local packages, "" for the project's own
    wheels: tuple[str, ...] = ()  # wheels in the folder that lines or --find-links name


class _Line(NamedTuple):
    file: str
    number: int
    text: str

    def refuse(self, why: str, hint: str) -> RequirementsError:
        return RequirementsError(f"`{self.file}` line {self.number}: {why}", details=[self.text[:200]], hint=hint)


class _Reader:
    """Walks one file and what it includes."""

    def __init__(self, tree: ProjectTree) -> None:
        self.tree = tree
        self.files: list[str] = []
        self.names: dict[str, None] = {}
        self.local: dict[str, None] = {}
        self.wheels: dict[str, None] = {}
        self.required: dict[str, dict[str, None]] = {}
        self.constrained: dict[str, dict[str, None]] = {}

    def read(self, path: str, chain: tuple[str, ...], constraint: bool) -> None:
        if path in self.files and path not in chain:
            return  # two files may include a third
        if path in chain or len(chain) >= _DEPTH:
            loop = " -> ".join((*chain[-5:], path))
            raise RequirementsError(
                f"requirements files include each other: {loop}", hint="remove one of the -r or -c lines"
            )
        text = self.tree.text(path)
        self.files.append(path)
        for line in _lines(path, text):
            self._line(line, (*chain, path), constraint)

    def _line(self, line: _Line, chain: tuple[str, ...], constraint: bool) -> None:
        if not line.text.startswith("-"):
            self._requirement(line, line.text, constraint)
            return
        option, value = _option(line)
        if option in ("--requirement", "--constraint"):
            included = self._inside(line, value, "requirements file")
            if not self.tree.has(included):
                raise line.refuse(f"there is no file `{included}`", "correct the path; it is relative to this file")
            self.read(included, chain, constraint or option == "--constraint")
        elif option == "--editable":
            self._requirement(line, value, constraint)
        elif option == "--find-links":
            self._find_links(line, value)
        elif option in ("--no-binary", "--only-binary"):
            if option == "--no-binary" and value != ":none:":
                raise line.refuse("packages are never built from source", "remove the --no-binary line")
        elif option not in _PASSED | _HARMLESS:
            raise line.refuse(f"unknown option `{option}`", "remove it, or correct its spelling")

    def _requirement(self, line: _Line, text: str, constraint: bool) -> None:
        if _VARIABLE.search(text):
            raise line.refuse(
                "a requirement must not depend on the environment", "write the value out; variables are for index URLs"
            )
        parts = _PER_REQUIREMENT.split(text, maxsplit=1)
        text = parts[0].strip()
        hashes = _hashes(line, line.text)
        name = self._named(line, text)
        if name and not constraint:
            self.names.setdefault(name)
        if name and hashes:
            pins = self.constrained if constraint else self.required
            pins.setdefault(name, {}).update(dict.fromkeys(hashes))

    def _named(self, line: _Line, text: str) -> str:
        """The normalised name a requirement is for; "" for local packages."""
        if _is_path(text):
            return self._path(line, text)
        plain = _PLAIN.fullmatch(text)
        if plain is not None:
            return normalised(plain[1])
        from packaging.requirements import InvalidRequirement, Requirement
        from packaging.utils import canonicalize_name

        url = _URL.match(text)
        if url is not None:
            return self._url(line, text)
        try:
            requirement = Requirement(text)
        except (InvalidRequirement, ValueError, RecursionError) as error:
            raise line.refuse(
                f"not a requirement: {str(error).splitlines()[0]}", "a requirement is written like `flask==3.1.3`"
            ) from error
        if requirement.url:
            self._url(line, requirement.url)
        return canonicalize_name(requirement.name)

    def _url(self, line: _Line, url: str) -> str:
        """Refuse what cannot be a wheel; the name a wheel's file name tells."""
        scheme = url.partition(":")[0].lower()
        if scheme.split("+")[0] in _VCS:
            raise line.refuse(
                f"a package from {scheme.split('+')[0]} would have to be built",
                "use a released version, or build its wheel and pass it with `--wheel FILE`",
            )
        if scheme == "file":
            raise line.refuse("a file: URL names a path of this machine", "write a path relative to this file")
        filename = url.partition("#")[0].partition("?")[0].rpartition("/")[2]
        if not filename.endswith(".whl"):
            raise line.refuse(
                "a source archive would have to be built",
                "use a released version, or build its wheel and pass it with `--wheel FILE`",
            )
        return _wheel_name(line, filename.replace("%2B", "+"))

    def _path(self, line: _Line, text: str) -> str:
        path = self._inside(line, text.partition("[")[0].partition(";")[0].strip(), "package")
        if path.endswith(".whl"):
            if not self.tree.has(path):
                raise line.refuse(f"there is no file `{path}`", "correct the path; it is relative to this file")
            self.wheels.setdefault(path)
            return _wheel_name(line, path.rpartition("/")[2])
        if path.endswith(_ARCHIVES):
            raise line.refuse(
                "a source archive would have to be built", "build its wheel and pass it with `--wheel FILE`"
            )
        self.local.setdefault(path)
        return ""

    def _find_links(self, line: _Line, value: str) -> None:
        url = _URL.match(value)
        if url is not None and url[1].lower() in ("http", "https"):
            return
        if url is not None or value.startswith("file:"):
            raise line.refuse("a file: URL names a path of this machine", "write a path relative to this file")
        folder = self._inside(line, value, "folder of wheels")
        prefix = folder + "/" if folder else ""
        self.wheels.update({prefix + name: None for name in self.tree.names(folder) if name.endswith(".whl")})

    def _inside(self, line: _Line, path: str, what: str) -> str:
        """`path`, relative to the file it stands in, as a path of the project's folder."""
        if _URL.match(path):
            raise line.refuse(f"a {what} is read from the folder only", "download it into the folder")
        joined = posixpath.normpath(posixpath.join(posixpath.dirname(line.file), path.replace("\\", "/")))
        if joined == ".." or joined.startswith(("../", "/")) or "\0" in joined or path.startswith("~"):
            raise line.refuse(
                f"the {what} `{path}` is outside the project's folder",
                "build from the folder that holds both, or copy it into the project",
            )
        return "" if joined == "." else joined


def read(tree: ProjectTree, path: str) -> Requirements:
    """The requirements file at `path` and everything it includes; RequirementsError names the line at fault."""
    return tree.once("requirements", path, lambda: _read(tree, path))


def _read(tree: ProjectTree, path: str) -> Requirements:
    reader = _Reader(tree)
    reader.read(path, (), constraint=False)
    return Requirements(
        files=tuple(reader.files),
        names=tuple(reader.names),
        hashes=_merged(reader.required, reader.constrained),
        local=tuple(reader.local),
        wheels=tuple(reader.wheels),
    )


def _merged(
    required: Mapping[str, Mapping[str, None]], constrained: Mapping[str, Mapping[str, None]]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Hashes by name: a constraint narrows what a requirement allows, and counts alone where that has none."""
    names = sorted({*required, *constrained})
    merged = []
    for name in names:
        first, second = required.get(name), constrained.get(name)
        if first is not None and second is not None:
            merged.append((name, tuple(sorted(set(first) & set(second)))))
        else:
            merged.append((name, tuple(sorted(first or second or {}))))
    return tuple(merged)


def _lines(path: str, text: str) -> Iterator[_Line]:
    """Logical lines: continued lines joined, comments and empty ones gone."""
    joined, first = "", 0
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not joined:
            first = number
        if raw.endswith("\\") and not raw.lstrip().startswith("#"):
            joined += raw[:-1] + " "
            continue
        line = _COMMENT.sub("", joined + raw).strip()
        joined = ""
        if line:
            yield _Line(path, first, line)
    line = _COMMENT.sub("", joined).strip()
    if line:
        yield _Line(path, first, line)


def _option(line: _Line) -> tuple[str, str]:
    """`-r file`, `-rfile`, `--requirement file` and `--requirement=file` as a long option and its value."""
    text = line.text
    if not text.startswith("--") and text[:2] in _SHORT:
        option, value = text[:2], text[2:].lstrip(" \t=")
    else:
        option, _, value = re.sub(r"\s+|=", " ", text, count=1).partition(" ")
    return _SHORT.get(option, option), value.strip().strip("\"'")


def _hashes(line: _Line, text: str) -> list[str]:
    found = []
    for algorithm, value in re.findall(r"--hash[=\s]+[\"']?([a-z0-9]+):([^\s\"']+)", text):
        if algorithm != "sha256":
            raise line.refuse(f"a {algorithm} hash pins no wheel here", "pin by sha256: `--hash=sha256:...`")
        if not _SHA256.fullmatch(value.lower()):
            raise line.refuse(f"not a sha256: {value!r:.80}", "a sha256 has 64 hexadecimal digits")
        found.append(value.lower())
    return found


def _is_path(text: str) -> bool:
    """pip's rule: a path starts with a dot or holds a separator, and is not `name @ URL` or a URL."""
    head = text.partition(";")[0].strip()
    if _URL.match(head) or re.match(r"[A-Za-z0-9._-]+\s*(\[[^\]]*\])?\s*@", head):
        return False
    return head.startswith((".", "~")) or "/" in head or "\\" in head or head.endswith((".whl", *_ARCHIVES))


def _wheel_name(line: _Line, filename: str) -> str:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        return parse_wheel_filename(filename)[0]
    except (InvalidWheelFilename, ValueError) as error:
        raise line.refuse(f"not a wheel's file name: `{filename}`", "keep the name the wheel was built with") from error
