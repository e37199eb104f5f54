"""What the user stated, on top of what a kind decided: flags and settings always win."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import Any

from ociassemble.errors import ProjectError, UsageError
from ociassemble.plan.annotations import index_only
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import ConfigPlan, FileItem, FilesSource, LayerPlan, Reason
from ociassemble.project.settings import HealthcheckSettings, Settings
from ociassemble.project.tree import ProjectTree, TreeFile

_OWNER = re.compile(r"([0-9]{1,10})(?::([0-9]{1,10}))?", re.ASCII)
_MODE = re.compile(r"0?[0-7]{3}", re.ASCII)
_LARGEST_ID = 2**31 - 1
# Settings of a health check, and what the config calls them; Docker's extension, which config.md reserves.
_TIMES = (
    ("interval", "Interval"),
    ("timeout", "Timeout"),
    ("start_period", "StartPeriod"),
    ("start_interval", "StartInterval"),
    ("retries", "Retries"),
)


class HealthcheckError(UsageError):
    """A health check that cannot be, as it is asked for."""

    code = "usage.healthcheck"


class AddError(UsageError):
    """An `--add` that cannot be read."""

    code = "usage.add"


class AddMissingError(ProjectError):
    """An `--add` of something the project does not have, or does not pack."""

    code = "project.add"


def with_settings(config: ConfigPlan, settings: Settings, facts: BaseFacts) -> ConfigPlan:
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
        healthcheck=healthcheck(settings.healthcheck, facts),
    )


def healthcheck(stated: HealthcheckSettings, facts: BaseFacts) -> dict[str, Any] | None:
    """The config's `Healthcheck` as it was asked for; None where nothing was, {} where the base's is to go."""
    times = {key: value for name, key in _TIMES if (value := getattr(stated, name)) is not None}
    if stated.disable or stated.cmd == ("NONE",):
        if times or stated.cmd not in (None, ("NONE",)):
            raise HealthcheckError(
                "a health check that is disabled has neither a command nor times",
                hint="leave away `--healthcheck none`, or the other options",
            )
        return {"Test": ["NONE"]}
    if stated.cmd is None:
        return times or None
    if not stated.cmd:
        if times:
            raise HealthcheckError("times of a health check that has no command")
        return {}
    form, *words = stated.cmd
    if form == "CMD-SHELL":
        if len(words) != 1 or not _has(facts, "sh"):
            raise HealthcheckError(
                "a health check of the form CMD-SHELL takes one text, and needs a shell in the base",
                hint='name a program and its arguments: `--healthcheck-cmd "python -m app.health"`',
            )
        return {"Test": [form, *words], **times}
    test = words if form == "CMD" else [form, *words]
    if not test or not test[0]:
        raise HealthcheckError("the health check names no program")
    return {"Test": ["CMD", *test], **times}


def notes(settings: Settings, facts: BaseFacts, platforms: int) -> tuple[Reason, ...]:
    """What to tell of things that were asked for and will not work as they may be meant."""
    found = []
    cmd = settings.healthcheck.cmd or ()
    program = next((word for word in cmd if word != "CMD"), "")
    if program and cmd[0] not in ("CMD-SHELL", "NONE") and "/" not in program and not _has(facts, program):
        found.append(
            Reason(f"warning: the base has no program `{program}` on its PATH", "the health check would always fail")
        )
    lost = index_only(settings.annotations) if platforms == 1 else ()
    if lost:
        found.append(Reason(f"warning: left out: {', '.join(lost)}", "an image for one platform has no index"))
    return tuple(found)


def _has(facts: BaseFacts, program: str) -> bool:
    return any(posixpath.basename(path) == program for path in facts.programs)


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
