"""The plan's change on the base's config: the tables of specs/behaviour/config-merge.md, and what they cannot say."""

from __future__ import annotations

import json

import pytest

from ociassemble.errors import UsageError
from ociassemble.plan.merge import environment, merge, port, user
from ociassemble.plan.plan import ConfigPlan
from tests.spec_tables import cases


def value(text: str) -> object:
    text = text.strip("`")
    return None if text in ("-", "none") else json.loads(text)


@pytest.mark.spec("MERGE-2")
@pytest.mark.parametrize("case", cases("config-merge.md", "start"), ids=str)
def test_entrypoint_and_command(case: dict[str, str]) -> None:
    base = {
        key: found
        for key, found in (("Entrypoint", value(case["base entrypoint"])), ("Cmd", value(case["base cmd"])))
        if found
    }
    entrypoint, cmd = value(case["--entrypoint"]), value(case["--cmd"])
    change = ConfigPlan(
        entrypoint=None if entrypoint is None else tuple(entrypoint),  # type: ignore[arg-type]
        cmd=None if cmd is None else tuple(cmd),  # type: ignore[arg-type]
    )
    result = merge(base, change)
    assert result.get("Entrypoint") == value(case["entrypoint"])
    assert result.get("Cmd") == value(case["cmd"])


@pytest.mark.spec("MERGE-3")
@pytest.mark.parametrize("case", cases("config-merge.md", "maps"), ids=str)
def test_environment(case: dict[str, str]) -> None:
    assert environment(value(case["base"]), value(case["change"])) == value(case["result"])  # type: ignore[arg-type]


@pytest.mark.spec("MERGE-5")
@pytest.mark.parametrize("case", cases("config-merge.md", "ports"), ids=str)
def test_ports(case: dict[str, str]) -> None:
    change = ConfigPlan(ports=tuple(value(case["change"])))  # type: ignore[arg-type]
    result = merge({"ExposedPorts": value(case["base"])}, change)
    assert json.dumps(result.get("ExposedPorts")) == json.dumps(value(case["result"]))


@pytest.mark.spec("MERGE-1")
def test_unknown_keys_survive() -> None:
    base = {"Healthcheck": {"Test": ["CMD", "/x"]}, "X-New": 1, "OnBuild": ["RUN x"]}
    assert merge(base, ConfigPlan(user="1000")) == {**base, "User": "1000"}


@pytest.mark.spec("MERGE-4")
def test_labels_merge_and_active_ones_stay_behind() -> None:
    base = {"Labels": {"containerd.io/restart.status": "running", "a": "1", "b": "2"}}
    assert merge(base, ConfigPlan(labels={"b": None, "c": "3"}))["Labels"] == {"a": "1", "c": "3"}


@pytest.mark.spec("MERGE-6")
def test_empty_values_remove() -> None:
    base = {"User": "65532", "WorkingDir": "/home/nonroot", "StopSignal": "SIGINT"}
    assert merge(base, ConfigPlan(user=None, workdir="", stop_signal="")) == {"User": "65532"}
    assert merge(base, ConfigPlan(user="")) == {"WorkingDir": "/home/nonroot", "StopSignal": "SIGINT"}


@pytest.mark.parametrize("text", ["", "-1", "0", "65536", "80/icmp", "http", "8080/", "\uff18\uff10", "9" * 5000])
@pytest.mark.spec("MERGE-5")
def test_refuses_what_is_no_port(text: str) -> None:
    if text == "8080/":
        assert port(text) == "8080/tcp"
        return
    with pytest.raises(UsageError):
        port(text)


@pytest.mark.spec("MERGE-6")
@pytest.mark.parametrize("text", ["2147483648", "0:4294967296", "a b", "-1", ":", "1:2:3", "1000:", "9" * 5000])
def test_refuses_users_that_runtimes_read_differently(text: str) -> None:
    with pytest.raises(UsageError):
        user(text)


@pytest.mark.spec("MERGE-6")
def test_a_working_directory_is_absolute() -> None:
    with pytest.raises(UsageError, match="absolute"):
        merge({}, ConfigPlan(workdir="app"))


@pytest.mark.spec("MERGE-5")
@pytest.mark.parametrize("case", cases("config-merge.md", "volumes"), ids=str)
def test_volumes(case: dict[str, str]) -> None:
    result = merge({"Volumes": value(case["base"])}, ConfigPlan(volumes=tuple(value(case["change"]))))  # type: ignore[arg-type]
    assert result.get("Volumes") == value(case["result"])


@pytest.mark.spec("MERGE-4")
def test_labels_that_describe_the_base_stay_behind_unless_they_are_set() -> None:
    base = {"Labels": {"org.opencontainers.image.title": "Debian", "org.label-schema.name": "debian", "x": "1"}}

    assert merge(base, ConfigPlan())["Labels"] == {"x": "1"}
    stated = ConfigPlan(labels={"org.opencontainers.image.title": "mine"})
    assert merge(base, stated)["Labels"] == {"org.opencontainers.image.title": "mine", "x": "1"}


@pytest.mark.spec("MERGE-8")
def test_the_bases_health_check_stays_where_nobody_says_anything() -> None:
    base = {"Healthcheck": {"Test": ["CMD", "/x"], "Interval": 5}}

    assert merge(base, ConfigPlan()) == base
    assert merge(base, ConfigPlan(healthcheck={})) == {}
