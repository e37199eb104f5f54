"""Which file says what the project needs, and everything the answer depends on (PY-1 to PY-4)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import NamedTuple

from ociassemble.kinds.protocol import ResolveRequest
from ociassemble.kinds.python import local, manifest, requirements
from ociassemble.kinds.python.errors import InputError
from ociassemble.kinds.python.manifest import at, table, texts
from ociassemble.kinds.python.recognise import PRECEDENCE
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import Reason
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree

# Locks of other tools: not read; each with the command that makes something that is.
_FOREIGN = {
    "pdm.lock": "export it: `pdm export -f pylock -o pylock.toml`",
    "Pipfile.lock": "export it: `pipenv pylock --generate -o pylock.toml`, or with an older Pipenv "
    "`pipenv requirements --hash > requirements.txt`",
    "Pipfile": "lock and export it: `pipenv lock`, then `pipenv pylock --generate -o pylock.toml`",
    "environment.yml": "conda packages are not supported; list Python packages in a requirements.txt",
}
_PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml")


class Input(NamedTuple):
    """The chosen file, what it reaches, and why it was chosen. Paths are relative to the project's folder."""

    form: str  # "pylock", "uv.lock", "poetry.lock", "requirements", "pyproject", or "" where nothing is needed
    primary: str
    files: tuple[str, ...] = ()
    local: tuple[str, ...] = ()  # folders of local packages among the dependencies
    hashes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    empty: bool = False  # whether it asks for no package at all
    reasons: tuple[Reason, ...] = ()


def choose(tree: ProjectTree, settings: Settings) -> Input:
    """The project's input; `form` is "" where it has none. Raises InputError and the readers' own errors."""
    explicit = settings.python.requirements
    if explicit is not None:
        path = posixpath.normpath(explicit)
        if not tree.has(path):
            raise InputError(f"there is no file `{explicit}`", hint="`python.requirements` names a file of the project")
        return _read(tree, settings, _form(path), path, (Reason(f"dependencies from {path}", "python.requirements"),))
    there = [(name, form) for name, form in PRECEDENCE if tree.has(name) and (form != "pyproject" or _lists(tree))]
    foreign = [name for name in _FOREIGN if tree.has(name)]
    if not there or (there[0][1] == "pyproject" and foreign):
        if foreign:
            raise InputError(
                f"`{foreign[0]}` cannot be read, and nothing else says which packages are needed",
                hint=_FOREIGN[foreign[0]],
            )
        _refuse_hidden(tree)
        return Input("", "", empty=True)
    name, form = there[0]
    reasons = [Reason(f"dependencies from {name}", f"found {name}")]
    others = [other for other, _ in there[1:] if other != "pyproject.toml"] + foreign
    if others:
        reasons.append(Reason(f"warning: {', '.join(others)} not used", f"{name} goes before"))
    return _read(tree, settings, form, name, tuple(reasons))


def request(
    tree: ProjectTree, settings: Settings, facts: BaseFacts | None, provided: Iterable[str]
) -> ResolveRequest | None:
    """What a resolver must answer; None where no package is asked for."""
    chosen = choose(tree, settings)
    python = settings.python
    what = "extras" if python.extras else "groups" if python.groups else ""
    if what and chosen.form == "":
        raise InputError(f"no file lists the project's dependencies, so it has no {what}")
    if what and chosen.form == "requirements":
        raise InputError(
            f"`{chosen.primary}` has no {what}",
            hint=f"`python.{what}` is for pyproject.toml and for locks; or set `python.requirements`",
        )
    if chosen.empty and not what:
        return None
    return ResolveRequest(
        ecosystem="python",
        form=chosen.form,
        primary=chosen.primary,
        inputs=chosen.files,
        extras=tuple(sorted(set(python.extras))),
        groups=tuple(sorted(set(python.groups))),
        python=facts.python.minor if facts is not None and facts.python is not None else "",
        required_hashes=chosen.hashes,
        package=python.package or "",
        provided=tuple(sorted(set(provided))),
    )


def _form(path: str) -> str:
    name = posixpath.basename(path)
    if _PYLOCK.fullmatch(name):
        return "pylock"
    if name in ("uv.lock", "poetry.lock", "pyproject.toml"):
        if path != name:
            raise InputError(
                f"`{path}` is in a folder below the project", hint=f"build that folder: `{path[: -len(name) - 1]}`"
            )
        return "pyproject" if name == "pyproject.toml" else name
    if name in _FOREIGN:
        raise InputError(f"`{path}` cannot be read", hint=_FOREIGN[name])
    return "requirements"


def _read(tree: ProjectTree, settings: Settings, form: str, path: str, reasons: tuple[Reason, ...]) -> Input:
    if form == "requirements":
        found = requirements.read(tree, path)
        _refuse_dynamic(tree, found.local)
        files = local.once((*found.files, *local.manifests(tree, found.local), *found.wheels))
        empty = not found.names and not any(_dependencies(tree, folder) for folder in found.local)
        return Input(form, path, files, found.local, found.hashes, empty, reasons)
    if form == "pylock":
        reached = local.in_pylock(tree, path)
        return Input(form, path, local.once((path, *reached.wheels)), reached.used, (), reached.empty, reasons)
    around = local.present(tree, "uv.toml")
    if form in ("uv.lock", "poetry.lock") and not tree.has("pyproject.toml"):
        raise InputError(f"`{path}` is there, and its `pyproject.toml` is not")
    if form == "poetry.lock":
        reached = local.in_poetry_lock(tree, path)
        files = local.once((path, "pyproject.toml", *local.manifests(tree, reached.folders), *reached.wheels))
        return Input(form, path, files, reached.used, (), reached.empty, reasons)
    if form == "uv.lock":
        reached = local.in_uv_lock(tree, path, settings.python.package or "", settings.python.groups)
        files = local.once((path, "pyproject.toml", *local.manifests(tree, reached.folders), *around))
        return Input(form, path, files, reached.used, (), reached.empty, reasons)
    if settings.python.package:
        raise InputError(
            f"the workspace member `{settings.python.package}` needs a uv.lock", hint="make one: `uv lock`"
        )
    folders = local.sources(tree, "")
    _refuse_dynamic(tree, ("", *folders))
    files = local.once(("pyproject.toml", *local.manifests(tree, folders), *local.members(tree), *around))
    empty = not any(_dependencies(tree, folder) for folder in ("", *folders))
    return Input(form, path, files, folders, (), empty, reasons)


def _lists(tree: ProjectTree) -> bool:
    """Whether pyproject.toml says what the project needs (many hold nothing but the settings of tools)."""
    data = manifest.pyproject(tree, "") or {}
    return "project" in data or bool(table(data, "dependency-groups"))


def _dependencies(tree: ProjectTree, folder: str) -> bool:
    project = table(manifest.pyproject(tree, folder) or {}, "project")
    return bool(project.get("dependencies")) or "dependencies" in texts(project.get("dynamic"))


def _refuse_hidden(tree: ProjectTree) -> None:
    """Projects whose dependencies only their build backend, or poetry, knows."""
    data = manifest.pyproject(tree, "") or {}
    if table(data, "tool", "poetry", "dependencies"):
        raise InputError(
            "the dependencies are in [tool.poetry], which only poetry can resolve",
            hint="run `poetry lock`: a poetry.lock is read",
        )
    for name in ("setup.py", "setup.cfg"):
        if tree.has(name):
            raise InputError(
                f"only `{name}` says which packages are needed, and reading it would run it",
                hint="list them in a requirements.txt, for example with `uv pip compile setup.py -o requirements.txt`",
            )


def _refuse_dynamic(tree: ProjectTree, folders: Iterable[str]) -> None:
    """Local packages whose metadata a resolver could only have by running their build backend."""
    for folder in folders:
        data = manifest.pyproject(tree, folder)
        path = at(folder, "pyproject.toml")
        if data is None or "project" not in data:
            raise InputError(
                f"the local package `{folder or '.'}` has no [project] in a pyproject.toml",
                hint="its dependencies must be written down: add the table, or build its wheel and pass `--wheel FILE`",
            )
        dynamic = set(texts(table(data, "project").get("dynamic")))
        computed = sorted(dynamic & {"version", "dependencies", "optional-dependencies"})
        if computed and (folder or "dependencies" in computed):
            raise InputError(
                f"`{path}` leaves its {computed[0]} to the build backend, which is never run",
                hint="write it down, or lock with `uv lock` so that it is not asked for",
            )
