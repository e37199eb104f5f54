"""A start command as package.json and Procfile have it -> what Node is given, without shell and npm (NODE-26)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ociassemble.errors import UsageError
from ociassemble.kinds.node.errors import NodeStartError
from ociassemble.project.command import split_command

_NODE = re.compile(r"(?:.*/)?node(?:js)?")
# What may stand in front of a command: an assignment (nothing in it is a pattern for files), or what hands one on.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_LEAD = re.compile(
    rf"\s*(?:(?:env|cross-env|exec)(?=\s)|([A-Za-z_][A-Za-z0-9_]*)=((?:{_QUOTED.pattern}|[^\s'\"])*)(?=\s|\Z))"
)
_SHELL = re.compile(r"&&|\|\||[|;&<>`]|\$")
_NPM = frozenset({"npm", "pnpm", "yarn", "bun"})
_RUNNERS = frozenset({"npx", "pnpx", "bunx"})
# What only development has -> what takes its place, {} being its arguments.
_DEVELOPMENT = {
    "nodemon": "node {}",
    "tsx": "node {}",
    "ts-node": "node {}",
    "ts-node-dev": "node {}",
    "babel-node": "node {}",
    "nest": "node dist/main.js",
    "react-scripts": "",
    "vite": "",
    "vue-cli-service": "",
    "ng": "",
}
# Options of Node that take the word after them.
_VALUED = frozenset(
    {
        *("-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "--env-file"),
        *("--env-file-if-exists", "--title", "--icu-data-dir", "--openssl-config", "--max-http-header-size"),
        *("--stack-trace-limit", "--disable-warning", "--trace-event-categories", "--redirect-warnings"),
    }
)
_CODE = frozenset({"-e", "--eval", "-p", "--print", "-pe"})


class Command(NamedTuple):
    """What Node is started with: `arguments` follow the interpreter, `environment` goes into the image's config."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def position(self) -> int | None:
        """Where in `arguments` the program is; None for one that is no file."""
        return program(self.arguments)


def is_node(word: str) -> bool:
    """Whether a word is Node's own program, wherever it is."""
    return _NODE.fullmatch(word) is not None


def program(arguments: tuple[str, ...]) -> int | None:
    """The position of the file that Node runs, after its own options; None where there is none."""
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word in _CODE or word.startswith(("--eval=", "--print=")) or word == "-":
            return None
        if word == "--":
            return position + 1 if position + 1 < len(arguments) else None
        if not word.startswith("-"):
            return position
        position += 2 if word in _VALUED else 1
    return None


def parse(text: str, where: str, scripts: Mapping[str, str], binary: Callable[[str], str | None]) -> Command:
    """The command in `text`, which stands in `where` ("package.json: scripts.start").

    NodeStartError says what to write instead of what needs a shell, npm, or a tool of development. `binary` tells the
    file of a command that a locked package brings, relative to the project.
    """

    def refuse(why: str, hint: str) -> NodeStartError:
        return NodeStartError(f"{where}: {why}", details=[text.strip()[:200]], hint=hint)

    shell = _shell(text)
    if shell is not None:
        raise refuse(f"`{shell}` needs a shell, and the image has none", _without_shell(text, scripts, binary))
    environment: dict[str, str] = {}
    rest = text
    while (found := _LEAD.match(rest)) is not None:
        rest = rest[found.end() :]
        if found[1]:
            environment[found[1]] = _QUOTED.sub(lambda quoted: quoted[0][1:-1], found[2])
    try:
        words = split_command(rest) if rest.strip() else ()
    except UsageError as error:
        raise refuse("it cannot be split into words without a shell", _rewrite((), scripts, binary)) from error
    if not words:
        raise refuse("it names no program", _rewrite((), scripts, binary))
    if not is_node(words[0]):
        why = f"`{words[0]}` is not in the image: it is started by Node alone"
        raise refuse(why, _rewrite(words, scripts, binary))
    return Command(words[1:], environment)


def _shell(text: str) -> str | None:
    """The first thing outside of single quotes that only a shell could mean."""
    plain = re.sub(r"'[^']*'", lambda found: " " * len(found[0]), text)
    found = _SHELL.search(plain)
    return found[0] if found is not None else None


def _without_shell(text: str, scripts: Mapping[str, str], binary: Callable[[str], str | None]) -> str:
    if "$" in text and not re.search(r"&&|\|\||[|;<>`]", text):
        return "read the variable in the program (`process.env.PORT`), and leave it out of the command"
    last = re.split(r"&&|\|\||;", text)[-1].strip()
    if not last or _shell(last) is not None:
        return "write one program and its arguments, without variables, pipes or redirections"
    words = tuple(last.split())
    shown = last if words and is_node(words[0]) else _rewritten(words, scripts, binary) or "node FILE"
    before = (
        "; what runs before it is a step of its own (a build, or an init container)" if text.strip() != last else ""
    )
    return f"write `{shown}`{before}"


def _rewrite(words: tuple[str, ...], scripts: Mapping[str, str], binary: Callable[[str], str | None]) -> str:
    found = _rewritten(words, scripts, binary)
    if found:
        return f"write `{found}` (`--cmd`, or `cmd` in the settings, if package.json is to stay as it is)"
    if words and _DEVELOPMENT.get(words[0]) == "":
        return f"`{words[0]}` is a tool of development: build the site, and serve what it wrote (`--kind directory`)"
    return 'name the file: `--cmd "node FILE"`, or `cmd` in the settings'


def _rewritten(words: tuple[str, ...], scripts: Mapping[str, str], binary: Callable[[str], str | None]) -> str:
    """The same command as Node is to be given it; "" where nothing tells."""
    if not words:
        return ""
    first, rest = words[0], words[1:]
    if first in _RUNNERS or (first in _NPM and rest[:1] in (("exec",), ("dlx",))):
        rest = tuple(word for word in (rest[1:] if first in _NPM else rest) if word not in ("--yes", "-y", "--"))
        return _rewritten(rest, scripts, binary)
    if first in _NPM:
        name = rest[1] if rest[:1] in (("run",), ("run-script",)) and len(rest) > 1 else (rest[0] if rest else "")
        said = scripts.get(name, "")
        inner = tuple(said.split())
        if not said or _shell(said) is not None or inner[:1] == words[:1]:
            return ""
        return said if is_node(inner[0]) else _rewritten(inner, scripts, binary)
    file = binary(first)
    if file is not None:
        return " ".join(("node", file, *rest))
    if first in _DEVELOPMENT:
        return _DEVELOPMENT[first].format(" ".join(rest)).strip()
    return " ".join(("node", *words)) if first.endswith((".js", ".mjs", ".cjs", ".ts", ".mts")) else ""
