"""The project folder as a value: what will be packed, by name, mode and sha256 (specs/behaviour/packing.md).

`read` looks at everything once, refuses what must not be packed, and hashes the rest. Content is opened again only
when it is packed, and must still be the same bytes then.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from ociassemble import _pool
from ociassemble.errors import ProjectError
from ociassemble.oci.digest import Digest
from ociassemble.progress import Progress
from ociassemble.project import ignore, inside, names, secrets
from ociassemble.project import walk as walking
from ociassemble.project.packed import TreeFile as TreeFile
from ociassemble.project.packed import content, tree_file
from ociassemble.project.walk import LeftOut

if TYPE_CHECKING:
    from ociassemble.project.addition import Addition
    from ociassemble.project.given import Given, Place, Reading

IGNORE_FILES = (".ociassembleignore", ".dockerignore")
_IGNORE_LIMIT = 1 << 20
_PART = 64 << 20  # bytes that are read at once
_ANSWER = 64 << 20  # bytes
_T = TypeVar("_T")


class FolderError(ProjectError):
    """What was named as the application is not a folder that can be packed."""

    code = "project.folder"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectTree:
    """A project folder as it was when it was read. Immutable.

    `files` is what will be packed: sorted bytewise, each folder directly before its content, empty folders kept.
    `left_out` are built-in exclusions (not the matches of an ignore file), `warnings` what a user should know,
    `ignorefile` the name of the ignore file that was followed.
    `given` is what each SRC of `--add` names, and `notes` are decisions to be told. Of a tree that is one file
    (`alone`), `root` is the folder it is in, of which nothing else is looked at.
    `asked` is what was looked at besides what is packed, by question and path: with `files` and what is told, all
    that anybody knows of the folder (`answer`).
    """

    root: Path
    files: tuple[TreeFile, ...]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    ignorefile: str | None = None
    given: Mapping[str, Given] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    alone: bool = False
    asked: dict[tuple[str, str], object] = field(default_factory=dict, repr=False, compare=False)
    _known: dict[tuple[str, str], object] = field(default_factory=dict, init=False, repr=False, compare=False)
    _index: Mapping[str, TreeFile] = field(init=False, repr=False, compare=False)
    _elsewhere: Mapping[str, Place] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {file.path: file for file in self.files})
        places = (place for given in self.given.values() for place in given.places if place.folder is not None)
        object.__setattr__(self, "_elsewhere", {place.source: place for place in places})

    def packed(self, path: str) -> TreeFile | None:
        """The path if it will be packed."""
        return self._index.get(path)

    def has(self, path: str) -> bool:
        """Whether there is a regular file at `path`, packed or not; symlinks are followed inside the folder."""
        if self.alone:
            return path in self._index
        with inside.Root(self.root) as root:
            found = inside.is_file(root, path)
        self.asked["file", path] = found
        return found

    def names(self, folder: str = "") -> tuple[str, ...]:
        """Names of the regular files directly in `folder`, packed or not, sorted; () for a folder that is left out."""
        if self.alone:
            return () if folder else tuple(self._index)
        if any(folder == path or folder.startswith(path + "/") for path, _ in self.left_out):
            return ()
        self.asked["names", folder] = ()
        with inside.Root(self.root) as root:
            try:
                descriptor = inside.open_folder(root, folder)
            except OSError:
                return ()
            try:
                with os.scandir(descriptor) as entries:
                    raw = [os.fsencode(entry.name) for entry in entries]
            finally:
                os.close(descriptor)
            prefix = folder + "/" if folder else ""
            names = sorted(name.decode(errors="surrogateescape") for name in raw)
            found = tuple(name for name in names if inside.is_file(root, prefix + name))
        self.asked["names", folder] = found
        return found

    def bytes_of(self, path: str, limit: int) -> bytes:
        """The content of any regular file of the folder, packed or not; `ProjectError` if missing or too big."""
        if self.alone and path not in self._index:
            raise inside.FileError(f"there is no file `{path}` in the project")
        self.asked["bytes", path] = ""
        with inside.Root(self.root) as root:
            data = inside.read_bytes(root, path, limit)
        digest = Digest.of(data)
        known = self._index.get(path)
        if known is not None and known.digest is not None and known.digest != digest:
            raise inside.changed(path)
        self.asked["bytes", path] = str(digest)
        return data

    def answer(self, question: str, path: str) -> object:
        """What `asked` has of this question once it is asked: of the folder as it is now."""
        with suppress(ProjectError):
            if question == "bytes":
                self.bytes_of(path, _ANSWER)
            else:
                (self.has if question == "file" else self.names)(path)
        return self.asked.get((question, path))

    def text(self, path: str, limit: int = 4 << 20) -> str:
        """The content of any regular file of the folder as text; `ProjectError` if missing, too big or not UTF-8."""
        data = self.bytes_of(path, limit)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise inside.FileError(f"`{path}` line {line} is not UTF-8", hint="save it as UTF-8") from error

    def once(self, what: str, path: str, read: Callable[[], _T]) -> _T:
        """What `read` makes of the file at `path`: read for the first who asks, so that all are told the same."""
        if (what, path) not in self._known:
            self._known[what, path] = read()
        return cast(_T, self._known[what, path])

    def part(self, path: str, offset: int, size: int) -> bytes:
        """Some bytes of a packed file, fewer only at its end. What they are is verified when it is packed."""
        try:
            with inside.Root(self.root) as root, inside.opened(root, path) as (descriptor, _):
                return os.pread(descriptor, min(size, _PART), offset) if 0 <= offset < 1 << 62 else b""
        except OSError as error:
            raise inside.translate(error, path) from error

    def content(self, file: TreeFile) -> Callable[[], Iterator[bytes]]:
        """The bytes of a packed file, from the beginning each time it is called: exactly `file.size` of them.

        They are hashed while they are read: `ChangedError` if they are not what was hashed when the tree was read.
        """
        return content(self.root, file)

    def source(self, name: str) -> Callable[[], Iterator[bytes]]:
        """The bytes of a file by what a plan calls it: a packed path, or what an `--add` brought (`Place.source`)."""
        place = self._elsewhere.get(name)
        if place is not None and place.folder is not None:
            return content(place.folder, place.file)
        return self.content(self._index[name])

    def notices(self) -> tuple[str, ...]:
        """What was left out without being asked, one line a reason, and what else was decided; for people."""
        grouped: dict[str, list[str]] = {}
        for path, reason in self.left_out:
            grouped.setdefault(reason, []).append(path)
        told = (f"left out: {_some(paths)} ({reason})" for reason, paths in sorted(grouped.items()))
        return (*told, *self.notes)


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


def _private(files: Iterable[walking.Found]) -> Iterator[str]:
    """What is told where files that only some may read here become readable for the image's user."""
    private = [item.path for item in files if not item.seen.mode & 0o004]
    if private:
        yield f"readable for everyone in the image, though not here: {_some(private)}"


def _some(paths: list[str]) -> str:
    return f"{', '.join(paths[:3])}{f' and {len(paths) - 3} more' if len(paths) > 3 else ''}"


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
