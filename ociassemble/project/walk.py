"""Walking a project folder: what is in it, what is left out and why, and the sha256 of what will be packed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from ociassemble import _pool
from ociassemble.errors import ProjectError
from ociassemble.oci.digest import Digest
from ociassemble.project import ignore, inside, secrets
from ociassemble.project.inside import Seen
from ociassemble.project.secrets import Finding


class SpecialFileError(ProjectError):
    """A socket, fifo or device in the folder: it has no place in an image."""

    code = "project.special-file"


class FileNameError(ProjectError):
    """A file name that cannot stand in an image: not UTF-8, or a whiteout (`.wh.`)."""

    code = "project.file-name"


class LeftOut(NamedTuple):
    """A path that is not packed though nobody asked for that, and why."""

    path: str
    reason: str


class Found(NamedTuple):
    """A path that will be packed, as `lstat` saw it."""

    path: str
    seen: Seen
    target: str = ""  # of a symlink

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.seen.mode)


class Hashed(NamedTuple):
    path: str
    digest: Digest
    verdict: secrets.Verdict  # the guard's, of the content


class Walk(NamedTuple):
    found: list[Found]  # in packing order
    left_out: list[LeftOut]


def packing_order(path: str) -> str:
    """Sorts paths bytewise with each folder directly before its content; UTF-8 keeps the order of code points."""
    return path.replace("/", "\0")


def walk(
    root: int, rules: ignore.Rules, *, leave_out: frozenset[str], folders: frozenset[str], above: str = ""
) -> Walk:
    """Everything below the descriptor `root` that `rules` and the built-in exclusions leave.

    `leave_out` are paths (outputs, the lock), `folders` names of folders (node_modules) that are left out, too.
    `above` is what the folder is called where it is not the application's own: what holds for that does not here.
    """
    found: dict[str, Found] = {}
    left_out: list[LeftOut] = []
    waiting: dict[str, Found] = {}  # excluded folders: packed only if something below them is
    pending: list[tuple[str, int]] = [("", 0)]
    installed: str | None = None
    while pending:
        folder, state = pending.pop()
        names = _list(root, folder)
        if not folder and not above and not _NPM_LOCKS.isdisjoint(names):
            installed = _INSTALLED
        if folder and "pyvenv.cfg" in names and not rules.wants(folder):
            found.pop(folder, None)
            waiting.pop(folder, None)
            left_out.append(LeftOut(folder, "virtual environment"))
            continue
        for name, seen in names.items():
            path = f"{folder}/{name}" if folder else name
            is_folder = stat.S_ISDIR(seen.mode)
            reason = _reason(path, name, is_folder, leave_out, folders, above)
            if reason is None and is_folder and name == "node_modules":
                reason = installed
            partly = reason is not None and reason is installed and rules.makes(path)
            if reason is not None and not partly and not (reason not in _FINAL and rules.wants(path)):
                left_out.append(LeftOut(path, reason))
                continue
            here = rules.state(path, state) | (rules.installed if partly else 0)
            excluded = rules.excluded(here)
            if is_folder:
                (waiting if excluded else found)[path] = Found(path, seen)
                if not excluded or rules.may_include_below(path):
                    pending.append((path, here))
            elif not excluded:
                found[path] = checked(root, path, seen)
    for path in list(found):
        parent = path.rpartition("/")[0]
        while parent and parent in waiting:
            found[parent] = waiting.pop(parent)
            parent = parent.rpartition("/")[0]
    return Walk(
        [found[path] for path in sorted(found, key=packing_order)],
        sorted(left_out, key=lambda item: packing_order(item.path)),
    )


# Beside one of these, node_modules folders are made anew from it.
_NPM_LOCKS = frozenset({"package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock"})
_INSTALLED = "installed anew from the lock"
BUILT = "written or read by this build"
_FINAL = frozenset({ignore.OWN, BUILT})  # no ignore file brings these back


def _reason(
    path: str, name: str, is_folder: bool, leave_out: frozenset[str], folders: frozenset[str], above: str
) -> str | None:
    if path in leave_out:
        return BUILT
    if is_folder and name in folders:
        return "dependencies of another kind of application"
    return ignore.builtin(f"{above}/{path}" if above else path, is_folder)


def one(root: int, name: str) -> Walk:
    """The one file `name` directly below the descriptor `root`."""
    try:
        seen = Seen.of(os.stat(name.encode(errors="surrogateescape"), dir_fd=root, follow_symlinks=False))
    except OSError as error:
        raise inside.translate(error, name) from error
    return Walk([checked(root, name, seen)], [])


def _list(root: int, folder: str) -> dict[str, Seen]:
    """The names in a folder, sorted, with their `lstat`."""
    result: dict[str, Seen] = {}
    try:
        descriptor = inside.open_folder(root, folder)
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    result[_decoded(folder, entry.name)] = Seen.of(entry.stat(follow_symlinks=False))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise inside.translate(error, folder, "folder") from error
    return dict(sorted(result.items()))


def _decoded(folder: str, name: str) -> str:
    """A name as UTF-8, whatever encoding the host's locale made Python use."""
    raw = os.fsencode(name)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        shown = raw.decode("ascii", "backslashreplace")
        raise FileNameError(
            f"the name `{folder + '/' if folder else ''}{shown}` is not UTF-8", hint="rename it, or move it away"
        ) from error


def checked(root: int, path: str, seen: Seen) -> Found:
    """A file or symlink that may be packed; raises for anything else."""
    if stat.S_ISREG(seen.mode):
        return Found(path, seen)
    if not stat.S_ISLNK(seen.mode):
        kind = {stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}.get(stat.S_IFMT(seen.mode), "device")
        raise SpecialFileError(
            f"`{path}` is a {kind}; an image holds files, folders and symlinks",
            hint=f"remove it, or leave it out with a line `{path}` in the ignore file",
        )
    try:
        raw = os.readlink(path.encode(), dir_fd=root)
    except OSError as error:
        raise inside.translate(error, path, "symlink") from error
    try:
        target = raw.decode()
    except UnicodeDecodeError as error:
        raise FileNameError(f"the target of the symlink `{path}` is not UTF-8") from error
    try:
        inside.resolve(root, path)
    except inside.LeavingError as error:
        why = "is absolute" if target.startswith("/") else "leads out of the project folder"
        raise inside.LeavingError(
            f"the symlink `{path}` -> `{target}` {why}",
            hint=f"copy what it points to, or leave it out with a line `{path}` in the ignore file",
        ) from error
    return Found(path, seen, target)


_BATCH_FILES = 64
_BATCH_BYTES = 8 << 20


def hash_files(root: int, files: list[Found], *, jobs: int, advance: Callable[[int], None]) -> list[Hashed]:
    """The sha256 of every file, in order; raises `ChangedError` for one that is not what the walk saw."""
    batches: list[list[Found]] = []
    size = 0
    for item in files:
        if not batches or len(batches[-1]) >= _BATCH_FILES or size >= _BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(item)
        size += item.seen.size

    def hash_one(batch: list[Found]) -> list[Hashed]:
        result = _hash_batch(root, batch)
        advance(sum(item.seen.size for item in batch))
        return result

    return [hashed for done in _pool.each(hash_one, batches, jobs=jobs) for hashed in done]


def _hash_batch(root: int, batch: list[Found]) -> list[Hashed]:
    result: list[Hashed] = []
    current, descriptor = None, -1
    try:
        for item in batch:
            folder, _, name = item.path.rpartition("/")
            try:
                if folder != current:
                    if descriptor >= 0:
                        os.close(descriptor)
                        descriptor = -1
                    descriptor = inside.open_folder(root, folder)
                    current = folder
                result.append(_hash_file(descriptor, name, item))
            except OSError as error:
                raise inside.translate(error, item.path) from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return result


def _hash_file(folder: int, name: str, item: Found) -> Hashed:
    descriptor, seen = inside.open_file(folder, name)
    try:
        if seen != item.seen:
            raise inside.changed(item.path)
        hasher, read, guard = hashlib.sha256(), 0, secrets.Guard(item.path)
        for block in blocks(descriptor, seen.size):
            read += len(block)
            hasher.update(block)
            guard.feed(block)
        verdict = guard.finish(lambda: _again(descriptor))
        if read != seen.size or seen != Seen.of(os.fstat(descriptor)):
            raise inside.changed(item.path)
    finally:
        os.close(descriptor)
    return Hashed(item.path, Digest.from_hex(hasher.hexdigest()), verdict)


def _again(descriptor: int) -> BinaryIO:
    """The file that is open already, from its beginning; closing this leaves the descriptor open."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    return open(descriptor, "rb", closefd=False)


def blocks(descriptor: int, size: int) -> Iterator[bytes]:
    """The bytes of an open file: `size` of them, or what there is up to one more (the caller compares)."""
    left = size + 1
    while left > 0 and (block := os.read(descriptor, min(inside.BLOCK, left))):
        left -= len(block)
        yield block


def secrets_in(found: list[Found], hashed: list[Hashed]) -> list[Finding]:
    """What the guard has to say about the paths to be packed."""
    files = {one.path: one for one in hashed}
    findings: list[Finding] = []
    for item in found:
        if (file := files.get(item.path)) is not None:
            findings += secrets.judge(item.path, file.digest.hex, file.verdict)
        elif not stat.S_ISDIR(item.seen.mode):
            findings += secrets.judge(item.path, item.target)
    return findings
