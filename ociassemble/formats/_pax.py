"""PAX extended header records, both ways: `%d KEY=VALUE\\n`, the number counting the whole record in bytes."""

from __future__ import annotations

from collections.abc import Iterable

from ociassemble.errors import FormatError

LIMIT = 1 << 20  # bytes of one extended header; real ones have a few hundred


class TarFormatError(FormatError):
    """A tar stream violates its format, or uses a part of it that readers disagree about."""

    code = "integrity.format.tar"


def encode(records: Iterable[tuple[str, bytes]]) -> bytes:
    """The records in the order of their keys (specs/behaviour/layer-format.md LAYER-11)."""
    return b"".join(_record(key.encode(), value) for key, value in sorted(records))


def _record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    # The number counts its own digits, so it may need one more when it is added.
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def decode(data: bytes) -> dict[str, bytes]:
    """The records of one extended header; of a key given twice the last counts, as POSIX says."""
    records: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 9)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit():
            raise TarFormatError("a PAX record does not begin with its length")
        end = position + int(digits)
        if end > len(data) or end <= space + 2 or data[end - 1] != 0x0A:
            raise TarFormatError("a PAX record is not as long as it says")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not key or not equals:
            raise TarFormatError("a PAX record has no key and value")
        try:
            name = key.decode()
        except UnicodeDecodeError:
            raise TarFormatError("the key of a PAX record is not UTF-8") from None
        if name.startswith("GNU.sparse."):
            raise TarFormatError("a sparse file (GNU.sparse) is not supported")
        records[name] = value
        position = end
    return records


def number(records: dict[str, bytes], key: str, limit: int) -> int | None:
    """The decimal value of `key`, None where it is absent or empty (an empty value unsets it)."""
    value = records.get(key, b"")
    if not value:
        return None
    if not value.isdigit() or len(value) > 20 or int(value) > limit:
        raise TarFormatError(f"the PAX record `{key}` is not a number in range: {value!r:.40}")
    return int(value)


def seconds(records: dict[str, bytes], key: str) -> int | None:
    """The whole seconds of a time such as `1700000000.25` or `-1`, rounded towards the past."""
    value = records.get(key, b"")
    if not value:
        return None
    whole, _, fraction = value.partition(b".")
    digits = whole.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 18 or (fraction and not fraction.isdigit()):
        raise TarFormatError(f"the PAX record `{key}` is not a time: {value!r:.40}")
    found = int(whole)
    return found - 1 if whole.startswith(b"-") and fraction.strip(b"0") else found
