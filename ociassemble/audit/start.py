"""Whether the start command can start: as a runtime and a kernel go about it, from the config to the program's code.

The runtime finds the program (on PATH, or by its path, for the image's user); the kernel reads its first bytes and
starts it, its interpreter or its loader; the loader brings its libraries. Pure; specs/behaviour/prove.md.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from ociassemble.audit import hints
from ociassemble.audit.loader import Loaded, Loader, Missing
from ociassemble.audit.process import Process
from ociassemble.audit.prove import Finding
from ociassemble.audit.table import EXECUTE, Account, Found, Table, absolute, account_of, allows, environment
from ociassemble.formats.elf import EXECUTABLE, SHARED, Elf
from ociassemble.image.sample import FIRST_LINE
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import DEFAULT_PATH
from ociassemble.plan.locked import Severity

_SHELLS = ("sh", "bash", "dash", "ash", "zsh")
_MANAGERS = ("npm", "npx", "yarn", "pnpm", "corepack")
_MAX_SCRIPTS = 5  # interpreters that are scripts themselves; then the kernel says ELOOP
# 32-bit programs that most kernels of these machines can run as well, and some cannot.
_NARROW = {("amd64", "386"), ("arm64", "arm")}


class Failed(Exception):
    """The walk ends with a finding."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.finding = Finding(f"prove.{code}", "error", message, hint)


class _Unknown(Exception):
    """The walk ends, because nobody can know."""


def prove(
    table: Table,
    command: Sequence[str],
    execution: Mapping[str, Any],
    platform: Platform,
    account: Account | None = None,
) -> tuple[list[Finding], Process | None]:
    """Findings about the start command, and the process it becomes where that is known.

    `account` is whose process that is, where that was found out before.
    """
    walk = _Walk(table, execution, platform)
    try:
        process = walk.start(tuple(command), account)
    except Failed as failed:
        return [*walk.findings, failed.finding], None
    except _Unknown:
        return walk.findings, None
    return walk.findings, process


class _Walk:
    """One start. `findings` are those that do not end it."""

    def __init__(self, table: Table, execution: Mapping[str, Any], platform: Platform) -> None:
        self.findings: list[Finding] = []
        self._table, self._platform = table, platform
        self._env = environment(execution.get("Env") or ())
        self._workdir = execution.get("WorkingDir") or "/"
        self._user = execution.get("User") or ""

    def start(self, command: tuple[str, ...], known: Account | None) -> Process:
        account = known or account_of(self._user, self._table)
        if account is None:
            raise _Unknown
        if isinstance(account, str):
            raise Failed("user", f"it runs as {account}", "`--user 65532` names a user by its number")
        self._account = account._replace(folder=self._workdir)
        self._folder()
        program = self._program(command[0])
        return self._execute(program, (program, *command[1:]), 0)

    def _folder(self) -> None:
        """The working directory is made where it is missing, and entered by the runtime itself."""
        found = self._table.find(self._workdir)
        if found.problem == "no-folder" or (found.item is not None and found.item.kind != "directory"):
            raise Failed("workdir", f"the working directory `{self._workdir}` is a file", "see `--workdir`")

    # ------------------------------------------------------------------------------------ the runtime's part

    def _program(self, name: str) -> str:
        """The path the runtime starts."""
        if "/" in name:
            self._executable(name, f"the start command `{name}`")
            return name
        folders = self._env.get("PATH", DEFAULT_PATH).split(":")
        refused: Failed | None = None
        for folder in folders:
            path = posixpath.join(folder, name)
            try:
                self._executable(path, f"the start command `{name}`")
            except Failed as failed:
                if failed.finding.code != "prove.program-missing":
                    refused = refused or failed
                continue
            return path
        if refused is not None:
            raise refused
        message = f"the start command is `{name}`, which is on none of the image's PATH ({':'.join(folders)})"
        raise Failed("program-missing", message, self._other(name))

    def _other(self, name: str) -> str:
        if posixpath.basename(name) in _SHELLS:
            return "the image has no shell: state the program itself, as a JSON array"
        if posixpath.basename(name) in _MANAGERS:
            return "bases bring Node without its package managers: start the script itself, `node server.js`"
        return "see `--entrypoint` and `--cmd`"

    def _executable(self, path: str, what: str) -> Found:
        """The file at a path, which the account may execute; raises `Failed` with the reason."""
        found = self._table.find(path, self._account)
        if found.problem == "mounted":
            raise _Unknown
        if found.problem == "folder":
            raise self._closed(what, found)
        if found.item is None or found.problem:
            if found.problem == "loop":
                raise Failed("program-missing", f"{what} is a link that leads in a circle")
            plain = posixpath.normpath(absolute(path, self._workdir)).strip("/")
            leads = f", which leads to `/{found.place}`" if found.place != plain else ""
            raise Failed("program-missing", f"{what}{leads} is not in the image", self._other(path))
        if found.item.kind == "directory":
            raise Failed("not-executable", f"{what} is a folder")
        if found.item.kind != "file":
            raise Failed("not-executable", f"{what} is no file")
        if not allows(found.item, self._account, EXECUTE):
            mode = f"mode {found.item.mode & 0o777:04o}, owner {found.item.uid}:{found.item.gid}"
            who = f"the user {self._account.uid}"
            if not found.item.mode & 0o111:
                raise Failed(
                    "not-executable",
                    f"{what} is `/{found.place}`, which is not executable ({mode})",
                    "make it executable before building (`chmod +x`), or bring it with `--add SRC:DST,chmod=0755`",
                )
            raise Failed(
                "not-executable",
                f"{what} is `/{found.place}`, which {who} may not execute ({mode})",
                "give it mode 0755, or set `--user`",
            )
        return found

    def _closed(self, what: str, found: Found) -> Failed:
        item = found.item
        assert item is not None
        return Failed(
            "folder-closed",
            f"{what} is below `/{found.place}`, which the user {self._account.uid} may not search "
            f"(mode {item.mode & 0o777:04o}, owner {item.uid}:{item.gid})",
            "give the folder mode 0755, or set `--user`",
        )

    # ------------------------------------------------------------------------------------ the kernel's part

    def _execute(self, path: str, argv: tuple[str, ...], depth: int) -> Process:
        """`path` as given to the kernel; it has been found executable."""
        found = self._table.find(path, self._account)
        place, item = found.place, found.item
        assert item is not None
        facts = self._table.facts(place)
        if facts.elf is not None:
            return self._elf(path, place, facts.elf, item.size, argv)
        if facts.line:
            return self._script(path, place, facts.line, item.size, argv, depth)
        if not self._table.brought(place):
            # Published and in use: more likely that we cannot read it than that no kernel can.
            raise _Unknown
        if facts.damaged:
            problem = f"`/{place}` is a damaged program: {facts.damaged}"
        elif not item.size:
            problem = f"`/{place}` is empty"
        else:
            problem = f"`/{place}` is neither a program nor a script with a `#!` line: no kernel starts it"
        raise Failed("format", problem, "a script needs a first line like `#!/usr/bin/python3`" if item.size else "")

    def _script(self, path: str, place: str, line: bytes, size: int, argv: tuple[str, ...], depth: int) -> Process:
        if depth >= _MAX_SCRIPTS:
            raise Failed("interpreter-missing", f"the interpreters of `/{place}` are scripts of each other")
        text = line.partition(b"\n")[0][2:].split(b"\0")[0].strip(b" \t")
        name, _, argument = text.replace(b"\t", b" ").partition(b" ")
        if not name:
            raise Failed("format", f"the script `/{place}` names no interpreter in its `#!` line")
        if b"\n" not in line and size > FIRST_LINE and name == text:
            raise Failed("format", f"the `#!` line of `/{place}` is longer than the {FIRST_LINE} bytes a kernel reads")
        interpreter = name.decode("utf-8", "surrogateescape")
        extra = argument.strip(b" \t").decode("utf-8", "surrogateescape")
        if interpreter.endswith("\r") or (not extra and text.endswith(b"\r")):
            raise Failed(
                "carriage-return",
                f"the `#!` line of `/{place}` ends in a carriage return, so that its interpreter would be "
                f"`{interpreter.rstrip(chr(13))}\\r`",
                "save the script with Unix line ends",
            )
        what = f"the script `/{place}` needs `{interpreter}`, which"
        self._interpreter(what, interpreter)
        rest = (interpreter, *((extra,) if extra else ()), path, *argv[1:])
        if posixpath.basename(interpreter) == "env":
            rest = self._env_command(place, extra, rest)
            interpreter = rest[0]
        return self._execute(interpreter, rest, depth + 1)

    def _interpreter(self, what: str, path: str) -> None:
        try:
            self._executable(path, what)
        except Failed as failed:
            if failed.finding.code != "prove.program-missing":
                raise
            hint = "point its `#!` line at a program of the image"
            if posixpath.basename(path) in _SHELLS:
                hint = "the image has no shell: start the program itself instead of a shell script"
            elif posixpath.basename(path) == "env":
                hint = "the image has no `env`: write the interpreter's whole path into the `#!` line"
            raise Failed("interpreter-missing", f"{what} is not in the image", hint) from None

    def _env_command(self, place: str, extra: str, argv: tuple[str, ...]) -> tuple[str, ...]:
        """What `#!/usr/bin/env X` becomes; the words before the script's own path are env's."""
        words = [extra]
        if extra.startswith("-S"):
            # With quotes, escapes and variables it has a grammar of its own; what is set may say where things are.
            words = extra[2:].split()
            if set(extra) & set("\"'\\$#"):
                raise _Unknown
        if not words or not words[0] or words[0].startswith("-") or "=" in words[0]:
            raise _Unknown
        try:
            program = self._program(words[0])
        except Failed as failed:
            if failed.finding.code != "prove.program-missing":
                raise
            message = f"the script `/{place}` needs `{words[0]}`, which `env` does not find on the image's PATH"
            raise Failed(
                "interpreter-missing", message, "write the interpreter's whole path into the `#!` line"
            ) from None
        script = argv.index(extra) + 1
        return (program, *words[1:], *argv[script:])

    # ------------------------------------------------------------------------------------ the loader's part

    def _elf(self, path: str, place: str, elf: Elf, size: int, argv: tuple[str, ...]) -> Process:
        self._machine(place, elf)
        if elf.type not in (EXECUTABLE, SHARED):
            raise Failed("format", f"`/{place}` is an ELF file, but no program")
        if elf.extent > size:
            raise Failed("format", f"`/{place}` is cut off: it has {size} bytes of at least {elf.extent}")
        process = Process(place, argv, self._account, self._env, self._workdir)
        if not elf.interpreter:
            if elf.needed or (elf.type == SHARED and not elf.entry):
                raise Failed("format", f"`/{place}` is a library, not a program: it names no loader")
            return process
        self._loader(place, elf)
        loader = Loader(self._table, self._account, elf, elf.interpreter, self._env)
        objects, missing = loader.start(path, place, elf)
        for item in missing:
            self.findings.append(self._missing(item, loader, objects))
        return process._replace(loader=loader, objects=tuple(objects))

    def _machine(self, place: str, elf: Elf) -> None:
        wanted, found = self._platform.architecture, elf.architecture
        told = found or f"machine {elf.machine}"
        if found == wanted and elf.bits == (32 if wanted in ("386", "arm") else 64):
            return
        if (wanted, found) in _NARROW:
            message = f"`/{place}` is a 32-bit program ({told}): it starts only where the kernel runs these as well"
            self.findings.append(Finding("prove.narrow", "warning", message))
            return
        kind = f"for {told}" if found != wanted else f"of {elf.bits} bits"
        raise Failed("platform", f"`/{place}` is {kind}, and the image is for {self._platform}", hints.platform(told))

    def _loader(self, place: str, elf: Elf) -> None:
        what = f"`/{place}` needs the loader `{elf.interpreter}`, which"
        try:
            found = self._executable(elf.interpreter, what)
        except Failed as failed:
            if failed.finding.code != "prove.program-missing":
                raise
            hint = hints.loader(elf.interpreter, self._table)
            raise Failed(
                "loader-missing",
                f"`/{place}` needs {hints.named(elf.interpreter)}, and the image has {hints.libc(self._table)}",
                hint,
            ) from None
        facts = self._table.facts(found.place)
        if facts.elf is None:
            if self._table.brought(found.place) or not facts.damaged:
                raise Failed("loader-missing", f"{what} is no program")
            raise _Unknown
        if facts.elf.machine != elf.machine or facts.elf.bits != elf.bits:
            raise Failed("loader-missing", f"{what} is for another machine")

    def _missing(self, item: Missing, loader: Loader, objects: Sequence[Loaded]) -> Finding:
        severity: Severity = "error" if loader.certain else "warning"
        if item.version:
            message = f"`/{item.path}` needs {item.version} of `{item.library}`, and `/{item.found}` does not have it"
            return Finding("prove.version-missing", "error", message, hints.version(item, objects))
        return Finding(
            "prove.library-missing",
            severity,
            f"`/{item.path}` needs the library `{item.library}`, which its loader does not find in the image",
            hints.library(item.library, self._table),
        )
