"""The Node kind: from a folder, settings and a base's facts to layers and a start command. Pure."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence

from ociassemble.kinds.node import bins, layers, project, recognise, semver, start
from ociassemble.kinds.node.bins import BinLink
from ociassemble.kinds.node.entries import Entry, parse
from ociassemble.kinds.node.errors import NodeVersionError, PackageLockError
from ociassemble.kinds.node.installed import Target, installed
from ociassemble.kinds.node.lockfile import OPTIONAL, bundled, locked
from ociassemble.kinds.node.manifest import FILE
from ociassemble.kinds.node.project import MODULES, Project
from ociassemble.kinds.protocol import (
    DefaultBase,
    LockedPackage,
    Recognition,
    Resolution,
    ResolveRequest,
    place,
    workdir_of,
)
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import (
    ApplicationPlan,
    ConfigPlan,
    FileItem,
    FilesSource,
    LayerPlan,
    LinkSource,
    Reason,
    Source,
)
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree

# Lines of Node that have a base of their own; `distroless/nodejs` is the first.
LINES = ("24", "26", "22")
PORT = "8080"
_SHOWN = 3


class Node:
    """Node applications: packages of package-lock.json into node_modules, the source to /app."""

    name = recognise.NAME

    def recognise(self, tree: ProjectTree) -> Recognition | None:
        return recognise.recognise(tree)

    def default_base(self, tree: ProjectTree, settings: Settings, platforms: Sequence[Platform]) -> DefaultBase:
        """The newest long-term release of Node, or the line that `engines` asks for (NODE-21)."""
        asked = project.read(tree, settings).own.node if tree.has(FILE) else ""
        fits = [line for line in LINES if not asked or semver.satisfies(f"{line}.999.999", asked)]
        if not fits or fits[0] == LINES[0]:
            return DefaultBase("distroless/nodejs")
        newest = max(fits, key=int)
        return DefaultBase(f"distroless/nodejs{newest}", f"{FILE}: engines.node is {asked}")

    def request(self, tree: ProjectTree, settings: Settings, facts: BaseFacts | None) -> ResolveRequest | None:
        """The lock and every package.json it must agree with (NODE-3, NODE-13)."""
        found = project.read(tree, settings)
        if found.tool_inputs:
            lock = found.tool_inputs[0]
            form = project.TOOLS[lock]
            return ResolveRequest("npm", form, lock, found.inputs, package=found.own.folder)
        if found.lock is None:
            return None
        return ResolveRequest(
            ecosystem="npm",
            form="package-lock",
            primary=found.lock.filename,
            inputs=found.inputs,
            groups=() if settings.node.omit_optional else (OPTIONAL,),
        )

    def select(self, request: ResolveRequest, resolution: Resolution, facts: BaseFacts) -> tuple[LockedPackage, ...]:
        """What `npm ci --omit=dev` fetches for the base's platform, each by its place (NODE-7 to NODE-16)."""
        if request.form in project.TOOLS.values():
            laid = json.loads(resolution.text)[str(facts.platform)]
            return tuple(LockedPackage.read(item, request.form) for item in laid)
        lock = parse(resolution.text, request.primary)
        chosen = installed(lock, Target.of(facts), optional=OPTIONAL in request.groups)
        return locked(lock, chosen, resolution.artifacts)

    def plan(
        self, tree: ProjectTree, settings: Settings, facts: BaseFacts, packages: tuple[LockedPackage, ...]
    ) -> ApplicationPlan:
        """Layers of packages, the application's layer, and how it starts (NODE-17 to NODE-30)."""
        root = workdir_of(settings)
        found = project.read(tree, settings)
        node = start.node_of(facts)
        _check_engine(found, node.version)
        entries = _entries(found, settings, facts, packages)
        links = _links(found, entries, tree)
        dependencies, commands = layers.dependencies(
            packages, links, root, settings.layers or "auto", packed=bool(found.tool_inputs)
        )
        at_home = not settings.workdir
        workdir = posixpath.join(root, found.own.folder).rstrip("/") if at_home else root
        application = start.Application(
            tree=tree,
            own=found.own,
            workdir=workdir,
            below="" if at_home else found.own.folder,
            binaries=_binaries(links, found.own.folder),
        )
        decided = start.decide(application, settings, facts)
        environment = _environment(settings, facts, decided)
        port = _port(found, settings, facts, decided)
        if port is not None:
            environment["PORT"] = PORT
        config = ConfigPlan(
            entrypoint=decided.entrypoint,
            cmd=decided.cmd,
            env=environment,
            workdir=workdir,
            ports=(f"{PORT}/tcp",) if port is not None else (),
        )
        reasons = [*_about(found, settings, entries, tree, node.version), decided.reason]
        if port is not None:
            reasons.append(Reason(f"PORT={PORT}, exposed", f"{port} is a dependency, and servers read PORT"))
        sources: tuple[Source, ...] = (
            FilesSource(_files(tree, root, links, found)),
            *commands,
            *_local_links(found, entries, tree, root),
        )
        return ApplicationPlan(
            layers=(*dependencies, LayerPlan(title="application", role="application", sources=sources)),
            config=config,
            reasons=tuple(reasons),
        )


def _check_engine(found: Project, version: str) -> None:
    for manifest in (found.root, *((found.own,) if found.own.folder else ())):
        if manifest.node and version and not semver.satisfies(version, manifest.node, prereleases=True):
            lines = [line for line in LINES if semver.satisfies(f"{line}.999.999", manifest.node)]
            raise NodeVersionError(
                f"`{manifest.path}` wants Node {manifest.node}; the base has {version}",
                hint=f"choose another base: `--base distroless/nodejs{max(lines, key=int)}`"
                if lines
                else "choose a base with such a Node, or change engines.node",
            )


def _entries(
    found: Project, settings: Settings, facts: BaseFacts, packages: tuple[LockedPackage, ...]
) -> tuple[Entry, ...]:
    """What of the lock is laid down; the packages must be those it names."""
    if found.tool_inputs:
        return ()  # they are what the tool laid down, whatever its lock calls them
    if found.lock is None:
        if packages:
            raise PackageLockError("packages are locked, and the folder has no package-lock.json")
        return ()
    lock = found.lock
    entries = installed(lock, Target.of(facts), optional=not settings.node.omit_optional)
    wanted = {(entry.place, entry.version) for entry in entries if entry.packaged and not bundled(entry)}
    given = {(package.name, package.version) for package in packages}
    if wanted != given:
        differing = sorted(place for place, _ in wanted ^ given)
        raise PackageLockError(
            f"`{lock.filename}` names other packages for this base than those that were locked",
            details=differing[:10],
            hint="lock again: `ociassemble lock`",
        )
    return entries


def _links(found: Project, entries: tuple[Entry, ...], tree: ProjectTree) -> tuple[BinLink, ...]:
    if found.lock is None:
        return ()

    def local(folder: str) -> tuple[tuple[str, str], ...]:
        manifest = found.manifests.get(folder)
        listed = manifest.bins if manifest is not None else ()
        return tuple(item for item in listed if tree.packed(posixpath.join(folder, item[1])) is not None)

    return bins.links(found.lock, entries, local)


def _binaries(links: Sequence[BinLink], folder: str) -> dict[str, str]:
    """The file behind each command that is at hand in `folder`, as seen from there."""
    result: dict[str, str] = {}
    for link in links:
        above, _, command = link.path.rpartition("/.bin/")
        if above in (MODULES, posixpath.join(folder, MODULES)):
            result[command] = posixpath.relpath(posixpath.join(link.owner, link.file), folder or ".")
    return result


def _files(tree: ProjectTree, root: str, links: Sequence[BinLink], found: Project) -> tuple[FileItem, ...]:
    """The project's files; those that commands of workspaces lead to are executable, as npm makes them."""
    lock = found.lock
    targets = {link.owner: lock.entries[link.owner].target for link in links} if lock is not None else {}
    programs = {
        posixpath.normpath(posixpath.join(root, folder, link.file))
        for link in links
        if (folder := targets[link.owner]) is not None
    }
    return tuple(
        item._replace(mode=0o755) if item.kind == "file" and item.path in programs else item
        for item in place(tree, root)
    )


def _local_links(found: Project, entries: tuple[Entry, ...], tree: ProjectTree, root: str) -> tuple[LinkSource, ...]:
    """Links to workspaces and other folders of the project; none to what is not packed."""
    result = []
    for entry in entries:
        if entry.target is not None and (entry.target == "" or tree.packed(entry.target) is not None):
            target = posixpath.relpath(entry.target or ".", posixpath.dirname(entry.place))
            result.append(LinkSource(posixpath.join(root, entry.place), target))
    return tuple(result)


def _environment(settings: Settings, facts: BaseFacts, decided: start.Start) -> dict[str, str | None]:
    mode = {} if "NODE_ENV" in facts.env else {"NODE_ENV": "production"}
    return {**mode, **decided.environment}


def _port(found: Project, settings: Settings, facts: BaseFacts, decided: start.Start) -> str | None:
    """The framework on whose account PORT is set; None where something else says on which port it listens."""
    if "PORT" in settings.env or "PORT" in facts.env or "PORT" in decided.environment or settings.ports:
        return None
    words = decided.cmd or ()
    if settings.entrypoint is not None or any(word == "-p" or word.startswith("--port") for word in words):
        return None
    named = (*found.own.dependencies, *found.root.dependencies)
    return next((start.FRAMEWORKS[name] for name in named if name in start.FRAMEWORKS), None)


def _about(
    found: Project, settings: Settings, entries: tuple[Entry, ...], tree: ProjectTree, version: str
) -> list[Reason]:
    """What was decided about packages, and what may be wrong with them."""
    lock = found.lock
    if found.tool_inputs:
        return [Reason("node_modules is what the tool of the lock lays down", found.tool_inputs[0])]
    if lock is None:
        return _about_prebuilt(found, tree) if settings.node.prebuilt else [Reason("no dependencies", FILE)]
    reasons = []
    packages = [entry for entry in entries if entry.packaged]
    unfit = [
        f"{entry.shown} wants {entry.node}"
        for entry in packages
        if version and entry.node and not semver.satisfies(version, entry.node, prereleases=True)
    ]
    if unfit:
        more = f" and {len(unfit) - _SHOWN} more" if len(unfit) > _SHOWN else ""
        reasons.append(
            Reason(f"warning: packages want another Node than {version}: {', '.join(unfit[:_SHOWN])}{more}", "engines")
        )
    gone = [entry.target for entry in entries if entry.target and tree.packed(entry.target) is None]
    if gone:
        reasons.append(Reason(f"warning: no link leads to what is not packed: {', '.join(gone)}", lock.filename))
    return reasons


def _about_prebuilt(found: Project, tree: ProjectTree) -> list[Reason]:
    reasons = [Reason("node_modules is packed as it is", "node.prebuilt")]
    extra = [name for name in found.root.dev_dependencies if tree.packed(f"{MODULES}/{name}") is not None]
    if extra:
        more = f" and {len(extra) - _SHOWN} more" if len(extra) > _SHOWN else ""
        reasons.append(
            Reason(f"warning: it holds what only development needs: {', '.join(extra[:_SHOWN])}{more}", FILE)
        )
    return reasons
