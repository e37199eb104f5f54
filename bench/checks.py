"""What the suite looks at beside the clock: whether changes are noticed, what is imported, the tool as a wheel."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import measure
from figures import OURS
from index import Index
from lab import Lab, say

INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")  # variables that name an index

# A build in this process; then the classes that `dataclass` has made, of everybody's and of ours, and the modules.
COUNT_DATACLASSES = """\
import sys
from ociassemble.cli import main
status = main(sys.argv[1:])
classes = set()
for module in list(sys.modules.values()):
    for value in list(getattr(module, "__dict__", {}).values()):
        if isinstance(value, type) and "__dataclass_fields__" in vars(value):
            classes.add(value)
print(len(classes), sum(one.__module__.startswith("ociassemble") for one in classes), len(sys.modules))
sys.exit(status)
"""


def noticed(lab: Lab, app: Path, repository: str) -> dict[str, float]:
    """1 for each change that a build notices: a file of equal size and time, a tag that somebody else has moved."""
    before = lab.registry.image(repository).digest
    source = app / "app.py"
    times = source.stat()
    text = source.read_text()
    source.write_text(text.replace("Hello", "hello"))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    lab.build(app, repository)
    edited = lab.registry.image(repository).digest
    source.write_text(text)
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    lab.build(app, repository)
    back = lab.registry.image(repository).digest
    lab.ours("copy", "-q", lab.environment["BASE"], f"{lab.host}/{repository}:v1")
    moved = lab.registry.image(repository).digest
    lab.build(app, repository)
    restored = lab.registry.image(repository).digest
    return {
        "edit noticed": float(before != edited and back == before),
        "moved tag noticed": float(moved != before and restored == before),
    }


def tool_wheels(lab: Lab) -> int:
    """The port of an index with this tool as a wheel and all that it needs, from the configured index."""
    folder = lab.work / "tool"
    if not folder.exists():
        say(f"{OURS} as a wheel, and the wheels that it needs")
        command = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--disable-pip-version-check",
            "-w",
            str(folder),
        ]
        measure.run([*command, str(measure.REPOSITORY)], environment={"PYTHONPATH": ""}, folder=lab.work)
    return lab.stays(Index(folder)).port
