"""A Node application as its folder has it: the lock, the package.json files, and which starts (NODE-1, NODE-2)."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import NamedTuple

from ociassemble.kinds.node import agree, manifest
from ociassemble.kinds.node.entries import LOCKS, REFRESH, PackageLock, parse
from ociassemble.kinds.node.errors import LockMissingError, ManifestError, WorkspaceError
from ociassemble.kinds.node.manifest import FILE, Manifest
from ociassemble.kinds.node.workspaces import matching
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree

MODULES = "node_modules"
MAX_LOCK = 16 << 20  # bytes, as everywhere locks are read
# Locks of tools that lay packages down themselves, and the forms in which that is asked for.
TOOLS = {"pnpm-lock.yaml": "pnpm-lock", "yarn.lock": "yarn-lock"}
_TOOL_INPUTS = (".patch", ".tgz")
_OTHERS = {
    "bun.lock": "Bun",
    "bun.lockb": "Bun",
}


class Project(NamedTuple):
    """A project as it lies there. `lock` is None where it needs none, or brings its own node_modules folder."""

    manifests: Mapping[str, Manifest]  # by folder: "" the project's own, then workspaces and other linked folders
    own: Manifest  # of the application
    lock: PackageLock | None
    tool_inputs: tuple[str, ...] = ()  # with a lock of pnpm or Yarn: what the tool is given, the lock first

    @property
    def root(self) -> Manifest:
        return self.manifests[""]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Files that the answer depends on, the lock first."""
        if self.tool_inputs:
            return self.tool_inputs
        named = (self.lock.filename,) if self.lock is not None else ()
        return (*named, *(item.path for item in self.manifests.values()))


def read(tree: ProjectTree, settings: Settings) -> Project:
    """The project in `tree`; raises where its files are broken, missing, or disagree."""
    if not tree.has(FILE):
        raise ManifestError(f"the folder has no `{FILE}`", hint="write one: `npm init -y`")
    root = manifest.read(tree)
    filename = next((name for name in LOCKS if tree.has(name)), "")
    installs = bool(filename) and not settings.node.prebuilt
    lock = parse(tree.text(filename, MAX_LOCK), filename) if installs else None
    folders = _folders(tree, root, lock)
    manifests = {"": root} | {folder: manifest.read(tree, folder) for folder in folders}
    foreign = "" if filename or settings.node.prebuilt else next((name for name in TOOLS if tree.has(name)), "")
    inputs = _tool_inputs(tree, foreign) if foreign else ()
    if lock is not None:
        agree.check(lock, manifests)
    elif foreign:
        folders = tuple(posixpath.dirname(path) for path in inputs if path.endswith(f"/{FILE}"))
        manifests = {"": root} | {folder: manifest.read(tree, folder) for folder in folders}
    else:
        _check_prebuilt(tree, settings, manifests)
    return Project(manifests, _chosen(manifests, settings), lock, inputs)


def _tool_inputs(tree: ProjectTree, lock: str) -> tuple[str, ...]:
    """What pnpm or Yarn reads of a project: the lock, every package.json, patches and tarballs."""
    if lock == "yarn.lock" and "\n__metadata:" in f"\n{tree.text(lock, MAX_LOCK)}":
        raise LockMissingError(
            "`yarn.lock` is one of Yarn 2 or later, which is not read",
            hint="let it write node_modules (`nodeLinker: node-modules`, `yarn workspaces focus --production`) and set"
            f" `prebuilt = true` in [node]; or write a lock that is read: `{REFRESH}`",
        )
    named = [lock, FILE, *(("pnpm-workspace.yaml",) if tree.has("pnpm-workspace.yaml") else ())]
    below = (file.path for file in tree.files if file.kind == "file" and MODULES not in file.path.split("/"))
    more = (path for path in below if posixpath.basename(path) == FILE or path.endswith(_TOOL_INPUTS))
    return tuple(dict.fromkeys((*named, *more)))


def _folders(tree: ProjectTree, root: Manifest, lock: PackageLock | None) -> tuple[str, ...]:
    """Folders with a package.json of their own: workspaces, and what the lock links to."""
    all_folders = (file.path for file in tree.files if file.kind == "directory")
    spaces = matching(root.workspaces, all_folders) if root.workspaces else ()
    linked = lock.folders if lock is not None else ()
    return tuple(folder for folder in sorted({*spaces, *linked}) if tree.has(f"{folder}/{FILE}"))


def _check_prebuilt(tree: ProjectTree, settings: Settings, manifests: Mapping[str, Manifest]) -> None:
    """Without a lock: that there is nothing to install, or that the folder brings what was installed."""
    there = any(file.path == MODULES and file.kind == "directory" for file in tree.files)
    if settings.node.prebuilt:
        if not there:
            raise LockMissingError(
                "`node.prebuilt`: there is no `node_modules` folder, or it is left out",
                hint="install first (`npm ci --omit=dev`); beside a lock, it is packed where an ignore file has a line"
                " `!node_modules`",
            )
        return
    asked = [name for item in manifests.values() for name in (*item.dependencies, *item.optional_dependencies)]
    if not asked and not there:
        return
    other = next((name for name in _OTHERS if tree.has(name)), "")
    what = f"`{FILE}` has dependencies" if asked else "the folder has a `node_modules` folder"
    if other:
        raise LockMissingError(
            f"{what}, and of locks there is only `{other}`",
            hint=f"{_OTHERS[other]}'s lock is not read: write one that is with `{REFRESH}`",
        )
    pack = "; to pack `node_modules` as it is, set `prebuilt = true` in [node]" if there else ""
    raise LockMissingError(f"{what}, and there is no `{LOCKS[1]}`", hint=f"write one: `{REFRESH}`{pack}")


def _chosen(manifests: Mapping[str, Manifest], settings: Settings) -> Manifest:
    wanted = settings.node.workspace
    if not wanted:
        return manifests[""]
    plain = wanted.removeprefix("./").rstrip("/")
    for folder, item in manifests.items():
        if folder and plain in (folder, item.name):
            return item
    known = ", ".join(item.name or folder for folder, item in manifests.items() if folder)
    raise WorkspaceError(
        f"there is no workspace `{wanted}`", hint=f"there are: {known}" if known else "package.json names no workspaces"
    )
