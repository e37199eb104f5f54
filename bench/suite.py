"""The scenarios that people wait for, ours and rivals in turn, on this machine; bench/README.md explains them.

    python bench/suite.py [SCENARIO...] [--pairs 5] [--quick]
    python bench/suite.py --write          # only bench/README.md and bench/scenarios.svg, from what is in build/bench

Every single run is kept in build/bench/SCENARIO.json. The status is 1 where a target is missed. Debian's mirror and the
Python index are asked before anything is timed; what is timed speaks with loopback only.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from types import FrameType

import figures
import machine
import plot
from figures import OURS, Found
from lab import Lab, hidden, say
from measure import REPOSITORY, Action, Failed, Run, alternate
from scenarios import SCENARIOS, titles, with_memory

OUTPUT = REPOSITORY / "build" / "bench"
README, PICTURE = REPOSITORY / "bench" / "README.md", REPOSITORY / "bench" / "scenarios.svg"
PLOTTED = ("cold-gzip", "cold-zstd", "changed", "unchanged", "bumped")


def told(contender: str, action: Action, number: int) -> Run:
    """One run, and a line about it: the rest may take long."""
    cost = action(number)
    say(f"  {number or 'rehearsal'}: {contender} {cost.seconds:.2f} s, {cost.cpu:.2f} s of CPU")
    return cost


def measured(name: str, lab: Lab, pairs: int) -> Found:
    """One scenario: a round that does not count, in which rivals that do not work here are dropped; then the pairs."""
    scenario = SCENARIOS[name]
    say(f"{name}: ready")
    lab.missing.clear()
    actions = scenario.actions(lab)
    for contender, action in list(actions.items()):
        actions[contender] = partial(told, contender, action)
        try:
            actions[contender](0)
        except Failed as error:
            if contender.startswith(OURS):
                raise
            lab.missing[contender] = " ".join(hidden(str(error)).split())[:300]
            say(f"{name}: without {contender}: {error}")
            del actions[contender]
    say(f"{name}: {min(pairs, scenario.most)} rounds of {len(actions)}")
    runs: dict[str, list[Run]] = alternate(actions, min(pairs, scenario.most), rehearse=False)
    say(f"{name}: counting")
    counts = scenario.counts(lab)
    found = Found(name, scenario.title, runs, titles(list(runs)), counts, (), dict(lab.missing))
    lab.tidy()
    return found._replace(targets=with_memory(scenario, found))


def picture(found: list[Found]) -> str:
    """Medians of wall time, a group a scenario."""
    groups = [
        plot.Group(
            one.title,
            tuple(
                plot.Bar(one.titles.get(name, name), one.seconds(name), name == OURS)
                for name, runs in one.runs.items()
                if runs
            ),
        )
        for one in sorted((one for one in found if one.name in PLOTTED), key=lambda one: PLOTTED.index(one.name))
    ]
    return plot.svg(groups, "Seconds to a pushed image")


def write(folder: Path) -> None:
    """bench/README.md and the picture, from the documents in `folder`."""
    documents = [found for found in figures.load(folder, list(SCENARIOS)) if not found["quick"]]
    if not documents:
        sys.exit(f"error: no figures of a whole run in {folder}")
    README.write_text(figures.insert(README.read_text(), figures.report(documents)))
    PICTURE.write_text(picture([figures.read(document) for document in documents]))
    say(f"written: {README.name}, {PICTURE.name}, from {len(documents)} scenarios")


def stop(number: int, _: FrameType | None) -> None:
    """A signal ends the run as an error does: what was started is stopped, what was made is removed."""
    sys.exit(128 + number)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("scenario", nargs="*", help=f"{', '.join(SCENARIOS)} (all, if none is named)")
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="rounds that count (default 5)")
    parser.add_argument("--quick", action="store_true", help="two packages and one pair: does it work at all?")
    parser.add_argument("--path", type=Path, action="append", default=[], metavar="DIR", help="where more rivals are")
    parser.add_argument("--rivals", metavar="LIST", help="only these, e.g. crane,buildkit (default all that are here)")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR", help="where the JSON goes")
    parser.add_argument("--write", action="store_true", help="write README.md and the picture")
    asked = parser.parse_args()
    for name in asked.scenario:
        if name not in SCENARIOS:
            parser.error(f"no such scenario: {name}; there are {', '.join(SCENARIOS)}")
    if asked.write and not asked.scenario:
        write(asked.output)
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    pairs = 1 if asked.quick else asked.pairs
    missed: list[str] = []
    asked.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ociassemble-bench-", ignore_cleanup_errors=True) as folder:
        lab = Lab(Path(folder), quick=asked.quick, places=asked.path, only=asked.rivals)
        try:
            about = machine.about(lab.path)
            lab.prepare()
            print(figures.heading(about, pairs) + "\n", flush=True)
            for name in asked.scenario or SCENARIOS:
                found = measured(name, lab, pairs)
                document = {**figures.record(found, about, pairs), "quick": asked.quick}
                (asked.output / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
                print(figures.table(found), flush=True)
                # With two packages and one pair, times mean nothing; what is counted does.
                missed += [f"{name}: {one}" for one in found.targets if not (one.met or (asked.quick and one.full))]
        except Failed as error:
            sys.exit(f"error: {error}")
        finally:
            lab.close()
    if asked.write:
        write(asked.output)
    if missed:
        sys.exit("missed:\n  " + "\n  ".join(missed))
    print("every target is met" + (" (those of time are not judged)" if asked.quick else ""))


if __name__ == "__main__":
    main()
