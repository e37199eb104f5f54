"""What the user stated, on top of what a kind decided: flags and settings always win."""

from __future__ import annotations

from dataclasses import replace

from ociassemble.plan.plan import ConfigPlan
from ociassemble.project.settings import Settings


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
