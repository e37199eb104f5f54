"""Nothing is there but wheels and base: every layer is made and pushed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import measure
from figures import OURS, Found, Target
from lab import Lab
from measure import Action, Run
from rivals import METHODS

GZIP, ZSTD = "app", "app-zstd"
SETTINGS = {GZIP: "", ZSTD: 'compression = "zstd"\n'}


def actions(name: str, rivals: Sequence[str], lab: Lab) -> dict[str, Action]:
    """Every layer is made and pushed, into a registry that has the base and nothing else; sizes are noted."""
    lab.app()
    app = lab.app(name, settings=SETTINGS[name])

    def ours(_: int) -> Run:
        lab.forget_layers(app)
        lab.registry.fresh()
        cost = lab.build(app, f"bench/{OURS}", "--no-cache")
        lab.noted[f"MB of {OURS}"] = lab.registry.added(f"bench/{OURS}") / 1e6
        return cost

    def rival(method: str, _: int) -> Run:
        lab.registry.fresh()
        cost = lab.method(method, "first", lab.place(method, app))
        lab.noted[f"MB of {METHODS[method].title}"] = lab.registry.added(f"bench/{method}") / 1e6
        return cost

    wheels = [str(path) for path in lab.wheels()]
    codec = "zstd" if name == ZSTD else "gzip"
    command = [sys.executable, str(Path(__file__).with_name("limit.py")), codec, "2", *wheels]
    return {
        OURS: ours,
        "limit": lambda _: measure.run(command, environment=lab.environment),
        **{method: partial(rival, method) for method in lab.rivals(rivals)},
    }


def noted(lab: Lab) -> dict[str, float]:
    """What the actions have noted."""
    return dict(lab.noted)


def targets(size: float, ratios: dict[str, float], found: Found) -> list[Target]:
    return [
        *(
            Target(f"as fast as {METHODS[name].title}", found.ratio(name, OURS), least, "x", least=True, full=True)
            for name, least in ratios.items()
            if found.runs.get(name)
        ),
        Target("times the libraries alone", found.ratio(OURS, "limit"), 1.5, "", full=True),
        Target("layers above the base", found.counts[f"MB of {OURS}"], size, "MB"),
    ]
