"""How an application is cut into layers (PY-16 to PY-18): big wheels alone, small ones together, the rest last."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from ociassemble.errors import UsageError
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.kinds.python.errors import InputError, LockError
from ociassemble.kinds.python.manifest import LocalProject
from ociassemble.kinds.python.target import python_of
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import LayerPlan, PythonScheme, TextSource, WheelSource
from ociassemble.project.settings import Settings

# A layer of its own costs a request and a descriptor; below a mebibyte that is more than re-sending it saves.
BIG = 1 << 20
BUDGET = 20
PATH_FILE = "ociassemble.pth"


def scheme(settings: Settings, facts: BaseFacts) -> PythonScheme:
    """Where wheels go on this base; `python.site` overrides the base's own directory."""
    python = python_of(facts)
    site = settings.python.site or python.site
    if not site.startswith("/") or posixpath.normpath(site) != site:
        raise UsageError(f"`python.site` is not an absolute path: `{site}`")
    return PythonScheme(site=site, prefix=python.prefix, interpreter=python.interpreter, minor=python.minor)


def dependencies(packages: Sequence[LockedPackage], places: PythonScheme, cut: str) -> tuple[LayerPlan, ...]:
    """The layers of `packages`. `cut` is "auto", "single" or "per-package"."""
    ordered = sorted(packages, key=lambda package: package.name)
    for package in ordered:
        if package.artifact.size < 0:
            raise LockError(f"the size of `{package.artifact.filename}` is not known")
    if cut == "per-package":
        alone = set(ordered)
    elif cut == "single":
        alone = set()
    else:
        big = [package for package in ordered if package.artifact.size >= BIG]
        alone = set(sorted(big, key=lambda package: (-package.artifact.size, package.name))[:BUDGET])
    layers = [_layer(package.name, (package,), places) for package in ordered if package in alone]
    together = [package for package in ordered if package not in alone]
    if together:
        layers.append(_layer("dependencies", together, places))
    return tuple(layers)


def _layer(title: str, packages: Iterable[LockedPackage], places: PythonScheme) -> LayerPlan:
    sources = tuple(WheelSource(package.artifact, places) for package in packages)
    return LayerPlan(title=title, role="dependency", sources=sources)


def path_file(places: PythonScheme, folders: Iterable[str]) -> tuple[TextSource, ...]:
    """The file that makes the application's source folders importable from anywhere; none where nothing needs it."""
    unique = tuple(dict.fromkeys(folders))
    for folder in unique:
        # After a line break there would be a line of its own: another path, or code ("import ...").
        if not folder.isprintable():
            raise InputError(f"a folder of modules has control characters in its name: {folder!r:.100}")
    lines = "".join(f"{folder}\n" for folder in unique)
    return (TextSource(f"{places.site}/{PATH_FILE}", lines),) if lines else ()


def metadata(places: PythonScheme, project: LocalProject) -> tuple[TextSource, ...]:
    """What `importlib.metadata` reads of a local package: its version and its entry points (plug-ins).

    Nothing where the version is only known to its build: a made-up one would be worse than none.
    """
    if not project.packaged or not project.name or not project.version:
        return ()
    folder = f"{places.site}/{project.normalised.replace('-', '_')}-{project.version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {project.name}", f"Version: {project.version}"]
    if project.requires_python and "\n" not in project.requires_python:
        lines.append(f"Requires-Python: {project.requires_python}")
    points = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in sorted(values.items()))
        for group, values in sorted(project.entry_points.items())
    ]
    files = [
        TextSource(f"{folder}/INSTALLER", "ociassemble\n"),
        TextSource(f"{folder}/METADATA", "\n".join(lines) + "\n"),
    ]
    if points:
        files.append(TextSource(f"{folder}/entry_points.txt", "\n".join(points)))
    return tuple(files)
