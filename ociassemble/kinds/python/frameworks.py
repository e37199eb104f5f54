"""Web applications found in source text (PY-28): the syntax tree is read, nothing is imported or run.

An application object is an assignment at the top of a module (`app = Flask(__name__)`), or a function there that
makes one (`def create_app(): ...`). For Django it is what the settings name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ociassemble.kinds.python.errors import StartCommandError
from ociassemble.kinds.python.manifest import at
from ociassemble.kinds.python.syntax import parse
from ociassemble.project.tree import ProjectTree

# Class -> (name for people, what a server must speak, distribution).
CLASSES = {
    "flask.Flask": ("Flask", "wsgi", "flask"),
    "fastapi.FastAPI": ("FastAPI", "asgi", "fastapi"),
    "fastapi.applications.FastAPI": ("FastAPI", "asgi", "fastapi"),
    "starlette.applications.Starlette": ("Starlette", "asgi", "starlette"),
    "quart.Quart": ("Quart", "asgi", "quart"),
}
_MENTIONS = re.compile(
    rb"^[ \t]*(?:from[ \t]+|import[ \t]+(?:[\w.]+(?:[ \t]+as[ \t]+\w+)?[ \t]*,[ \t]*)*)"
    rb"(?:flask|fastapi|starlette|quart)\b",
    re.MULTILINE,
)
_FILES = ("main", "app", "wsgi", "asgi", "application", "server", "api", "__init__", "run", "start")
_OBJECTS = ("app", "application", "api")
_FACTORIES = ("create_app", "make_app", "app_factory", "get_app", "build_app", "create_application")
_SKIPPED = frozenset(
    {"tests", "test", "testing", "docs", "doc", "examples", "benchmarks", "migrations", "node_modules"}
)
_DEPTH = 3  # folders below the application's own
_FILE_LIMIT = 1 << 20


class WebApplication(NamedTuple):
    """An application object that a server can be pointed at."""

    framework: str  # "Flask"
    protocol: str  # "wsgi" or "asgi"
    distribution: str  # "flask"
    module: str  # "main", "shop.app"
    object: str  # "app"
    factory: bool  # whether `object` must be called
    path: str  # in the project
    line: int

    @property
    def evidence(self) -> str:
        made = f"def {self.object}()" if self.factory else f"{self.object} = {self.framework}(...)"
        return f"{self.path} line {self.line}: {made}" if self.line else self.path


class _Assigned(NamedTuple):
    name: str
    qualified: str  # what is called, "" where it is not a plain name
    line: int


class _Module(NamedTuple):
    """The parts of one file that matter."""

    path: str
    objects: tuple[WebApplication, ...]
    factories: tuple[WebApplication, ...]
    made: tuple[_Assigned, ...]  # assigned from a call of something else
    unknown: StartCommandError | None = None  # where it cannot be parsed, and mentions no framework


def find(tree: ProjectTree, home: str, roots: Iterable[str]) -> tuple[WebApplication, ...]:
    """The web applications of the project in the folder `home`, the best candidates only.

    One result is an answer; several are equally good. `roots` are the folders modules are imported from.
    """
    places = sorted(roots, key=len, reverse=True)
    modules = [_parse(tree, path, name) for path, name in _candidates(tree, home, places)]
    found = [item for module in modules for item in module.objects]
    factories = {item.object: item for module in modules for item in module.factories}
    for module in modules:
        if factories and module.unknown is not None:
            raise module.unknown  # it may call one of them
    for module in modules:
        for made in module.made:
            origin = factories.get(made.qualified.rpartition(".")[2])
            if origin is not None:
                name = module_name(module.path, places) or ""
                found.append(
                    origin._replace(module=name, object=made.name, factory=False, path=module.path, line=made.line)
                )
    found += factories.values()
    ranked = sorted({item: _rank(item, home) for item in found}.items(), key=lambda pair: (pair[1], pair[0]))
    return tuple(item for item, rank in ranked if rank == ranked[0][1])


def _rank(item: WebApplication, home: str) -> tuple[bool, int, int, int]:
    stem = item.path.rpartition("/")[2].removesuffix(".py")
    depth = item.path.removeprefix(home).strip("/").removeprefix("src/").count("/")
    # app/__init__.py is as good as app.py.
    if stem == "__init__":
        depth = max(depth - 1, 0)
    names = _FACTORIES if item.factory else _OBJECTS
    file = _FILES.index(stem) if stem in _FILES else len(_FILES)
    return (item.factory, depth, file, names.index(item.object) if item.object in names else len(names))


def module_name(path: str, roots: Iterable[str]) -> str | None:
    """The dotted name `path` is imported by from the innermost of `roots`; None where it has none."""
    for root in sorted(roots, key=len, reverse=True):
        if root == "" or path.startswith(root + "/"):
            parts = path[len(root) :].strip("/").removesuffix(".py").split("/")
            if parts[-1] == "__init__":
                parts.pop()
            return ".".join(parts) if parts and all(part.isidentifier() for part in parts) else None
    return None


def _candidates(tree: ProjectTree, home: str, roots: list[str]) -> Iterator[tuple[str, str]]:
    prefix = home + "/" if home else ""
    for file in tree.files:
        if file.kind != "file" or not file.path.endswith(".py") or not file.path.startswith(prefix):
            continue
        *folders, base = file.path[len(prefix) :].split("/")
        if len(folders) > _DEPTH or file.size > _FILE_LIMIT or _SKIPPED.intersection(folders):
            continue
        if any(folder.startswith(".") for folder in folders) or base.startswith(("test_", "conftest")):
            continue
        name = module_name(file.path, roots)
        if name is not None:
            yield file.path, name


def _parse(tree: ProjectTree, path: str, name: str) -> _Module:
    data = tree.bytes_of(path, _FILE_LIMIT)
    stem = path.rpartition("/")[2].removesuffix(".py")
    if not _MENTIONS.search(data) and not (stem in _FILES and b"app" in data):
        return _Module(path, (), (), ())
    try:
        body = parse(data).body
    except SyntaxError as error:
        # Its syntax may be newer than the Python that runs us: guessing would make the result depend on that.
        unknown = _unknown(path, error.lineno)
        if not _MENTIONS.search(data):
            return _Module(path, (), (), (), unknown)
        raise unknown from error
    imported: dict[str, str] = {}
    objects: list[WebApplication] = []
    factories: list[WebApplication] = []
    made: list[_Assigned] = []
    for node in _top_level(body):
        _remember_imports(node, imported)
        if isinstance(node, ast.FunctionDef):
            known = _makes(node, dict(imported))
            if known is not None and node.name in _FACTORIES and _callable_bare(node):
                factories.append(WebApplication(*known, name, node.name, True, path, node.lineno))
        for assigned in _assignments(node, imported):
            known = CLASSES.get(assigned.qualified)
            if known is not None:
                objects.append(WebApplication(*known, name, assigned.name, False, path, assigned.line))
            else:
                made.append(assigned)
    return _Module(path, tuple(objects), tuple(factories), tuple(made))


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run on import: those of the module, and inside its `if`, `try` and `with`."""
    todo = list(body)[::-1]
    while todo:
        node = todo.pop()
        yield node
        inner: list[ast.stmt] = []
        if isinstance(node, ast.If):
            guard = isinstance(node.test, ast.Compare) and "'__main__'" in ast.dump(node.test)
            inner = node.orelse if guard else [*node.body, *node.orelse]
        elif isinstance(node, ast.Try):
            inner = [*node.body, *node.orelse, *node.finalbody]
        elif isinstance(node, ast.With):
            inner = node.body
        todo += inner[::-1]


def _remember_imports(node: ast.stmt, imported: dict[str, str]) -> None:
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            imported[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
    elif isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                imported[alias.asname] = alias.name
            else:
                imported.setdefault(alias.name.partition(".")[0], alias.name.partition(".")[0])


def _qualified(node: ast.expr, imported: Mapping[str, str]) -> str:
    """The dotted name an expression stands for, through the imports; "" where it is something else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join((imported.get(node.id, node.id), *reversed(parts)))


def _assignments(node: ast.stmt, imported: Mapping[str, str]) -> Iterator[_Assigned]:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
        return
    called = _qualified(node.value.func, imported)
    if isinstance(node, ast.AnnAssign) and called not in CLASSES:
        annotated = _qualified(node.annotation, imported)
        called = annotated if annotated in CLASSES else called
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Name):
            yield _Assigned(target.id, called, node.lineno)


def _makes(function: ast.FunctionDef, imported: dict[str, str]) -> tuple[str, str, str] | None:
    """The framework whose application `function` makes."""
    inner = list(ast.walk(function))
    for node in inner:
        if isinstance(node, ast.stmt):
            _remember_imports(node, imported)
    calls = (CLASSES.get(_qualified(node.func, imported)) for node in inner if isinstance(node, ast.Call))
    return next((known for known in calls if known is not None), None)


def _callable_bare(function: ast.FunctionDef) -> bool:
    """Whether it can be called without arguments."""
    given = function.args
    required = len(given.posonlyargs) + len(given.args) - len(given.defaults)
    return required <= 0 and all(default is not None for default in given.kw_defaults)


def find_django(tree: ProjectTree, home: str) -> tuple[WebApplication, ...]:
    """Django's WSGI and ASGI applications, as manage.py and the settings name them."""
    manage = at(home, "manage.py")
    if not tree.packed(manage):
        return ()
    settings = _django_settings(tree, manage)
    if not settings:
        return ()
    found = []
    for protocol in ("wsgi", "asgi"):
        named, path = _django_application(tree, home, settings, protocol.upper() + "_APPLICATION")
        if not named:
            package = settings.partition(".")[0]
            path = at(home, f"{package}/{protocol}.py")
            named = f"{package}.{protocol}.application" if tree.packed(path) else ""
        module, _, name = named.rpartition(".")
        if module:
            found.append(WebApplication("Django", protocol, "django", module, name, False, path, 0))
    return tuple(found)


def _django_settings(tree: ProjectTree, path: str) -> str:
    """The settings module that manage.py sets as a default."""
    for node in ast.walk(_module(tree, path)):
        if isinstance(node, ast.Call) and len(node.args) == 2:
            name, value = node.args
            if isinstance(name, ast.Constant) and name.value == "DJANGO_SETTINGS_MODULE":
                return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
    return ""


def _django_application(tree: ProjectTree, home: str, settings: str, name: str) -> tuple[str, str]:
    """The value of WSGI_APPLICATION, from the settings module or from its siblings in a settings package."""
    stem = at(home, settings.replace(".", "/"))
    folder = stem.rpartition("/")[0]
    paths = [stem + ".py", stem + "/__init__.py", stem + "/base.py"]
    if folder and folder.rpartition("/")[2] == "settings":
        paths += [f"{folder}/{other}" for other in tree.names(folder) if other.endswith(".py")]
    for path in paths:
        if not tree.packed(path):
            continue
        for node in _module(tree, path).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                assigned = any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
                if assigned and isinstance(node.value.value, str):
                    return node.value.value, path
    return "", ""


def _module(tree: ProjectTree, path: str) -> ast.Module:
    try:
        return parse(tree.bytes_of(path, _FILE_LIMIT))
    except SyntaxError as error:
        raise _unknown(path, error.lineno) from error


def _unknown(path: str, line: int | None) -> StartCommandError:
    return StartCommandError(
        f"`{path}` cannot be parsed{f' (line {line})' if line else ''}, so how the application starts is unknown",
        hint='say it: `--cmd "python -m gunicorn ..."`, or `cmd` in ociassemble.toml',
    )
