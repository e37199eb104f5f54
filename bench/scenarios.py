"""The scenarios: for each what is made ready, who takes turns, what is counted, and what must come out.

Actions are called with the number of a round; what they do before and after the one program whose cost they return is
not timed. Counting is never timed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import again
import cold
import questions
import runner
import sizes
from figures import OURS, Found, Target
from lab import Lab, change
from measure import Action
from rivals import COPYING, METHODS, READING

MEMORY = 150.0  # MiB, the limit for every program of ours


def none(_: Lab) -> dict[str, Action]:
    return {}


def nothing(_: Lab) -> dict[str, float]:
    return {}


class Scenario(NamedTuple):
    """`actions`: contender -> what it does in a round, ours first; `counts`: what is counted afterwards."""

    title: str
    actions: Callable[[Lab], dict[str, Action]]
    targets: Callable[[Found], list[Target]]
    counts: Callable[[Lab], dict[str, float]] = nothing
    most: int = 99  # rounds; where one says it all


def titles(names: Sequence[str]) -> dict[str, str]:
    return {name: METHODS[name].title if name in METHODS else TITLES.get(name, name) for name in names}


TITLES = {
    "limit": "the libraries alone: inflate, hashes, compress",
    "python": 'python -c "import requests, click"',
    "uv-install": "uv pip install ociassemble, then ociassemble",
    "pip-install": "pip install ociassemble, then ociassemble",
}


def no_targets(_: Found) -> list[Target]:
    return []


COLD = ("crane", "crane-pigz", "crane-igzip", "umoci", "buildah", "buildkit")
COLD_ZSTD = ("crane", "crane-zstd", "buildkit-zstd")

SCENARIOS = {
    "startup": Scenario("Start-up", questions.startup_actions, questions.startup_targets, questions.startup_counts),
    "unchanged": Scenario(
        "Nothing changed, pushed",
        partial(again.actions, None, ("crane", "buildkit")),
        again.unchanged_targets,
        again.unchanged_counts,
    ),
    "changed": Scenario(
        "One application file changed, pushed",
        partial(again.actions, change, again.KEPT),
        again.changed_targets,
        again.changed_counts,
    ),
    "fresh": Scenario(
        "Fresh runner, warm registry, a lock; one file changed", runner.actions, runner.targets, runner.counts
    ),
    "bumped": Scenario("One dependency bumped, pushed", again.bump_actions, again.bump_targets, again.bump_counts),
    "ten": Scenario("Ten applications with the same requirements", none, sizes.ten_targets, sizes.ten_counts),
    "cold-gzip": Scenario(
        "Cold, gzip: wheels at hand, no layer, pushed",
        partial(cold.actions, cold.GZIP, COLD),
        partial(cold.targets, 121.0, {"crane": 2.0, "crane-igzip": 1.3}),
        cold.noted,
    ),
    "cold-zstd": Scenario(
        "Cold, zstd: wheels at hand, no layer, pushed",
        partial(cold.actions, cold.ZSTD, COLD_ZSTD),
        partial(cold.targets, 108.0, {"crane": 3.0, "crane-zstd": 1.0}),
        cold.noted,
    ),
    "memory": Scenario("Wheels of 2 GiB: memory", sizes.stack_actions, no_targets, sizes.stack_counts, most=1),
    "reading": Scenario("One question to a registry", partial(questions.asked, READING), no_targets),
    "copying": Scenario("One image copied", partial(questions.asked, COPYING), no_targets),
}


def with_memory(scenario: Scenario, found: Found) -> list[Target]:
    """A scenario's targets, and that of memory for what builds or locks."""
    return [
        *scenario.targets(found),
        *(
            Target(f"memory of {name}" if name != OURS else "memory", found.memory(name), MEMORY, "MiB")
            for name, runs in found.runs.items()
            if name in (OURS, "ociassemble lock", "ociassemble build") and runs
        ),
    ]
