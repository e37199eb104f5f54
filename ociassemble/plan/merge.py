"""How the plan's config change lands on the base's config (specs/behaviour/config-merge.md runs as tests)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ociassemble.errors import UsageError
from ociassemble.plan.plan import ConfigPlan

# Labels that are instructions to a runtime's plug-ins rather than data; a base must not hand them on (CVE-2026-53488).
_ACTIVE_LABELS = ("containerd.io/",)
# Labels by which an image describes itself: those of a base are wrong of what stands on it.
_DESCRIBING_LABELS = ("org.opencontainers.image.", "org.label-schema.")


def merge(base: Mapping[str, Any], change: ConfigPlan) -> dict[str, Any]:
    """The `config` object of the result; keys the plan does not know are the base's."""
    result = dict(base)
    if change.entrypoint is not None:
        _put(result, "Entrypoint", list(change.entrypoint))
        # As in a Dockerfile: the base's Cmd were arguments for the base's entrypoint.
        _put(result, "Cmd", list(change.cmd or ()))
    elif change.cmd is not None:
        _put(result, "Cmd", list(change.cmd))
    _put(result, "Env", environment(base.get("Env") or (), change.env))
    _put(result, "Labels", _overlaid(_inherited(base.get("Labels") or {}, change.labels), change.labels))
    if change.user is not None:
        _put(result, "User", user(change.user) if change.user else "")
    if change.workdir is not None:
        _put(result, "WorkingDir", _absolute(change.workdir, "working directory") if change.workdir else "")
    if change.stop_signal is not None:
        _put(result, "StopSignal", change.stop_signal)
    _put(result, "ExposedPorts", _listed(base.get("ExposedPorts") or {}, change.ports, port))
    _put(result, "Volumes", _listed(base.get("Volumes") or {}, change.volumes, volume))
    if change.healthcheck is not None:
        _put(result, "Healthcheck", _healthcheck(base.get("Healthcheck") or {}, change.healthcheck))
    return result


def _inherited(base: Mapping[str, str], change: Mapping[str, str | None]) -> dict[str, str]:
    """The base's labels that are true of the result, too; what is replaced anyway keeps its place."""
    return {
        key: value
        for key, value in base.items()
        if key in change or not key.startswith((*_ACTIVE_LABELS, *_DESCRIBING_LABELS))
    }


def _listed(base: Mapping[str, Any], change: tuple[str, ...], name: Callable[[str], str]) -> dict[str, Any]:
    """Ports or volumes: the union, sorted; an item with a `-` at its end is taken away."""
    result = dict(base)
    for item in change:
        if item.endswith("-"):
            result.pop(name(item[:-1]), None)
        else:
            result[name(item)] = {}
    return dict(sorted(result.items()))


def _healthcheck(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Docker's `Healthcheck`: a new command brings its own times; times alone change those of the base's command."""
    if not change or "Test" in change:
        return dict(change)
    if not base.get("Test") or base["Test"] == ["NONE"]:
        raise UsageError(
            "times of a health check, and neither the base nor you say what is to be run",
            hint='say it with `--healthcheck-cmd "python -m app.health"`',
        )
    return {**base, **change}


def volume(text: str) -> str:
    """A volume's path; a `/` at its end is left away (and so `/data-/` is a folder, not `/data` taken away)."""
    return _absolute(text, "volume").rstrip("/") or "/"


def environment(base: list[str] | tuple[str, ...], change: Mapping[str, str | None]) -> list[str]:
    """`Env` entries: the base's order, values replaced in place, new names after in the order given, None removed."""
    values: dict[str, str] = {}
    for item in base:
        name, _, value = item.partition("=")
        values[name] = value
    return [f"{name}={value}" for name, value in _overlaid(values, change).items()]


def port(text: str) -> str:
    """`8080` or `53/udp` as config.md writes it: `8080/tcp`."""
    number, _, protocol = text.partition("/")
    if not number.isascii() or not number.isdigit() or len(number) > 20 or not 0 < int(number) < 65536:
        raise UsageError(f"not a port: `{text:.40}`", hint="a port is written like `8080` or `53/udp`")
    if protocol not in ("", "tcp", "udp", "sctp"):
        raise UsageError(f"not a port: `{text}`", hint="the protocol is tcp, udp or sctp")
    return f"{int(number)}/{protocol or 'tcp'}"


def user(text: str) -> str:
    """A user as config.md writes it; numbers must be in the range that every runtime reads alike."""
    for part in text.split(":"):
        if part.isascii() and part.isdigit() and (len(part) > 20 or int(part) > 2**31 - 1):
            raise UsageError(f"not a user: `{text:.40}`", hint="user and group numbers end at 2147483647")
        if not part or part.startswith("-") or any(c.isspace() or ord(c) < 32 for c in part):
            raise UsageError(f"not a user: `{text}`", hint="a user is written like `65532`, `1000:1000` or `nobody`")
    if text.count(":") > 1:
        raise UsageError(f"not a user: `{text}`", hint="a user is written like `65532`, `1000:1000` or `nobody`")
    return text


def _absolute(path: str, what: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"the {what} `{path}` is not an absolute path")
    return path


def _overlaid(base: Mapping[str, str], change: Mapping[str, str | None]) -> dict[str, str]:
    result = dict(base)
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result


def _put(result: dict[str, Any], key: str, value: Any) -> None:
    if value:
        result[key] = value
    else:
        result.pop(key, None)
