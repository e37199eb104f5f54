"""How the application starts (PY-23 to PY-27): what was said, then what was written for it, then what was recognised.

The result states entrypoint and command both, so that an image starts alike on a base whose entrypoint is the
interpreter (distroless) and on one without any (python:slim). Only `--cmd` alone keeps the base's entrypoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from ociassemble.errors import UsageError
from ociassemble.formats.package_name import normalised
from ociassemble.kinds.python import frameworks
from ociassemble.kinds.python.errors import NoServerError, StartCommandError
from ociassemble.kinds.python.frameworks import WebApplication
from ociassemble.kinds.python.manifest import EntryPoint, LocalProject, at
from ociassemble.kinds.python.target import python_of
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import Reason
from ociassemble.project import procfile
from ociassemble.project.command import split_command
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree

PORT = "8080"
_PYTHON = r"(?:.*/)?python[0-9.]*"
# Console scripts that are also modules. As `-m` the working directory is importable; as a script /usr/local/bin is.
_MODULES = {
    **{name: name for name in ("celery", "daphne", "fastapi", "flask", "granian", "gunicorn", "hypercorn")},
    **{name: name for name in ("streamlit", "uvicorn")},
    "django-admin": "django",
    "waitress-serve": "waitress",
}
_DISTRIBUTIONS = {"django": "django", "waitress": "waitress"}
_FILES = ("main.py", "app.py")
_CONTROL_SOCKET = (25, 1)  # gunicorn's first version that wants to write one


class Application(NamedTuple):
    """What deciding needs to know of the project."""

    tree: ProjectTree
    own: LocalProject
    roots: tuple[str, ...]  # folders of the project that modules are imported from
    packages: Mapping[str, str]  # normalised name -> version


class Start(NamedTuple):
    """Entrypoint and command (None keeps the base's), and whether it is a web server that reads PORT."""

    entrypoint: tuple[str, ...] | None
    cmd: tuple[str, ...] | None
    web: bool
    reason: Reason


def decide(application: Application, settings: Settings, facts: BaseFacts) -> Start:
    """The start command. Raises StartCommandError (with the candidates) and NoServerError."""
    if settings.entrypoint is not None or settings.cmd is not None:
        return _told(application, settings, facts)
    for find in (_procfile, _script, _framework, _module, _file):
        start = find(application, facts)
        if start is not None:
            return start
    raise _unknown(application)


def _told(application: Application, settings: Settings, facts: BaseFacts) -> Start:
    interpreter = python_of(facts).interpreter
    reason = Reason("the start command is the one given", settings.source or "--entrypoint, --cmd")
    cmd = settings.cmd or ()
    if settings.entrypoint is not None:
        words = settings.entrypoint
        if words and re.fullmatch(_PYTHON, words[0]):
            words = (interpreter, *words[1:])
        elif not words and cmd:
            first, rest = _words(application, facts, cmd)
            cmd = (*first, *rest)
        return Start(words, cmd, "gunicorn" in (*words, *cmd), reason)
    if not cmd:
        return Start(None, (), False, reason)
    first, rest = _words(application, facts, cmd)
    if not (facts.entrypoint and re.fullmatch(_PYTHON, facts.entrypoint[-1])):
        return Start(None, (*first, *rest), "gunicorn" in cmd, reason)
    if not first and not rest[0].startswith("/") and not application.tree.packed(rest[0]):
        raise StartCommandError(
            f"`{rest[0]}` would be opened as a Python file, and there is none of that name",
            details=[f"the base's entrypoint is {facts.entrypoint[-1]}, and --cmd keeps it"],
            hint=f'for a program of the image: `--entrypoint {rest[0]}`; for a module: `--cmd "-m {rest[0]}"`',
        )
    return Start(None, rest, "gunicorn" in cmd, reason)


def _words(
    application: Application, facts: BaseFacts, words: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of a command as (interpreter,) and its arguments; as () and themselves for any other program."""
    interpreter = (python_of(facts).interpreter,)
    first, rest = words[0], words[1:]
    if re.fullmatch(_PYTHON, first):
        return interpreter, rest
    for script in application.own.scripts if application.own.packaged else ():
        if script.name == first:
            return interpreter, ("-c", call(script), *rest)
    module = _MODULES.get(first)
    if module is not None and _DISTRIBUTIONS.get(module, module) in application.packages:
        return interpreter, ("-m", module, *rest)
    if first.startswith("-") or (first.endswith(".py") and (first[0] == "/" or application.tree.packed(first))):
        return interpreter, words
    return (), words


def call(script: EntryPoint) -> str:
    """The program text that runs a project script, as a console script would."""
    return f"import sys; from {script.module} import {script.object.partition('.')[0]}; sys.exit({script.object}())"


def _procfile(application: Application, facts: BaseFacts) -> Start | None:
    path = at(application.own.folder, procfile.NAME)
    process = procfile.read(application.tree, path, StartCommandError)
    if process is None:
        return None
    name, command = process
    try:
        words = split_command(command)
    except UsageError as error:
        raise StartCommandError(
            f"`{path}`: the `{name}` process needs a shell, and the image has none",
            details=[f"{name}: {command}", error.message],
            hint=_rewrite(command),
        ) from error
    entrypoint, cmd = _words(application, facts, words)
    return Start(entrypoint, cmd, name == "web", Reason(f"starts as `{command}`", f"{path}: {name}"))


def _rewrite(command: str) -> str:
    """A Procfile line that needs no shell, where one can be told."""
    plain = re.sub(r"\s(?:-b|--bind|-p|--port)(?:\s+|=)\S*\$\{?PORT\b\S*", "", command)
    if plain != command and "gunicorn" in plain and not re.search(r"[$|&;<>`]", plain):
        return f"gunicorn listens on $PORT by itself; write: `{plain}`"
    if "$PORT" in command or "${PORT" in command:
        return "remove the line and let the server be recognised (it listens on $PORT), or read PORT in the program"
    if "&&" in command or ";" in command:
        return "leave one program in the line; what runs before it is a job of its own (an init container)"
    return "write one program and its arguments, without variables, pipes or redirections"


def _script(application: Application, facts: BaseFacts) -> Start | None:
    own = application.own
    if not own.packaged or not own.scripts:
        return None
    named = [script for script in own.scripts if normalised(script.name) == own.normalised]
    chosen = named or own.scripts
    if len(chosen) != 1:
        return None
    script = chosen[0]
    stem = script.module.replace(".", "/")
    there = any(
        application.tree.packed(at(root, stem + end)) for root in application.roots for end in (".py", "/__init__.py")
    )
    if not there and own.normalised not in application.packages:
        raise StartCommandError(
            f"the script `{script.name}` starts `{script.module}`, which is not in the folder",
            hint="correct [project.scripts], or check that an ignore file does not leave the module out",
        )
    path = at(own.folder, "pyproject.toml")
    reason = Reason(f"starts the script `{script.name}`", f"{path}: [project.scripts]")
    # All of it is the entrypoint, as for a program: what follows the image's name are then its arguments.
    return Start((python_of(facts).interpreter, "-c", call(script)), (), False, reason)


def _framework(application: Application, facts: BaseFacts) -> Start | None:
    found = frameworks.find_django(application.tree, application.own.folder)
    if not found:
        found = frameworks.find(application.tree, application.own.folder, application.roots)
        if len(found) > 1:
            raise StartCommandError(
                "there is more than one web application",
                details=[item.evidence for item in found],
                hint='choose one with `--cmd "gunicorn module:app"` (or uvicorn), or `cmd` in ociassemble.toml',
            )
    if not found:
        return None
    packages = application.packages
    for web in found:
        server = "gunicorn" if web.protocol == "wsgi" else "uvicorn"
        if server in packages and web.distribution in packages:
            cmd = _gunicorn(web, packages["gunicorn"]) if web.protocol == "wsgi" else _uvicorn(web)
            reason = Reason(f"starts {web.framework} with {server}", web.evidence)
            return Start((python_of(facts).interpreter,), cmd, True, reason)
    first = found[0]
    server = "gunicorn" if first.protocol == "wsgi" else "uvicorn"
    missing = [name for name in (first.distribution, server) if name not in packages]
    trial = {"flask": f"-m flask --app {first.module} run --host 0.0.0.0 --port 8080"}
    command = trial.get(first.distribution, f"python {first.path}")
    raise NoServerError(
        f"{first.framework} was found, and {' and '.join(missing)} {'are' if len(missing) > 1 else 'is'}"
        " not among the dependencies",
        details=[first.evidence],
        hint=f'add {" and ".join(missing)} to them, or say how it starts: `--cmd "{command}"`',
    )


def _gunicorn(web: WebApplication, version: str) -> tuple[str, ...]:
    """gunicorn listens on 0.0.0.0:$PORT by itself. Its heartbeat file and its socket need a place to write to."""
    target = f"{web.module}:{web.object}" + ("()" if web.factory else "")
    numbers = tuple(int(part) for part in re.findall(r"[0-9]{1,9}", version)[:2])
    quiet = ("--no-control-socket",) if numbers >= _CONTROL_SOCKET else ()
    return ("-m", "gunicorn", "--worker-tmp-dir", "/dev/shm", *quiet, target)


def _uvicorn(web: WebApplication) -> tuple[str, ...]:
    """uvicorn's own command line, with the port taken from PORT when it starts: it has no option for that."""
    arguments = [f"{web.module}:{web.object}", "--host", "0.0.0.0"] + (["--factory"] if web.factory else [])
    quoted = ", ".join(f"'{argument}'" for argument in arguments)
    return ("-c", f"import os, uvicorn; uvicorn.main([{quoted}, '--port', os.environ.get('PORT', '{PORT}')])")


def _module(application: Application, facts: BaseFacts) -> Start | None:
    """A package with a `__main__.py`: the only one, or the one named like the project."""
    found = _runnable(application)
    named = [name for name in found if name == application.own.normalised.replace("-", "_")]
    chosen = named or found
    if len(chosen) != 1:
        return None
    reason = Reason(f"starts the package `{chosen[0]}`", f"{chosen[0]}/__main__.py")
    return Start((python_of(facts).interpreter,), ("-m", chosen[0]), False, reason)


def _runnable(application: Application) -> list[str]:
    found = set()
    for root in application.roots:
        prefix = root + "/" if root else ""
        for file in application.tree.files:
            package, _, base = file.path.removeprefix(prefix).rpartition("/")
            if base == "__main__.py" and file.path.startswith(prefix) and package.isidentifier():
                found.add(package)
    return sorted(found - {"tests", "test"})


def _file(application: Application, facts: BaseFacts) -> Start | None:
    for name in (*_FILES, "__main__.py"):
        path = at(application.own.folder, name)
        if application.tree.packed(path):
            reason = Reason(f"starts `python {path}`", f"found {path}")
            return Start((python_of(facts).interpreter,), (path,), False, reason)
    return None


def _unknown(application: Application) -> StartCommandError:
    prefix = application.own.folder + "/" if application.own.folder else ""
    files = [prefix + name for name in application.tree.names(application.own.folder) if name.endswith(".py")]
    candidates = [f"the script `{script.name}`" for script in application.own.scripts]
    candidates += (f"`python -m {name}`" for name in _runnable(application))
    candidates += (f"`python {path}`" for path in files if not path.endswith(("setup.py", "conftest.py")))
    example = f"python {files[0]}" if files else "python -m PACKAGE"
    return StartCommandError(
        "nothing says how the application starts",
        details=[f"could be: {candidate}" for candidate in candidates[:10]],
        hint=f'say it with `--cmd "{example}"`, or put it into ociassemble.toml: `cmd = "{example}"`',
    )
