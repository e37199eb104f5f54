"""runc, with umoci doing the unpacking, on the network of the host. Needs root."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ociassemble import _files, _run
from ociassemble.content.place import private_directory
from ociassemble.errors import FormatError, ToolError
from ociassemble.runtime.probe import RuntimeChoice, RuntimeRefusedError
from ociassemble.runtime.request import RunRequest
from ociassemble.runtime.running import Running

# What the host tells every process about names, read-only into the container: it is on the host's network.
_FROM_HOST = ("/etc/resolv.conf", "/etc/hosts")


def start(choice: RuntimeChoice, request: RunRequest, folder: Path, output: BinaryIO | None) -> Running:
    """Unpack into a bundle below `folder`, start it; the bundle goes when the container ends."""
    runc, umoci = choice.programs
    plan = request.plan_port(own_network=False)
    name = f"ociassemble-{secrets.token_hex(6)}"
    place = folder / name
    private_directory(place)
    layout, bundle, log = place / "image", place / "bundle", place / "runc.log"
    control = [runc, "--root", str(place / "state")]

    def clean() -> None:
        with contextlib.suppress(ToolError):
            _run.run([*control, "delete", "--force", name], check=False, timeout=30)
        _files.remove_tree(place)

    def kill(signal: str) -> bool:
        return _run.run([*control, "kill", name, signal], check=False, timeout=30).returncode == 0

    def finish(status: int) -> None:
        said = _errors(log) if status else []
        clean()
        if said:
            raise RuntimeRefusedError("runc could not start the image", details=said)

    try:
        tag = request.lay_out(layout)
        _run.run([umoci, "unpack", "--image", f"{layout}:{tag}", str(bundle)])
        _files.remove_tree(layout)  # it may be large, and what runs is the bundle
        document = _bundle_config(bundle / "config.json")
        spec = container_spec(document, request, plan.env, from_host=[p for p in _FROM_HOST if Path(p).is_file()])
        _files.write_atomic(bundle / "config.json", json.dumps(spec).encode())
        process = _run.start(
            [*control, "--log", str(log), "--log-format", "json", "run", "--bundle", str(bundle), name],
            output=output,
            detached=True,
        )
    except BaseException:
        clean()
        raise
    return Running(runtime=choice.name, process=process, address=plan.address, kill=kill, finish=finish)


def container_spec(
    document: Mapping[str, Any], request: RunRequest, env: Mapping[str, str], *, from_host: list[str]
) -> dict[str, Any]:
    """umoci's runtime config made ours (runtime-spec config.md): what may be done is what the image needs.

    The user, the working directory and the root's path are umoci's, which read them from the image.
    """
    process = dict(document.get("process") or {})
    process["terminal"] = False
    process["args"] = list(request.command)
    # umoci puts the user's home over the image's own HOME.
    process["env"] = _environment(process.get("env") or [], {**request.config.env, **request.env, **env})
    process["capabilities"] = {
        kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")
    }  # fmt: skip
    process["noNewPrivileges"] = True
    process.pop("rlimits", None)
    linux = dict(document.get("linux") or {})
    linux.pop("resources", None)  # cgroup controllers differ from host to host
    linux["namespaces"] = [item for item in linux.get("namespaces") or [] if item.get("type") != "network"]
    mounts = [
        mount
        for mount in document.get("mounts") or []
        # /sys shows the host's devices, and cannot be mounted without a network namespace.
        if not str(mount.get("destination")).startswith("/sys") and mount.get("destination") != "/tmp"
    ]
    mounts.append(
        {
            "destination": "/tmp",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "nodev", "mode=1777", "size=256m"],
        }
    )
    mounts += [
        {"destination": path, "type": "bind", "source": path, "options": ["bind", "ro", "nosuid", "nodev", "noexec"]}
        for path in from_host
    ]
    root = {**(document.get("root") or {}), "readonly": request.read_only}
    return {**document, "process": process, "root": root, "mounts": mounts, "linux": linux}


def _environment(before: list[str], added: Mapping[str, str]) -> list[str]:
    kept = [item for item in before if item.partition("=")[0] not in added and item.partition("=")[0] != "TERM"]
    return [*kept, *(f"{key}={value}" for key, value in added.items())]


def _bundle_config(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise FormatError(f"umoci left no readable runtime configuration: {error}") from error
    if not isinstance(document, dict):
        raise FormatError("umoci left a runtime configuration that is not an object")
    return document


def _errors(log: Path) -> list[str]:
    """What runc says went wrong before the image's own process began; empty when that process ran."""
    said: list[str] = []
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except OSError:
        return said
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("level") in ("error", "fatal"):
            said.append(str(entry.get("msg", ""))[:500])
    return said
