"""What the user stated, on top of what a kind decided: flags and settings always win."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace

from ociassemble.errors import ProjectError, UsageError
from ociassemble.plan.plan import ConfigPlan, FileItem, FilesSource, LayerPlan
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree, TreeFile

_OWNER = re.compile(r"([0-9]{1,10})(?::([0-9]{1,10}))?", re.ASCII)
_MODE = re.compile(r"0?[0-7]{3}", re.ASCII)
_LARGEST_ID = 2**31 - 1


class AddError(UsageError):
    """An `--add` that cannot be read."""

    code = "usage.add"


class AddMissingError(ProjectError):
    """An `--add` of something the project does not have, or does not pack."""

    code = "project.add"


def with_settings(config: ConfigPlan, settings: Settings) -> ConfigPlan:
    """The kind's config change with the settings' own values in it. Start commands are the kind's business."""
    return replace(
        config,
        env={**config.env, **settings.env},
        labels={**config.labels, **settings.labels},
        user=settings.user if settings.user is not None else config.user,
        workdir=settings.workdir if settings.workdir is not None else config.workdir,
        ports=tuple(dict.fromkeys((*config.ports, *settings.ports))),
        volumes=tuple(dict.fromkeys((*config.volumes, *settings.volumes))),
        stop_signal=settings.stop_signal if settings.stop_signal is not None else config.stop_signal,
    )


def manifest_annotations(settings: Settings) -> dict[str, str]:
    """The annotations of each manifest that were asked for: `KEY`, or `manifest:KEY`."""
    found = {key.removeprefix("manifest:"): value for key, value in settings.annotations.items()}
    return {key: value for key, value in found.items() if value is not None and not key.startswith("index:")}


def index_annotations(settings: Settings) -> dict[str, str]:
    """The annotations of the index that were asked for: `index:KEY`."""
    found = settings.annotations.items()
    return {key.removeprefix("index:"): value for key, value in found if value is not None and key.startswith("index:")}


def added(tree: ProjectTree, settings: Settings) -> tuple[LayerPlan, ...]:
    """The layer of what `--add SRC:DST[,chown=U[:G]][,chmod=MODE]` names; none where nothing is.

    SRC is a path of the project, as packed. A file goes to DST (below it where DST ends in `/`), the content of a
    folder goes below DST. `chmod` is that of files; folders stay 0755.
    """
    items = [item for text in settings.add for item in _added(text, tree)]
    if not items:
        return ()
    return (LayerPlan(title="added files", role="application", sources=(FilesSource(tuple(items)),)),)


def _added(text: str, tree: ProjectTree) -> list[FileItem]:
    place, *options = text.split(",")
    source, colon, target = place.rpartition(":")
    hint = "write it like `--add conf/app.toml:/etc/app.toml,chown=65532:65532,chmod=640`"
    if not colon or not source or not target.startswith("/") or ".." in target.split("/") or "\0" in target:
        raise AddError(f"`--add {text}` is not SRC:DST with an absolute DST", hint=hint)
    uid = gid = 0
    mode: int | None = None
    for option in options:
        name, _, value = option.partition("=")
        owner, permissions = _OWNER.fullmatch(value), _MODE.fullmatch(value)
        if name == "chown" and owner and int(owner[1]) <= _LARGEST_ID and int(owner[2] or 0) <= _LARGEST_ID:
            uid, gid = int(owner[1]), int(owner[2] or owner[1])
        elif name == "chmod" and permissions:
            mode = int(value, 8)
        else:
            raise AddError(f"`--add {text}`: `{option}` is not understood", hint=hint)
    path = posixpath.normpath(source).strip("/")
    within = "" if path == "." else path + "/"
    found = [file for file in tree.files if file.path == path or file.path.startswith(within)]
    if not found:
        raise AddMissingError(
            f"`--add {text}`: the project has no `{source}`, or does not pack it",
            hint="SRC is relative to the application's folder; ignore files and built-in exclusions apply to it",
        )
    single = found[0].kind != "directory" and found[0].path == path

    def item(file: TreeFile) -> FileItem:
        if single:
            name = posixpath.basename(path) if target.endswith("/") else ""
            place = posixpath.join(target, name) if name else target
        else:
            place = posixpath.join(target, file.path[len(within) :])
        own = mode if mode is not None and file.kind == "file" else file.mode
        return FileItem(
            path=posixpath.normpath(place),
            kind=file.kind,
            mode=own,
            digest=file.digest,
            size=file.size,
            target=file.target,
            source=file.path,
            uid=uid,
            gid=gid,
        )

    return [item(file) for file in found if file.path != path or single]
