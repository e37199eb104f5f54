"""Merging is a function of base and change, done once or twice alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.plan.merge import merge
from ociassemble.plan.plan import ConfigPlan

NAMES = st.sampled_from(["A", "B", "PATH", "org.opencontainers.image.title", "containerd.io/x", "x.y"])
WORDS = st.lists(st.sampled_from(["/a", "b", "-c", ""]), max_size=3)
PORTS = st.sampled_from(["80/tcp", "80/udp", "8080/tcp"])
VOLUMES = st.sampled_from(["/a", "/b", "/b-"])


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def bases(draw: st.DrawFn) -> dict[str, Any]:
    full = {
        "Env": draw(st.lists(st.builds("{}={}".format, NAMES, st.sampled_from(["", "1", "x=y"])), max_size=4)),
        "Labels": draw(st.dictionaries(NAMES, st.sampled_from(["", "1"]), max_size=4)),
        "ExposedPorts": {port: {} for port in draw(st.lists(PORTS, max_size=2))},
        "Volumes": {volume: {} for volume in draw(st.lists(VOLUMES, max_size=2))},
        "Entrypoint": draw(WORDS),
        "Cmd": draw(WORDS),
        "User": draw(st.sampled_from(["", "65532"])),
        "Healthcheck": {"Test": ["CMD", "/base"], "Interval": 5},
        "Unknown": draw(st.integers()),
    }
    return {key: value for key, value in full.items() if draw(st.booleans()) or key == "Healthcheck"}


@st.composite
def changes(draw: st.DrawFn) -> ConfigPlan:
    def minus(texts: st.SearchStrategy[str]) -> tuple[str, ...]:
        return tuple(draw(st.lists(texts | texts.map(lambda text: text + "-"), max_size=4)))

    times = st.fixed_dictionaries({}, optional={"Interval": st.integers(0, 9), "Retries": st.integers(0, 9)})
    checks = times | times.map(lambda found: {"Test": ["CMD", "/x"], **found}) | st.just({"Test": ["NONE"]})
    return ConfigPlan(
        entrypoint=draw(optional(WORDS.map(tuple))),
        cmd=draw(optional(WORDS.map(tuple))),
        env=draw(st.dictionaries(NAMES, optional(st.sampled_from(["", "2"])), max_size=4)),
        labels=draw(st.dictionaries(NAMES, optional(st.sampled_from(["", "2"])), max_size=4)),
        user=draw(optional(st.sampled_from(["", "1000:1000"]))),
        ports=minus(PORTS),
        volumes=minus(VOLUMES),
        healthcheck=draw(optional(checks)),
    )


@pytest.mark.spec("MERGE-7")
@given(bases(), changes())
def test_merging_again_changes_nothing(base: dict[str, Any], change: ConfigPlan) -> None:
    once = merge(base, change)

    assert json.dumps(merge(once, change)) == json.dumps(once)


@pytest.mark.spec("MERGE-1")
@given(bases(), changes())
def test_a_merge_leaves_the_base_alone(base: dict[str, Any], change: ConfigPlan) -> None:
    before = json.dumps(base)
    result = merge(base, change)

    assert json.dumps(base) == before
    assert result.get("Unknown") == base.get("Unknown")
