"""How the application starts (NODE-24 to NODE-30): what was said, then what was written for it, then what is there.

The result states entrypoint and command both, so that an image starts alike on a base whose entrypoint is Node
(distroless) and on one with a script of its own (the official node images). Only `--cmd` alone keeps the base's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ociassemble.kinds.node import command, semver
from ociassemble.kinds.node.errors import NodeStartError, NoNodeError
from ociassemble.kinds.node.manifest import Manifest
from ociassemble.plan.facts import BaseFacts, NodeFacts
from ociassemble.plan.plan import Reason
from ociassemble.project import procfile
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree

# Servers that people write `process.env.PORT` for, by the package that is depended on.
FRAMEWORKS = {
    "express": "Express",
    "fastify": "Fastify",
    "koa": "Koa",
    "@hapi/hapi": "hapi",
    "@nestjs/core": "NestJS",
    "next": "Next.js",
    "hono": "Hono",
    "restify": "restify",
    "polka": "Polka",
    "nuxt": "Nuxt",
    "@remix-run/serve": "Remix",
    "@feathersjs/express": "Feathers",
    "apollo-server": "Apollo",
    "socket.io": "Socket.IO",
}
_STEMS = ("index", "server", "app")
_ENDS = (".js", ".mjs", ".cjs")
_TYPED = (".ts", ".mts", ".cts")
# The first Node of each line that runs TypeScript without a flag.
_RUNS_TYPED = ">=22.18.0 <23 || >=23.6.0"
_OUTPUTS = frozenset({"dist", "build", "lib", "out", "output", ".output", ".next", "es", "cjs", "esm"})
_TOOLING = re.compile(r"(?i)(?:.*\.config|gulpfile|gruntfile|.*\.(?:test|spec))\.[cm]?js")


class Application(NamedTuple):
    """What deciding needs to know of the project."""

    tree: ProjectTree
    own: Manifest  # of the application: the project, or the workspace that was chosen
    workdir: str  # in the image
    below: str  # the application's folder as seen from the working directory, "" where it is that
    binaries: Mapping[str, str]  # command -> its file, relative to the application's folder


class Start(NamedTuple):
    """Entrypoint and command (None keeps the base's), what they need in the environment, and why."""

    entrypoint: tuple[str, ...] | None
    cmd: tuple[str, ...] | None
    environment: Mapping[str, str]
    reason: Reason


def node_of(facts: BaseFacts) -> NodeFacts:
    """The base's Node; NoNodeError where it has none."""
    if facts.node is None:
        raise NoNodeError(
            f"the base image for {facts.platform} has no Node",
            hint="choose a base that has one: `--base distroless/nodejs`, or any node image",
        )
    return facts.node


def decide(application: Application, settings: Settings, facts: BaseFacts) -> Start:
    """The start command. NodeStartError says what is missing, or what could be meant."""
    node_of(facts)
    if settings.entrypoint is not None or settings.cmd is not None:
        return _told(application, settings, facts)
    for find in (_procfile, _script, _main, _file):
        found = find(application, facts)
        if found is not None:
            return found
    raise _unknown(application)


def _told(application: Application, settings: Settings, facts: BaseFacts) -> Start:
    interpreter = node_of(facts).interpreter
    reason = Reason("the start command is the one given", settings.source or "--entrypoint, --cmd")
    cmd = settings.cmd or ()
    if settings.entrypoint is not None:
        words = settings.entrypoint
        if words and command.is_node(words[0]):
            words = (interpreter, *words[1:])
        elif not words and cmd and command.is_node(cmd[0]):
            cmd = (interpreter, *cmd[1:])
        return Start(words, cmd, {}, reason)
    if not cmd:
        return Start(None, (), {}, reason)
    keeps = bool(facts.entrypoint) and command.is_node(facts.entrypoint[-1])
    if command.is_node(cmd[0]):
        return Start(None if keeps else (interpreter,), cmd[1:], {}, reason)
    if not keeps:
        file = posixpath.join(application.own.folder, cmd[0])
        runs = cmd[0].startswith("-") or (cmd[0].endswith((*_ENDS, *_TYPED)) and application.tree.packed(file))
        return Start((interpreter,) if runs else None, cmd, {}, reason)
    position = command.program(cmd)
    if position is not None and not cmd[position].startswith("/") and not _resolved(application, cmd[position]):
        raise NodeStartError(
            f"`{cmd[position]}` would be opened as a file of JavaScript, and there is none of that name",
            details=[f"the base's entrypoint is {facts.entrypoint[-1]}, and --cmd keeps it"],
            hint=_other_program(application, cmd),
        )
    return Start(None, cmd, {}, reason)


def _other_program(application: Application, cmd: tuple[str, ...]) -> str:
    file = application.binaries.get(cmd[0])
    if file is not None:
        return f'for the command of a package: `--cmd "{" ".join(("node", file, *cmd[1:]))}"`'
    return f"for a program of the image: `--entrypoint {cmd[0]}`"


def _procfile(application: Application, facts: BaseFacts) -> Start | None:
    path = posixpath.join(application.own.folder, procfile.NAME)
    process = procfile.read(application.tree, path, NodeStartError)
    return None if process is None else _parsed(application, facts, process.command, f"{path}: {process.name}")


def _script(application: Application, facts: BaseFacts) -> Start | None:
    text = application.own.scripts.get("start", "").strip()
    return _parsed(application, facts, text, f"{application.own.path}: scripts.start") if text else None


def _parsed(application: Application, facts: BaseFacts, text: str, where: str) -> Start:
    said = command.parse(text, where, application.own.scripts, application.binaries.get)
    position = said.position
    arguments = said.arguments
    if position is None and not arguments:
        raise NodeStartError(f"{where}: it starts Node without a program", hint="write it like `node server.js`")
    if position is not None:
        file = _required(application, arguments[position], where)
        _check_type(application, file, facts)
        shown = _seen(application, arguments[position])
        arguments = (*arguments[:position], shown, *arguments[position + 1 :])
    return Start((node_of(facts).interpreter,), arguments, said.environment, Reason(f"starts as `{text}`", where))


def _main(application: Application, facts: BaseFacts) -> Start | None:
    main = application.own.main
    if not main:
        return None
    file = _resolved(application, main)
    if file is None:
        folders = set(posixpath.normpath(main).split("/")[:-1])
        if "build" in application.own.scripts or folders & _OUTPUTS:
            _required(application, main, f"{application.own.path}: main")
        return None  # `npm init` writes `index.js`, whatever is there
    return _run(application, facts, file, f"{application.own.path}: main")


def _file(application: Application, facts: BaseFacts) -> Start | None:
    folder = application.own.folder
    for stem in _STEMS:
        for end in (*_ENDS, *_TYPED):
            file = posixpath.join(folder, stem + end)
            if application.tree.packed(file):
                return _run(application, facts, file, f"found {file}")
    single = list(_programs(application))
    if len(single) != 1:
        return None
    return _run(application, facts, single[0], f"the only program is {single[0]}")


def _programs(application: Application) -> Iterator[str]:
    """Files beside package.json that may be programs."""
    for name in application.tree.names(application.own.folder):
        file = posixpath.join(application.own.folder, name)
        named = name.endswith(_ENDS) and name[0] not in "._" and not _TOOLING.fullmatch(name)
        if named and application.tree.packed(file):
            yield file


def _run(application: Application, facts: BaseFacts, file: str, evidence: str) -> Start:
    _check_type(application, file, facts)
    name = posixpath.relpath(file, application.own.folder or ".")
    seen = _seen(application, name)
    return Start((node_of(facts).interpreter,), (seen,), {}, Reason(f"starts `node {seen}`", evidence))


def _seen(application: Application, name: str) -> str:
    """A path of the application as it is written from the working directory."""
    return posixpath.join(application.below, name) if application.below else name


def _resolved(application: Application, name: str) -> str | None:
    """The file of the project that `node NAME` opens; None where there is none."""
    tree = application.tree
    relative = name.removeprefix(application.workdir + "/") if name.startswith("/") else name
    path = posixpath.normpath(posixpath.join(application.own.folder, relative))
    if path.startswith(("/", "../")):
        return None
    if "node_modules" in path.split("/"):
        return path  # a package's: what is in it is known when it was fetched
    candidates = [path, *(path + end for end in (".js", ".json", ".node"))]
    if path == (application.own.folder or ".") and application.own.main:
        inner = posixpath.normpath(posixpath.join(application.own.folder, application.own.main))
        candidates += (inner, inner + ".js", posixpath.join(inner, "index.js"))
    candidates.append(posixpath.normpath(posixpath.join(path, "index.js")))
    for candidate in candidates:
        file = tree.packed(candidate)
        if file is not None and file.kind != "directory":
            return candidate
    return None


def _required(application: Application, name: str, where: str) -> str:
    if name.startswith("/") and not name.startswith(application.workdir + "/"):
        return name  # something of the base
    file = _resolved(application, name)
    if file is not None:
        return file
    path = posixpath.normpath(posixpath.join(application.own.folder, name))
    build = application.own.scripts.get("build")
    if application.tree.has(path) or application.tree.has(path + ".js"):
        top = path.split("/")[0]
        hint = f"it is left out: bring it back with a line `!{top}` in the ignore file, or `include` in [build]"
    elif build is not None:
        hint = (
            f'build it first: `npm run build` (`{build[:80]}`), or let it be run: `run = ["npm run build"]` in [build]'
        )
    else:
        hint = 'correct the name, say how it starts (`--cmd "node FILE"`), or name what makes it: `run` in [build]'
    raise NodeStartError(f"{where}: `{name}` is not there", hint=hint)


def _check_type(application: Application, file: str, facts: BaseFacts) -> None:
    version = node_of(facts).version
    if file.endswith((".tsx", ".jsx")) or (
        file.endswith(_TYPED) and version and not semver.satisfies(version, _RUNS_TYPED)
    ):
        raise NodeStartError(
            f"`{file}` cannot be started by Node {version or 'as it is'}",
            hint="compile it, and start the JavaScript"
            + ("" if file.endswith((".tsx", ".jsx")) else "; or choose a base with Node 24, which runs TypeScript"),
        )


def _unknown(application: Application) -> NodeStartError:
    found = [*_programs(application)]
    scripts = [f"npm run {name}: {text}" for name, text in application.own.scripts.items() if "node " in text]
    example = f"node {posixpath.basename(found[0])}" if found else "node FILE"
    return NodeStartError(
        "nothing says how the application starts",
        details=[f"could be: {item}" for item in [*(f"node {file}" for file in found), *scripts][:10]],
        hint=f'say it in {application.own.path} ("scripts": {{"start": "{example}"}}), or with `--cmd "{example}"`',
    )
