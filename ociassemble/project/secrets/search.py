"""Searching bytes for secrets, as they stream by (specs/behaviour/secrets.md, SECRET-10 on).

Most files hold none, so what costs is to know that quickly. Every rule names a byte that is rare in files (an
anchor); one regular expression an anchor runs over the data and looks around only where that byte is. What passes
is judged by the rule's own pattern and check. Each anchor is judged once, with `REACH` bytes on both sides in
sight, wherever the borders of blocks are.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import NamedTuple

from ociassemble.project.secrets import plausible
from ociassemble.project.secrets.findings import Finding, finding
from ociassemble.project.secrets.rules import REACH, RULES, WEAK, Context, Rule

MAX_FINDINGS = 100  # of one file: more say nothing new

_ANCHORS = b"AJK_-.:~%"
# What follows an anchor in every rule that has it; most anchors end here.
_GATES = {
    b"A": rb"(?=[KSBCIT])",
    b"K": rb"(?=[IEe0-9a-f])",
    b"_": rb"(?=[0-9A-Za-z]{16})",
    b"-": rb"(?=[0-9A-Za-z][\w-]{7})",
    b".": rb"(?=[\w-]{6}(?:[\w-]{16}|\.[\w-]{27}|1\.))",
    b":": rb"(?=[/A_])",
}
_CONFIG = re.compile(
    r".*\.(ini|cfg|cnf|conf|config|toml|ya?ml|json|properties|tfvars|env|hcl)"
    r"|\.?env(\..+)?|\.[a-z]+rc|(.*\.)?(docker|container)file(\..+)?|procfile|pip\.conf|docker-compose.*"
)
# What is there to be read as an example.
_SHOWN = re.compile(r"(?<![a-z])(examples?|samples?|templates?|fixtures?)(?![a-z])")
_WORD = re.compile(rb"[0-9A-Za-z]")
# Letters of an escape are no part of a word: `\nghp_`, `%3Dghp_`, `\u003dghp_`.
_ESCAPE = re.compile(rb"(?:\\[nrt]|%[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})\Z")


class _Sieves(NamedTuple):
    anchored: tuple[tuple[bytes, re.Pattern[bytes], tuple[tuple[int, ...], ...]], ...]
    literal: tuple[tuple[bytes, int], ...]  # what has no rare byte: found as it is
    config: tuple[tuple[bytes, int], ...]  # ... in files of settings, whatever the case of letters


@functools.cache
def _sieves() -> _Sieves:
    groups: dict[bytes, dict[bytes, list[int]]] = {}
    literal: list[tuple[bytes, int]] = []
    config: list[tuple[bytes, int]] = []
    for number, rule in enumerate(RULES):
        for before, rest in rule.sieves:
            anchor = rest[1:2] if rest.startswith(b"\\") else rest[:1]
            if rule.where == "config":
                config.append((rest, number))
            elif anchor not in _ANCHORS:
                literal.append((rest, number))
            else:
                after = rest[2:] if rest.startswith(b"\\") else rest[1:]
                test = (b"(?<=%s%s)" % (before, re.escape(anchor)) if before else b"") + b"(?=%s)" % after
                groups.setdefault(anchor, {}).setdefault(test, []).append(number)
    anchored = []
    for anchor, tests in groups.items():
        source = re.escape(anchor) + _GATES.get(anchor, b"") + b"(?:%s)" % b"|".join(b"(%s)" % test for test in tests)
        anchored.append((anchor, re.compile(source), tuple(map(tuple, tests.values()))))
    return _Sieves(tuple(anchored), tuple(literal), tuple(config))


@functools.cache
def _pattern(number: int, loose: bool) -> re.Pattern[bytes]:
    rule = RULES[number]
    return re.compile(rule.pattern + (b"" if loose else rule.end))


def is_config(path: str) -> bool:
    """Whether a file is made of settings, by its name."""
    name = path.rpartition("/")[2].lower()
    return _CONFIG.fullmatch(name) is not None and _SHOWN.search(path.lower()) is None


def _starts(data: bytes, rule: Rule, anchor: int) -> Iterable[int]:
    """Where the pattern of a rule may begin that has its anchor at `anchor`."""
    first = max(anchor - rule.lead, 0)
    if not rule.head:
        return range(first, anchor + 1)
    found = []
    at = data.find(rule.head, first, anchor + 1)
    while at >= 0:
        found.append(at)
        at = data.find(rule.head, at + 1, anchor + 1)
    return found


def _in_word(data: bytes, at: int) -> bool:
    """Whether what begins at `at` goes on a word that began before."""
    return _WORD.match(data, at - 1) is not None and _ESCAPE.search(data[max(at - 6, 0) : at]) is None


def _overlap(one: Finding, other: Finding) -> bool:
    return one.offset < other.offset + other.size and other.offset < one.offset + one.size


class Search:
    """The search of one file: `feed` its blocks in order, then `finish`.

    `path` is the file's in the project, for messages and fingerprints. Text counts lines; a file with NUL bytes at its
    beginning is binary and counts bytes, and in it a secret may touch other letters: strings of bytecode and of
    programs follow each other without a border. UTF-16 with a byte order mark is read as text.
    """

    __slots__ = ("_binary", "_config", "_data", "_done", "_found", "_lines", "_offset", "_path", "_wide", "steps")

    def __init__(self, path: str) -> None:
        self._path = path
        self._config = is_config(path)
        self._data = b""
        self._done = -1  # how far `_data` was judged; -1 before the first block
        self._lines = 0  # before `_data`
        self._offset = 0  # of `_data` in the file
        self._binary = self._wide = False
        self._found: dict[tuple[str, int], Finding] = {}
        self.steps = 0  # how many places a rule's own pattern was asked about

    def feed(self, block: bytes) -> None:
        """The next block; of any size."""
        if self._done < 0:
            self._begin(block)
        if self._wide:
            block = block.replace(b"\0", b"")
        self._data = self._data + block if self._data else block
        if len(self._data) > 4 * REACH:
            self._judge(len(self._data) - REACH)
            cut = max(self._done - REACH, 0)
            self._lines += self._data.count(b"\n", 0, cut)
            self._offset += cut
            self._done -= cut
            self._data = self._data[cut:]

    def finish(self) -> list[Finding]:
        """What was found, in order."""
        if self._done >= 0:
            self._judge(len(self._data))
        found = sorted(self._found.values(), key=lambda one: (one.offset, one.rule in WEAK))
        strong = [one for one in found if one.rule not in WEAK]
        # What is a token of a known kind is not told once more as the value of a setting or a login.
        return [one for one in found if one.rule not in WEAK or not any(_overlap(one, other) for other in strong)]

    def _begin(self, block: bytes) -> None:
        self._done = 0
        self._wide = block.startswith((b"\xff\xfe", b"\xfe\xff"))
        self._binary = not self._wide and b"\0" in block[:REACH]

    def _judge(self, end: int) -> None:
        """Judge every anchor from where the last call stopped to `end`."""
        data, begin = self._data, self._done
        sieves = _sieves()
        for anchor, sieve, rules in sieves.anchored:
            if data.find(anchor, begin, end) < 0:
                continue
            for hit in sieve.finditer(data, begin):
                if hit.start() >= end:
                    break
                self._ask(rules[(hit.lastindex or 1) - 1], hit.start())
        if not self._binary:
            self._literally(data, sieves.literal, begin, end)
        if self._config and not self._binary:
            name = self._path.lower()
            wanted = [pair for pair in sieves.config if not RULES[pair[1]].files or name.endswith(RULES[pair[1]].files)]
            self._literally(data.lower(), wanted, begin, end)
        self._done = end

    def _literally(self, data: bytes, literals: Iterable[tuple[bytes, int]], begin: int, end: int) -> None:
        for literal, rule in literals:
            at = data.find(literal, begin)
            while 0 <= at < end:
                self._ask((rule,), at)
                at = data.find(literal, at + 1)

    def _ask(self, rules: tuple[int, ...], anchor: int) -> None:
        """Ask the rules, in order, whether a secret is at `anchor`; the first that says so has it."""
        for number in rules:
            rule = RULES[number]
            if rule.where != "anywhere" and self._binary:
                continue
            pattern, data = _pattern(number, self._binary), self._data
            for start in _starts(data, rule, anchor):
                self.steps += 1
                found = pattern.match(data, start)
                if found is not None and found.end() > anchor and self._holds(rule, found):
                    return

    def _holds(self, rule: Rule, found: re.Match[bytes]) -> bool:
        start = found.start()
        whole = "secret" not in found.re.groupindex
        secret: bytes = found[0] if whole else found["secret"]
        if whole and not self._binary and start and _in_word(found.string, start):
            return False
        starts = self._offset == 0 and not found.string[:start].strip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
        if plausible.public(secret) or (rule.bits and not plausible.random(secret, rule.bits)):
            return False
        if rule.check is not None and not rule.check(secret, Context(self._path, self._config, found, starts)):
            return False
        at = start if whole else found.start("secret")
        key = (rule.rule, self._offset + at)
        if key not in self._found and len(self._found) < MAX_FINDINGS:
            line = None if self._binary else self._lines + found.string.count(b"\n", 0, start) + 1
            self._found[key] = finding(self._path, rule.rule, rule.what, secret, line=line, offset=self._offset + at)
        return True
