"""Reading a project folder into a `ProjectTree` (specs/behaviour/packing.md).

`read` looks at everything once, refuses what must not be packed, and hashes the rest.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ociassemble import _pool
from ociassemble.errors import ProjectError
from ociassemble.progress import Progress
from ociassemble.project import ignore, inside, names, secrets
from ociassemble.project import walk as walking
from ociassemble.project.packed import TreeFile, tree_file
from ociassemble.project.tree import ProjectTree, some

if TYPE_CHECKING:
    from ociassemble.project.addition import Addition
    from ociassemble.project.given import Reading

IGNORE_FILES = (".ociassembleignore", ".dockerignore")
_IGNORE_LIMIT = 1 << 20


class FolderError(ProjectError):
    """What was named as the application is not a folder that can be packed."""

    code = "project.folder"


def read(
    root: Path,
    *,
    ignorefile: Path | None = None,
    allow_secrets: Iterable[str] = (),
    leave_out: Iterable[Path] = (),
    dependency_folders: Iterable[str] = (),
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    add: Iterable[str] = (),
    add_anywhere: bool = False,
    wheels: Iterable[Path] = (),
    home: Path | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> ProjectTree:
    """Read the project folder at `root`, or the one file that it is.

    `ignorefile` replaces .ociassembleignore and .dockerignore. `allow_secrets` are fingerprints of what the
    guard lets pass. `leave_out` are paths of the host (outputs, the lock) that are never packed. `dependency_folders`
    are names of folders that this kind of application does not want ("node_modules" for Python).
    `include` and `exclude` are patterns that count after those of the ignore file. `add` are the texts of
    `--add`, which name paths outside of the folder only with `add_anywhere`. `wheels` are the user's own, which
    the guard looks into. `home` is the user's home folder, which
    is refused as an application. Raises `ProjectError`, or `SecretError` (exit 8).
    """
    additions: tuple[Addition, ...] = ()
    more: Reading | None = None
    if add:
        from ociassemble.project import addition

        additions = tuple(map(addition.parse, add))
    folder, name = _folder(root, home)
    progress = progress if progress is not None else Progress()
    with inside.Root(folder) as descriptor:
        rules, named = (ignore.Rules(), None) if name else _rules(descriptor, folder, ignorefile)
        rules = rules.with_build(include, exclude)
        outputs = frozenset(_below(folder, [*leave_out, *([ignorefile] if ignorefile else [])]))
        if name:
            walk = walking.one(descriptor, name)
        else:
            walk = walking.walk(descriptor, rules, leave_out=outputs, folders=frozenset(dependency_folders))
        names.check_names(walk.found)
        files = [item for item in walk.found if item.is_file]
        total = sum(item.seen.size for item in files)
        unsearched: list[str] = []
        with progress.task("hash", "the project's files", total) as task:

            def hash_files(below: int, items: list[walking.Found]) -> list[walking.Hashed]:
                done = walking.hash_files(below, items, jobs=jobs or _pool.cores(), advance=task.advance)
                unsearched.extend(note for one in done for note in one.verdict.notes)
                return done

            hashed = hash_files(descriptor, files)
            digests = {one.path: one.digest for one in hashed}
            packed = tuple(tree_file(item, digests) for item in walk.found)
            if additions:
                from ociassemble.project.given import Reader

                more = Reader(
                    root=descriptor,
                    folder=folder,
                    packed={file.path: file for file in packed},
                    leave_out=outputs,
                    anywhere=add_anywhere,
                    hash_files=hash_files,
                ).read(additions)
        findings = [*walking.secrets_in(walk.found, hashed), *(more.secrets if more else ())]
        for verdict in map(secrets.outside, wheels):
            findings += verdict.findings
            unsearched += verdict.notes
        unsearched += secrets.refuse(findings, allow_secrets, named or IGNORE_FILES[0])
        warnings = unsearched + names.twins(walk.found) + names.unseen(walk.found) + _dangling(descriptor, packed)
        missed = rules.unmatched(item.path for item in walk.found)
        warnings += [f"`{text}` of [build] include matches nothing in the folder" for text in missed]
    return ProjectTree(
        root=folder,
        files=packed,
        left_out=(*walk.left_out, *(more.left_out if more else ())),
        warnings=tuple(warnings),
        ignorefile=named,
        alone=bool(name),
        given=more.given if more else {},
        notes=(*_private(files), *(more.notes if more else ())),
    )


def packed_next(
    root: Path, written: Iterable[Path], *, ignorefile: Path | None, include: Iterable[str], exclude: Iterable[str]
) -> tuple[list[str], str]:
    """Those of the files `written` that the next reading of the folder `root` would pack, relative to it.

    With the name of the ignore file in which they could be named. Nothing is, of an application that is one file.
    """
    if not root.is_dir():
        return [], ""
    folder = root.resolve()
    with inside.Root(folder) as descriptor:
        rules, named = _rules(descriptor, folder, ignorefile)
    rules = rules.with_build(include, exclude)
    found = [path for path in _below(folder, written) if not rules.excludes(path) and not _builtin(path)]
    return found, named or IGNORE_FILES[0]


def _builtin(path: str) -> bool:
    """Whether `path`, or a folder that it is in, is left out without being asked."""
    parts = path.split("/")
    return any(ignore.builtin("/".join(parts[: n + 1]), n + 1 < len(parts)) for n in range(len(parts)))


def _private(files: Iterable[walking.Found]) -> Iterator[str]:
    """What is told where files that only some may read here become readable for the image's user."""
    private = [item.path for item in files if not item.seen.mode & 0o004]
    if private:
        yield f"readable for everyone in the image, though not here: {some(private)}"


def _folder(root: Path, home: Path | None) -> tuple[Path, str]:
    """The real, absolute path of the application's folder; with a name where the application is a file in it."""
    try:
        real = root.resolve(strict=True)
        is_folder = real.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise inside.translate(error, str(root), "folder") from error
        raise FolderError(f"there is no folder `{root}`", hint="name the folder of the application") from error
    if not is_folder:
        return real.parent, os.fsencode(real.name).decode(errors="surrogateescape")
    if real == Path(real.anchor):
        raise FolderError("`/` is not an application", hint="name the folder of the application")
    if home is not None and real == Path(os.path.realpath(home)):
        raise FolderError(
            f"`{root}` is your home folder, not an application", hint="name the folder of the application in it"
        )
    return real, ""


def _rules(descriptor: int, folder: Path, ignorefile: Path | None) -> tuple[ignore.Rules, str | None]:
    """The ignore file that counts, and its name for people."""
    if ignorefile is not None:
        if ignorefile.exists() and not ignorefile.is_file():  # a pipe would never end
            raise ignore.IgnoreFileError(f"the ignore file `{ignorefile}` is not a file")
        try:
            with open(ignorefile, "rb") as file:
                data = file.read(_IGNORE_LIMIT + 1)
        except OSError as error:
            raise ignore.IgnoreFileError(
                f"cannot read the ignore file `{ignorefile}`: {os.strerror(error.errno or 0)}"
            ) from error
        if len(data) > _IGNORE_LIMIT:
            raise ignore.IgnoreFileError(f"the ignore file `{ignorefile}` is over {_IGNORE_LIMIT >> 20} MiB")
        return ignore.parse(data, str(ignorefile)), str(ignorefile)
    for name in IGNORE_FILES:
        try:
            os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except OSError:
            continue
        # One that is there but cannot be read must not count as "nothing is ignored".
        return ignore.parse(inside.read_bytes(descriptor, name, _IGNORE_LIMIT), name), name
    return ignore.Rules(), None


def _below(folder: Path, paths: Iterable[Path]) -> Iterator[str]:
    """Those of `paths` that are in `folder`, relative to it."""
    for path in paths:
        real = Path(os.path.realpath(path))
        if real != folder and real.is_relative_to(folder):
            yield os.fsencode(real.relative_to(folder)).decode(errors="surrogateescape")


def _dangling(descriptor: int, packed: tuple[TreeFile, ...]) -> list[str]:
    """Warnings for symlinks to what is not packed."""
    places = {file.path for file in packed}
    warnings: list[str] = []
    for file in packed:
        if file.kind == "symlink":
            place = inside.resolve(descriptor, file.path)
            if place and place not in places:
                warnings.append(f"the symlink `{file.path}` points to `{place}`, which is not packed")
    return warnings
