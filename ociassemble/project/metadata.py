"""What an application says of itself: pyproject.toml or package.json -> annotations (config-merge.md, MERGE-12).

Only what is written there is taken; nothing is computed, and what is broken or odd is left out: other parts of a build
complain about it where it matters. Names and addresses of people are never taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ociassemble.errors import Error
from ociassemble.formats.package_name import normalised
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree

TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"
DESCRIPTION = "org.opencontainers.image.description"
LICENSES = "org.opencontainers.image.licenses"
URL = "org.opencontainers.image.url"
SOURCE = "org.opencontainers.image.source"
DOCUMENTATION = "org.opencontainers.image.documentation"

_LONGEST = 2000  # characters of one value
_LIMIT = 4 << 20
_ID = r"\(*\s*[A-Za-z0-9][A-Za-z0-9.:+-]*\s*\)*"
_SPDX = rf"(?a){_ID}(\s+(AND|OR|WITH)\s+{_ID}){{0,50}}"
# Names of `project.urls` as PEP 753 normalises them: what they are called in annotations.
_LABELS = {
    "homepage": URL,
    "source": SOURCE,
    "repository": SOURCE,
    "sourcecode": SOURCE,
    "github": SOURCE,
    "documentation": DOCUMENTATION,
    "docs": DOCUMENTATION,
}
_SHORTHANDS = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}


def describe(tree: ProjectTree, kind: str, settings: Settings) -> dict[str, str]:
    """The annotations that the application's own metadata make, by key."""
    name, parse, read = _READERS.get(kind, ("", None, None))
    if parse is None or read is None:
        return {}
    path = _member(tree, settings.python.package, parse) if kind == "python" and settings.python.package else name
    found = read(_document(tree, path, parse))
    if settings.name:
        found[TITLE] = settings.name
    return {key: _line(value) for key, value in sorted(found.items()) if _usable(value)}


def public(url: object) -> str:
    """`url` if it is one that others can follow, without a name or password in it; "" otherwise."""
    if not isinstance(url, str) or not re.fullmatch(r"[!-~]+", url) or len(url) > _LONGEST:
        return ""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return ""
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    except ValueError:
        return ""


def repository(text: object, *, shorthand: bool = False) -> str:
    """The page of a repository, whatever form git names it in; "" for a path, and for what is not understood.

    `shorthand`: `owner/name` and `github:owner/name` are understood as npm does.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        return ""
    text = text.strip().removeprefix("git+")
    words = r"(?:(github|gitlab|bitbucket):)?(\w[\w.-]*/\w[\w.-]*)(?:#.*)?"
    if shorthand and (found := re.fullmatch(words, text, re.ASCII)):
        text = f"https://{_SHORTHANDS[found[1] or 'github']}/{found[2]}"
    elif found := re.fullmatch(r"(?:[\w.-]+@)?([\w-]+(?:\.[\w-]+)+):(?!//)([^/:][^:]*)", text, re.ASCII):
        text = f"https://{found[1]}/{found[2]}"  # as scp names it: git@host:path
    elif found := re.fullmatch(r"(?:ssh|git)://(?:[^@/]*@)?([\w.-]+)(?::\d+)?/(.+)", text, re.ASCII):
        text = f"https://{found[1]}/{found[2]}"
    return public(text.partition("#")[0].removesuffix("/").removesuffix(".git"))


def _usable(value: object) -> bool:
    if not isinstance(value, str) or not 0 < len(_line(value)) <= _LONGEST:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)  # JSON can say them, UTF-8 cannot


def _line(text: str) -> str:
    """One line, without control characters."""
    return re.sub(r"[\x00-\x20\x7f]+", " ", text).strip(" ")


def _document(tree: ProjectTree, path: str, parse: Callable[[str], Any]) -> Mapping[str, Any]:
    try:
        value = parse(tree.bytes_of(path, _LIMIT).decode()) if tree.has(path) else {}
    except (Error, ValueError, RecursionError):
        return {}
    return value if isinstance(value, Mapping) else {}


def _member(tree: ProjectTree, package: str, parse: Callable[[str], Any]) -> str:
    """The pyproject.toml of a workspace member; the root's where there is none of that name."""
    wanted = normalised(package)
    for file in tree.files:
        if file.path.endswith("/pyproject.toml"):
            name = _table(_document(tree, file.path, parse), "project").get("name")
            if isinstance(name, str) and normalised(name) == wanted:
                return file.path
    return "pyproject.toml"


def _table(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def _pyproject(document: Mapping[str, Any]) -> dict[str, Any]:
    project = _table(document, "project")
    found = {TITLE: project.get("name"), VERSION: project.get("version"), DESCRIPTION: project.get("description")}
    stated = project.get("license")
    found[LICENSES] = _licenses(stated.get("text") if isinstance(stated, Mapping) else stated)
    for label, url in _table(project, "urls").items():
        key = _LABELS.get(re.sub(r"[\W_]", "", str(label)).lower(), "")
        if key and not found.get(key):
            found[key] = repository(url) if key == SOURCE else public(url)
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _package_json(document: Mapping[str, Any]) -> dict[str, Any]:
    stated = document.get("repository")
    source = stated.get("url") if isinstance(stated, Mapping) else stated
    found = {
        TITLE: document.get("name"),
        VERSION: document.get("version"),
        DESCRIPTION: document.get("description"),
        LICENSES: _licenses(document.get("license")),
        URL: public(document.get("homepage")),
        SOURCE: repository(source, shorthand=True),
    }
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _licenses(stated: object) -> str:
    """An SPDX expression as it is; other words about a licence are no expression."""
    if not isinstance(stated, str) or len(stated) > _LONGEST:
        return ""
    text = stated.strip()
    return text if re.fullmatch(_SPDX, text) and text not in ("UNLICENSED", "Proprietary", "proprietary") else ""


def _toml(text: str) -> Any:
    from ociassemble.formats import toml

    return toml.loads(text)


_READERS: Mapping[str, tuple[str, Callable[[str], Any], Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "python": ("pyproject.toml", _toml, _pyproject),
    "node": ("package.json", json.loads, _package_json),
}
