"""Whether a Python start finds what it names: the script, the module, the application a server is told to serve.

Modules are looked for where the image's interpreter looks (sys.path as its command line, the environment and path
files make it), and never imported. Where that cannot be known (no standard library in the image, PYTHONHOME), there
is no finding.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ociassemble.audit.process import Process
from ociassemble.audit.prove import Finding
from ociassemble.audit.python_path import Command, Imports, import_path, parse
from ociassemble.audit.table import READ, Table, absolute, allows

_NAME = re.compile(r"python(3\.\d+)(t?)", re.ASCII)
_MODULE = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_TARGET = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):[^\W\d][\w.]*(?:\(.*\))?")
# Servers that import the application `module:object` named among their arguments, with the working directory on the
# path; and what else handles SIGTERM itself.
_SERVERS = frozenset({"gunicorn", "uvicorn", "hypercorn", "daphne", "granian"})
_FLAGS = r"--(?:no-.+|reload|factory|preload|daemon|proxy-headers|use-colors|access-log|capture-output)"
_CONFIGURED = r"-c|--(?:config|paste|env-file|working-dir)|(?:GUNICORN|UVICORN|GRANIAN)_"
# What in a program makes more importable than there was.
_ELSEWHERE = r"\bsys\.path|\bfrom (?:sys|site|os) import|\b(?:path_hooks|meta_path|addsitedir|chdir)\b"
# Modules of the standard library that may be compiled into the interpreter.
_COMPILED = frozenset(
    [
        "array",
        "atexit",
        "audioop",
        "binascii",
        "builtins",
        "cmath",
        "errno",
        "faulthandler",
        "fcntl",
        "gc",
        "grp",
        "itertools",
        "marshal",
        "math",
        "mmap",
        "nis",
        "posix",
        "pwd",
        "pyexpat",
        "readline",
        "resource",
        "select",
        "signal",
        "spwd",
        "sys",
        "syslog",
        "termios",
        "time",
        "unicodedata",
        "zlib",
    ]
)


class Runs(NamedTuple):
    """What runs, for the note on signals: `own` says that it is code of the application itself."""

    own: bool
    what: str  # "python main.py"


def prove(table: Table, process: Process) -> tuple[list[Finding], Runs | None]:
    """Findings about what the interpreter is told to run."""
    named = _NAME.fullmatch(posixpath.basename(process.program))
    if named is None or "PYTHONHOME" in process.env:
        return [], None
    command = parse(process.argv[1:])
    imports = import_path(table, process, named[1] + named[2], command)
    if imports is None or not command.mode:
        return [], None
    return _Proof(table, process, command, imports).findings()


class _Proof:
    def __init__(self, table: Table, process: Process, command: Command, imports: Imports) -> None:
        self._table, self._process, self._command, self._imports = table, process, command, imports

    def findings(self) -> tuple[list[Finding], Runs | None]:
        if self._command.mode == "script":
            return self._script()
        if self._command.mode == "module":
            return self._module()
        return self._code()

    def _script(self) -> tuple[list[Finding], Runs | None]:
        name = self._command.value
        found = self._table.find(name, self._process.account)
        if found.problem == "mounted":
            return [], None
        if found.item is None or found.problem:
            if found.problem == "folder":
                message = f"Python is to run `{name}`, which is below `/{found.place}`, a folder closed to its user"
                return [Finding("prove.script-missing", "error", message, "give the folder mode 0755")], None
            message = f"Python is to run `{name}`, and the image has no `/{found.place}`"
            hint = "see `--cmd`; an ignore file may leave it out"
            return [Finding("prove.script-missing", "error", message, hint)], None
        if found.item.kind == "directory" and not self._imports.runnable(found.place):
            message = f"Python is to run the folder `{name}`, which has no `__main__.py`"
            return [Finding("prove.script-missing", "error", message, "name the script itself")], None
        if found.item.kind == "file" and not allows(found.item, self._process.account, READ):
            message = (
                f"Python is to run `{name}`, which the user {self._process.account.uid} may not read "
                f"(mode {found.item.mode & 0o777:04o}, owner {found.item.uid}:{found.item.gid})"
            )
            return [Finding("prove.script-missing", "error", message, "give it mode 0644, or set `--user`")], None
        server = posixpath.basename(name)
        own = self._own(found.place)
        return self._served(server, self._command.arguments), Runs(own, f"python {name}")

    def _module(self) -> tuple[list[Finding], Runs | None]:
        name = self._command.value
        if not re.fullmatch(_MODULE, name):
            return [], None
        place = self._imports.find(name)
        if place is None:
            return [self._missing(name, f"`python -m {name}`")], None
        item = self._table.files.paths.get(place)
        if item is not None and item.kind == "directory" and not self._imports.runnable(place):
            message = f"`python -m {name}` cannot run: the package `/{place}` has no `__main__.py`"
            return [Finding("prove.module-missing", "error", message, "name a module of it, or a script")], None
        return self._served(name, self._command.arguments), Runs(self._own(place), f"python -m {name}")

    def _code(self) -> tuple[list[Finding], Runs | None]:
        """`-c`: what it imports at its top level, and the application it hands to uvicorn."""
        try:
            tree = ast.parse(self._command.value)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return [], None
        found: list[Finding] = []
        places: list[str] = []
        for node in tree.body:
            for name in _imported(node):
                place = self._imports.find(name)
                if place is not None:
                    places.append(place)
                elif name.partition(".")[0] not in _COMPILED and not name.startswith("_"):
                    elsewhere = re.search(_ELSEWHERE, self._command.value) is not None
                    found.append(self._missing(name, "the start command imports", certain=not elsewhere))
        target = _handed(tree)
        if target:
            found += self._served("uvicorn", (target,))
        own = not target and any(self._own(place) for place in places)
        return found, Runs(own, "python -c") if not found else None

    def _served(self, server: str, arguments: Sequence[str]) -> list[Finding]:
        """Whether the application that a server is told to serve is there."""
        if server not in _SERVERS:
            return []
        folders = [self._process.workdir]
        before = ""
        for word in arguments:
            option, equals, value = word.partition("=")
            if option in ("--chdir", "--pythonpath", "--app-dir") and equals:
                folders.append(absolute(value, self._process.workdir))
            elif before in ("--chdir", "--pythonpath", "--app-dir"):
                folders.append(absolute(word, self._process.workdir))
            before = word
        before = ""
        for word in arguments:
            named = _TARGET.fullmatch(word)
            if named is not None and (not before.startswith("-") or "=" in before or re.fullmatch(_FLAGS, before)):
                imports = Imports(self._table, (*folders, *self._imports.folders), self._imports.certain)
                if imports.find(named[1]) is None:
                    why = f"{server} is to serve `{word}`"
                    return [self._missing(named[1], why, certain=not self._configured(arguments))]
                return []
            before = word
        return []

    def _configured(self, arguments: Sequence[str]) -> bool:
        """Whether a server has settings elsewhere than on its command line, which may name other folders."""
        if any(re.match(_CONFIGURED, word) for word in (*arguments, *self._process.env)):
            return True
        return self._table.has(absolute("gunicorn.conf.py", self._process.workdir))

    def _missing(self, name: str, why: str, *, certain: bool = True) -> Finding:
        top = name.partition(".")[0]
        there = self._imports.find(top) if top != name else None
        what = f"`/{there}` has no module `{name}`" if there else f"the image has no module `{top}`"
        places = ", ".join(f"`{folder}`" for folder in self._imports.folders if self._table.has(folder))
        message = f"{why}{f' {name}' if why.endswith('imports') else ''}, and {what} (looked in {places})"
        hint = f"add `{top}` to the dependencies, or check that an ignore file does not leave it out"
        # Code in path files may make anything importable.
        return Finding(
            "prove.module-missing", "error" if self._imports.certain and certain else "warning", message, hint
        )

    def _own(self, place: str) -> bool:
        return self._table.brought(place) and not re.search(r"(?:^|/)(?:site|dist)-packages/", place)


def _imported(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module


def _handed(tree: ast.Module) -> str:
    """The application of `uvicorn.main([...])` or `uvicorn.run(...)`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "uvicorn":
            first = node.args[0]
            if isinstance(first, ast.List) and first.elts:
                first = first.elts[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                return first.value
    return ""
