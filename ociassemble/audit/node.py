"""Whether a Node start finds the file it names, resolved as Node resolves its main module (`require` of a path)."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Sequence

from ociassemble.audit.process import Process
from ociassemble.audit.prove import Finding
from ociassemble.audit.python import Runs
from ociassemble.audit.table import READ, Table, absolute, allows

_ENDINGS = ("", ".js", ".json", ".node", ".mjs", ".cjs", ".ts", ".mts", ".cts")
_WITH_VALUE = frozenset(
    [
        "-r",
        "--require",
        "--import",
        "--loader",
        "--experimental-loader",
        "-C",
        "--conditions",
        "--env-file",
        "--env-file-if-exists",
        "--title",
        "--icu-data-dir",
        "--openssl-config",
        "--redirect-warnings",
        "--stack-trace-limit",
        "--unhandled-rejections",
    ]
)
_HOOKS = frozenset(["-r", "--require", "--import", "--loader", "--experimental-loader"])
_RUNS_OTHER = frozenset(
    [
        "-e",
        "--eval",
        "-p",
        "--print",
        "-pe",
        "-c",
        "--check",
        "-i",
        "--interactive",
        "-v",
        "--version",
        "-h",
        "--help",
        "--run",
    ]
)
_SWITCH = (
    r"--(?:no|trace|enable|experimental|expose|harmony|inspect|use|preserve|watch|throw|abort|allow|permission|"
    r"pending|force|frozen|disable|prof|report|track|zero|verify|insecure|interpreted|jitless|lite|huge)\b.*"
)


def prove(table: Table, process: Process) -> tuple[list[Finding], Runs | None]:
    """Findings about the file Node is told to run."""
    if posixpath.basename(process.program) not in ("node", "nodejs"):
        return [], None
    name = script(process.argv[1:])
    if not name:
        return [], None
    path = absolute(name, process.workdir)
    if table.find(path).problem == "mounted":
        return [], None
    place = resolve(table, path)
    if place is None and _value(table, process, name):
        return [], None
    if place is None:
        hint = "see `--cmd`; an ignore file may leave it out, or a build step that makes it has not run"
        message = f"Node is to run `{name}`, and the image has no such file (`{posixpath.normpath(path)}`)"
        # What is loaded before may find files in ways of its own: other endings, archives.
        return [Finding("prove.script-missing", "warning" if _hooked(process) else "error", message, hint)], None
    item = table.files.paths[place]
    if not allows(item, process.account, READ):
        message = (
            f"Node is to run `{name}`, which the user {process.account.uid} may not read "
            f"(`/{place}`, mode {item.mode & 0o777:04o}, owner {item.uid}:{item.gid})"
        )
        return [Finding("prove.script-missing", "error", message, "give it mode 0644, or set `--user`")], None
    own = table.brought(place) and "node_modules/" not in place
    return [], Runs(own, f"node {name}")


def _value(table: Table, process: Process, name: str) -> bool:
    """Whether `name` is the value of the option before it rather than the script: then a later word is a file."""
    words = process.argv[1:]
    at = words.index(name)
    if not at or not words[at - 1].startswith("--") or words[at - 1] == "--":
        return False
    later = (word for word in words[at + 1 :] if not word.startswith("-"))
    return any(resolve(table, absolute(word, process.workdir)) is not None for word in later)


def _hooked(process: Process) -> bool:
    """Whether code of the application runs before Node looks for its main module."""
    words = (*process.argv[1:], *process.env.get("NODE_OPTIONS", "").split())
    return any(word.partition("=")[0] in _HOOKS for word in words)


def script(words: Sequence[str]) -> str:
    """The file among the arguments of `node`; "" where there is none, or where that cannot be known."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return rest[0] if rest else ""
        if not word.startswith("-") or word == "-":
            return word if word not in ("-", "inspect", "debug") else ""
        if word in _RUNS_OTHER or word.startswith("--run="):
            return ""
        if word in _WITH_VALUE:
            del rest[:1]
        elif "=" not in word and not re.fullmatch(_SWITCH, word):
            return ""
    return ""


def resolve(table: Table, path: str) -> str | None:
    """The real path of the file that a main module's path means."""
    for candidate in _candidates(table, path):
        found = table.find(candidate)
        if not found.problem and found.item is not None and found.item.kind == "file":
            return found.place
    return None


def _candidates(table: Table, path: str) -> Iterator[str]:
    if not path.endswith("/"):
        yield from (path + ending for ending in _ENDINGS)
    main = _main(table.text(f"{path}/package.json"))
    if main:
        inner = posixpath.join(path, main)
        yield from (inner + ending for ending in _ENDINGS)
        yield from (f"{inner}/index{ending}" for ending in _ENDINGS[1:])
    yield from (f"{path}/index{ending}" for ending in _ENDINGS[1:])


def _main(text: str | None) -> str:
    try:
        document = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return ""
    main = document.get("main") if isinstance(document, dict) else None
    return main if isinstance(main, str) else ""
