"""What runs in the end, when a start command has gone its way through links, scripts and interpreters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ociassemble.audit.table import Account

if TYPE_CHECKING:
    from ociassemble.audit.loader import Loaded, Loader


class Process(NamedTuple):
    """What runs in the end. `argv` is what the kernel hands to `program`, the scripts' interpreters in front."""

    program: str  # relative to the root, no links
    argv: tuple[str, ...]
    account: Account
    env: Mapping[str, str]
    workdir: str
    loader: Loader | None = None  # None for a static program
    objects: tuple[Loaded, ...] = ()  # the program and its libraries
