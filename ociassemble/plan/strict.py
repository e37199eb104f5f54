"""Reading our own JSON documents strictly: every name is known, every value has its type, errors name the path.

What we wrote ourselves and committed to a user's repository is read without mercy: an unknown name is a newer
format or a mistake, and guessing would build something else than what was locked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ociassemble.errors import FormatError
from ociassemble.oci.digest import Digest

_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MISSING = object()


class Invalid(ValueError):
    """A document is not what it should be; the text says where and why. Turned into a user's error by the reader."""


class Object:
    """One JSON object being read. Use as a context manager: leaving it refuses names nobody asked for."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise Invalid(f"`{path}` is not an object" if path else "it is not an object")
        self._value = value
        self._path = path
        self._asked: set[str] = set()

    def __enter__(self) -> Object:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        unknown = sorted(set(self._value) - self._asked)
        if kind is None and unknown:
            raise Invalid(f"unknown name `{self.at(unknown[0])}`")

    def at(self, key: str) -> str:
        """Where `key` is, for people: `platforms.linux/amd64.artifacts[3].size`."""
        return f"{self._path}.{key:.80}" if self._path else f"{key:.80}"

    def has(self, key: str) -> bool:
        """Whether `key` is there and not null; asking makes it a known name."""
        self._asked.add(key)
        return self._value.get(key) is not None

    def take(self, key: str) -> Any:
        """The value at `key`, of whatever type."""
        self._asked.add(key)
        value = self._value.get(key, _MISSING)
        if value is _MISSING:
            raise Invalid(f"`{self.at(key)}` is missing")
        return value

    def text(self, key: str, *, empty: bool = False) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not (value or empty):
            raise Invalid(f"`{self.at(key)}` is not a {'string' if empty else 'non-empty string'}")
        return value

    def matching(self, key: str, pattern: re.Pattern[str], what: str) -> str:
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise Invalid(f"`{self.at(key)}` is not {what}: {value!r:.80}")
        return value

    def integer(self, key: str, *, least: int = 0) -> int:
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise Invalid(f"`{self.at(key)}` is not a whole number from {least}")
        return value

    def truth(self, key: str) -> bool:
        value = self.take(key)
        if not isinstance(value, bool):
            raise Invalid(f"`{self.at(key)}` is neither true nor false")
        return value

    def digest(self, key: str) -> Digest:
        return as_digest(self.take(key), self.at(key))

    def sha256(self, key: str) -> Digest:
        """A digest written as 64 bare hexadecimal digits."""
        return Digest.from_hex(self.matching(key, _HEX, "64 lower-case hexadecimal digits"))

    def items(self, key: str) -> Iterator[tuple[Any, str]]:
        """The items of the list at `key`, each with its path."""
        value = self.take(key)
        if not isinstance(value, list):
            raise Invalid(f"`{self.at(key)}` is not a list")
        for number, item in enumerate(value):
            yield item, f"{self.at(key)}[{number}]"

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(as_text(item, path) for item, path in self.items(key))

    def digests(self, key: str) -> tuple[Digest, ...]:
        return tuple(as_digest(item, path) for item, path in self.items(key))

    def members(self, key: str) -> Iterator[tuple[str, Any, str]]:
        """Names, values and paths of the object at `key`, whose names are free."""
        value = self.take(key)
        if not isinstance(value, dict):
            raise Invalid(f"`{self.at(key)}` is not an object")
        for name, item in value.items():
            yield name, item, f"{self.at(key)}.{name:.80}"


def as_text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise Invalid(f"`{path}` is not a string")
    return value


def as_digest(value: Any, path: str) -> Digest:
    try:
        return Digest(as_text(value, path))
    except FormatError as error:
        raise Invalid(f"`{path}` is not a digest: {value!r:.80}") from error
