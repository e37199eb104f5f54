"""Nothing changed: the record of a finished build, by all that decides its result (specs/behaviour/finished-builds.md).

Every file of the project is read and hashed anew, the tag of an unpinned base and every name of the result are asked
of their registries by one HEAD each. What the record saves is the walk from there to the same digest. A record that is
missing, damaged or does not fit says nothing: the build takes the whole walk.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ociassemble
from ociassemble.content import compress
from ociassemble.content.place import check_place
from ociassemble.content.store import read_record
from ociassemble.errors import Error
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.reference import Reference
from ociassemble.progress import Note
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree
from ociassemble.session import Session
from ociassemble.session.inputs import Inputs as Inputs
from ociassemble.session.inputs import codec_of, lock_path, settings_of, tree_of
from ociassemble.session.request import BuildRequest
from ociassemble.transports.locate import Location, locate
from ociassemble.transports.protocols import Written

if TYPE_CHECKING:
    from ociassemble.image.image import Node
    from ociassemble.session.target import Planned

_KIND = "finished"
_ROLES: tuple[compress.Role, ...] = ("base", "dependency", "application")
_ASKED = ("registry", "oci", "local")  # where a base's name can be asked for again at little cost
# Of a request, what says where the result goes, and not what it is.
_PLACES = frozenset({"tags", "push", "writes"})


class _Finished(NamedTuple):
    """A finished build: its result, what it saw besides its key, and what was told."""

    descriptor: Descriptor
    base: tuple[str, str] | None  # the name that was asked for, and the digest it had
    asked: tuple[tuple[str, str, object], ...]  # questions about the folder, with their answers
    notes: tuple[Note, ...]
    shared: str  # one record of it in `--cache-repo`, "" for none


def inputs(request: BuildRequest, session: Session) -> Inputs | None:
    """What the build starts from, with the key of its record; None where no record can stand for the build.

    Raises what reading settings and the folder raises.
    """
    elsewhere = request.load or request.runtime or request.outputs or not request.push
    if elsewhere or session.options.offline or not request.use_cache:
        return None
    settings = settings_of(request)
    said = request.created or session.environment.variables.get("SOURCE_DATE_EPOCH") or settings.source_date_epoch
    # Commands, git, the clock: what they would say now is known only by asking them.
    if settings.build.run or "git" in settings.annotate or said in ("git", "now") or settings.ca_certs:
        return None
    names = request.tags or settings.tags
    if not names or not all(_is_tag(locate(text), session) for text in names):
        return None
    for path in request.writes:
        check_place(path)
    tree = tree_of(request, settings, session)
    beside = _beside(request, settings)
    return Inputs(settings, tree, _key(request, session, settings, tree, beside), beside)


def unchanged(request: BuildRequest, found: Inputs, session: Session) -> tuple[Written, ...] | None:
    """What is where it should be, if a finished build had these inputs and every name still is its result.

    What that build told is told again. None where anything differs: then nothing was told.
    """
    names = [locate(text) for text in request.tags or found.settings.tags]
    record = read_record(session.store, _KIND, found.key, _finished)
    if record is None:
        return None
    if any(found.tree.answer(question, path) != answer for question, path, answer in record.asked):
        return None
    with session.progress.noted() as told:
        try:
            if record.base is not None and _asked(session, record.base[0]) != record.base[1]:
                return None
            if record.shared and session.registry.pushed(Reference.parse(record.shared)) is None:
                return None  # somebody emptied `--cache-repo`
            heads = [session.registry.head(place.reference) for place in names if place.reference is not None]
        except Error:
            return None  # the walk meets it again, and says it in its place
    if any(head.digest != record.descriptor.digest for head in heads):
        return None
    for note in record.notes:
        if note not in told:
            session.progress.again(note)
    written = []
    for place in names:
        session.progress.info(f"{place.reference}: nothing changed")
        line = f"{place.reference.name if place.reference else place.text}@{record.descriptor.digest}"
        written.append(Written(line, record.descriptor, ()))
    return tuple(written)


def keep(
    request: BuildRequest,
    found: Inputs | None,
    plan: Planned,
    node: Node,
    notes: Sequence[Note],
    session: Session,
    shared: str | None = "",
) -> None:
    """Record a build that has just been finished: what it was, and, where all that it depends on is known, as which.

    `shared` names one of its records in `--cache-repo`; None says that they could not be written: the next build tries.
    """
    from ociassemble.session.built_record import remember

    remember(plan, session.store)
    # Before the record: a run that finds that writes nothing, and would leave what is left of one that was killed here.
    session.keep_locations()
    if found is None or shared is None:
        return
    if _beside(request, found.settings) != found.beside:
        return  # lock or wheels were exchanged while they were read: of which of them this is the result, nobody knows
    given = {_sha256(path) for path in found.settings.wheels}
    if plan.lock is None and any(
        package.artifact.digest.hex not in given for target in plan.targets for package in target.packages
    ):
        return  # an index was asked, and may say something else tomorrow
    base = plan.targets[0].base
    if base.asked is None and not _pinned(plan):
        return  # assembled from what an archive of packages has today
    if base.asked is not None and (request.pull != "always" or base.source not in _ASKED):
        return
    packed = {file.path for file in found.tree.files if file.kind == "file"}
    descriptor = node.descriptor.bare()
    document = {
        "descriptor": descriptor.document(),
        "base": None if base.asked is None else [base.name.location.text, str(base.asked)],
        "asked": [
            [question, path, answer]
            for (question, path), answer in sorted(found.tree.asked.items())
            if question == "names" or path not in packed
        ],
        "notes": [[note.level, note.text] for note in notes],
        "shared": shared,
    }
    with suppress(Error):  # a full disk costs the next build its short cut, not this one its result
        session.store.put_record(_KIND, found.key, _json(document))


def _is_tag(place: Location, session: Session) -> bool:
    """Whether a name is a tag that its own registry would be asked for, and no mirror of it."""
    reference = place.reference
    if place.transport != "registry" or reference is None or reference.digest is not None:
        return False
    return reference.host not in session.options.registry_mirrors


def _pinned(plan: Planned) -> bool:
    locked = plan.lock.platforms if plan.lock is not None else {}
    return all(
        (found := locked.get(str(target.plan.platform))) is not None and found.base is not None
        for target in plan.targets
    )


def _asked(session: Session, base: str) -> str:
    """The digest that the name of a base has now."""
    place = locate(base)
    if place.transport == "registry" and place.reference is not None:
        return str(session.registry.head(place.reference).digest)
    return str(session.open(place, "always").read().descriptor.digest)


def _finished(document: Any) -> _Finished:
    """From its JSON form; raises whatever there is to raise where it has another."""
    return _Finished(
        Descriptor.from_document(document["descriptor"], "a finished build"),
        tuple(document["base"]) if document["base"] else None,
        tuple(
            (question, path, tuple(answer) if isinstance(answer, list) else answer)
            for question, path, answer in document["asked"]
        ),
        tuple(Note(*note) for note in document["notes"]),
        str(document["shared"]),
    )


# ------------------------------------------------------------------------------------------------ the key


def _beside(request: BuildRequest, settings: Settings) -> tuple[str, ...]:
    """The lock and the user's wheels, which are read anew later: what they are now."""
    return (_sha256(lock_path(request)), *(_sha256(path) for path in settings.wheels))


def _key(
    request: BuildRequest, session: Session, settings: Settings, tree: ProjectTree, beside: tuple[str, ...]
) -> str:
    """sha256 over all that decides the result and what is told of it, but for what the record itself holds."""
    variables = session.environment.variables
    document = {
        "version": ociassemble.__version__,
        "code": list(_code()),
        "python": sys.version,
        "libraries": sorted(_libraries()),
        "codecs": [codec_of(settings, role).identity for role in _ROLES],
        "host": str(session.host_platform()),
        "variables": {
            name: value
            for name, value in sorted(variables.items())
            if name in ("CI", "SOURCE_DATE_EPOCH") or name.startswith("OCIASSEMBLE_")
        },
        "request": {name: getattr(request, name) for name in request.__dataclass_fields__ if name not in _PLACES},
        "settings": settings,
        "beside": beside,
        "tree": [str(tree.root), tree.alone, tree.left_out, tree.warnings, tree.ignorefile, tree.notes, tree.given],
    }
    hasher = hashlib.sha256(_json(document))
    for file in tree.files:
        line = (file.path, file.kind, f"{file.mode:o}", str(file.size), str(file.digest), file.target, "")
        hasher.update("\0".join(line).encode("utf-8", "surrogateescape"))
    return hasher.hexdigest()


def _json(document: Any) -> bytes:
    # Escapes stand for names that are not UTF-8.
    return json.dumps(document, sort_keys=True, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _sha256(path: Path) -> str:
    """Of a file; "" for one that is not there, or cannot be read: the walk says which."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _code() -> Iterator[tuple[str, int, int]]:
    """Our own code, as it looks: whoever works on it has one version for many programs."""
    pending = list(ociassemble.__path__)
    found = []
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name.endswith((".py", ".json", ".toml")):
                    status = entry.stat()
                    found.append((entry.path, status.st_size, status.st_mtime_ns))
                elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                    pending.append(entry.path)
    return iter(sorted(found))


def _libraries() -> Iterable[str]:
    """What is installed beside us, with its version."""
    for folder in sys.path:
        with suppress(OSError), os.scandir(folder or ".") as entries:
            yield from (entry.name for entry in entries if entry.name.endswith((".dist-info", ".egg-info")))
