"""Asking uv what a project's inputs mean, on copies of them (specs/behaviour/lock.md, LOCK-11 to LOCK-15)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ociassemble import _files
from ociassemble.errors import ProjectError
from ociassemble.kinds.protocol import Resolution, ResolveRequest
from ociassemble.lock import drift
from ociassemble.lock import uv as uv_tool
from ociassemble.lock.uv import BuildForbiddenError
from ociassemble.net.trust import Trust
from ociassemble.plan.artifacts import PATH
from ociassemble.progress import Progress
from ociassemble.sources.index_settings import IndexSettings

if TYPE_CHECKING:
    from ociassemble.plan.artifacts import ArtifactRef

# Beside the copies: ends uv's search for settings and workspaces, which would go on into the folders above, and
# keeps packages that only other systems need out of the answer.
_FENCE = b"[tool.uv]\nmanaged = false\nenvironments = [\"sys_platform == 'linux'\"]\n"
_ANSWER = "pylock.ociassemble.toml"
_WHEELS = "wheels.ociassemble.txt"
_MINOR = re.compile(r"[0-9]+\.[0-9]+", re.ASCII)
_NO_BINARY_OPTION = re.compile(r"(?m)^[^#\n]*--no-binary(?:\s+|=)(?!:none:)\S+")
_REMOTE = re.compile(r"(?m)^\s*(?:-r|-c|--requirements?|--constraints?)[\s=]*[A-Za-z][A-Za-z0-9+.-]*://")
_NO_BINARY = ("no-binary", "no-binary-package")


class UnsupportedInputError(ProjectError):
    """A request that cannot be resolved as it is."""

    code = "project.resolve"


class Upgrade(NamedTuple):
    """What need not keep its version: everything, or packages by name."""

    everything: bool = False
    names: tuple[str, ...] = ()


def resolve(
    request: ResolveRequest,
    read: Callable[[str], bytes],
    *,
    minor: str,
    index: IndexSettings,
    environment: Mapping[str, str],
    home: Path,
    python: Path,
    prefix: Path,
    uv: str | None = None,
    trust: Trust = Trust(),  # noqa: B008  (an immutable value)
    offline: bool = False,
    wheels: Mapping[str, Path] = MappingProxyType({}),
    previous: Iterable[tuple[str, str, ArtifactRef]] = (),
    upgrade: Upgrade = Upgrade(),  # noqa: B008  (an immutable value)
    progress: Progress | None = None,
) -> Resolution:
    """The answer to `request` for Python `minor` ("3.13") on Linux of any architecture, as the text of a pylock.toml.

    `read` gives the bytes of one of the request's inputs. `index` has its default where pip or the settings named
    the indexes. `environment` is the child's whole environment, `python` and `prefix` our own interpreter and
    installation, `uv` the program, found where None. `wheels` are the user's own, by normalised name: uv takes them for
    whatever asks for that name. The versions of `previous` (name, version, artifact) are kept
    where they still fit and `upgrade` does not let them go.

    Raises `ToolMissingError`, and what `lock.uv` makes of uv's errors.
    """
    progress = progress or Progress()
    if request.form == "pylock":
        try:
            return Resolution("pylock", read(request.primary).decode("utf-8"))
        except UnicodeDecodeError:
            raise UnsupportedInputError(f"`{request.primary}` is not UTF-8") from None
    if request.form == "poetry.lock":
        from ociassemble.lock import poetry

        return Resolution("pylock", poetry.to_pylock(read, request))
    if request.form not in ("uv.lock", "requirements", "pyproject"):
        raise UnsupportedInputError(f"`{request.primary}` is of a form that cannot be resolved: {request.form}")
    if request.form != "uv.lock" and not _MINOR.fullmatch(minor):
        raise UnsupportedInputError(
            f"`{request.primary}` must be resolved for a Python, and the base has none",
            hint="choose a base with Python, such as `distroless/python3`",
        )
    if request.form == "uv.lock":
        drift.check(read, request.primary, request.inputs)
    program = uv or uv_tool.find(environment=environment, prefix=prefix, python=python)
    if program is None:
        raise uv_tool.missing()
    copies = {path: read(path) for path in request.inputs}
    with _files.temporary_directory("ociassemble-lock-") as made:
        scratch = made.resolve()  # uv names files by their real paths
        folder = _laid_out(copies, scratch)
        if request.form != "uv.lock":
            _refuse_builds(environment, home, folder, copies)
        child = uv_tool.child_environment(environment, index, offline=offline, trust=trust, scratch=scratch)
        if request.form == "uv.lock":
            arguments = _export(request)
        else:
            if seed := _seed(previous, upgrade):
                _files.write_atomic(folder / _ANSWER, seed)
            arguments = _compile(request, minor, python, upgrade)
            if wheels:
                _files.write_atomic(folder / _WHEELS, _overrides(wheels))
                arguments += ["--override", _WHEELS]
        printed = uv_tool.run(
            program,
            arguments,
            folder=folder,
            environment=child,
            index=index,
            subject=request.primary,
            progress=progress,
        )
        answer = printed if request.form == "uv.lock" else (folder / _ANSWER).read_bytes()
    return Resolution("pylock", answer.decode("utf-8", "replace"))


def _laid_out(copies: Mapping[str, bytes], scratch: Path) -> Path:
    """The inputs as a project of their own, in a folder of ours."""
    folder = scratch / "project"
    _files.directory(folder)
    _files.write_atomic(scratch / "pyproject.toml", _FENCE)
    for path, data in copies.items():
        if not PATH.fullmatch(path):
            raise UnsupportedInputError(f"the input `{path}` is outside the project's folder")
        _files.directory((folder / path).parent)
        _files.write_atomic(folder / path, data)
    return folder


def _export(request: ResolveRequest) -> list[str]:
    arguments = ["export", "--frozen", "--offline", "--format", "pylock.toml", "--no-emit-workspace"]
    arguments += ["--no-header", "--no-annotate"]
    if "dev" not in request.groups:
        arguments.append("--no-dev")
    if request.package:
        arguments += ["--package", request.package]
    return arguments + _choices(request)


def _compile(request: ResolveRequest, minor: str, python: Path, upgrade: Upgrade) -> list[str]:
    arguments = ["pip", "compile", request.primary, "--universal", "--format", "pylock.toml"]
    arguments += ["--only-binary", ":all:", "--python-version", minor, "--python", str(python)]
    arguments += ["--no-header", "--no-annotate", "--output-file", _ANSWER]
    if upgrade.everything:
        arguments.append("--upgrade")
    for name in upgrade.names:
        arguments += ["--upgrade-package", name]
    return arguments + (_choices(request) if request.form == "pyproject" else [])


def _overrides(wheels: Mapping[str, Path]) -> bytes:
    """The user's wheels as requirements that win over all others of their names."""
    return "".join(f"{name} @ {path.absolute().as_uri()}\n" for name, path in sorted(wheels.items())).encode()


def _choices(request: ResolveRequest) -> list[str]:
    result = []
    for option, names in (("--extra", request.extras), ("--group", request.groups)):
        for name in names:
            result += [option, name]
    return result


def _seed(previous: Iterable[tuple[str, str, ArtifactRef]], upgrade: Upgrade) -> bytes:
    """Versions to keep, in the form in which uv takes them from an earlier answer; empty for none."""
    import json

    pins = {} if upgrade.everything else {name: version for name, version, _ in previous}
    if not pins:
        return b""
    text = 'lock-version = "1.0"\ncreated-by = "ociassemble"\n'
    for name, version in sorted(pins.items()):
        text += f"\n[[packages]]\nname = {json.dumps(name)}\nversion = {json.dumps(version)}\n"
    return text.encode("utf-8")


def _refuse_builds(environment: Mapping[str, str], home: Path, folder: Path, copies: Mapping[str, bytes]) -> None:
    """What would make uv build a package in spite of `--only-binary :all:`, wherever it is written."""
    from ociassemble.sources import uv_config

    project = {name: copies[name] for name in ("uv.toml", "pyproject.toml") if name in copies}
    for table, where in uv_config.configurations(environment, home, folder, project):
        pip = table.get("pip")
        levels: tuple[Any, ...] = (table, pip if isinstance(pip, dict) else {})
        for level in levels:
            for key in _NO_BINARY:
                if level.get(key) not in (None, False, [], [":none:"]):
                    raise BuildForbiddenError(
                        f"`{key}` in uv's settings ({where.name}) asks for a build from source, which is never done",
                        hint="take it out, or lock with `uv lock`: a uv.lock is read without building",
                    )
    for path, data in copies.items():
        if path.endswith((".toml", ".whl")):
            continue
        text = data.decode("utf-8", "replace").replace("\\\r\n", " ").replace("\\\n", " ")
        if found := _NO_BINARY_OPTION.search(text):
            raise BuildForbiddenError(
                f"`{found[0].strip()}` in `{path}` asks for a build from source, which is never done",
                hint="remove the line, or build the wheel and pass `--wheel FILE`",
            )
        if found := _REMOTE.search(text):
            raise UnsupportedInputError(
                f"`{path}` includes a requirements file from a server, which nothing pins",
                hint="download it into the project's folder",
            )
