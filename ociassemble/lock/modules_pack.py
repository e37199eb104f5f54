"""A node_modules folder on disk -> tar archives in the store, one for each part that changes by itself (PNPM-5 on)."""

from __future__ import annotations

import json
import os
import posixpath
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ociassemble.content.store import Store
from ociassemble.errors import ProjectError
from ociassemble.formats import tar
from ociassemble.kinds.node import native
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.plan.artifacts import ArtifactRef

MODULES = "node_modules"
VIRTUAL = ".pnpm"
_BLOCK = 1 << 20
# What tools write for themselves: times, paths of this machine, or what the lock says already.
_STATE = frozenset({".modules.yaml", ".package-lock.json", ".yarn-integrity", ".yarn-state.yml", ".package-map.json"})
_MANIFEST = 4 << 20


class ModulesLinkError(ProjectError):
    """A link in node_modules leads out of what is packed."""

    code = "project.node-modules-link"


def pack(root: Path, store: Store, *, commands: bool, outside: Callable[[str], bool]) -> tuple[LockedPackage, ...]:
    """Every node_modules folder below `root` in parts, each a tar in `store`, by place.

    A part is a package's folder, an entry of `.pnpm`, or all that is directly in a node_modules folder and is neither.
    With `commands` false, .bin folders are left out. `outside` says whether a path that is in no node_modules folder
    is packed with the project: links may lead there.
    """
    found: list[LockedPackage] = []
    for modules in _modules(root):
        loose: list[str] = []
        for path in _children(root, modules, commands):
            if (root / path).is_symlink() or path.endswith("/.bin") or not (root / path).is_dir():
                loose.append(path)
            else:
                found += _part(root, path, [path], store, commands, outside, _version(root, path))
        found += _part(root, modules, loose, store, commands, outside, "0")
    return tuple(sorted(found))


def addons(root: Path, cpu: str) -> Iterator[str]:
    """What is wrong with packages below `root` that would have to be compiled, one sentence each."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        if "package.json" not in files or MODULES not in Path(folder).relative_to(root).parts:
            continue
        manifest = _manifest(Path(folder))
        if "binding.gyp" not in files and not isinstance(manifest.get("scripts"), dict):
            continue
        names = [path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()]
        shown = (str(manifest.get("name") or Path(folder).name), str(manifest.get("version") or "0"))
        problem = native.problem(*shown, names, manifest, cpu=cpu)
        if problem is not None:
            yield problem


def _modules(root: Path) -> Iterator[str]:
    """The outermost node_modules folders, sorted."""
    for folder, folders, _ in os.walk(root):
        folders.sort()
        if MODULES in folders:
            folders.remove(MODULES)
            yield (Path(folder) / MODULES).relative_to(root).as_posix()


def _children(root: Path, modules: str, commands: bool) -> Iterator[str]:
    for name in _names(root / modules):
        path = f"{modules}/{name}"
        if _left_out(name, commands):
            continue
        if name == VIRTUAL or (name.startswith("@") and not (root / path).is_symlink()):
            for inner in _names(root / path):
                if not (name == VIRTUAL and inner == "lock.yaml") and not _left_out(inner, commands):
                    yield f"{path}/{inner}"
        else:
            yield path


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _left_out(name: str, commands: bool) -> bool:
    return name in _STATE or name.startswith(".pnpm-workspace-state") or (name == ".bin" and not commands)


def _part(
    root: Path,
    place: str,
    paths: list[str],
    store: Store,
    commands: bool,
    outside: Callable[[str], bool],
    version: str,
) -> tuple[LockedPackage, ...]:
    """The part as a tar in the store; nothing where it holds neither files nor links."""
    listed = sorted(item for path in paths for item in _below(root, path, commands))
    if not listed:
        return ()
    with store.ingest() as ingest:
        for path in listed:
            name = posixpath.relpath(path, place)
            if (root / path).is_symlink():
                ingest.write(tar.header(name, "symlink", target=_target(root, path, outside)))
                continue
            with open(root / path, "rb") as file:
                seen = os.fstat(file.fileno())
                mode = 0o755 if stat.S_IMODE(seen.st_mode) & 0o111 else 0o644
                ingest.write(tar.header(name, mode=mode, size=seen.st_size))
                left = seen.st_size
                while block := file.read(_BLOCK):
                    left -= len(block)
                    ingest.write(block)
                if left:
                    raise ProjectError(f"`{path}` changed while it was read")
                ingest.write(tar.padding(seen.st_size))
        ingest.write(tar.END)
        digest, size = ingest.commit()
    return (LockedPackage(place, version, ArtifactRef(digest, size, place.replace("/", "+") + ".tar")),)


def _below(root: Path, path: str, commands: bool) -> Iterator[str]:
    """Files and links at and below `path`."""
    if (root / path).is_symlink() or not (root / path).is_dir():
        yield path
        return
    for name in _names(root / path):
        if not (path.endswith(f"/{MODULES}") and _left_out(name, commands)):
            yield from _below(root, f"{path}/{name}", commands)


def _target(root: Path, path: str, outside: Callable[[str], bool]) -> str:
    target = os.readlink(root / path)  # noqa: PTH115  (as it is: a Path would shorten it)
    place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if target.startswith("/") or place == ".." or place.startswith("../"):
        raise ModulesLinkError(
            f"the link `{path}` -> `{target}` leads out of the project", hint="depend on a package, or a workspace"
        )
    if MODULES not in place.split("/") and place != "." and not outside(place):
        raise ModulesLinkError(
            f"the link `{path}` leads to `{place}`, which is not packed",
            hint=f"bring it back with a line `!{place}` in the ignore file",
        )
    return target


def _version(root: Path, path: str) -> str:
    folder, _, name = path.rpartition("/")
    if folder.endswith(f"/{VIRTUAL}"):
        return name.rpartition("@")[2].partition("_")[0].partition("(")[0] or "0"
    version = _manifest(root / path).get("version")
    return version if isinstance(version, str) and version.isprintable() and version else "0"


def _manifest(folder: Path) -> dict[str, object]:
    try:
        with open(folder / "package.json", "rb") as file:
            found = json.loads(file.read(_MANIFEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
