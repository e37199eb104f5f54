"""Commands of a wheel: launchers for entry points (the entry-points specification), and shebangs of its scripts."""

from __future__ import annotations

import keyword
import re
from typing import NamedTuple

from ociassemble.errors import ProjectError
from ociassemble.formats.zip import show, unusable
from ociassemble.layer._wheel_record import WheelError

MAX_SHEBANG = 127  # bytes of the first line that every Linux kernel reads
PLACEHOLDER_SIZE = 8  # bytes that tell whether a script has a placeholder

_GROUPS = ("console_scripts", "gui_scripts")
_VALUE = re.compile(r"(?P<module>[^\s:\[\]]+)\s*:\s*(?P<attribute>[^\s:\[\]]+)\s*(?:\[[^\[\]]*\])?", re.ASCII)
_PLACEHOLDER = b"#!python"
_SHEBANG = re.compile(rb"#!python\S*[ \t]*(?P<rest>[^\r\n]*)[^\n]*(?:\n|\Z)")
_WRAPPER = re.compile(r"(?:\.exe|-script\.pyw?|\.pya)\Z", re.IGNORECASE)


class EntryPointError(WheelError):
    """entry_points.txt names something that cannot be a command or cannot be called."""

    code = "integrity.wheel.entry-point"


class ShebangError(ProjectError):
    """The image's interpreter cannot stand in a shebang."""

    code = "project.shebang"


class EntryPoint(NamedTuple):
    name: str
    module: str
    attribute: str


def parse(data: bytes, label: str) -> tuple[EntryPoint, ...]:
    """The commands that entry_points.txt asks for, by name; other groups are not looked at."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EntryPointError(f"{label} has an entry_points.txt that is not UTF-8") from error
    found: dict[str, EntryPoint] = {}
    group = ""
    for line in text.split("\n"):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line[0] == "[" and line[-1] == "]":
            group = line[1:-1].strip()
        elif group in _GROUPS:
            point = _entry_point(line, label)
            if found.setdefault(point.name, point) != point:
                raise EntryPointError(f"{label} has two entry points for the command {show(point.name)}")
    return tuple(found[name] for name in sorted(found))


def _entry_point(line: str, label: str) -> EntryPoint:
    name, equals, value = (part.strip() for part in line.partition("="))
    wrong = unusable(name)
    if wrong or "/" in name or name.startswith(".wh."):
        raise EntryPointError(f"{label} has an entry point that cannot be the name of a command: {show(name)}")
    match = _VALUE.fullmatch(value) if equals else None
    # Both end up in the text of a program, so each part must be a name and nothing else.
    if match is None or not all(
        part.isidentifier() and not keyword.iskeyword(part)
        for part in (*match["module"].split("."), *match["attribute"].split("."))
    ):
        raise EntryPointError(f"{label} has an entry point that cannot be called: {show(line)}")
    return EntryPoint(name, match["module"], match["attribute"])


def launcher(point: EntryPoint, interpreter: str) -> bytes:
    """The program that calls `point`; imports as little as can be, because every start pays for it."""
    first = point.attribute.partition(".")[0]
    body = (
        f"import sys\n\nfrom {point.module} import {first}\n\n"
        f'if __name__ == "__main__":\n    sys.exit({point.attribute}())\n'
    )
    return _line(interpreter, b"") + body.encode("utf-8")


def is_launcher_of(name: str, points: tuple[EntryPoint, ...]) -> bool:
    """Whether a script `name` in a wheel is what some builder made of one of `points`; ours replaces it."""
    stem = _WRAPPER.sub("", name)
    return any(stem == point.name for point in points)


def has_placeholder(start: bytes) -> bool:
    """Whether a script that begins with `start` leaves its interpreter to the installer: `#!python`, `#!pythonw`."""
    return start.startswith(_PLACEHOLDER)


def rewritten(script: bytes, interpreter: str) -> bytes:
    """`script` with its placeholder made the image's interpreter; its options stay."""
    match = _SHEBANG.match(script)
    if match is None:
        return script
    return _line(interpreter, match["rest"].rstrip()) + script[match.end() :]


def _line(interpreter: str, rest: bytes) -> bytes:
    if not interpreter.startswith("/") or unusable(interpreter[1:]) or re.search(r"\s", interpreter):
        raise ShebangError(f"the interpreter {show(interpreter)} cannot run scripts: it must be a path without spaces")
    line = b"#!" + interpreter.encode("utf-8") + (b" " + rest if rest else b"")
    if len(line) > MAX_SHEBANG:
        raise ShebangError(
            f"the interpreter {show(interpreter)} cannot run scripts: "
            f"the first line would have {len(line)} bytes, and Linux reads {MAX_SHEBANG}"
        )
    return line + b"\n"
