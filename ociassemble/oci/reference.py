"""Image references: `host/repository:tag@digest` with Docker's normalisation (distribution-spec, "Pulling manifests").

The grammar is the one of distribution's `reference` package; where the text is not a reference the error says which
part is wrong and what was probably meant.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ociassemble.errors import FormatError, UsageError
from ociassemble.oci.digest import Digest

DOCKER_HUB = "docker.io"
DEFAULT_TAG = "latest"
MAX_NAME = 255  # characters of host/repository, as registries limit it

_HUB_ALIASES = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
HUB_API = "registry-1.docker.io"  # where the distribution API of `docker.io` is spoken

_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?P<name>{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?", re.ASCII)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_IMAGE_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


class InvalidReferenceError(UsageError):
    """A text is not an image reference."""

    code = "usage.reference"


class Reference(NamedTuple):
    """One image of a registry. Make it with `parse`; `tag` is "" and `digest` None where there is none."""

    host: str  # canonical: "docker.io", "gcr.io", "127.0.0.1:5000", "[::1]:5000"
    repository: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """From what a user wrote; a name with neither tag nor digest gets the tag `latest`.

        Raises `InvalidReferenceError` (exit 2).
        """
        rest = _without_transport(text)
        rest, at, digest_text = rest.partition("@")
        slash = rest.rfind("/")
        colon = rest.find(":", slash + 1)
        name, tag = (rest, "") if colon < 0 else (rest[:colon], rest[colon + 1 :])
        if colon >= 0 and not tag:
            raise _error(text, "it ends in `:` without a tag")
        digest = _digest(text, digest_text) if at else None
        if tag and not _TAG.fullmatch(tag):
            raise _error(
                text,
                f"`{tag:.140}` is not a tag",
                hint="a tag is at most 128 letters, digits, `_`, `.` and `-`, and does not begin with `.` or `-`",
            )
        host, repository = _split(text, name)
        return cls(host, repository, tag or ("" if digest else DEFAULT_TAG), digest)

    def __str__(self) -> str:
        """Canonical: with the host, and with `library/` for Docker Hub's official images."""
        return self.name + self._suffix

    @property
    def name(self) -> str:
        """`host/repository`."""
        return f"{self.host}/{self.repository}"

    @property
    def familiar(self) -> str:
        """As Docker shows it: Docker Hub and its `library/` left out."""
        name = self.name
        if self.host == DOCKER_HUB:
            short = self.repository.removeprefix("library/")
            # What is left out must be what `parse` would put back.
            for shorter in (self.repository, short):
                if not _IMAGE_ID.fullmatch(shorter) and not _names_host(shorter) and _hub(shorter) == self.repository:
                    name = shorter
        return name + self._suffix

    @property
    def api_host(self) -> str:
        """The host that speaks the distribution API for this name."""
        return HUB_API if self.host == DOCKER_HUB else self.host

    @property
    def identifier(self) -> str:
        """What a manifest is asked for by: the digest where there is one, else the tag."""
        return self.digest or self.tag

    def with_tag(self, tag: str) -> Reference:
        """The same repository under `tag`; a digest stays."""
        if not _TAG.fullmatch(tag):
            raise _error(tag, "it is not a tag")
        return self._replace(tag=tag)

    def with_digest(self, digest: Digest) -> Reference:
        """The same name, pinned."""
        return self._replace(digest=digest)

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def canonical_host(text: str) -> str:
    """`text` as a registry's host: lower case, Docker Hub's aliases as `docker.io`, IPv6 in its shortest form.

    Raises `InvalidReferenceError` where it is not a host with an optional port.
    """
    found = _HOST.fullmatch(text)
    if not found or len(text) > MAX_NAME:
        raise _error(
            text, f"`{text:.100}` is not a host", hint="a host is a name or an address, and `:PORT` or nothing"
        )
    name, port = found["name"].lower(), found["port"]
    if port is not None and not 0 < int(port) < 65536:
        raise _error(text, f"`{port}` is not a port")
    if name.startswith("["):
        import ipaddress

        try:
            name = f"[{ipaddress.IPv6Address(name[1:-1]).compressed}]"
        except ValueError:
            raise _error(text, f"`{name}` is not an IPv6 address") from None
    if name in _HUB_ALIASES and port in (None, "443"):
        return DOCKER_HUB
    return name if port is None else f"{name}:{int(port)}"


def _without_transport(text: str) -> str:
    if not text:
        raise _error(text, "it is empty")
    if len(text) > 2000:
        raise _error(text, "it is too long")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise _error(text, "it has characters that no reference has (spaces, control characters, non-ASCII)")
    text = text.removeprefix("docker://")  # skopeo's spelling
    if scheme := _SCHEME.match(text):
        raise _error(text, f"it begins with `{scheme[0]}`", hint=f"leave out `{scheme[0]}`")
    return text


def _split(text: str, name: str) -> tuple[str, str]:
    """Host and repository of `name`: the first part is a host if it can be nothing else."""
    if not name:
        raise _error(text, "it has no name")
    if _names_host(name):
        first, _, repository = name.partition("/")
        host = canonical_host(first)
    else:
        host, repository = DOCKER_HUB, name
    if _IMAGE_ID.fullmatch(name):
        raise _error(text, "64 hexadecimal digits are an image id, not a name", hint="pass the image's name")
    if not repository:
        raise _error(text, "it has a host and no repository", hint=f"write `{host}/REPOSITORY`")
    if host == DOCKER_HUB:
        repository = _hub(repository)
    for component in repository.split("/"):
        if _COMPONENT.fullmatch(component):
            continue
        if not component:
            raise _error(text, "it has an empty part between slashes")
        if _COMPONENT.fullmatch(component.lower()):
            raise _error(
                text,
                "a repository is written in lower case",
                hint=f"did you mean `{text.replace(name, name.lower())}`?",
            )
        raise _error(
            text,
            f"`{component:.100}` is not a part of a repository's name",
            hint="a part is lower-case letters and digits, with single `.`, `_`, `__` or `-` between them",
        )
    if len(host) + 1 + len(repository) > MAX_NAME:
        raise _error(text, f"its name is longer than {MAX_NAME} characters")
    return host, repository


def _names_host(name: str) -> bool:
    """Whether the first part of `name` is a host.

    Docker also takes a first part with capitals for one; nearly always it is a misspelt name, and in lower case it
    would be read as Docker Hub's, so it is refused instead.
    """
    first, slash, _ = name.partition("/")
    return bool(slash) and ("." in first or ":" in first or first.lower() == "localhost")


def _hub(repository: str) -> str:
    """Docker Hub's full name of `repository`."""
    return repository if "/" in repository else f"library/{repository}"


def _digest(text: str, digest: str) -> Digest:
    try:
        return Digest(digest)
    except FormatError:
        hint = "a digest is `sha256:` and 64 lower-case hexadecimal digits"
        if "/" in digest or "." in digest:
            hint = "credentials do not belong in a reference; use `ociassemble login` or --authfile"
        raise _error(text, f"`{digest:.140}` is not a digest", hint=hint) from None


def _error(text: str, why: str, *, hint: str | None = None) -> InvalidReferenceError:
    return InvalidReferenceError(f"`{_shown(text)}` is not an image reference: {why}", hint=hint)


def _shown(text: str) -> str:
    """For an error message: short, and nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])
