"""Names of places -> values: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `local:NAME`, `host/repo[:tag][@digest]`.

The transport prefixes are skopeo's; anything without one is a registry reference.
"""

from __future__ import annotations

from typing import NamedTuple

from ociassemble.errors import FormatError, UsageError
from ociassemble.oci.digest import Digest
from ociassemble.oci.reference import Reference


class LocationError(UsageError):
    """Not a name of a place."""

    code = "usage.location"


class Location(NamedTuple):
    """A place of one image. `path` and `tag` are set for layouts and archives, `reference` for all else.

    `tag` of a "docker-archive" is a whole reference, or `@N` for the image of that number.
    """

    transport: str  # "registry", "oci", "local", BUNDLE, one of ARCHIVES or ENGINES
    text: str
    reference: Reference | None = None
    path: str = ""
    tag: str = ""
    digest: Digest | None = None


ENGINES = {"docker-daemon": "docker", "containers-storage": "podman"}  # skopeo's names of engines
ARCHIVES = ("oci-archive", "docker-archive")
BUNDLE = "bundle"
_LATER = {
    "dir": "skopeo's dir format",
}


def locate(text: str) -> Location:
    """The place a user named."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "docker" and rest.startswith("//"):
        return Location("registry", text, Reference.parse(rest[2:]))
    if colon and scheme == "oci":
        try:
            path, tag, digest = _layout(rest)
        except FormatError as error:
            raise LocationError(f"`{text}` has no digest after the `@`", hint=error.hint) from error
        if not path:
            raise LocationError(f"`{text}` names no folder", hint="write `oci:DIR` or `oci:DIR:TAG`")
        return Location("oci", text, path=path, tag=tag, digest=digest)
    if colon and scheme in (*ARCHIVES, BUNDLE):
        return _archive(scheme, text, rest)
    if colon and scheme in ENGINES:
        return Location(scheme, text, Reference.parse(rest))
    if colon and scheme == "local":
        return Location("local", text, Reference.parse(rest))
    if colon and scheme in _LATER and not rest.startswith("//") and "/" not in scheme:
        raise LocationError(
            f"`{text}`: {_LATER[scheme]} cannot be read or written yet",
            hint="use an OCI layout (`oci:DIR:TAG`) and convert it with `skopeo copy`",
        )
    return Location("registry", text, Reference.parse(text))


def _archive(scheme: str, text: str, rest: str) -> Location:
    """`FILE[:TAG][@digest]`, `FILE[:REF][@digest]`: as skopeo reads it, the file ends at the first colon."""
    digest = None
    head, at, tail = rest.rpartition("@")
    if at and tail.startswith(("sha256:", "sha512:")):
        try:
            rest, digest = head, Digest(tail)
        except FormatError as error:
            raise LocationError(f"`{text}` has no digest after the `@`", hint=error.hint) from error
    path, colon, tag = rest.partition(":")
    if not path or (colon and not tag):
        what = "TAG" if scheme == "oci-archive" else "REF"
        kind = "bundle" if scheme == BUNDLE else "archive"
        raise LocationError(f"`{text}` names no {kind}", hint=f"write `{scheme}:FILE` or `{scheme}:FILE:{what}`")
    if scheme == "docker-archive" and tag and not tag.startswith("@"):
        Reference.parse(tag)
    return Location(scheme, text, path=path, tag=tag, digest=digest)


def _layout(rest: str) -> tuple[str, str, Digest | None]:
    """`DIR[:TAG][@digest]`; a colon before a slash belongs to the path."""
    digest = None
    head, at, tail = rest.rpartition("@")
    if at and tail.startswith(("sha256:", "sha512:")):
        rest, digest = head, Digest(tail)
    path, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag or (len(path) == 1 and path.isalpha() and tag.startswith("\\")):
        return rest, "", digest
    return path, tag, digest
