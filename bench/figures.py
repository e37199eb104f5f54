"""What the suite finds, as values: costs by contender, targets; kept as JSON, shown as a table in markdown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from measure import Run

OURS = "ociassemble"
BEGIN, END = "<!-- suite: begin -->", "<!-- suite: end -->"


class Target(NamedTuple):
    """A figure and its limit: at most, or at least, where `least`. `full` ones mean nothing with --quick."""

    what: str
    value: float
    limit: float
    unit: str
    least: bool = False
    full: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.least else self.value <= self.limit

    def __str__(self) -> str:
        bound = "at least" if self.least else "at most"
        return f"{self.what}: {number(self.value)} {self.unit}".rstrip() + (
            f" ({bound} {number(self.limit)}: {'met' if self.met else 'MISSED'})"
        )


class Found(NamedTuple):
    """What one scenario found: the runs of every contender in the order of the rounds, and what was counted."""

    name: str
    title: str
    runs: Mapping[str, Sequence[Run]]
    titles: Mapping[str, str]
    counts: Mapping[str, float]
    targets: Sequence[Target]
    missing: Mapping[str, str]  # contender -> why it is not there

    def seconds(self, name: str) -> float:
        """The median of wall time."""
        return statistics.median(run.seconds for run in self.runs[name])

    def cpu(self, name: str) -> float:
        """The median of CPU time, user and system."""
        return statistics.median(run.cpu for run in self.runs[name])

    def memory(self, name: str) -> float:
        """MiB: the most of all runs."""
        return max(run.memory for run in self.runs[name]) / (1 << 20)

    def ratio(self, name: str, to: str, field: str = "seconds") -> float:
        """How many times the cost of `to` that of `name` is: the median over the pairs of one round each."""
        return paired([getattr(run, field) for run in self.runs[name]], [getattr(run, field) for run in self.runs[to]])


def paired(values: Sequence[float], to: Sequence[float]) -> float:
    """The median of the ratios of values of the same round: a machine that gets slower slows both of a pair."""
    return statistics.median(value / max(other, 1e-9) for value, other in zip(values, to, strict=True))


def number(value: float) -> str:
    """Three digits that count, or four; whole numbers as they are."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"


def record(found: Found, machine: Mapping[str, Any], pairs: int) -> dict[str, Any]:
    """All that was found, every single run too, as JSON has it; seconds and bytes."""
    return {
        "scenario": found.name,
        "title": found.title,
        "machine": dict(machine),
        "pairs": pairs,
        "contenders": {
            name: {
                "title": found.titles.get(name, name),
                "median": {"seconds": found.seconds(name), "cpu": found.cpu(name)},
                "runs": [{"seconds": run.seconds, "cpu": run.cpu, "memory": run.memory} for run in runs],
            }
            for name, runs in found.runs.items()
            if runs
        },
        "counts": dict(found.counts),
        "targets": [{**target._asdict(), "met": target.met} for target in found.targets],
        "missing": dict(found.missing),
    }


def read(data: Mapping[str, Any]) -> Found:
    """The other way round."""
    fields = Target._fields
    return Found(
        name=data["scenario"],
        title=data["title"],
        runs={
            name: [Run(run["seconds"], run["cpu"], run["memory"], "") for run in one["runs"]]
            for name, one in data["contenders"].items()
        },
        titles={name: one["title"] for name, one in data["contenders"].items()},
        counts=data["counts"],
        targets=[Target(**{field: target[field] for field in fields}) for target in data["targets"]],
        missing=data["missing"],
    )


def table(found: Found) -> str:
    """One scenario in markdown: who took how long, what was counted, which targets are met."""
    lines = [f"**{found.title}**", ""]
    if found.runs:
        lines += ["| how | wall | CPU | times ours | memory |", "|---|--:|--:|--:|--:|"]
        for name, runs in found.runs.items():
            if not runs:
                continue
            times = "" if name == OURS or OURS not in found.runs else f"{found.ratio(name, OURS):.2f}"
            walls = [run.seconds for run in runs]
            spread = f" ({min(walls):.2f} to {max(walls):.2f})" if len(walls) > 1 else ""
            cells = (
                found.titles.get(name, name),
                f"{found.seconds(name):.2f} s{spread}",
                f"{found.cpu(name):.2f} s",
                times,
                f"{found.memory(name):.0f} MiB",
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    if found.counts:
        lines += ["Counted: " + "; ".join(f"{what} {number(value)}" for what, value in found.counts.items()) + ".", ""]
    if found.targets:
        lines += ["| target | found | limit | |", "|---|--:|--:|---|"]
        for target in found.targets:
            limit = f"{'≥' if target.least else '≤'} {number(target.limit)} {target.unit}".rstrip()
            # Where a target is missed by a hair, three digits would not show it.
            found_as = number(target.value) if target.met else f"{target.value:,.4g}"
            value = f"{found_as} {target.unit}".rstrip()
            lines.append(f"| {target.what} | {value} | {limit} | {'met' if target.met else '**missed**'} |")
        lines.append("")
    if found.missing:
        lines += ["Left out: " + "; ".join(f"{name} ({why})" for name, why in found.missing.items()) + ".", ""]
    return "\n".join(lines)


def heading(machine: Mapping[str, Any], pairs: int) -> str:
    """The machine, in a paragraph."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['date']}, {machine['cores']} cores ({machine['cpu']}), {machine['memory'] / (1 << 30):.0f} GiB, "
        f"{machine['system']}, Python {machine['python']}, {pairs} pairs in turn, load before {machine['load']:.1f}.\n"
        f"{versions}."
    )


def report(documents: Sequence[Mapping[str, Any]]) -> str:
    """Everything between the markers of bench/README.md. Machines are told once, where they are the same."""
    parts: list[str] = []
    told = ""
    for document in documents:
        about = heading(document["machine"], document["pairs"])
        if about != told:
            parts.append(about + "\n")
            told = about
        parts.append(table(read(document)))
    return "\n".join(parts)


def insert(text: str, generated: str) -> str:
    """`text` with what is between its markers replaced. Raises ValueError where they are not there once, in order."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the markers {BEGIN} and {END} must be there, once each")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{generated.strip()}\n\n{END}{after}"


def load(folder: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """The documents of these scenarios that are in `folder`."""
    return [json.loads(path.read_text()) for name in names if (path := folder / f"{name}.json").is_file()]
