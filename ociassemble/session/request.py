"""What one build is asked for, as the command line (or a caller) says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ociassemble.errors import UsageError
from ociassemble.transports.locate import ARCHIVES, locate


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildRequest:
    """One build. `flags` are settings that win over the project's own, by the names of `Settings.override`."""

    application: Path
    flags: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    push: bool = False
    load: bool = False
    runtime: str = ""  # with `load`: the engine, instead of the first that works
    outputs: tuple[str, ...] = ()  # as given to -o
    writes: tuple[Path, ...] = ()  # files the caller will write of the result: no input of the next build
    lockfile: Path | None = None
    locked: bool = False
    use_lock: bool = True
    use_cache: bool = True
    pin_base: bool = True  # for `lock`: False leaves the base open
    keep: bool = False  # for `lock`: keep the versions of the lock that is there, where they still fit
    upgrade: tuple[str, ...] = ()  # and of these, let go of those packages all the same
    believe: bool = True  # whether registries may have finished layers: not where a lock is made
    pull: str = "always"
    run_steps: bool = True  # False where nothing is built: host steps are told, and not run
    created: str | None = None  # seconds since 1970, "git" or "now"
    created_by: str = "--source-date-epoch"  # who says so, for people

    def with_flags(self, **flags: Any) -> BuildRequest:
        """The same with these flags as well."""
        return replace(self, flags={**self.flags, **flags})

    @property
    def folder(self) -> Path:
        """The application's folder: it may itself be one file."""
        return self.application.parent if self.application.is_file() else self.application


def from_spec(text: str) -> str:
    """buildx's `type=oci,dest=DIR[,name=TAG]` as a place; anything else as it is."""
    if not text.startswith("type="):
        return text
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    kind, dest, name = (fields.get(key, "") for key in ("type", "dest", "name"))
    suffix = f":{name}" if name else ""
    if kind == "oci" and dest:
        # buildx writes a tar there unless told otherwise; nobody calls a folder so.
        archive = fields.get("tar", "true" if dest.endswith(".tar") or dest == "-" else "false") == "true"
        return f"oci{'-archive' * archive}:{dest}{suffix}"
    if kind == "oci-archive" and dest:
        return f"oci-archive:{dest}{suffix}"
    if kind in ("docker", "docker-archive") and dest:
        return f"docker-archive:{dest}{suffix}"
    if kind == "docker":
        raise UsageError(f"`-o {text}` names no file", hint="`,dest=FILE` for an archive; `--load` for an engine")
    if kind == "local" and dest:
        return f"local:{dest}"
    if kind == "registry" and fields.get("name"):
        return fields["name"]
    raise UsageError(
        f"`-o {text}` is not understood",
        hint="write `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:REF]`, or `local:NAME`",
    )


def written_below(request: BuildRequest) -> list[Path]:
    """Layouts and archives: where they lie in the project, they are no part of it."""
    places = (locate(from_spec(text)) for text in request.outputs)
    return [Path(place.path) for place in places if place.transport in ("oci", *ARCHIVES)]
