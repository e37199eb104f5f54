"""The layer of what `--add` names (specs/behaviour/packing.md, PACK-70 on)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ociassemble.errors import ProjectError
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import FileItem, FilesSource, LayerPlan, TextSource
from ociassemble.project.addition import AddError, Addition, parse
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree


class AddConflictError(ProjectError):
    """An `--add` wants a path of the image that the application, or the base, has as something else."""

    code = "project.add-conflict"


def added(
    tree: ProjectTree, settings: Settings, layers: Sequence[LayerPlan], facts: BaseFacts
) -> tuple[LayerPlan, ...]:
    """One layer with everything that `--add` names; none where nothing is. `layers` are the application's own."""
    additions = tuple(map(parse, settings.add))
    items: list[FileItem] = []
    taken = {path: _Taken(item, "the application") for path, item in _taken(layers)}
    for addition in additions:
        for item in _items(addition, tree):
            _check(addition, item, taken, facts)
            items.append(item)
    return (LayerPlan(title="added files", role="application", sources=(FilesSource(tuple(items)),)),) if items else ()


def _items(addition: Addition, tree: ProjectTree) -> Iterator[FileItem]:
    given = tree.given[addition.source]
    into = given.form == "folder" or addition.target.endswith("/")
    if given.form == "files" and not into:
        raise AddError(
            f"`--add {addition.text}`: `{addition.source}` may be several files, `{addition.target}` is one",
            hint=f"write `{addition.target}/` for a folder",
        )
    for place in given.places:
        file = place.file
        target = posixpath.join(addition.target, place.below) if into else addition.target
        stated = addition.mode if file.kind == "file" else None
        yield FileItem(
            path="/" + posixpath.normpath(target).lstrip("/"),
            kind=file.kind,
            mode=file.mode if stated is None else stated,
            digest=file.digest,
            size=file.size,
            target=file.target,
            source=place.source,
            uid=addition.uid,
            gid=addition.gid,
        )


def _taken(layers: Sequence[LayerPlan]) -> Iterator[tuple[str, FileItem]]:
    """What the application itself puts into the image."""
    for source in (source for layer in layers for source in layer.sources):
        if isinstance(source, FilesSource):
            yield from ((item.path, item) for item in source.items)
        elif isinstance(source, TextSource):
            yield source.path, FileItem(path=source.path, kind="file")


class _Taken(NamedTuple):
    item: FileItem
    by: str


def _check(addition: Addition, item: FileItem, taken: dict[str, _Taken], facts: BaseFacts) -> None:
    """Refuse to put something where something else is: in the image it would be gone, or a file become a folder."""
    before = taken.get(item.path)
    if before is not None and _content(before.item) != _content(item):
        raise _conflict(addition, item.path, f"{before.by} puts {_named(before.item)} there")
    for parent in _parents(item.path):
        above = taken.get(parent)
        if above is not None and above.item.kind != "directory":
            raise _conflict(
                addition, item.path, f"{above.by} puts {_named(above.item)} at `{parent}`, which is no folder"
            )
    inside = item.path.strip("/")
    if item.kind != "directory" and (inside in facts.links or any(fact.path == inside for fact in facts.directories)):
        raise AddConflictError(
            f"`--add {addition.text}`: `{item.path}` is a folder of the base",
            hint=f"write `{item.path}/` to put `{posixpath.basename(item.source)}` into it",
        )
    taken.setdefault(item.path, _Taken(item, f"`--add {addition.text}`"))


def _content(item: FileItem) -> tuple[str, object, str]:
    return item.kind, item.digest, item.target


def _named(item: FileItem) -> str:
    return f"{'folder ' if item.kind == 'directory' else ''}`{item.source or item.path}`"


def _parents(path: str) -> Iterator[str]:
    while (path := posixpath.dirname(path)) != "/":
        yield path


def _conflict(addition: Addition, path: str, what: str) -> AddConflictError:
    return AddConflictError(
        f"`--add {addition.text}` wants `{path}`, and {what}",
        hint="leave one of the two out: add a line to the ignore file, or choose another place",
    )
