"""package.json as values (NODE-1, NODE-2)."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any, NamedTuple

from ociassemble.kinds.node.entries import bins, globs, names, node_range
from ociassemble.kinds.node.errors import ManifestError
from ociassemble.kinds.node.recognise import FILE as FILE
from ociassemble.project.tree import ProjectTree

_LIMIT = 4 << 20


class Manifest(NamedTuple):
    """What a package.json says, as far as it matters here. Tables of dependencies: name -> what is asked for."""

    folder: str  # "" for the project's own
    name: str
    version: str
    main: str
    module: bool  # "type": "module"
    scripts: Mapping[str, str]
    node: str  # engines.node
    dependencies: Mapping[str, str]  # without those that are optional
    optional_dependencies: Mapping[str, str]
    dev_dependencies: Mapping[str, str]
    peers: Mapping[str, str]
    workspaces: tuple[str, ...]  # globs
    bins: tuple[tuple[str, str], ...]

    @property
    def path(self) -> str:
        return posixpath.join(self.folder, FILE)


def read(tree: ProjectTree, folder: str = "") -> Manifest:
    """The package.json of a folder; an empty one where it has none, ManifestError if it is broken."""
    path = posixpath.join(folder, FILE)
    if not tree.has(path):
        return parse("{}", folder)
    return parse(tree.text(path, _LIMIT), folder)


def parse(text: str, folder: str = "") -> Manifest:
    """The package.json in `text`."""
    path = posixpath.join(folder, FILE)
    try:
        data = json.loads(text.removeprefix("\ufeff"))
    except RecursionError as error:
        raise ManifestError(f"`{path}` is nested too deeply") from error
    except ValueError as error:
        raise ManifestError(f"`{path}` is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ManifestError(f"`{path}` is not a JSON object")
    scripts = data.get("scripts")
    optional = names(data.get("optionalDependencies"))
    required = names(data.get("dependencies"))
    name = _text(data, "name")
    return Manifest(
        folder=folder,
        name=name,
        version=_text(data, "version"),
        main=_text(data, "main"),
        module=data.get("type") == "module",
        scripts={key: value for key, value in scripts.items() if isinstance(value, str)}
        if isinstance(scripts, dict)
        else {},
        node=node_range(data.get("engines")),
        dependencies={key: value for key, value in required.items() if key not in optional},
        optional_dependencies=optional,
        dev_dependencies=names(data.get("devDependencies")),
        peers=names(data.get("peerDependencies")),
        workspaces=globs(data.get("workspaces")),
        bins=bins(data.get("bin"), name or folder.rpartition("/")[2]),
    )


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) and value.isprintable() else ""
