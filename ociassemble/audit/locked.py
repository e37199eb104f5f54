"""Proving an application on layers that a lock vouches for, without reading them (specs/behaviour/lock.md, LOCK-23).

When a lock is written the proof has everything before it. How the start command starts is mostly decided by base and
dependencies: that part is recorded (`Started`). Later only the application's layers are looked at, as long as they
lie apart, below the working directory, and only to find again what was found. Whatever is not as it was then gives no
verdict here, and the whole proof is made.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ociassemble.audit import node, python, signals
from ociassemble.audit.process import Process
from ociassemble.audit.prove import Finding, about_user, plain
from ociassemble.audit.table import Account, Table, environment
from ociassemble.image.contents import Contents
from ociassemble.image.filesystem import Found, Path
from ociassemble.oci.platform import Platform
from ociassemble.plan.started import Started


def started(table: Table, execution: Mapping[str, Any], platform: Platform) -> Started | None:
    """What to record of a start that was proved; None where it hangs on the application's files in other ways."""
    workdir = posixpath.normpath(execution.get("WorkingDir") or "/")
    home = workdir.strip("/")
    command = (*(execution.get("Entrypoint") or ()), *(execution.get("Cmd") or ()))
    if not home or not command or table.find(workdir).place != home:
        return None
    from ociassemble.audit import start

    table.seen.clear()
    found, process = start.prove(table, command, execution, platform)
    if found or process is None:
        return None
    env, account = environment(execution.get("Env") or ()), process.account
    told = Started(
        user=execution.get("User") or "",
        workdir=workdir,
        path=env.get("PATH", ""),
        uid=account.uid,
        groups=tuple(sorted(account.groups)),
        beside=tuple(sorted(_beside(table, home))),
    )
    if _own(table, process.program) and _below(process.program, home):
        plainly = process.loader is None and len(process.argv) == len(command) and _language(process) is None
        return told if plainly and _text(told) else None
    if any(_below(place, home) for place in table.seen) or any(_own(table, place) for place in _files(table)):
        return None
    table.seen.clear()
    for language in (python, node):
        found, _ = language.prove(table, process)
        if found:
            return None
    if any(facts.signals and not _own(table, place) and table.brought(place) for place, facts in _facts(table)):
        return None
    files = sorted(place for place in _files(table) if not _own(table, place))
    folders = sorted(
        f"{place}/"
        for place in table.seen
        if _kind(table, place) == "directory"
        and not _own(table, place)
        and not any(file.startswith(f"{place}/") for file in files)
        and not f"{home}/".startswith(f"{place}/")
    )
    installed = tuple(place for place in files if table.lasting(place))
    base = tuple(place for place in files if place not in installed)
    told = told._replace(program=process.program, argv=process.argv, files=(*base, *folders), installed=installed)
    return told if _text(told) else None


def proved(
    told: Started,
    layers: Sequence[Contents],
    known: Sequence[Finding],
    execution: Mapping[str, Any],
    platform: Platform,
) -> tuple[Finding, ...] | None:
    """The findings about an application with these layers; None where only the whole proof can tell."""
    env = environment(execution.get("Env") or ())
    workdir = posixpath.normpath(execution.get("WorkingDir") or "/")
    if (execution.get("User") or "", workdir, env.get("PATH", "")) != (told.user, told.workdir, told.path):
        return None
    if "LD_LIBRARY_PATH" in env or not all(_apart(layer, told) for layer in layers):
        return None
    volumes = tuple(execution.get("Volumes") or ())
    relied = [Contents(tuple(_relied(files))) for files in (told.files, told.installed)]
    table = Table([*relied, *layers], 1, 1, volumes)
    account = Account(told.uid, frozenset(told.groups), workdir)
    if told.program:
        process: Process | None = Process(told.program, told.argv, account, env, workdir)
    else:
        from ociassemble.audit import start

        command = (*(execution.get("Entrypoint") or ()), *(execution.get("Cmd") or ()))
        found, process = start.prove(table, command, execution, platform, account)
        if found or process is None or process.loader is not None or not _own(table, process.program):
            return None
    assert process is not None
    if any(facts.elf is not None and facts.elf.dynamic and place != process.program for place, facts in _facts(table)):
        return None  # what it needs is looked for in the base
    findings: list[Finding] = []
    for language in (python, node):
        found, runs = language.prove(table, process)
        if found or (told.files + told.installed and runs is None and language is _language(process)):
            return None
        if runs is not None:
            findings += signals.prove(table, runs, execution)
    return plain([*findings, *known, *about_user(execution)])


def _language(process: Process) -> Any:
    """What proves the rest of this start, None for a program that is no interpreter."""
    name = posixpath.basename(process.program)
    return python if name.startswith("python") else node if name.startswith("node") else None


def _apart(layer: Contents, told: Started) -> bool:
    """Whether a layer has nothing but what lies below the working directory, and beside what was there."""
    home = told.workdir.strip("/")
    for path, item, _, _ in layer.members:
        if not _below(path, home):
            if item.kind != "directory" or not (path == home or home.startswith(f"{path}/")):
                return False
            continue
        first = path[len(home) + 1 :].partition("/")[0]
        if first in told.beside or posixpath.basename(path).startswith(".wh."):
            return False
    return True


def _relied(files: Iterable[str]) -> Iterator[Found]:
    """The recorded files of base and dependencies as a layer of their own, of empty files."""
    for name in files:
        folder = name.endswith("/")
        item = Path("directory", 0o755, 0, 0, 0, "", 0) if folder else Path("file", 0o755, 0, 0, 0, "", 0)
        yield Found(name.strip("/"), item, None, None)


def _beside(table: Table, home: str) -> set[str]:
    return {
        path[len(home) + 1 :].partition("/")[0]
        for path in table.files.paths
        if _below(path, home) and not _own(table, path)
    }


def _below(place: str, home: str) -> bool:
    return place.startswith(f"{home}/")


def _own(table: Table, place: str) -> bool:
    """Whether a path comes from a layer of the application."""
    return table.brought(place) and not table.lasting(place)


def _kind(table: Table, place: str) -> str:
    item = table.files.paths.get(place)
    return item.kind if item is not None else ""


def _files(table: Table) -> list[str]:
    return [place for place in table.seen if _kind(table, place) == "file"]


def _facts(table: Table) -> Iterator[tuple[str, Any]]:
    return iter(table.files.facts.items())


def _text(told: Started) -> bool:
    """Whether a lock can hold it: names of files may be no text."""
    try:
        "\0".join((*told.argv, *told.files, *told.installed, *told.beside)).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
