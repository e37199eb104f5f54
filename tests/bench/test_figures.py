"""Statistics, what is kept and what is shown of the suite."""

from __future__ import annotations

import json
from pathlib import Path

import figures
import pytest
import suite
from figures import Found, Target
from measure import Run, alternate


def runs(*seconds: float) -> list[Run]:
    return [Run(value, value / 2, 10 << 20, "") for value in seconds]


MACHINE = {
    "date": "2026-01-01", "cores": 2, "cpu": "a CPU", "memory": 8 << 30, "system": "Linux 6", "python": "3.13.1",
    "load": 0.1, "versions": {"crane": "0.20"},
}  # fmt: skip


def found() -> Found:
    return Found(
        name="cold-gzip",
        title="Cold",
        runs={"ociassemble": runs(1.0, 2.0, 1.5), "crane": runs(3.0, 4.0, 4.5), "gone": []},
        titles={"crane": "uv, tar, crane"},
        counts={"MB": 12.5},
        targets=(Target("as fast", 3.0, 2.0, "x", least=True, full=True), Target("size", 12.5, 10, "MB")),
        missing={"gone": "not installed"},
    )


def test_ratios_are_taken_within_rounds() -> None:
    # The machine was half as fast in the second round: pairs say 3, 2, 3; the ratio of medians would say 2.67.
    assert found().ratio("crane", "ociassemble") == 3.0
    assert figures.paired([1, 10, 2], [1, 5, 4]) == 1.0
    with pytest.raises(ValueError):
        figures.paired([1.0], [1.0, 2.0])


def test_medians_and_the_most_memory() -> None:
    one = found()._replace(runs={"a": [Run(3, 1, 5 << 20, ""), Run(1, 9, 7 << 20, ""), Run(2, 2, 6 << 20, "")]})
    assert (one.seconds("a"), one.cpu("a"), one.memory("a")) == (2, 2, 7)


@pytest.mark.parametrize(
    ("value", "limit", "least", "met"),
    [(1.5, 1.5, False, True), (1.51, 1.5, False, False), (2.0, 2.0, True, True), (1.99, 2.0, True, False)],
)
def test_a_limit_itself_is_met(value: float, limit: float, least: bool, met: bool) -> None:
    target = Target("what", value, limit, "x", least=least)
    assert target.met is met
    assert ("MISSED" in str(target)) is not met


def test_all_runs_are_kept_and_read_back() -> None:
    document = json.loads(json.dumps(figures.record(found(), MACHINE, 3)))
    assert [run["seconds"] for run in document["contenders"]["crane"]["runs"]] == [3.0, 4.0, 4.5]
    assert document["contenders"]["crane"]["median"] == {"seconds": 4.0, "cpu": 2.0}
    back = figures.read(document)
    assert "gone" not in back.runs
    assert figures.table(back) == figures.table(found())


def test_the_table_has_every_contender_every_count_and_what_was_missed() -> None:
    text = figures.table(found())
    assert "| uv, tar, crane | 4.00 s (3.00 to 4.50) | 2.00 s | 3.00 | 10 MiB |" in text
    assert "| ociassemble | 1.50 s (1.00 to 2.00) | 0.75 s |  | 10 MiB |" in text
    assert "Counted: MB 12.5." in text
    assert "| size | 12.5 MB | ≤ 10 MB | **missed** |" in text
    assert "| as fast | 3 x | ≥ 2 x | met |" in text
    assert "Left out: gone (not installed)." in text
    for line in text.splitlines():
        assert not line.startswith("|") or line.endswith("|")


@pytest.mark.parametrize(("value", "text"), [(3.0, "3"), (1234567.0, "1,234,567"), (0.8071, "0.807"), (12.34, "12.3"),
                                             (1234.5, "1,234"), (121.07, "121.1")])  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert figures.number(value) == text


def test_only_what_is_between_the_markers_changes() -> None:
    text = f"before\n{figures.BEGIN}\nold\n{figures.END}\nafter\n"
    new = figures.insert(text, "new\n")
    assert new == f"before\n{figures.BEGIN}\n\nnew\n\n{figures.END}\nafter\n"
    assert figures.insert(new, "new") == new


@pytest.mark.parametrize("text", ["", figures.BEGIN, figures.END + figures.BEGIN, figures.BEGIN * 2 + figures.END])
def test_text_without_its_markers_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="markers"):
        figures.insert(text, "new")


def test_a_report_tells_the_machine_once() -> None:
    document = figures.record(found(), MACHINE, 3)
    assert figures.report([document, document]).count("a CPU") == 1


def test_every_second_round_goes_the_other_way_and_the_first_does_not_count() -> None:
    order: list[str] = []

    def action(name: str, number: int) -> Run:
        order.append(f"{name}{number}")
        return Run(number, 0, 0, "")

    costs = alternate({name: lambda number, name=name: action(name, number) for name in "ab"}, 2)  # type: ignore[misc]
    assert order == ["b0", "a0", "a1", "b1", "b2", "a2"]
    assert [run.seconds for run in costs["a"]] == [1, 2]


def test_figures_of_a_quick_run_are_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme, picture = tmp_path / "README.md", tmp_path / "scenarios.svg"
    readme.write_text(f"{figures.BEGIN}{figures.END}")
    monkeypatch.setattr(suite, "README", readme)
    monkeypatch.setattr(suite, "PICTURE", picture)
    document = {**figures.record(found(), MACHINE, 3), "quick": True}
    (tmp_path / "cold-gzip.json").write_text(json.dumps(document))
    with pytest.raises(SystemExit, match="no figures"):
        suite.write(tmp_path)
    (tmp_path / "cold-gzip.json").write_text(json.dumps({**document, "quick": False}))
    suite.write(tmp_path)
    assert "uv, tar, crane" in readme.read_text()
    assert "uv, tar, crane" in picture.read_text()
