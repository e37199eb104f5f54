"""`bundle save --with-tool`: the wheels that install this very program, for a Python and platform like ours.

What others wrote comes from the index, by the sha256 that its page tells, so that an officer can look it up there.
Our own wheel is made of the installed distribution: its package and its metadata, in a fixed order and without a clock.
"""

from __future__ import annotations

import base64
import hashlib
import io
import platform
import re
import shlex
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import ociassemble
from ociassemble.content.store import ingest_all
from ociassemble.errors import NotFoundError, OfflineError, ToolError
from ociassemble.formats.package_name import normalised
from ociassemble.oci.digest import Digest
from ociassemble.operations import outside
from ociassemble.operations.licences import licence_of
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.session import Session
from ociassemble.sources.simple import Link
from ociassemble.transports.bundle import File

if TYPE_CHECKING:
    from packaging.tags import Tag

_NAME = "ociassemble"
# What `manylinux` with a name instead of a version stands for.
_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_MTIME = (1980, 1, 2, 0, 0, 0)


class ToolWheelError(ToolError):
    """What this program was installed from cannot be told, so that no wheel can be made of it."""

    code = "tool.own-wheel"


class ToolDependencyError(NotFoundError):
    """No index has wheels of what this program needs, in the versions that are installed here."""

    code = "not-found.tool-wheel"


class ToolOfflineError(OfflineError):
    """`--offline`, and only an index knows the sha256 of the wheels that this program needs."""

    code = "offline.tool"


def tool_files(session: Session) -> tuple[File, ...]:
    """Our own wheel and the wheels of what it needs, in the store."""
    filename, data = own_wheel()
    digest, size = ingest_all(session.store, (data,))
    own = File("tool", _NAME, ociassemble.__version__, filename, digest, size, "Apache-2.0")
    return (own, *_dependencies(session, needed(_NAME)))


def install_commands(output: Path, *, in_parts: bool) -> tuple[str, str]:
    """What installs the tool out of the bundle `output`, beside it, where there is no network."""
    name = shlex.quote(output.name)
    unpack = f"cat {name}.[0-9]* | tar -xf - tool" if in_parts else f"tar -xf {name} tool"
    return (
        unpack,
        f"python{'.'.join(platform.python_version_tuple()[:2])} -m pip install --no-index --find-links tool {_NAME}",
    )


def made_for(files: Iterable[File]) -> str:
    """The Python and platform that the tool's wheels among `files` are for: "CPython 3.13 on Linux x86_64 (...)"."""
    from packaging.utils import parse_wheel_filename

    version = ".".join(platform.python_version_tuple()[:2])
    words = f"{platform.python_implementation()} {version} on {platform.system()} {platform.machine()}"
    names = [file.filename for file in files if file.kind == "tool"]
    least = [min(found) for found in (_glibc(parse_wheel_filename(name)[3]) for name in names) if found]
    return f"{words} (glibc {'.'.join(map(str, max(least)))} or newer)" if least else words


def _glibc(tags: Iterable[Tag]) -> list[tuple[int, int]]:
    """The versions of glibc that a wheel is said to run with."""
    found = []
    for tag in tags:
        numbers = re.match(r"manylinux_([0-9]+)_([0-9]+)_", tag.platform)
        if numbers is not None:
            found.append((int(numbers[1]), int(numbers[2])))
        elif tag.platform.partition("_")[0] in _GLIBC:
            found.append(_GLIBC[tag.platform.partition("_")[0]])
    return found


def needed(name: str) -> Mapping[str, str]:
    """Name and installed version of every distribution that `name` needs here, however far; extras of ours left out.

    Raises `ToolWheelError` where metadata are missing or not to be read.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    found: dict[str, str] = {}
    open_ones: list[tuple[str, frozenset[str]]] = [(name, frozenset())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while open_ones:
        here = open_ones.pop()
        if here in seen:
            continue
        seen.add(here)
        try:
            distribution = metadata.distribution(here[0])
            requirements = [Requirement(text) for text in distribution.requires or ()]
        except (metadata.PackageNotFoundError, InvalidRequirement) as error:
            raise ToolWheelError(f"what `{here[0]}` needs cannot be told: {error}") from error
        if here[0] != name:
            found[normalised(here[0])] = distribution.version
        for item in requirements:
            extras = [{"extra": extra} for extra in sorted(here[1])] or [{"extra": ""}]
            if item.marker is None or any(item.marker.evaluate(extra) for extra in extras):
                open_ones.append((item.name, frozenset(item.extras)))
    return dict(sorted(found.items()))


def _dependencies(session: Session, versions: Mapping[str, str]) -> Iterable[File]:
    index = outside.index_of(session)
    wheels: dict[str, ArtifactRef] = {}
    unasked = []
    for name, version in versions.items():
        try:
            found = _best(name, version, outside.links(session, index, name))
        except OfflineError:
            unasked.append(f"{name} {version}")
            continue
        if found is not None:
            wheels[name] = found
    if unasked:
        raise ToolOfflineError(
            f"`--offline`, and an index must be asked for {len(unasked)} wheels that `--with-tool` brings",
            details=unasked,
            hint="run it without `--offline` where there is a network, or leave `--with-tool` away",
        )
    if lacking := [f"{name} {version}" for name, version in versions.items() if name not in wheels]:
        raise ToolDependencyError(
            "no configured index has wheels of what this program needs",
            details=lacking,
            hint="install versions that an index has: `pip install --upgrade ociassemble`",
        )
    outside.bring_wheels(session, tuple(wheels.values()), index)
    store = session.store
    return [
        File("tool", name, versions[name], ref.filename, ref.digest, store.size(ref.digest) or 0,
             licence_of("tool", ref.digest, store))
        for name, ref in wheels.items()
    ]  # fmt: skip


def _best(name: str, version: str, links: Sequence[Link]) -> ArtifactRef | None:
    """The wheel of this version that fits this Python best, of those whose sha256 the page tells."""
    from packaging.tags import sys_tags
    from packaging.utils import parse_wheel_filename
    from packaging.version import Version

    order = {tag: number for number, tag in enumerate(sys_tags())}
    best: tuple[int, str, ArtifactRef] | None = None
    for link in links:
        if not link.filename.endswith(".whl") or not link.sha256:
            continue
        try:
            here, said, _, tags = parse_wheel_filename(link.filename)
        except ValueError:
            continue
        rank = min((order[tag] for tag in tags if tag in order), default=-1)
        if here == name and said == Version(version) and rank >= 0:
            found = (rank, link.filename, ArtifactRef(Digest.from_hex(link.sha256), link.size, link.filename))
            best = min(best, found) if best is not None else found
    return best[2] if best is not None else None


def own_wheel() -> tuple[str, bytes]:
    """The file name and bytes of a wheel made of the installed distribution; the same of the same files."""
    try:
        distribution = metadata.distribution(_NAME)
        said = distribution.read_text("METADATA")
    except metadata.PackageNotFoundError as error:
        raise ToolWheelError(f"`{_NAME}` is not installed as a distribution", hint="install it with pip") from error
    if said is None:
        raise ToolWheelError(f"the installed `{_NAME}` has no metadata", hint="install it with pip")
    info = f"{_NAME}-{distribution.version}.dist-info"
    package = Path(ociassemble.__file__).parent
    files = {
        f"{_NAME}/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    files[f"{info}/METADATA"] = said.encode()
    files[f"{info}/entry_points.txt"] = (distribution.read_text("entry_points.txt") or "").encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: ociassemble\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    for path in distribution.files or ():
        if "/licenses/" in str(path):
            files[f"{info}/licenses/{path.name}"] = Path(str(path.locate())).read_bytes()
    record = "".join(f"{name},sha256={_hash(data)},{len(data)}\n" for name, data in sorted(files.items()))
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    return f"{_NAME}-{distribution.version}-py3-none-any.whl", _zip(files)


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _zip(files: Mapping[str, bytes]) -> bytes:
    """Stored, not deflated: what another zlib would make of it decides nothing."""
    made = io.BytesIO()
    # RECORD last, as the format recommends.
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files, key=lambda name: (name.endswith("/RECORD"), name)):
            entry = zipfile.ZipInfo(name, _MTIME)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return made.getvalue()
