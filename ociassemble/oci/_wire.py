"""JSON as the image-spec wants it: strict when read, compact and in a fixed order when written.

considerations.md asks for I-JSON: UTF-8, no duplicate names. A duplicate or case-variant name is how one document
shows two readers two images (CVE-2021-41190 and its kin), so it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ociassemble.errors import FormatError

MAX_DOCUMENT = 4 << 20  # bytes; registries need not take more (distribution-spec, "Pushing Manifests")
MAX_DEPTH = 32
_MAX_INTEGER = 2**53

EMPTY: Mapping[str, str] = MappingProxyType({})


def parse(raw: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `raw`; `what` names the document in errors."""
    if len(raw) > MAX_DOCUMENT:
        raise FormatError(f"{what} is larger than {MAX_DOCUMENT >> 20} MiB")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{what} is not UTF-8") from error
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except _Refused as error:
        raise FormatError(f"{what}: {error}") from error
    except RecursionError as error:
        raise FormatError(f"{what} is nested too deeply") from error
    except ValueError as error:
        raise FormatError(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{what} is not a JSON object")
    try:
        _check(value, 0)
    except _Refused as error:
        raise FormatError(f"{what}: {error}") from error
    return value


def dump(document: Mapping[str, Any]) -> bytes:
    """`document` as compact UTF-8 JSON, keys in the order given."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def canonical(document: Any) -> bytes:
    """`document` as compact UTF-8 JSON with sorted keys: the form that keys are hashed over."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False).encode(
        "utf-8"
    )


def text(document: Mapping[str, Any], key: str, what: str, *, required: bool = False) -> str:
    """The string at `key`, "" when absent."""
    value = document.get(key)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value):
        raise FormatError(f"{what}: `{key}` is not a string" if key in document else f"{what} has no `{key}`")
    return value


def strings(document: Mapping[str, Any], key: str, what: str) -> Mapping[str, str]:
    """The string-to-string map at `key`, read-only; empty when absent."""
    value = document.get(key)
    if value is None:
        return EMPTY
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise FormatError(f"{what}: `{key}` is not a map of strings")
    return MappingProxyType(value) if value else EMPTY


class _Refused(ValueError):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Refused(f"duplicate name {name!r:.80}")
            seen.add(name)
    return result


def _constant(name: str) -> Any:
    raise _Refused(f"{name} is not JSON")


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _Refused("nested too deeply")
    if isinstance(value, dict):
        for name, item in value.items():
            _check(name, depth)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, int) and not -_MAX_INTEGER <= value <= _MAX_INTEGER:
        raise _Refused("a number beyond 2^53")
    elif isinstance(value, float) and not -_MAX_INTEGER <= value <= _MAX_INTEGER:
        raise _Refused("a number beyond 2^53")  # 1e999 is infinite here, and could not be written again
    elif isinstance(value, str) and not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise _Refused("a lone surrogate")
