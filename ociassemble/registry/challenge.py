"""WWW-Authenticate, parsed as RFC 9110 section 11 writes it: several challenges, in one header or in many. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"?', re.DOTALL)
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)")
_BARE = re.compile(r'[^,\s"]+')
_MOST = 16  # challenges that anyone has a use for


class Challenge(NamedTuple):
    """One way to authenticate that the server offers; scheme and names of parameters in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """All challenges in the headers, in order. Total: what cannot be understood is passed over."""
    found: list[tuple[str, dict[str, str]]] = []
    for header in headers:
        at = 0
        while at < len(header) and len(found) < _MOST:
            at = _next(header, at, found)
    return tuple(Challenge(scheme, MappingProxyType(parameters)) for scheme, parameters in found)


def _next(text: str, at: int, found: list[tuple[str, dict[str, str]]]) -> int:
    """Read one scheme or one parameter at `at`; returns where to go on, always further on."""
    token = _TOKEN.match(text, at)
    if not token:
        return at + 1  # a comma, a blank, or something that nobody should have sent
    after = _skip(text, token.end())
    if text.startswith("=", after):
        value, end = _value(text, _skip(text, after + 1))
        if found:
            # The first of two equal names counts: a proxy that appends must not change what the server said.
            found[-1][1].setdefault(token[0].lower(), value)
        return end
    found.append((token[0].lower(), {}))
    # `Negotiate abc==`: a scheme may carry bare data instead of parameters; nobody here wants it.
    if after > token.end() and (data := _TOKEN68.match(text, after)):
        return data.end()
    return after


def _value(text: str, at: int) -> tuple[str, int]:
    if quoted := _QUOTED.match(text, at):
        return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL), quoted.end()
    # Not a token by the grammar, but servers send bare URLs and scopes: all up to the next comma or blank.
    bare = _BARE.match(text, at)
    return (bare[0], bare.end()) if bare else ("", at)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t":
        at += 1
    return at
