"""What the user stated, on top of what a kind decided: flags and settings always win."""

from __future__ import annotations

import posixpath
from typing import Any

from ociassemble.errors import UsageError
from ociassemble.plan.annotations import index_only
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import ConfigPlan, Reason
from ociassemble.project.settings import HealthcheckSettings, Settings

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


def with_settings(config: ConfigPlan, settings: Settings, facts: BaseFacts) -> ConfigPlan:
    """The kind's config change with the settings' own values in it. Start commands are the kind's business."""
    return config._replace(
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
