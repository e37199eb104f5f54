"""Version ranges as people write them, and as nobody would."""

from __future__ import annotations

import random

VERSIONS = (
    *("0.0.0", "0.0.1", "0.1.2", "1.0.0", "1.2.3", "2.0.0", "3.0.0", "20.1.0", "1.2.3-alpha", "1.2.3-1.beta"),
    *("2.0.0-0", "3.0.0-rc.2", "1.2", "01.2.3", "v1.2.3", "1.2.3+b", ""),
)
_NUMBERS = ("0", "1", "2", "3")
_RARE = ("x", "X", "*", "01", "9007199254740991", "9007199254740992", "18", "22")
_TAILS = ("-0", "-alpha", "-1.beta", "-beta.2", "-01", "+b1", "-a+b.2", "-rc.10")
_OPERATORS = (
    "",
    "",
    "^",
    "~",
    "~>",
    ">",
    "<",
    ">=",
    "<=",
    "=",
    "^ ",
    "~ ",
    ">= ",
    "> ",
    ">==",
    "!=",
    "~=",
    "> =",
    "~>=",
)
_WHOLE = ("", "*", "latest", ">", "^", ">*", "<*", ">=0.0.0-0", ">=0", "x")


class Ranges:
    """Pairs of a version and a range, always the same for a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pairs(self, count: int) -> list[tuple[str, str]]:
        return [(self._random.choice(VERSIONS), self._range()) for _ in range(count)]

    def _range(self) -> str:
        count = self._random.choice((1, 1, 1, 2, 3))
        return self._random.choice(("||", " || ")).join(self._alternative() for _ in range(count))

    def _alternative(self) -> str:
        chance = self._random.random()
        if chance < 0.12:
            return self._version() + self._random.choice((" - ", "  -  ", " -")) + self._version()
        if chance < 0.16:
            return self._random.choice(_WHOLE)
        words = (self._random.choice(_OPERATORS) + self._version() for _ in range(self._random.choice((1, 1, 2, 3))))
        return " ".join(words)

    def _version(self) -> str:
        lead = self._random.choice(("v", "=", "= ", "v ")) if self._random.random() < 0.1 else ""
        tail = self._random.choice(_TAILS) if self._random.random() < 0.3 else ""
        numbers = (self._number() for _ in range(self._random.choice((1, 2, 3, 3, 3, 4))))
        return lead + ".".join(numbers) + tail

    def _number(self) -> str:
        return self._random.choice(_RARE if self._random.random() < 0.3 else _NUMBERS)
