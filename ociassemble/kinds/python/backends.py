"""Local packages that cannot be copied as they are: code to compile, files that only a build makes (PY-22)."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from ociassemble.kinds.python.errors import NeedsBuildError
from ociassemble.kinds.python.local import required
from ociassemble.kinds.python.manifest import LocalProject, at, table, texts
from ociassemble.kinds.python.syntax import parse
from ociassemble.project.tree import ProjectTree

# Build backends that exist to compile something.
_COMPILING_BACKENDS = {
    "maturin": "maturin",
    "mesonpy": "meson-python",
    "scikit_build_core.build": "scikit-build-core",
    "scikit_build_core.setuptools.build_meta": "scikit-build-core",
    "sipbuild.api": "sip",
    "py_build_cmake.build": "py-build-cmake",
}
# Build requirements that mean the same with a general backend.
_COMPILERS = frozenset(
    {
        *("cffi", "cmake", "cython", "hatch-cython", "hatch-mypyc", "maturin", "meson-python", "mypy", "mypyc"),
        *("nanobind", "pybind11", "scikit-build", "scikit-build-core", "setuptools-rust", "swig"),
    }
)
_EXTENSION_ARGUMENTS = frozenset({"ext_modules", "cffi_modules", "rust_extensions", "cython_modules"})
# Hatch's build hooks that add no file to a wheel, or one that is looked for below.
_HARMLESS_HOOKS = frozenset({"vcs", "version"})
_FILE_LIMIT = 1 << 20


def refuse(tree: ProjectTree, project: LocalProject) -> None:
    """NeedsBuildError if copying the project's source would not give what installing it gives."""
    why = next(_reasons(tree, project), None)
    if why is not None:
        raise NeedsBuildError(
            f"`{project.shown}` cannot be copied as source: {why}",
            hint="build its wheel for the target (`uv build --wheel`, or in CI) and pass it with `--wheel FILE`",
        )


def _reasons(tree: ProjectTree, project: LocalProject) -> Iterator[str]:
    if not project.packaged:
        return
    data = project.data
    build = table(data, "build-system")
    backend = build.get("build-backend")
    if isinstance(backend, str) and backend in _COMPILING_BACKENDS:
        yield f"its build backend {_COMPILING_BACKENDS[backend]} compiles code"
    for requirement in texts(build.get("requires")):
        name = required(requirement)
        if name in _COMPILERS:
            yield f"building it needs {name}"
    tool = table(data, "tool")
    if table(tool, "setuptools").get("ext-modules"):
        yield "[tool.setuptools] names extension modules"
    yield from _setup(tree, project)
    yield from _hooks(project, tool)
    for file in tree.files:
        if file.kind == "file" and file.path.endswith((".pyx", ".pyx.in")) and _within(file.path, project.roots):
            yield f"`{file.path}` must be compiled by Cython"
    yield from _version_files(tree, project, tool)


def _setup(tree: ProjectTree, project: LocalProject) -> Iterator[str]:
    """Extension modules named in setup.py, which is read and never run."""
    path = at(project.folder, "setup.py")
    if not tree.has(path):
        return
    try:
        module = parse(tree.bytes_of(path, _FILE_LIMIT))
    except SyntaxError:
        yield f"`{path}` cannot be parsed"
        return
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            for keyword in node.keywords if called == "setup" else ():
                empty = isinstance(keyword.value, ast.List | ast.Tuple) and not keyword.value.elts
                if keyword.arg in _EXTENSION_ARGUMENTS and not empty:
                    yield f"`{path}` names {keyword.arg}"


def _hooks(project: LocalProject, tool: Mapping[str, Any]) -> Iterator[str]:
    hooks = {**table(tool, "hatch", "build", "hooks"), **table(tool, "hatch", "build", "targets", "wheel", "hooks")}
    for name, settings in hooks.items():
        if name not in _HARMLESS_HOOKS and table(settings).get("enable-by-default", True) is not False:
            yield f"its hatch build hook `{name}` may make files"
    poetry = table(tool, "poetry").get("build")
    if isinstance(poetry, str) or table(poetry).get("script"):
        yield "[tool.poetry.build] runs a script"
    pdm = table(tool, "pdm", "build")
    if pdm.get("run-setuptools") or pdm.get("custom-hook"):
        yield "[tool.pdm.build] runs code"


def _version_files(tree: ProjectTree, project: LocalProject, tool: Mapping[str, Any]) -> Iterator[str]:
    """Version modules that a build writes: missing here, and imported by code that does not expect that."""
    for value in (
        table(tool, "setuptools_scm").get("version_file"),
        table(tool, "setuptools_scm").get("write_to"),
        table(tool, "hatch", "build", "hooks", "vcs").get("version-file"),
        table(tool, "hatch", "build", "targets", "wheel", "hooks", "vcs").get("version-file"),
        table(tool, "hatch", "build", "hooks", "version").get("path"),
        table(tool, "pdm", "version").get("write_to"),
        table(tool, "versioningit", "write").get("file"),
    ):
        if not isinstance(value, str) or not value.endswith(".py") or tree.packed(at(project.folder, value)):
            continue
        stem = value.rpartition("/")[2].removesuffix(".py")
        for file in tree.files:
            if file.kind == "file" and file.path.endswith(".py") and _within(file.path, project.roots):
                data = tree.bytes_of(file.path, max(file.size, 1))
                if stem.encode() in data and _imports_unguarded(data, stem):
                    yield f"`{file.path}` imports `{stem}`, which only its build writes (`{value}`)"


def _imports_unguarded(data: bytes, stem: str) -> bool:
    """Whether a module imports `stem` outside of a try that catches ImportError."""
    try:
        module = parse(data)
    except SyntaxError:
        return False
    todo: list[ast.AST] = [module]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Try) and any(_catches(handler) for handler in node.handlers):
            todo += node.finalbody
            continue
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if (node.module or "").rpartition(".")[2] == stem or (stem in names and (node.level or node.module)):
                return True
        elif isinstance(node, ast.Import) and any(alias.name.rpartition(".")[2] == stem for alias in node.names):
            return True
        todo += ast.iter_child_nodes(node)
    return False


def _catches(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
    return handler.type is None or bool(names & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def _within(path: str, roots: tuple[str, ...]) -> bool:
    return any(root == "" or path.startswith(root + "/") for root in roots)
