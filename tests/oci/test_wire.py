"""JSON documents of others: what could not be written again is refused when it is read."""

from __future__ import annotations

import re

import pytest

from ociassemble.errors import FormatError
from ociassemble.oci import _wire

DEEP = b'{"a":' * 500 + b"1" + b"}" * 500


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b'{"a":1e999}', "beyond 2^53"),
        (b'{"a":[{"b":-1e999}]}', "beyond 2^53"),
        (b'{"a":9007199254740994}', "beyond 2^53"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":"\\ud800"}', "lone surrogate"),
        (b'{"\\ud800":1}', "lone surrogate"),
        (b'{"a":{"b":[{"\\udfff":"x"}]}}', "lone surrogate"),
        (b'{"a":1,"a":2}', "duplicate name"),
        (DEEP, "nested too deeply"),
        (b'"\xff"', "UTF-8"),
        (b"[]", "not a JSON object"),
    ],
)
def test_refused(raw: bytes, told: str) -> None:
    with pytest.raises(FormatError, match=re.escape(told)):
        _wire.parse(raw, "the document")


def test_what_is_read_can_be_written() -> None:
    raw = b'{"a":1.5,"b":"\xf0\x9f\x98\x80","c":{"\xc3\xa9":null}}'
    assert _wire.dump(_wire.parse(raw, "the document")) == raw
