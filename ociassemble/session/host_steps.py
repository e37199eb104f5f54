"""Host steps: commands of the user's own that settings name, run before the folder is read (BUILD-1 to BUILD-8)."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from ociassemble import _run
from ociassemble.errors import ToolError
from ociassemble.progress import Progress

_SHOWN = 20  # lines of a failed step
_OURS = "OCIASSEMBLE_"


class HostStepError(ToolError):
    """A command of `[build] run` failed."""

    code = "tool.host-step"


def run(
    commands: Sequence[Sequence[str]],
    *,
    folder: Path,
    environment: Mapping[str, str],
    progress: Progress,
) -> None:
    """Run `commands` in `folder`, one after the other, each told before it starts.

    `environment` is the user's; variables of ours are not handed on. Raises HostStepError at the first that fails.
    """
    child = {name: value for name, value in environment.items() if not name.startswith(_OURS)}
    for words in commands:
        shown = shlex.join(words)
        progress.info(f"running: {shown} ([build] run)")
        last: deque[str] = deque(maxlen=_SHOWN)

        def tell(line: str, last: deque[str] = last) -> None:
            if line:
                last.append(line)
            progress.info(f"  {line}")

        with progress.task("run", shown):
            try:
                status = _run.follow(words, line=tell, environment=child, folder=folder)
            except ToolError as error:
                raise HostStepError(
                    f"`{shown}` of [build] run: {error.message}", hint="commands run in the project's folder"
                ) from error
            if status:
                ended = f"failed with status {status}" if status > 0 else f"was ended by signal {-status}"
                raise HostStepError(
                    f"`{shown}` {ended}",
                    details=list(last),
                    hint="it is a command of [build] run, and was run in the project's folder",
                )


def leave(commands: Sequence[Sequence[str]], why: str, progress: Progress) -> None:
    """Tell that `commands` are not run."""
    for words in commands:
        progress.warn(f"not run: {shlex.join(words)} ([build] run; {why}): what is there is packed")
