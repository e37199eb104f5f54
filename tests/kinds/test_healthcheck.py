"""Health checks as they are asked for, on a base: the table of specs/behaviour/config-merge.md."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ociassemble.errors import UsageError
from ociassemble.kinds.stated import healthcheck, notes, with_settings
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.merge import merge
from ociassemble.plan.plan import ConfigPlan
from ociassemble.project import keys
from ociassemble.project.settings import HealthcheckSettings, Settings
from tests.spec_tables import cases

AMD64 = Platform.parse("linux/amd64")
BARE = BaseFacts(platform=AMD64, programs=("/usr/bin/python3",))
WITH_SHELL = BaseFacts(platform=AMD64, programs=("/usr/bin/sh",))


def stated(options: dict[str, Any]) -> Settings:
    return Settings(healthcheck=HealthcheckSettings(**keys.fields(options, keys.HEALTHCHECK_KEYS)))


@pytest.mark.spec("MERGE-8", "MERGE-9")
@pytest.mark.parametrize("case", cases("config-merge.md", "health"), ids=str)
def test_health_checks(case: dict[str, str]) -> None:
    base = {} if case["base"] == "none" else {"Healthcheck": json.loads(case["base"])}
    options = json.loads(case["options"])
    if case["result"] == "error":
        with pytest.raises(UsageError):
            merge(base, with_settings(ConfigPlan(), stated(options), BARE))
        return
    result = merge(base, with_settings(ConfigPlan(), stated(options), BARE))
    assert result == ({} if case["result"] == "none" else {"Healthcheck": json.loads(case["result"])})


@pytest.mark.spec("MERGE-8")
def test_a_shell_form_where_the_base_has_a_shell() -> None:
    asked = HealthcheckSettings(cmd=("CMD-SHELL", "test -e /tmp/ok || exit 1"))

    assert healthcheck(asked, WITH_SHELL) == {"Test": ["CMD-SHELL", "test -e /tmp/ok || exit 1"]}
    with pytest.raises(UsageError, match="needs a shell"):
        healthcheck(asked, BARE)


@pytest.mark.spec("MERGE-8", "MERGE-10")
@pytest.mark.parametrize(
    ("settings", "platforms", "words"),
    [
        (stated({"cmd": "curl -f http://127.0.0.1"}), 1, "no program `curl`"),
        (stated({"cmd": ["CMD", "curl"]}), 1, "no program `curl`"),
        (stated({"cmd": "python3 -c 1"}), 1, ""),
        (stated({"cmd": "/app/health"}), 1, ""),
        (stated({"disable": True}), 1, ""),
        (Settings(annotations={"index:a": "1"}), 1, "index:a"),
        (Settings(annotations={"index:a": "1"}), 2, ""),
        (Settings(annotations={"a": "1"}), 1, ""),
    ],
)
def test_what_is_told_of_what_will_not_work(settings: Settings, platforms: int, words: str) -> None:
    told = notes(settings, BARE, platforms)

    assert bool(told) == bool(words)
    assert all(words in decision and decision.startswith("warning: ") for decision, _ in told)
