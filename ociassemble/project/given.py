"""What each `--add` names, read: packed files, files that an ignore file leaves out, files from elsewhere (PACK-70 on).

Naming a path is stronger than an ignore file; ociassemble's own files and what this build writes stay out. Only the
command line may name what is outside of the project folder: settings come with the folder, from whomever.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from ociassemble.errors import ProjectError
from ociassemble.project import ignore, inside, names
from ociassemble.project import walk as walking
from ociassemble.project.addition import Addition
from ociassemble.project.inside import Seen
from ociassemble.project.packed import TreeFile, tree_file
from ociassemble.project.secrets import Finding
from ociassemble.project.walk import Found, Hashed, LeftOut


class AddMissingError(ProjectError):
    """An `--add` of something that is not there, or that must not be in an image."""

    code = "project.add"


class Place(NamedTuple):
    """A path that an `--add` brings."""

    below: str  # relative to SRC; the name of SRC itself where that is a file
    file: TreeFile
    folder: Path | None = None  # what `file.path` is relative to; None: the project, where it is packed as well

    @property
    def source(self) -> str:
        """What it is called in a plan: relative to the project, or absolute."""
        return self.file.path if self.folder is None else f"{self.folder}/{self.file.path}"


class Given(NamedTuple):
    """What one SRC names: one file, several by a wildcard, or the content of a folder."""

    form: Literal["file", "files", "folder"]
    places: tuple[Place, ...]


@dataclass(slots=True)
class Reading:
    """What is read of SRCs: what they name, and what is to be told and judged of it."""

    given: dict[str, Given]  # by SRC
    secrets: list[Finding]
    left_out: list[LeftOut]
    notes: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Reads SRCs. `packed` is the project as it is packed; `hash_files` hashes what was found below a descriptor."""

    root: int
    folder: Path
    packed: Mapping[str, TreeFile]
    leave_out: frozenset[str]
    anywhere: bool  # whether SRC may be outside of the project
    hash_files: Callable[[int, list[Found]], list[Hashed]]

    def read(self, additions: tuple[Addition, ...]) -> Reading:
        """What the additions name; `AddMissingError`, `LeavingError` and what reading a project raises."""
        reading = Reading({}, [], [], [])
        for addition in additions:
            if addition.source not in reading.given:
                reading.given[addition.source] = self._read(addition, reading)
        return reading

    def _read(self, addition: Addition, reading: Reading) -> Given:
        source = addition.source
        inner = self._relative(source)
        if inner is None:
            if not self.anywhere:
                raise inside.LeavingError(
                    f"`--add {addition.text}`: `{source}` is outside of the project folder",
                    hint="only `--add` on the command line may name such a path; copy it into the project",
                )
            return self._outside(addition, Path(os.path.realpath(self.folder / source)), reading)
        if inner == "" or inner in self.packed or not self._there(inner):
            found = self._packed(addition, inner)
            if found is not None:
                return found
        place = inside.resolve(self.root, inner)
        if place and place != inner and (found := self._packed(addition, place)) is not None:
            return found  # a link to what is packed
        if not place or not self._there(place):
            raise _missing(addition)
        return self._left_out(addition, place, reading)

    def _relative(self, source: str) -> str | None:
        """SRC relative to the project; None for what is not in it."""
        text = posixpath.normpath(source)
        if text.startswith("/"):
            real = posixpath.join(os.path.realpath(posixpath.dirname(text)), posixpath.basename(text))
            text = os.path.relpath(real, self.folder)
        if text == ".." or text.startswith("../"):
            return None
        return "" if text == "." else text

    def _there(self, path: str) -> bool:
        try:
            os.stat(path.encode(errors="surrogateescape"), dir_fd=self.root, follow_symlinks=False)
        except (OSError, ValueError):
            return False
        return True

    def _packed(self, addition: Addition, path: str) -> Given | None:
        """SRC out of what is packed; None where it is not."""
        file = self.packed.get(path)
        if file is not None and file.kind == "file":
            return Given("file", (Place(posixpath.basename(path), file),))
        if path == "" or (file is not None and file.kind == "directory"):
            within = path + "/" if path else ""
            found = [one for name, one in self.packed.items() if name.startswith(within)]
            for one in found:
                if one.kind == "symlink":
                    _check_link(addition, one.path[len(within) :], one.target)
            return Given("folder", tuple(Place(one.path[len(within) :], one) for one in found))
        if file is None and set(path) & set("*?[") and (many := self._matching(addition, path)):
            return Given("files", many)
        return None

    def _matching(self, addition: Addition, pattern: str) -> tuple[Place, ...]:
        try:
            match = ignore.compile_pattern(pattern)
        except ValueError as error:
            raise AddMissingError(f"`--add {addition.text}`: `{pattern}` is not a pattern: {error}") from error
        files = (one for one in self.packed.values() if one.kind == "file" and match(one.path))
        return tuple(Place(posixpath.basename(one.path), one) for one in files)

    def _left_out(self, addition: Addition, place: str, reading: Reading) -> Given:
        """SRC that is in the project, but not packed: named, it is."""
        own = ignore.builtin(place, False) == ignore.OWN
        if own or any(place == path or place.startswith(path + "/") for path in self.leave_out):
            raise AddMissingError(
                f"`--add {addition.text}`: `{place}` is never packed ({ignore.OWN if own else walking.BUILT})"
            )
        reading.notes.append(f"added though ignore rules leave it out: {place} (--add names it)")
        return _from_disk(self, self.root, place, self.folder, place, reading)

    def _outside(self, addition: Addition, real: Path, reading: Reading) -> Given:
        """SRC somewhere else on this machine; a link to it is followed, as the user meant what is there."""
        try:
            is_folder = stat.S_ISDIR(real.stat().st_mode)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise inside.translate(error, str(real)) from error
            raise _missing(addition) from error
        folder = real if is_folder else real.parent
        name = "" if is_folder else os.fsencode(real.name).decode(errors="surrogateescape")
        with inside.Root(folder) as descriptor:
            return _from_disk(self, descriptor, name, folder, os.path.relpath(real, self.folder), reading)


def _from_disk(reader: Reader, root: int, place: str, folder: Path, shown: str, reading: Reading) -> Given:
    """The file or folder `place` below the descriptor `root` of `folder`; `shown` is what it is called in messages."""
    below = -1
    try:
        status = os.stat(place.encode(errors="surrogateescape") or b".", dir_fd=root, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            below = inside.open_folder(root, place)
            within = place + "/" if place else ""
            own = {path[len(within) :] for path in reader.leave_out if root == reader.root and path.startswith(within)}
            walk = walking.walk(below, ignore.Rules(), leave_out=frozenset(own), folders=frozenset(), above=shown)
            found = walk.found
            reading.left_out += (LeftOut(f"{shown}/{path}", reason) for path, reason in walk.left_out)
            hashed = reader.hash_files(below, [one for one in found if one.is_file])
        else:
            found, within = [walking.checked(root, place, Seen.of(status))], ""
            hashed = reader.hash_files(root, found)
    except OSError as error:
        raise inside.translate(error, shown) from error
    finally:
        if below >= 0:
            os.close(below)
    names.check_names(found)
    single = below < 0

    def called(path: str) -> str:
        return shown if single else f"{shown}/{path}"

    reading.secrets += walking.secrets_in(
        [one._replace(path=called(one.path)) for one in found],
        [one._replace(path=called(one.path)) for one in hashed],
    )
    digests = {one.path: one.digest for one in hashed}
    files = (tree_file(one, digests) for one in found)
    if single:
        return Given("file", tuple(Place(posixpath.basename(file.path), file, folder) for file in files))
    return Given("folder", tuple(Place(one.path, one._replace(path=within + one.path), folder) for one in files))


def _check_link(addition: Addition, path: str, target: str) -> None:
    """Refuse a link that would lead to another place than here, once it is somewhere else without its surroundings."""
    place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if place == ".." or place.startswith("../"):
        raise inside.LeavingError(
            f"`--add {addition.text}`: the symlink `{path}` -> `{target}` leads out of `{addition.source}`",
            hint="add what it points to by itself, or copy it",
        )


def _missing(addition: Addition) -> AddMissingError:
    return AddMissingError(
        f"`--add {addition.text}`: there is no `{addition.source}`",
        hint="SRC is relative to the application's folder; an absolute path names any file of this machine",
    )
