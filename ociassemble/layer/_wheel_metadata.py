"""What a wheel says it is: in its file name, in the name of its dist-info folder, in WHEEL and in METADATA."""

from __future__ import annotations

import re
from typing import NamedTuple

from ociassemble.formats.zip import show
from ociassemble.layer._wheel_record import WheelError

_FORMAT = re.compile(r"1\.[0-9]{1,4}", re.ASCII)


class WheelNameError(WheelError):
    """A file name that is not a wheel's."""

    code = "integrity.wheel.name"


class WheelName(NamedTuple):
    """What a wheel's file name says; name and version normalised."""

    name: str
    version: str
    build: str  # "" for none
    tags: frozenset[str]  # "cp313-cp313-manylinux_2_28_x86_64", "py3-none-any"


def wheel_name(filename: str) -> WheelName:
    """`filename` taken apart; raises `WheelNameError`."""
    from packaging.utils import parse_wheel_filename

    try:
        name, version, build, tags = parse_wheel_filename(filename)
    except ValueError as error:  # InvalidWheelFilename, or a number of thousands of digits
        raise WheelNameError(f"{show(filename)} is not the name of a wheel") from error
    return WheelName(name, str(version), "".join(map(str, build)), frozenset(map(str, tags)))


def same(expected: WheelName, name: str, version: str) -> bool:
    """Whether `name` and `version`, in any spelling, are those of the file name."""
    from packaging.utils import canonicalize_name
    from packaging.version import Version

    try:
        return canonicalize_name(name) == expected.name and str(Version(version)) == expected.version
    except ValueError:  # InvalidVersion, or a number of thousands of digits
        return False


def check_format(text: bytes, label: str) -> None:
    """WHEEL's `text` must be of format version 1."""
    versions = _headers(text).get("wheel-version", ())
    if len(versions) != 1 or not _FORMAT.fullmatch(versions[0]):
        said = ", ".join(map(show, versions)) or "none"
        raise WheelError(
            f"{label} has the format version {said}; versions 1.x are read", hint="a newer ociassemble may know it"
        )


def check_identity(text: bytes, expected: WheelName, label: str) -> None:
    """METADATA's `text` must be of the package that the file name names: scanners go by it."""
    headers = _headers(text)
    names, versions = headers.get("name", ()), headers.get("version", ())
    if len(names) != 1 or len(versions) != 1:
        raise WheelError(f"{label} has a METADATA without one name and one version")
    if not same(expected, names[0], versions[0]):
        raise WheelError(
            f"{label} does not hold what its name says: its METADATA is of {show(names[0])} {show(versions[0])}"
        )


def _headers(text: bytes) -> dict[str, list[str]]:
    """The header fields of an e-mail-like document, by lower-case name, up to its body; folded lines are left out."""
    found: dict[str, list[str]] = {}
    # Only names and versions are of interest, which are ASCII; old documents are in any encoding.
    for line in text.decode("utf-8", "replace").split("\n"):
        if not line.strip():
            break
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            found.setdefault(name.strip().lower(), []).append(value.strip())
    return found
