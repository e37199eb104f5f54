"""The Python kind: from a folder, settings and a base's facts to layers and a start command. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from ociassemble.formats.package_name import normalised
from ociassemble.kinds.protocol import (
    DefaultBase,
    LockedPackage,
    Recognition,
    Resolution,
    ResolveRequest,
    place,
    workdir_of,
)
from ociassemble.kinds.python import backends, inputs, layers, manifest, recognise, start, target
from ociassemble.kinds.python.errors import InputError, NoWheelError, PythonVersionError
from ociassemble.kinds.python.inputs import Input
from ociassemble.kinds.python.manifest import LocalProject
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import ApplicationPlan, ConfigPlan, FilesSource, LayerPlan, Reason, Source
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree


class Python:
    """Python applications: wheels into the base's site directory, the source to /app."""

    name = recognise.NAME

    def recognise(self, tree: ProjectTree) -> Recognition | None:
        return recognise.recognise(tree)

    def default_base(self, tree: ProjectTree, settings: Settings, platforms: Sequence[Platform]) -> DefaultBase:
        return DefaultBase("distroless/python3")

    def request(self, tree: ProjectTree, settings: Settings, facts: BaseFacts | None) -> ResolveRequest | None:
        """The input file, all it includes, and the hashes it pins (PY-1 to PY-8)."""
        return inputs.request(tree, settings, facts, _user_wheels(settings))

    def select(self, request: ResolveRequest, resolution: Resolution, facts: BaseFacts) -> tuple[LockedPackage, ...]:
        """One wheel a package, for the base's Python (PY-9 to PY-15)."""
        from ociassemble.kinds.python import select

        return select.select(request, resolution, facts)

    def plan(
        self, tree: ProjectTree, settings: Settings, facts: BaseFacts, packages: tuple[LockedPackage, ...]
    ) -> ApplicationPlan:
        """Dependency layers, the application's layer, and how it starts (PY-16 to PY-31)."""
        places = layers.scheme(settings, facts)
        workdir = workdir_of(settings)
        chosen = inputs.choose(tree, settings)
        wheels = _user_wheels(settings)
        _check(packages, wheels, facts)
        own = manifest.read(tree, _home(tree, settings, chosen))
        if own.requires_python and not target.accepts(own.requires_python, facts):
            raise PythonVersionError(
                f"{own.shown} requires Python {own.requires_python}; the base has {target.describe(facts)}",
                hint="choose a base with such a Python",
            )
        copied = [project for project in _projects(tree, own, chosen) if project.normalised not in wheels]
        for project in copied:
            backends.refuse(tree, project)
        roots = _roots(copied)
        paths = layers.path_file(places, (posixpath.join(workdir, root).rstrip("/") for root in roots))
        versions = {package.name: package.version for package in packages}
        application = start.Application(tree, own, tuple(dict.fromkeys((*roots, ""))), versions)
        decided = start.decide(application, settings, facts)
        port = _port(settings, facts)
        config = ConfigPlan(
            entrypoint=decided.entrypoint,
            cmd=decided.cmd,
            env={"PORT": start.PORT} if decided.web and port is None else {},
            workdir=workdir,
            ports=(f"{port or start.PORT}/tcp",) if decided.web and port != "" else (),
        )
        sources: tuple[Source, ...] = (
            FilesSource(place(tree, workdir, lambda file: file.path not in _inside(tree, settings))),
            *paths,
            *(source for project in copied for source in layers.metadata(places, project)),
        )
        return ApplicationPlan(
            layers=(
                *layers.dependencies(packages, places, settings.layers or "auto"),
                LayerPlan(title="application", role="application", sources=sources),
            ),
            config=config,
            reasons=_reasons(chosen, decided, config, packages, wheels, copied, paths != ()),
        )


def _user_wheels(settings: Settings) -> dict[str, str]:
    """File names of the wheels the user built, by normalised package name."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    found: dict[str, str] = {}
    for path in settings.wheels:
        try:
            name = parse_wheel_filename(path.name)[0]
        except (InvalidWheelFilename, ValueError) as error:
            raise InputError(
                f"`{path.name}` is not a wheel's file name", hint="keep the name the wheel was built with"
            ) from error
        if name in found and found[name] != path.name:
            raise InputError(f"two wheels of `{name}` were passed: `{found[name]}` and `{path.name}`")
        found[name] = path.name
    return found


def _inside(tree: ProjectTree, settings: Settings) -> frozenset[str]:
    """Paths of the project that are wheels the user passed: they are installed, not copied."""
    below = [path.relative_to(tree.root) for path in settings.wheels if path.is_relative_to(tree.root)]
    return frozenset(path.as_posix() for path in below)


def _check(packages: tuple[LockedPackage, ...], wheels: dict[str, str], facts: BaseFacts) -> None:
    """That what came from elsewhere (a lock, `--wheel`) fits this base, each package once."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    tags = frozenset(target.tags(facts))
    seen: dict[str, str] = {}
    for package in packages:
        filename = package.artifact.filename
        if package.name in seen:
            raise InputError(f"`{package.name}` is there twice: `{seen[package.name]}` and `{filename}`")
        seen[package.name] = filename
        try:
            fits = bool(tags & parse_wheel_filename(filename)[3])
        except (InvalidWheelFilename, ValueError) as error:
            raise InputError(f"`{filename}` is not a wheel's file name") from error
        if not fits:
            origin = "the wheel you passed" if wheels.get(package.name) == filename else "the locked wheel"
            raise NoWheelError(
                f"{origin} `{filename}` is not for {target.describe(facts)}",
                details=[f"wanted: {target.wanted(facts)}"],
                hint="build it for this platform and Python",
            )


def _home(tree: ProjectTree, settings: Settings, chosen: Input) -> str:
    """The folder of the application's own project: the root, or the workspace member that was named."""
    package = settings.python.package
    if not package:
        return ""
    wanted = normalised(package)
    for folder in chosen.local:
        if manifest.read(tree, folder).normalised == wanted:
            return folder
    raise InputError(f"there is no workspace member `{package}` in the folder")


def _projects(tree: ProjectTree, own: LocalProject, chosen: Input) -> tuple[LocalProject, ...]:
    """The application's own project first, then the local packages it depends on."""
    folders = dict.fromkeys(folder for folder in chosen.local if folder != own.folder)
    return (own, *(manifest.read(tree, folder)._replace(packaged=True) for folder in folders))


def _roots(projects: list[LocalProject]) -> tuple[str, ...]:
    """Folders that must be on Python's path: of what is meant to be installed, and every one but the root itself."""
    return tuple(
        dict.fromkeys(root for project in projects for root in project.roots if project.packaged or root != "")
    )


def _port(settings: Settings, facts: BaseFacts) -> str | None:
    """PORT as the user or the base set it; "" where it was taken away or is no port, None where nobody says."""
    if "PORT" in settings.env:
        value = settings.env["PORT"] or ""
    elif "PORT" in facts.env:
        value = facts.env["PORT"]
    else:
        return None
    return value if value.isascii() and value.isdigit() and len(value) < 20 and 0 < int(value) < 65536 else ""


def _reasons(
    chosen: Input,
    decided: start.Start,
    config: ConfigPlan,
    packages: tuple[LockedPackage, ...],
    wheels: dict[str, str],
    copied: list[LocalProject],
    path_file: bool,
) -> tuple[Reason, ...]:
    found = list(chosen.reasons)
    if chosen.form == "":
        found.append(Reason("no dependencies", "no file lists any"))
    found += (
        Reason(f"{package.name} is the wheel you built", f"--wheel {package.artifact.filename}")
        for package in packages
        if wheels.get(package.name) == package.artifact.filename
    )
    if path_file:
        names = ", ".join(project.shown for project in copied if project.packaged or any(project.roots))
        found.append(
            Reason(f"source is importable from anywhere: {names}", f"{layers.PATH_FILE} in the site directory")
        )
    found.append(decided.reason)
    if "PORT" in config.env:
        found.append(Reason(f"PORT={config.env['PORT']}, exposed", "a web server that listens on $PORT"))
    return tuple(found)
