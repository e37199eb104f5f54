"""What makes a lock stale, and what does not (specs/behaviour/lock.md)."""

from __future__ import annotations

import pytest

from ociassemble.lock.freshness import stale
from ociassemble.plan.lock import Asked, Lock, LockedPlatform
from ociassemble.plan.locked import LockedFacts
from ociassemble.plan.locked_base import RegistryBase
from tests.plan.lock_examples import MANIFEST, facts, sha, written

PLATFORM = "linux/amd64"
ASKED = Asked(
    "distroless/python3",
    (PLATFORM, "linux/arm64"),
    "python",
    {"python": {"extras": ("web",)}, "layers": "auto"},
    {"pyproject.toml": sha("1"), "uv.lock": sha("2")},
)


def locked(*, base: RegistryBase | None = None) -> Lock:
    lock = Lock(
        created="2026-01-31T12:00:00Z",
        asked=ASKED,
        platforms={name: LockedPlatform(facts=facts(), base=base) for name in ASKED.platforms},
    )
    return Lock.parse(written(lock))


@pytest.mark.spec("LOCK-5")
def test_a_lock_that_answers_what_is_asked_is_fresh() -> None:
    # Some of the locked platforms: what is built on a developer's machine out of a lock for all.
    assert stale(locked(), ASKED._replace(platforms=(PLATFORM,)), {}) == ()
    # As a caller has it: lists in place of tuples, platforms in another order.
    asked = ASKED._replace(platforms=ASKED.platforms[::-1], settings={"layers": "auto", "python": {"extras": ["web"]}})

    assert stale(locked(), ASKED, {}) == ()
    assert stale(locked(), asked, {PLATFORM: facts()}) == ()


@pytest.mark.spec("LOCK-5")
@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (ASKED._replace(base="distroless/python3:debug"), "base is `distroless/python3:debug`"),
        (ASKED._replace(platforms=(PLATFORM, "linux/s390x")), "`linux/s390x` is asked for"),
        (ASKED._replace(kind="directory"), "kind is `directory`, locked `python`"),
        (ASKED._replace(settings={"layers": "auto"}), 'python.extras` is unset, locked `["web"]`'),
        (ASKED._replace(settings={**ASKED.settings, "layers": "single"}), '`layers` is `"single"`'),
        (ASKED._replace(settings={**ASKED.settings, "python": {"extras": ("web", "x")}}), "python.extras"),
        (ASKED._replace(settings={**ASKED.settings, "bytecode": True}), "`bytecode` is `true`, locked unset"),
        (ASKED._replace(inputs={**ASKED.inputs, "uv.lock": sha("3")}), "`uv.lock` changed"),
        (ASKED._replace(inputs={**ASKED.inputs, "lib/pyproject.toml": sha("3")}), "`lib/pyproject.toml` is new"),
        (ASKED._replace(inputs={"uv.lock": sha("2")}), "`pyproject.toml` is no longer an input"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_anything_asked_that_differs_makes_it_stale(asked: Asked, reason: str) -> None:
    (found,) = stale(locked(), asked, {})

    assert reason in found


@pytest.mark.spec("LOCK-5")
def test_another_assembly_version_makes_it_stale() -> None:
    (found,) = stale(locked()._replace(assembly_version=99), ASKED, {})

    assert "assembly-version" in found


@pytest.mark.spec("LOCK-6")
@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (facts(python="3.12", python_version="3.12.1"), "Python 3.12, locked for Python 3.13"),
        (facts(free_threaded=True), "Python 3.13t"),
        (facts(python=""), "no Python"),
        (facts(libc="musl", libc_version="1.2.5"), "musl 1.2.5, locked for glibc 2.41"),
        (facts(libc_version="2.36"), "glibc 2.36"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_facts_of_an_open_base_make_it_stale(found: LockedFacts, reason: str) -> None:
    (said,) = stale(locked(), ASKED, {PLATFORM: found})

    assert reason in said
    assert PLATFORM in said


@pytest.mark.spec("LOCK-6")
@pytest.mark.parametrize(
    ("node", "reason"), [("26", "Node 26, locked for Node 24"), ("", "no Node whose version is known, locked for")]
)
def test_another_node_of_an_open_base_makes_it_stale(node: str, reason: str) -> None:
    was = locked()._replace(platforms={PLATFORM: LockedPlatform(facts=facts(node="24", node_version="24.19.0"))})

    (said,) = stale(was, ASKED, {PLATFORM: facts(node=node)})

    assert reason in said
    assert stale(was, ASKED, {PLATFORM: facts(node="24", node_version="24.21.0")}) == ()


@pytest.mark.spec("LOCK-6")
def test_a_node_that_was_not_recorded_does_not_matter() -> None:
    assert stale(locked(), ASKED, {PLATFORM: facts(node="24", node_version="24.19.0")}) == ()


@pytest.mark.spec("LOCK-6")
def test_a_patch_release_of_an_open_base_does_not() -> None:
    assert stale(locked(), ASKED, {PLATFORM: facts(python_version="3.13.9", distribution_version="13.2")}) == ()


@pytest.mark.spec("LOCK-6")
def test_a_pinned_base_has_the_facts_it_was_locked_with() -> None:
    pinned = locked(base=RegistryBase(sha("m"), 10, MANIFEST, ()))

    assert stale(pinned, ASKED, {PLATFORM: facts(libc="musl")}) == ()


@pytest.mark.spec("LOCK-7")
def test_all_reasons_are_told() -> None:
    inputs = {f"requirements/{n}.txt": sha("x") for n in range(7)}
    asked = ASKED._replace(base="b", kind="k", inputs=inputs)
    reasons = stale(locked(), asked, {PLATFORM: facts(python="3.12"), "linux/arm64": facts(libc_version="2.36")})

    assert len(reasons) == 6
    assert any("and 2 more" in reason for reason in reasons)
