"""pyproject.toml: what a local package is called, its scripts, where its modules are (PY-19 to PY-21).

Everything is read as text; no build backend is asked. What a backend would compute (a dynamic version, a renamed
package) is either found in the few places where people write it, or reported as unknown.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ociassemble.formats.package_name import normalised
from ociassemble.kinds.python.errors import ManifestError, NeedsBuildError
from ociassemble.project.tree import ProjectTree

_NAME = r"(?a)[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
_ENTRY_POINT = r"\s*([A-Za-z_][\w.]*)\s*:\s*([A-Za-z_][\w.]*)\s*(\[[^\]]*\])?\s*"


class EntryPoint(NamedTuple):
    """`module:object` of a script."""

    name: str
    module: str
    object: str  # may be dotted


class LocalProject(NamedTuple):
    """A Python project in the folder; paths are relative to the application's folder."""

    folder: str  # "" for the application's own
    name: str  # as written, "" where nothing tells
    version: str  # normalised, "" where only a build would know
    requires_python: str
    roots: tuple[str, ...]  # folders its top-level modules are in, "" for the application's own
    packaged: bool  # whether it is meant to be installed (it names a build backend)
    scripts: tuple[EntryPoint, ...]
    entry_points: Mapping[str, Mapping[str, str]]
    data: Mapping[str, Any]  # pyproject.toml

    @property
    def normalised(self) -> str:
        return normalised(self.name)

    @property
    def shown(self) -> str:
        return self.name or self.folder or "the project"


def at(folder: str, name: str) -> str:
    """`name` in `folder`, where "" is the application's folder."""
    return posixpath.join(folder, name) if folder else name


def table(data: Any, *keys: str) -> Mapping[str, Any]:
    """A nested table; an empty one where it is missing or something else."""
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def texts(value: Any) -> tuple[str, ...]:
    """The strings of a list; nothing where it is something else."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def pyproject(tree: ProjectTree, folder: str) -> Mapping[str, Any] | None:
    """The parsed pyproject.toml of a folder, None where it has none; ManifestError if it is broken."""
    path = at(folder, "pyproject.toml")
    return tree.once("pyproject", path, lambda: _pyproject(tree, path))


def _pyproject(tree: ProjectTree, path: str) -> Mapping[str, Any] | None:
    if not tree.has(path):
        return None
    from ociassemble.formats import toml

    try:
        return toml.loads(tree.text(path))
    except toml.TOMLDecodeError as error:
        raise ManifestError(f"`{path}` is not TOML: {error}") from error
    except RecursionError as error:
        raise ManifestError(f"`{path}` is nested too deeply") from error


def read(tree: ProjectTree, folder: str) -> LocalProject:
    """The project in `folder`; one without any metadata has no name and its modules beside it."""
    data = pyproject(tree, folder) or {}
    project = table(data, "project")
    name = project.get("name") or table(data, "tool", "poetry").get("name") or ""
    if not isinstance(name, str) or (name and not re.fullmatch(_NAME, name)):
        raise ManifestError(f"`{at(folder, 'pyproject.toml')}`: not a name for a project: {name!r:.80}")
    requires = project.get("requires-python", "")
    uv_package = table(data, "tool", "uv").get("package")
    packaged = "build-system" in data or tree.has(at(folder, "setup.py")) or uv_package is True
    return LocalProject(
        folder=folder,
        name=name,
        version=_version(tree, folder, data),
        requires_python=requires if isinstance(requires, str) else "",
        roots=_roots(tree, folder, data),
        packaged=packaged and uv_package is not False,
        scripts=tuple(_scripts(folder, project)),
        entry_points=_entry_points(project),
        data=data,
    )


def _scripts(folder: str, project: Mapping[str, Any]) -> Iterable[EntryPoint]:
    for name, value in table(project, "scripts").items():
        match = re.fullmatch(_ENTRY_POINT, value) if isinstance(value, str) else None
        if match is None:
            raise ManifestError(
                f"`{at(folder, 'pyproject.toml')}`: the script `{name}` is not `module:function`: {value!r:.80}"
            )
        yield EntryPoint(name, match[1], match[2])


def _entry_points(project: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    groups = {"console_scripts": table(project, "scripts"), "gui_scripts": table(project, "gui-scripts")}
    groups |= {group: table(values) for group, values in table(project, "entry-points").items()}
    result = {}
    for group, values in groups.items():
        lines = {key: value for key, value in values.items() if isinstance(value, str) and "\n" not in key + value}
        if lines and "\n" not in group and "]" not in group:
            result[group] = lines
    return result


def _roots(tree: ProjectTree, folder: str, data: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the project's top-level modules are: what its backend is told, else `src/`, else the folder itself."""
    told = [posixpath.normpath(at(folder, path)) for path in _configured(folder, data)]
    told = ["" if path == "." else path for path in told if path != ".." and not path.startswith(("../", "/"))]
    folders = {file.path for file in tree.files if file.kind == "directory"}
    known = tuple(dict.fromkeys(path for path in told if path == "" or path in folders))
    if known:
        return known
    source = at(folder, "src")
    modules = any(file.path.startswith(source + "/") and file.path.endswith(".py") for file in tree.files)
    # src/main.py without a package around it is a script folder; a package below src/ is the src layout.
    package = any(
        file.path.startswith(source + "/") and file.path.count("/") > source.count("/") + 1 for file in tree.files
    )
    return (source,) if modules and (package or not tree.has(at(source, "__init__.py"))) else (folder,)


def _configured(folder: str, data: Mapping[str, Any]) -> list[str]:
    """Folders of modules as the build backends are told them, relative to the project."""
    tool = table(data, "tool")
    found: list[str] = []
    where = table(tool, "setuptools", "packages", "find").get("where")
    found += texts(where)
    for package, path in table(tool, "setuptools", "package-dir").items():
        if not isinstance(path, str) or "." in package:
            continue  # packages in packages go with what they are in
        parent, _, last = path.strip("/").rpartition("/")
        if package == "":
            found.append(path)
        elif last == package:
            found.append(parent or ".")
        else:
            raise _renamed(folder, package, path)
    wheel = table(tool, "hatch", "build", "targets", "wheel")
    found += (posixpath.dirname(path.strip("/")) or "." for path in texts(wheel.get("packages")))
    sources = wheel.get("sources", table(tool, "hatch", "build").get("sources"))
    found += texts(sources)
    for path, package in table(sources).items():
        if package == "":
            found.append(path)
        else:
            raise _renamed(folder, str(package), path)
    packages = table(tool, "poetry").get("packages")
    for item in packages if isinstance(packages, list) else ():
        if isinstance(item, Mapping):
            origin = item.get("from", ".")
            found.append(origin if isinstance(origin, str) else ".")
    for value in (
        table(tool, "pdm", "build").get("package-dir"),
        table(tool, "uv", "build-backend").get("module-root"),
        table(tool, "maturin").get("python-source"),
    ):
        if isinstance(value, str):
            found.append(value or ".")
    return found


def _renamed(folder: str, package: str, path: str) -> NeedsBuildError:
    return NeedsBuildError(
        f"`{at(folder, 'pyproject.toml')}` installs `{path}` under another name, `{package}`",
        hint="give the folder that name, or build the wheel and pass it with `--wheel FILE`",
    )


def _version(tree: ProjectTree, folder: str, data: Mapping[str, Any]) -> str:
    """The version as written, or where hatchling, setuptools and pdm are told to find it as a literal."""
    from packaging.version import Version

    tool = table(data, "tool")
    text = table(data, "project").get("version") or table(tool, "poetry").get("version")
    if not isinstance(text, str):
        attribute = table(tool, "setuptools", "dynamic", "version").get("attr")
        places: list[tuple[Any, str]] = [
            (table(tool, "hatch", "version").get("path"), ""),
            (table(tool, "pdm", "version").get("path"), ""),
        ]
        if isinstance(attribute, str) and "." in attribute:
            module, _, name = attribute.rpartition(".")
            stem = module.replace(".", "/")
            places += ((f"{base}{stem}{end}", name) for base in ("", "src/") for end in (".py", "/__init__.py"))
        text = next((found for path, name in places if (found := _literal(tree, folder, path, name))), "")
    try:
        return str(Version(text))
    except ValueError:  # InvalidVersion, or a number of thousands of digits
        return ""


def _literal(tree: ProjectTree, folder: str, path: Any, name: str) -> str:
    """The string assigned to `name` (or to __version__, VERSION) at the top of a module.

    Found as text, as hatch does it: the rest of the module may be of a newer syntax than this Python knows, and
    the result must not depend on that.
    """
    if not isinstance(path, str) or ".." in path.split("/") or not tree.has(at(folder, path)):
        return ""
    names = re.escape(name) if name else "__version__|VERSION"
    wanted = re.compile(rf"^(?:{names})[ \t]*(?::[^=\n]+)?=[ \t]*(['\"])([^'\"\\\n]+)\1[ \t\r]*(?:#.*)?$", re.MULTILINE)
    found = wanted.search(tree.bytes_of(at(folder, path), 1 << 20).decode("utf-8", "replace"))
    return found[2] if found else ""
