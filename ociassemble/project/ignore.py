"""Which paths are left out: ignore files with the semantics of moby's patternmatcher, and what is never wanted.

Implements specs/behaviour/packing.md, PACK-1 to PACK-9. A line is trimmed, cleaned as a path, and matched against
a whole path relative to the folder; the last line that matches the path or one of its parents wins. Go's
`filepath.Match` grammar is what is valid; the meaning is that of the regular expression moby makes of it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ociassemble.errors import ProjectError

_BOM = b"\xef\xbb\xbf"
# What Go trims: Unicode's White_Space (Python's own idea of a space has U+001C to U+001F in it).
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


class IgnoreFileError(ProjectError):
    """An ignore file cannot be understood; the message names the line."""

    code = "project.ignore-file"


class Pattern(NamedTuple):
    """One line of an ignore file."""

    text: str  # cleaned, without the "!"
    negative: bool  # a "!" line: includes again
    match: Callable[[str], bool]  # of a whole relative path
    literal: str  # the path up to the first wildcard: nothing else can match
    made: bool = False  # of `[build] include`: what host steps make


class Rules:
    """The patterns of one ignore file, in order.

    `state(path, parent)` is how the patterns stand at `path`, given how they stood at its folder: one bit a
    pattern, so that a tree of n paths costs n matches a pattern however deep it is.
    """

    __slots__ = ("_negatives", "installed", "patterns")

    def __init__(self, patterns: tuple[Pattern, ...] = (), installed: int = 0) -> None:
        self.patterns = patterns
        self.installed = installed  # the bit to set at a node_modules folder that is installed anew
        self._negatives = tuple(pattern for pattern in patterns if pattern.negative)

    def state(self, path: str, parent: int = 0) -> int:
        """Bit n is set where pattern n matches `path` or one of its parents."""
        bits = parent
        for number, pattern in enumerate(self.patterns):
            if not bits >> number & 1 and pattern.match(path):
                bits |= 1 << number
        return bits

    def excluded(self, state: int) -> bool:
        """Whether the last pattern that matches excludes."""
        for number in range(len(self.patterns) - 1, -1, -1):
            if state >> number & 1:
                return not self.patterns[number].negative
        return False

    def excludes(self, path: str) -> bool:
        """Whether `path` is left out (moby: MatchesOrParentMatches)."""
        state = 0
        parts = path.split("/")
        for depth in range(len(parts)):
            state = self.state("/".join(parts[: depth + 1]), state)
        return self.excluded(state)

    def may_include_below(self, folder: str) -> bool:
        """Whether a "!" line might bring back something below an excluded `folder`."""
        below = folder + "/"
        return any(
            pattern.literal.startswith(below) or below.startswith(pattern.literal) for pattern in self._negatives
        )

    def with_build(self, include: Iterable[str], exclude: Iterable[str]) -> Rules:
        """These rules with the patterns of `[build]` after them: those of `include`, then those of `exclude`."""
        included = tuple(pattern(text)._replace(negative=True, made=True) for text in include)
        excluded = tuple(pattern(text) for text in exclude)
        if not included:
            return Rules((*self.patterns, *excluded))
        marker = Pattern("", False, _never, "")
        return Rules((*self.patterns, marker, *included, *excluded), 1 << len(self.patterns))

    def makes(self, folder: str) -> bool:
        """Whether `include` names what is below the node_modules folder `folder`, or a folder that it is in.

        A pattern that begins with a wildcard does not: it would bring every development tool.
        """
        below = folder + "/"
        above = [folder[: at.start()] for at in re.finditer("/", folder)]
        return any(
            one.made and one.literal and (one.literal.startswith(below) or any(map(one.match, (*above, folder))))
            for one in self.patterns
        )

    def unmatched(self, paths: Iterable[str]) -> tuple[str, ...]:
        """The patterns of `include` that match none of `paths`."""
        left = [one for one in self.patterns if one.made]
        for path in paths:
            if not left:
                break
            left = [one for one in left if not one.match(path)]
        return tuple(one.text for one in left)

    def wants(self, path: str) -> bool:
        """Whether a "!" line without a wildcard in its last part names `path`: stronger than built-in exclusions."""
        name = path.rpartition("/")[2]
        return any(pattern.text.rpartition("/")[2] == name and pattern.match(path) for pattern in self._negatives)


def _never(path: str) -> bool:
    return False


def pattern(text: str, where: str = "`build`") -> Pattern:
    """One pattern of the settings; `IgnoreFileError` if it is none. `where` is what messages call the setting."""
    cleaned, negative = _cleaned(text.strip(_SPACE))
    if negative or not cleaned or cleaned in (".", "/", "..") or cleaned.startswith("../"):
        raise IgnoreFileError(f"{where}: `{text:.80}` names no path of the folder", hint="write it like `dist/**`")
    try:
        match = compile_pattern(cleaned)
    except ValueError as error:
        raise IgnoreFileError(f"{where}: `{text:.80}` is not a pattern: {error}") from error
    return Pattern(cleaned, False, match, re.split(r"[*?\[\\]", cleaned, maxsplit=1)[0])


def parse(data: bytes, filename: str = ".dockerignore") -> Rules:
    """The rules of an ignore file; `IgnoreFileError` names the line that is not a pattern."""
    patterns: list[Pattern] = []
    try:
        text = data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise IgnoreFileError(f"`{filename}` line {line} is not UTF-8") from error
    for number, raw in enumerate(text.split("\n"), 1):
        if raw.startswith("#"):
            continue
        line_text = raw.strip(_SPACE)
        cleaned, negative = _cleaned(line_text)
        if negative and not cleaned:
            raise IgnoreFileError(
                f"`{filename}` line {number}: `{line_text}` includes nothing", hint="name a path after the `!`"
            )
        if not cleaned:
            continue
        try:
            match = compile_pattern(cleaned)
        except ValueError as error:
            raise IgnoreFileError(
                f"`{filename}` line {number}: `{line_text}` is not a pattern: {error}",
                hint="a literal `[`, `*`, `?` or `\\` is written with a `\\` before it",
            ) from error
        literal = re.split(r"[*?\[\\]", cleaned, maxsplit=1)[0]
        patterns.append(Pattern(cleaned, negative, match, literal))
    return Rules(tuple(patterns))


def _cleaned(line: str) -> tuple[str, bool]:
    """The pattern of a trimmed line, "" for none, and whether it includes again.

    moby cleans twice, first without the `!` and then with it, and looks for the `!` again in between: that is why
    `./!a` includes `a` again and `!../../a` excludes it.
    """
    negative = line.startswith("!")
    path = line[1:].strip(_SPACE) if negative else line
    path = clean(path) if path else ""
    if len(path) > 1:
        path = path.removeprefix("/")
    text = ("!" if negative else "") + path
    text = clean(text.strip(_SPACE)) if text.strip(_SPACE) else ""
    return (text[1:], True) if text.startswith("!") else (text, False)


def clean(path: str) -> str:
    """The shortest path that means the same, as Go's `path.Clean` has it."""
    cleaned = posixpath.normpath(path)
    return "/" + cleaned.lstrip("/") if cleaned.startswith("//") else cleaned


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Whether a path matches `pattern`, as a function; `ValueError` says what is wrong with the pattern."""
    expression, special, position = "", False, 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*" and pattern.startswith("*", position):
            position += 1
            if pattern.startswith("/", position):
                position += 1
            while pattern.startswith("**/", position):  # the same again says nothing more
                position += 3
            expression += ".*" if position == len(pattern) else "(?:.*/)?"
            special = True
        elif character == "*":
            expression, special = expression + "[^/]*", True
        elif character == "?":
            expression, special = expression + "[^/]", True
        elif character == "[":
            part, position = _bracket(pattern, position)
            expression, special = expression + part, True
        elif character == "\\":
            if position == len(pattern):
                raise ValueError("a `\\` at the end")
            expression, special = expression + re.escape(pattern[position]), True
            position += 1
        else:
            expression += re.escape(character)
    if not special:
        return pattern.__eq__
    if pattern.startswith("**"):
        tail = pattern[2:]
        if not re.search(r"[*?\[\]\\]", tail):
            # moby compares ends here, so that `**.txt` means what its author hoped.
            return lambda path: path.endswith(tail) or "/" + path == tail
    return re.compile(expression, re.DOTALL).fullmatch  # type: ignore[return-value]


def _bracket(pattern: str, position: int) -> tuple[str, int]:
    """The character class that starts after a "[" at `position`, and where it ends."""
    negated = pattern.startswith("^", position)
    position += negated
    ranges: list[str] = []
    while position < len(pattern) and not (pattern[position] == "]" and ranges):
        low, position = _member(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _member(pattern, position + 1)
        if low > high:
            raise ValueError(f"the range `{low}-{high}` is empty")
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    if position >= len(pattern):
        raise ValueError("a `[` without its `]`")
    return f"[{'^' if negated else ''}{''.join(ranges)}]", position + 1


def _member(pattern: str, position: int) -> tuple[str, int]:
    if position < len(pattern) and pattern[position] == "\\":
        position += 1
    elif position < len(pattern) and pattern[position] in "-]":
        raise ValueError("a `[` class with nothing in it")
    if position >= len(pattern):
        raise ValueError("a `[` without its `]`")
    return pattern[position], position + 1


_VERSION_CONTROL = frozenset({".git", ".hg", ".svn"})
_CACHES = frozenset({".mypy_cache", ".pytest_cache", ".ruff_cache"})
OWN = "steers the build"
_OWN = frozenset({"ociassemble.lock", "ociassemble.toml", ".ociassembleignore", ".dockerignore"})
_RECIPE = re.compile(r"(Dockerfile|Containerfile)([.-].*)?")


def builtin(path: str, is_folder: bool) -> str | None:
    """Why a path is left out without being asked, or None. `pyvenv.cfg` is looked for by the caller."""
    folder, _, name = path.rpartition("/")
    if name in _VERSION_CONTROL:
        return "version control"
    if name == ".DS_Store":
        return "desktop file"
    if is_folder:
        if name in (".venv", "venv"):
            return "virtual environment"
        if name == "__pycache__":
            return "bytecode"
        if name in _CACHES:
            return "cache of a tool"
        return None
    if name.endswith(".pyc"):
        return "bytecode"
    if name == ".npmrc":  # no program reads it, and it is where tokens of registries are
        return "npm's own settings"
    if not folder:
        if name in _OWN:
            return OWN
        if _RECIPE.fullmatch(name):
            return "build recipe"
    return None
