"""Files that maintainer scripts would have made, computed from the content of packages instead (DEBIAN-CA, -CACHE).

`ca-bundle`: /etc/ssl/certs/ca-certificates.crt, the certificates of `ca-certificates` one after the other.
`ld.so.cache`: /etc/ld.so.cache over the shared libraries of all packages given; the parameter `architecture` is
GOARCH's name.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple

from ociassemble.errors import FormatError
from ociassemble.formats import elf, ldcache, tar
from ociassemble.formats.paths import real_path
from ociassemble.layer import deb
from ociassemble.layer.entry import Entry
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import DerivedSource

Open = Callable[[ArtifactRef], BinaryIO]

_CERTIFICATES = "usr/share/ca-certificates/"
_MAX_CERTIFICATE = 1 << 20  # bytes
_MAX_LIBRARY = 1 << 30  # bytes
_MAX_CONFIGURATION = 1 << 16  # bytes
_SYSTEM_FOLDERS = ("/lib", "/usr/lib")  # the loader's own, after all that are configured


class RecipeError(FormatError):
    """A derived source of a kind or with parameters that nobody knows, or from packages that lack what it needs."""

    code = "integrity.format.derived"


def entries(source: DerivedSource, open_artifact: Open) -> Iterator[Entry]:
    """The files of `source`. `open_artifact` gives a package as a stream, verified; it is closed here."""
    if source.recipe == "ca-bundle":
        yield _ca_bundle(source, open_artifact)
    elif source.recipe == "ld.so.cache":
        yield _loader_cache(source, open_artifact)
    else:
        raise RecipeError(f"no such derived file: `{source.recipe}`", hint="known: ca-bundle, ld.so.cache")


def _members(artifact: ArtifactRef, open_artifact: Open) -> Iterator[tar.Member]:
    with open_artifact(artifact) as stream:
        try:
            yield from deb.read(stream)[1]
        except FormatError as error:
            error.details = (*error.details, f"in the Debian package `{artifact.filename}`")
            raise


def _content(member: tar.Member, limit: int) -> bytes:
    if member.size > limit:
        raise RecipeError(f"`{member.path}` has {member.size} bytes, more than {limit}")
    return b"".join(member.chunks())


# ------------------------------------------------------------------------------------------------ certificates


def _ca_bundle(source: DerivedSource, open_artifact: Open) -> Entry:
    """The certificates in the order of their names. By folder, not by ending: examples in doc/ end in .crt too."""
    found: dict[str, bytes] = {}
    for artifact in source.artifacts:
        for member in _members(artifact, open_artifact):
            if member.kind == "file" and member.path.startswith(_CERTIFICATES) and member.path.endswith(".crt"):
                data = _content(member, _MAX_CERTIFICATE)
                found[member.path] = data if data.endswith(b"\n") else data + b"\n"
    if not found:
        raise RecipeError("no certificates in " + ", ".join(f"`{item.filename}`" for item in source.artifacts))
    data = b"".join(found[path] for path in sorted(found))
    path = "etc/ssl/certs/ca-certificates.crt"
    return Entry.held(path, data, mode=0o555, origin="the certificates of ca-certificates")


# ------------------------------------------------------------------------------------------------ loader cache


class _Tree(NamedTuple):
    """What the loader would see of the packages: links, the libraries by path, and its configuration."""

    links: dict[str, str]
    sonames: dict[str, str]  # path of a library -> its DT_SONAME, "" for none
    configuration: dict[str, bytes]


def _loader_cache(source: DerivedSource, open_artifact: Open) -> Entry:
    architecture = dict(source.parameters).get("architecture", "")
    flags = ldcache.FLAGS.get(architecture)
    if flags is None:
        raise RecipeError(f"no loader cache can be made for the architecture `{architecture}`")
    tree = _read_tree(source.artifacts, open_artifact, architecture)
    data = ldcache.encode(_libraries(tree, flags))
    return Entry.held("etc/ld.so.cache", data, origin="the loader's cache")


def _read_tree(artifacts: Iterable[ArtifactRef], open_artifact: Open, architecture: str) -> _Tree:
    tree = _Tree({}, {}, {})
    for artifact in artifacts:
        for member in _members(artifact, open_artifact):
            path = member.path
            if member.kind == "symlink":
                tree.links[path] = member.target
            elif member.kind != "file":
                continue
            elif path == "etc/ld.so.conf" or (path.startswith("etc/ld.so.conf.d/") and path.endswith(".conf")):
                tree.configuration[path] = _content(member, _MAX_CONFIGURATION)
            elif is_library(posixpath.basename(path)):
                soname = _soname(_content(member, _MAX_LIBRARY), architecture)
                if soname is not None:
                    tree.sonames[path] = soname
    return tree


def is_library(name: str) -> bool:
    """Whether the loader's cache looks at a file of this name at all."""
    return name.startswith(("lib", "ld-")) and ".so" in name


def _soname(data: bytes, architecture: str) -> str | None:
    """DT_SONAME, "" where there is none; None for what is no library of this architecture (linker scripts)."""
    try:
        found = elf.parse(data)
    except FormatError:
        return None
    usable = found.type == elf.SHARED and found.dynamic and found.architecture == architecture
    return found.soname if usable else None


def _libraries(tree: _Tree, flags: int) -> Iterator[ldcache.Library]:
    """The entries, folder by folder in the order of the configuration; a folder under two names counts once."""
    listing: dict[str, list[str]] = {}
    for path in (*tree.sonames, *tree.links):
        folder, name = posixpath.split(path)
        if is_library(name):
            listing.setdefault(folder, []).append(name)
    seen: set[str] = set()
    for folder in search_path(tree.configuration):
        real = real_path(folder.strip("/"), tree.links, last=True)
        if real not in seen:
            seen.add(real)
            yield from _folder(folder, real, listing.get(real, []), tree, flags)


def _folder(folder: str, real: str, names: list[str], tree: _Tree, flags: int) -> Iterator[ldcache.Library]:
    """For each soname in a folder its file: the name itself where it is there, else the newest that claims it."""
    best: dict[str, str] = {}
    for name in names:
        path = real_path(f"{real}/{name}", tree.links, last=True)
        if path not in tree.sonames:
            continue  # a link to what is not there, or to no library
        soname = tree.sonames[path] or name
        before = best.get(soname)
        if before is None or (before != soname and (name == soname or ldcache.compare(name, before) > 0)):
            best[soname] = name
    for soname in sorted(best):
        yield ldcache.Library(soname, f"{folder}/{best[soname]}", flags)


def search_path(configuration: dict[str, bytes]) -> tuple[str, ...]:
    """The folders of ld.so.conf with its includes in place, then the loader's own."""
    folders: list[str] = []
    _configured("etc/ld.so.conf", configuration, folders, 0)
    return tuple(dict.fromkeys((*folders, *_SYSTEM_FOLDERS)))


def _configured(path: str, configuration: dict[str, bytes], folders: list[str], depth: int) -> None:
    if depth > 8:
        raise RecipeError("the loader's configuration includes itself")
    for line in configuration.get(path, b"").decode("utf-8", "surrogateescape").splitlines():
        line = line.partition("#")[0].strip()
        if match := re.fullmatch(r"include\s+(\S+)", line):
            pattern = posixpath.normpath(posixpath.join("/etc", match[1])).lstrip("/")
            for name in sorted(configuration):
                # A `*` stays within a part, as it does for the loader.
                if name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern):
                    _configured(name, configuration, folders, depth + 1)
        elif line.startswith("/"):
            folders.append(posixpath.normpath(line))
