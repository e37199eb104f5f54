"""Killed at every file operation, killed at any time, out of disk at every write (specs/behaviour/failure.md).

After each: nothing wrong is ever used, nothing that was there is lost, and the next run needs no clean-up.
A sample by default; every point under `long`, with the counts in build/reliability/.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.failure.scene import scene_below
from tests.figures import kept
from tests.reliability.scenarios import SCENARIOS, Stage
from tests.reliability.zygote import Fault, Outcome, Zygote

SAMPLE = 9  # points of a scenario in the default run
KILLS = 1000  # at random times, over all scenarios, in the long run


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as made:
        yield made


@pytest.fixture(params=SCENARIOS, ids=lambda scenario: scenario.name.replace(" ", "-"))
def stage(request: pytest.FixtureRequest, tmp_path: Path, zygote: Zygote) -> Iterator[Stage]:
    with scene_below(tmp_path) as scene:
        yield Stage(scene, zygote, request.param)


class Ending:
    """What a scenario leaves when nothing goes wrong, and what may be seen when something does."""

    def __init__(self, stage: Stage) -> None:
        stage.reset()
        self.stage = stage
        self.before = stage.seen()
        self.done = stage.run(Fault())
        assert self.done.status == 0, self.done.err
        assert (self.done.forked > 1) == stage.scenario.apart
        self.after = stage.seen()
        stage.check_layouts()
        stage.check_store()

    def check_between(self, why: str) -> None:
        """After a fault: each thing that others see is as it was before or as it would be after, and whole."""
        for path, what in self.stage.seen().items():
            assert what in (self.before.get(path), self.after.get(path)), f"{why}: {path} is neither old nor new"
        for path, what in self.before.items():
            if self.after.get(path) == what:
                assert self.stage.seen().get(path) == what, f"{why}: {path} is gone or changed"
        self.stage.check_layouts()
        self.stage.check_store()
        for argv in self.stage.scenario.works_after:
            self.stage.good(*argv)

    def check_said(self, done: Outcome, why: str) -> None:
        """The result on standard output, where it does not tell how much there was to do."""
        if self.stage.scenario.says_the_same:
            assert done.out == self.done.out, why

    def check_next(self, why: str) -> None:
        """The next run, without any cleaning: the same result, and nothing temporary is left anywhere."""
        again = self.stage.run(Fault())
        assert again.status == 0, f"{why}, then again: [exit {again.status}]\n{again.err}"
        self.check_said(again, why)
        assert self.stage.seen() == self.after, why
        self.stage.check_layouts()
        self.stage.check_store()
        self.stage.check_swept()


def points(total: int, count: int | None) -> list[int]:
    """`count` of the numbers 1 to `total`, evenly and with both ends; None: all."""
    if count is None or count >= total:
        return list(range(1, total + 1))
    return sorted({1 + round(number * (total - 1) / (count - 1)) for number in range(count)})


def killed_at(stage: Stage, count: int | None) -> int:
    ending = Ending(stage)
    chosen = points(ending.done.points, count)
    for number in chosen:
        stage.reset()
        done = stage.run(Fault("kill", number))
        # Threads make the number of operations differ a little from run to run.
        assert done.status in (-9, 0), f"{number}: [exit {done.status}]\n{done.err}"
        why = f"killed at operation {number} of {ending.done.points}"
        ending.check_between(why)
        ending.check_next(why)
    return len(chosen)


def full_at(stage: Stage, count: int | None, error: int, below: tuple[str, ...]) -> int:
    ending = Ending(stage)
    chosen = points(ending.done.points, count)
    for number in chosen:
        stage.reset()
        done = stage.run(Fault("full", number, below, error))
        why = f"{errno.errorcode[error]} from operation {number} of {ending.done.points} on"
        shown = f"{why}: [exit {done.status}]\n{done.err}"
        assert done.status in (0, 11), shown
        assert "Traceback" not in done.err, shown
        if done.status:
            assert done.out == "", shown
            assert "error: " in done.err, shown
        else:
            ending.check_said(done, why)
        ending.check_between(why)
        ending.check_next(why)
    return len(chosen)


@pytest.mark.spec("FAIL-5")
def test_killed_at_a_file_operation(stage: Stage) -> None:
    assert killed_at(stage, SAMPLE)


@pytest.mark.long
@pytest.mark.spec("FAIL-5")
def test_killed_at_every_file_operation(stage: Stage) -> None:
    done = killed_at(stage, None)
    name = stage.scenario.name
    kept(f"kill {name}", what=f"SIGKILL at every file operation: {name}", tried=done, survived=done)


@pytest.mark.spec("FAIL-1")
def test_the_disk_is_full(stage: Stage) -> None:
    assert full_at(stage, SAMPLE // 2, errno.ENOSPC, ())


@pytest.mark.spec("FAIL-8")
def test_only_the_disk_of_the_cache_is_full(stage: Stage) -> None:
    """What needs no local name is built all the same."""
    assert full_at(stage, SAMPLE // 2, errno.EDQUOT, (str(stage.scene.cache),))


@pytest.mark.long
@pytest.mark.spec("FAIL-1", "FAIL-8")
def test_the_disk_is_full_at_every_write(stage: Stage) -> None:
    everywhere = full_at(stage, None, errno.ENOSPC, ())
    cache = full_at(stage, None, errno.EDQUOT, (str(stage.scene.cache),))
    name, done = stage.scenario.name, everywhere + cache
    kept(f"full {name}", what=f"disk full from each write on: {name}", tried=done, survived=done)


@pytest.mark.long
@pytest.mark.spec("FAIL-5")
def test_killed_at_any_time(stage: Stage) -> None:
    ending = Ending(stage)
    stage.reset()
    began = time.monotonic()
    stage.run(Fault())
    whole = max(5, int((time.monotonic() - began) * 1000))
    chance = random.Random(stage.scenario.name)
    killed = 0
    while killed < KILLS // len(SCENARIOS) + 1:
        stage.reset()
        after = chance.randint(1, whole)
        done = stage.run(Fault("after", after))
        assert done.status in (-9, 0), f"[exit {done.status}]\n{done.err}"
        killed += done.status != 0
        ending.check_between(f"killed after {after} ms of {whole}")
        ending.check_next(f"killed after {after} ms of {whole}")
    name = stage.scenario.name
    kept(f"random {name}", what="SIGKILL at random times, over all scenarios", tried=killed, survived=killed)
