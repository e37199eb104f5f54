"""Whether a lock still answers what is asked (specs/behaviour/lock.md, LOCK-5 to LOCK-7)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ociassemble.oci.digest import Digest
from ociassemble.plan.lock import Asked, Lock, Setting, plain
from ociassemble.plan.locked import LockedFacts
from ociassemble.plan.plan import ASSEMBLY_VERSION

_SHOWN = 5  # names in one reason


def stale(lock: Lock, asked: Asked, facts: Mapping[str, LockedFacts]) -> tuple[str, ...]:
    """Why `lock` does not answer `asked`, one reason a line for people; empty when it is fresh.

    `facts` are those of the bases the build stands on, by platform; they are held against the recorded ones only
    where the lock leaves the base open (a pinned base has the facts it was locked with).
    """
    return (*_asked(lock, asked), *_facts(lock, facts))


def _asked(lock: Lock, asked: Asked) -> list[str]:
    was, reasons = lock.asked, []
    if lock.assembly_version != ASSEMBLY_VERSION:
        reasons.append(f"the assembly-version is {ASSEMBLY_VERSION}, locked {lock.assembly_version}")
    if was.base != asked.base:
        reasons.append(f"the base is `{asked.base}`, locked `{was.base}`")
    if unlocked := set(asked.platforms) - set(was.platforms):
        reasons.append(f"{_names(tuple(unlocked))} is asked for, locked {_names(was.platforms)}")
    if was.kind != asked.kind:
        reasons.append(f"the kind is `{asked.kind}`, locked `{was.kind}`")
    before, now = _flat(was.settings), _flat(asked.settings)
    reasons += (
        f"the setting `{name}` is {now.get(name, 'unset')}, locked {before.get(name, 'unset')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    )
    return [*reasons, *_inputs(was.inputs, asked.inputs)]


def _inputs(was: Mapping[str, Digest], now: Mapping[str, Digest]) -> list[str]:
    changed = sorted(path for path in now if path in was and was[path] != now[path])
    new, gone = sorted(set(now) - set(was)), sorted(set(was) - set(now))
    pairs = ((changed, "changed since it was locked"), (new, "is new"), (gone, "is no longer an input"))
    return [f"{_names(paths)} {what}" for paths, what in pairs if paths]


def _facts(lock: Lock, facts: Mapping[str, LockedFacts]) -> list[str]:
    reasons = []
    for platform, found in sorted(facts.items()):
        locked = lock.platforms.get(platform)
        if locked is None or locked.base is not None:
            continue
        was = locked.facts
        if (was.python, was.free_threaded) != (found.python, found.free_threaded):
            reasons.append(f"the base for {platform} has {_python(found)}, locked for {_python(was)}")
        if was.node and was.node != found.node:  # "" where no Node mattered, or before there was this fact
            reasons.append(f"the base for {platform} has {_node(found)}, locked for {_node(was)}")
        if (was.libc, was.libc_version) != (found.libc, found.libc_version):
            reasons.append(f"the base for {platform} has {_libc(found)}, locked for {_libc(was)}")
    return reasons


def _names(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in sorted(names)[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _flat(settings: Mapping[str, Setting], prefix: str = "") -> dict[str, str]:
    """Settings by their dotted names, each as the JSON that a lock would have."""
    result: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            result.update(_flat(value, f"{prefix}{name}."))
        else:
            result[prefix + name] = f"`{json.dumps(plain(value), ensure_ascii=False)}`"
    return result


def _python(facts: LockedFacts) -> str:
    return f"Python {facts.python}{'t' if facts.free_threaded else ''}" if facts.python else "no Python"


def _node(facts: LockedFacts) -> str:
    return f"Node {facts.node}" if facts.node else "no Node whose version is known"


def _libc(facts: LockedFacts) -> str:
    return f"{facts.libc} {facts.libc_version}".strip() or "no libc"
