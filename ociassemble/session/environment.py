"""The frozen surroundings of a run, and its global options: plain values, read once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """All that is ever read of the process's surroundings, read once."""

    variables: Mapping[str, str]
    home: Path
    folder: Path  # the working directory
    python: Path  # our own interpreter
    prefix: Path  # of our own installation: where a `uv` beside us would be

    @classmethod
    def of_process(cls) -> Environment:
        """The surroundings of this process."""
        variables = MappingProxyType(dict(os.environ))
        return cls(
            variables=variables,
            home=_home(variables.get("HOME", "")),
            folder=Path.cwd(),
            python=Path(sys.executable),
            prefix=Path(sys.prefix),
        )


def _home(said: str) -> Path:
    """The user's home; `/` for one that no database of users knows, as container runtimes have it."""
    try:
        return Path(said) if said else Path("~").expanduser()
    except RuntimeError:
        return Path("/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The global options of the command line, as plain values."""

    offline: bool = False
    cache_dir: Path | None = None
    authfile: Path | None = None
    insecure_registries: tuple[str, ...] = ()
    insecure_credentials: bool = False
    ca_file: Path | None = None
    registry_mirrors: Mapping[str, str] = field(default_factory=dict)  # host -> mirror
    trusted_realms: tuple[str, ...] = ()  # hosts that may be sent passwords of other hosts, for tokens
    jobs: int | None = None


def cache_folder(environment: Environment, given: Path | None) -> Path:
    """Where the store is: `--cache-dir`, else the user's cache folder."""
    if given is not None:
        return given
    base = environment.variables.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "ociassemble"
    if sys.platform == "darwin":
        return environment.home / "Library" / "Caches" / "ociassemble"
    return environment.home / ".cache" / "ociassemble"
