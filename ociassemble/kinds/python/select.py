"""From a PEP 751 lock to the wheels of one platform (PY-9 to PY-15).

`packaging` reads and validates the document and evaluates its markers; choosing is done here, because its own
`select` prefers the first listed of two builds, falls back to a source distribution in silence, and takes an
artifact that names nothing stronger than md5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, NamedTuple

from ociassemble.formats import toml
from ociassemble.kinds.protocol import LockedPackage, Resolution, ResolveRequest
from ociassemble.kinds.python import target
from ociassemble.kinds.python.errors import (
    LockedHashError,
    LockError,
    NoWheelError,
    PythonVersionError,
    WeakHashError,
)
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts

if TYPE_CHECKING:
    from packaging.pylock import Package, PackageArchive, PackageWheel, Pylock
    from packaging.tags import Tag

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SHOWN_WHEELS = 6

# Projects that publish no wheels (or too few), and what their users take instead.
REPLACEMENTS = {
    "docopt": "docopt-ng",
    "faiss": "faiss-cpu",
    "fasttext": "fasttext-wheel",
    "mysqlclient": "PyMySQL",
    "psycopg-c": "psycopg-binary",
    "psycopg2": "psycopg2-binary, or psycopg[binary]",
    "pycrypto": "pycryptodome",
    "pysqlite3": "pysqlite3-binary",
    "sklearn": "scikit-learn",
    "uwsgi": "gunicorn, or pyuwsgi",
}


class Wheel(NamedTuple):
    """A wheel a lock offers: its file name's parts, where it ranks (lower is better), its sha256."""

    filename: str
    version: str
    rank: int | None  # None: the base's Python cannot import it
    build: tuple[int, str] | tuple[()]
    sha256: str  # "" where the lock names none
    size: int


def select(request: ResolveRequest, resolution: Resolution, facts: BaseFacts) -> tuple[LockedPackage, ...]:
    """The wheels for the base's Python, by normalised name; folders (local packages) are left to the plan.

    Raises LockError (the document), PythonVersionError, NoWheelError, WeakHashError and LockedHashError.
    """
    own = request.form in ("pylock", "poetry.lock")
    lock = parse(resolution.text, request.primary if own else "the resolver's answer")
    chosen = _wanted(lock, request, facts)
    ranks = {tag: number for number, tag in reversed(list(enumerate(target.tags(facts))))}
    pins = dict(request.required_hashes)
    packages = [
        _locked(package, ranks, pins, facts)
        for package in chosen
        if package.directory is None and package.name not in request.provided
    ]
    return tuple(sorted(packages, key=lambda package: package.name))


def parse(text: str, what: str) -> Pylock:
    """The validated document."""
    from packaging.pylock import Pylock, PylockUnsupportedVersionError, PylockValidationError

    try:
        return Pylock.from_dict(toml.loads(text))
    except toml.TOMLDecodeError as error:
        raise LockError(f"`{what}` is not TOML: {error}") from error
    except PylockUnsupportedVersionError as error:
        raise LockError(f"`{what}`: {error}", hint="this version reads lock-version 1.x") from error
    except (PylockValidationError, ValueError, TypeError, AttributeError) as error:
        raise LockError(f"`{what}` is not a valid pylock.toml: {error}") from error
    except RecursionError as error:
        raise LockError(f"`{what}` is nested too deeply") from error


def _wanted(lock: Pylock, request: ResolveRequest, facts: BaseFacts) -> list[Package]:
    """The packages whose markers hold for the base, each name once."""
    markers = target.environment(facts)
    _python(str(lock.requires_python or ""), facts, "the lock")
    environment: dict[str, str | Set[str]] = {**markers, **_choices(lock, request)}
    found: dict[str, Package] = {}
    try:
        if lock.environments and not any(item.evaluate(dict(markers), "requirement") for item in lock.environments):
            raise LockError(
                f"the lock was not made for {target.describe(facts)}",
                details=[f"it covers: {item}" for item in lock.environments],
                hint="lock again with this platform among its environments",
            )
        for package in lock.packages:
            if package.marker is not None and not package.marker.evaluate(environment, "lock_file"):
                continue
            _python(str(package.requires_python or ""), facts, f"{package.name} {package.version or ''}".strip())
            if package.name in found:
                raise LockError(
                    f"the lock selects `{package.name}` twice for {target.describe(facts)}",
                    details=[f"versions {found[package.name].version} and {package.version}"],
                    hint="its markers overlap: lock again",
                )
            found[package.name] = package
    except (ValueError, RecursionError) as error:  # what `packaging` raises, and Python of numbers without an end
        raise LockError(f"a marker of the lock cannot be evaluated: {error}") from error
    return list(found.values())


def _choices(lock: Pylock, request: ResolveRequest) -> dict[str, frozenset[str]]:
    """The `extras` and `dependency_groups` markers. A lock exported for this request has them applied already."""
    if request.form != "pylock":
        return {"extras": frozenset(), "dependency_groups": frozenset(lock.default_groups or ())}
    for wanted, there, kind in (
        (request.extras, lock.extras, "extra"),
        (request.groups, lock.dependency_groups, "dependency group"),
    ):
        missing = sorted(set(wanted) - set(there or ()))
        if missing:
            raise LockError(
                f"`{request.primary}` has no {kind} `{missing[0]}`",
                details=[f"it has: {', '.join(there)}"] if there else ["it has none"],
            )
    groups = frozenset(lock.default_groups or ()) | frozenset(request.groups)
    return {"extras": frozenset(request.extras), "dependency_groups": groups}


def _python(specifier: str, facts: BaseFacts, who: str) -> None:
    if specifier and not target.accepts(specifier, facts):
        raise PythonVersionError(
            f"{who} requires Python {specifier}; the base has {target.describe(facts)}",
            hint="choose a base with such a Python, or lock again for this one",
        )


def _locked(
    package: Package, ranks: Mapping[Tag, int], pins: Mapping[str, tuple[str, ...]], facts: BaseFacts
) -> LockedPackage:
    offered = _offered(package, ranks)
    usable = [wheel for wheel in offered if wheel.rank is not None]
    if not usable:
        raise _no_wheel(package, offered, facts)
    strong = [wheel for wheel in usable if wheel.sha256]
    if not strong:
        raise WeakHashError(
            f"`{package.name}` is locked without a sha256",
            details=[wheel.filename for wheel in usable[:_SHOWN_WHEELS]],
            hint="lock again with a tool that records sha256 hashes",
        )
    best = _best(_pinned(package, strong, pins))
    return LockedPackage(
        package.name, best.version, ArtifactRef(Digest.from_hex(best.sha256), best.size, best.filename)
    )


def _best(wheels: Sequence[Wheel]) -> Wheel:
    """Of those with the best tag, the highest build, as pip does; the rest only makes the answer unique."""
    rank = min(wheel.rank or 0 for wheel in wheels)
    return max(
        (wheel for wheel in wheels if (wheel.rank or 0) == rank),
        key=lambda wheel: (wheel.build or (-1, ""), wheel.filename, wheel.sha256),
    )


def _pinned(package: Package, wheels: list[Wheel], pins: Mapping[str, tuple[str, ...]]) -> list[Wheel]:
    """Those of `wheels` that the project's own input allows (a resolver may ignore a wrong `--hash`)."""
    if not pins:
        return wheels
    allowed = pins.get(package.name)
    if allowed is None:
        raise LockedHashError(
            f"`{package.name}` has no --hash, and other requirements have one",
            hint="pin every package by hash, those that others need too: `uv pip compile --generate-hashes`",
        )
    matching = [wheel for wheel in wheels if wheel.sha256 in allowed]
    if not matching:
        raise LockedHashError(
            f"no wheel of `{package.name}` {package.version or ''} has a hash that the requirements allow".replace(
                "  ", " "
            ),
            details=[
                *(f"allowed: sha256:{sha256}" for sha256 in allowed[:_SHOWN_WHEELS]),
                *(f"found: sha256:{wheel.sha256} ({wheel.filename})" for wheel in wheels[:_SHOWN_WHEELS]),
            ],
            hint="if the package was published again, pin it again; otherwise do not trust the index",
        )
    return matching


def _offered(package: Package, ranks: Mapping[Tag, int]) -> list[Wheel]:
    """Every wheel the lock has for `package`, a single file given by path or URL among them."""
    if package.vcs is not None:
        raise NoWheelError(
            f"`{package.name}` comes from {package.vcs.type}; it would have to be built",
            hint="build its wheel and pass it with `--wheel FILE`, or use a released version",
        )
    sources: Sequence[PackageWheel | PackageArchive] = package.wheels or ()
    if package.archive is not None:
        sources = (package.archive,)
    return [wheel for source in sources if (wheel := _wheel(package, source, ranks)) is not None]


def _wheel(package: Package, source: PackageWheel | PackageArchive, ranks: Mapping[Tag, int]) -> Wheel | None:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    _contained(package, source.path)
    filename = _filename(source)
    if not filename.endswith(".whl"):
        return None
    try:
        name, version, build, tags = parse_wheel_filename(filename)
    except (InvalidWheelFilename, ValueError) as error:
        raise LockError(f"`{filename}` of `{package.name}` is not a wheel's file name: {error}") from error
    if name != package.name:
        raise LockError(f"the lock gives `{package.name}` a wheel of another package: `{filename}`")
    rank = min((ranks[tag] for tag in tags if tag in ranks), default=None)
    sha256 = source.hashes.get("sha256", "").lower()
    if sha256 and not _SHA256.fullmatch(sha256):
        raise LockError(f"the sha256 of `{filename}` is not 64 hexadecimal digits: {sha256!r:.80}")
    if source.size is not None and source.size < 0:
        raise LockError(f"the size of `{filename}` is {source.size}")
    return Wheel(filename, str(version), rank, build, sha256, -1 if source.size is None else source.size)


def _filename(source: PackageWheel | PackageArchive) -> str:
    named = getattr(source, "name", None)
    if named:
        filename = str(named)
    elif source.path:
        filename = source.path.replace("\\", "/").rpartition("/")[2]
    else:
        filename = _unquoted((source.url or "").partition("#")[0].partition("?")[0].rpartition("/")[2])
    if "/" in filename or "\\" in filename or "\0" in filename:
        raise LockError(f"not a file name: {filename!r:.100}")
    return filename


def _unquoted(text: str) -> str:
    """`text` without percent-encoding."""
    encoded = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes.fromhex(match[1].decode()), text.encode())
    return encoded.decode(errors="replace")


def _contained(package: Package, path: str | None) -> None:
    """A lock may name files of its own folder, nothing else of the host."""
    if path is None:
        return
    parts = path.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        shown = re.sub(r"//[^/]*@", "//", path)  # a URL's user and password are nobody's to read
        raise LockError(
            f"the lock takes `{package.name}` from `{shown}`, which is outside the project's folder",
            hint="copy the wheel into the folder, or pass it with `--wheel FILE`",
        )


def _no_wheel(package: Package, offered: Sequence[Wheel], facts: BaseFacts) -> NoWheelError:
    version = str(package.version or "")
    details = [f"wanted: {target.wanted(facts)}"]
    if offered:
        details += (f"there: {wheel.filename}" for wheel in offered[:_SHOWN_WHEELS])
        if len(offered) > _SHOWN_WHEELS:
            details.append(f"and {len(offered) - _SHOWN_WHEELS} more")
    else:
        details.append("there: only its source, which would have to be built")
    replacement = REPLACEMENTS.get(package.name)
    other = f"use {replacement} instead, or " if replacement else ""
    return NoWheelError(
        f"`{package.name}` {version} has no wheel for {target.describe(facts)}".replace("  ", " "),
        details=details,
        hint=f"{other}build its wheel for this platform and pass it with `--wheel FILE`",
    )
