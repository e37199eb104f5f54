"""Whether a uv.lock was made of the pyproject.toml files beside it (specs/behaviour/lock.md, LOCK-20).

`uv export --frozen` does not look, and looking with uv itself needs a Python that the project accepts and mostly a
network. uv.lock repeats what each local project asked for when it was locked, so it can be held against that.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ociassemble.errors import ProjectError
from ociassemble.formats import toml
from ociassemble.kinds.protocol import ResolveRequest

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet


class UvLockStaleError(ProjectError):
    """uv.lock answers other requirements than pyproject.toml has."""

    code = "project.uv-lock"


def check_input(request: ResolveRequest, read: Callable[[str], bytes]) -> None:
    """Raise where the request's input is a lock that was not made of the project beside it."""
    if request.form == "uv.lock":
        check(read, request.primary, request.inputs)
    elif request.form == "poetry.lock":
        from ociassemble.lock import poetry

        poetry.check(read, request.primary)


def first(request: ResolveRequest | None, read: Callable[[str], bytes]) -> tuple[tuple[str, ...], str]:
    """Why an input that is itself a lock would not be taken, and the command to run before ours: nothing, "" if it is.

    "" as well where that command would fail: what has to be changed first is among the reasons.
    """
    if request is None:
        return (), ""
    try:
        check_input(request, read)
    except ProjectError as error:
        from ociassemble.lock.poetry import PoetryLockStaleError

        made_by = {UvLockStaleError.code: "uv lock", PoetryLockStaleError.code: "poetry lock"}
        return (error.message, *error.details), made_by.get(error.code, "")
    return (), ""


def check(read: Callable[[str], bytes], primary: str, inputs: tuple[str, ...]) -> None:
    """Raise `UvLockStaleError` where a local project's dependencies are not those that were locked."""
    lock = _toml(read(primary), primary)
    details: list[str] = []
    for package in _tables(lock.get("package")):
        source, metadata = _table(package.get("source")), _table(package.get("metadata"))
        folder = next((source[key] for key in ("virtual", "editable", "directory") if key in source), None)
        if not isinstance(folder, str):
            continue
        # Nothing is repeated of a project that asked for nothing, and by the first versions of uv of none.
        if "requires-dist" not in metadata and any(package.get(f"{kind}dependencies") for kind in ("", "optional-")):
            continue
        path = posixpath.normpath(posixpath.join(posixpath.dirname(primary), folder, "pyproject.toml"))
        if path in inputs:
            details += _differences(_table(_toml(read(path), path).get("project")), metadata, path)
    if details:
        raise UvLockStaleError(
            f"`{primary}` was not made of the pyproject.toml beside it", details=details, hint="run `uv lock`"
        )


def _differences(project: Mapping[str, Any], metadata: Mapping[str, Any], path: str) -> Iterator[str]:
    dynamic = project.get("dynamic")
    if isinstance(dynamic, list) and {"dependencies", "optional-dependencies"} & {str(item) for item in dynamic}:
        return
    try:
        asked, locked = set(_asked(project)), set(_locked(metadata))
    except ValueError as error:  # numbers that Python refuses to read are found out when specifiers are compared
        raise ProjectError(f"`{path}` or the lock has a version that cannot be read") from error
    for name, specifier in sorted(asked - locked, key=str):
        yield f"`{path}` asks for `{name}{specifier}`, which is not locked"
    for name, specifier in sorted(locked - asked, key=str):
        yield f"`{name}{specifier}` is locked, and `{path}` does not ask for it"


def _asked(project: Mapping[str, Any]) -> Iterator[tuple[str, SpecifierSet]]:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    lists = [project.get("dependencies"), *_table(project.get("optional-dependencies")).values()]
    for entries in lists:
        for text in entries if isinstance(entries, list) else ():
            try:
                requirement = Requirement(text)
            except (InvalidRequirement, TypeError, ValueError):
                raise ProjectError(f"not a requirement: `{text!s:.100}`", hint="see [project] dependencies") from None
            yield canonicalize_name(requirement.name), requirement.specifier


def _locked(metadata: Mapping[str, Any]) -> Iterator[tuple[str, SpecifierSet]]:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.utils import canonicalize_name

    for entry in _tables(metadata.get("requires-dist")):
        name, specifier = entry.get("name"), entry.get("specifier", "")
        try:
            yield canonicalize_name(str(name)), SpecifierSet(str(specifier))
        except InvalidSpecifier:
            yield canonicalize_name(str(name)), SpecifierSet()


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: Any) -> Iterator[Mapping[str, Any]]:
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item


def _toml(raw: bytes, path: str) -> Mapping[str, Any]:
    try:
        return toml.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, toml.TOMLDecodeError, RecursionError) as error:
        raise ProjectError(f"`{path}` is not TOML: {error}") from error
