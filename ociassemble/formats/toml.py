"""TOML of others (toml.io 1.0), read by the standard library, minus what it takes hours or all memory for.

A key of n parts costs `tomllib` time and memory with the square of n: 40 kB of `a.a.a...` are 1.6 GB.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

MAX_KEY_PARTS = 100  # of one dotted key; real ones have five

_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.){0,1000}+"|'[^'\n]{0,1000}+')"""
_LONG_KEY = rf"""(?a)(?<![A-Za-z0-9_-])(?:{_PART}[ \t]*+\.[ \t]*+){{{MAX_KEY_PARTS}}}"""

TOMLDecodeError = tomllib.TOMLDecodeError


def loads(text: str) -> dict[str, Any]:
    """The document; `TOMLDecodeError` for all that is wrong with it but `RecursionError` for endless nesting."""
    if re.search(_LONG_KEY, text):
        raise TOMLDecodeError(f"a key of more than {MAX_KEY_PARTS} parts")
    try:
        return tomllib.loads(text)
    except TOMLDecodeError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise TOMLDecodeError(str(error).partition(";")[0]) from error
