"""Whether what looks like a secret could be one: checksums, randomness, placeholders. All of it pure and linear."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from collections import Counter
from typing import Any
from urllib.parse import unquote_to_bytes

# Words that stand where a secret would; and runs nobody draws by lot.
_PLACEHOLDER = (
    rb"(?is)example|placeholder|redacted|dummy|sample|changeme|your[-_]|xxxx|\*\*\*|\.\.\.|"
    rb"0123456|1234567|2345678|7654321|abcdefg|bcdefgh|qwertyu|(.)\1{6}"
)
# Secrets that everybody has. Their sha256, so that this file holds none.
_PUBLIC = frozenset(
    {
        "0011cc25eb4320717494d2703e8cba85743e71b500283c21c8b88147992f9059",  # the key of Azure's storage emulator
        "05b9f5d960901639fef471f294de3e654936487c91e5f9cd019b24dc48ad7984",  # AWS's manual: ecr
        "04fba2c05f91ad4be0d4459fdd0899910cfd97bf564bbfe45c5f42f23f43b857",  # ... ssm
        "577cfe66bf6c95ddd0aa06c4ac4fc36f6cf641fdad7ab445b33071fea3612f74",  # ... datasync
        "bab8bcae57ce04f7f97849bea83d87bb9fa7f4a4e68c3c4af7fca31a93ba403a",  # ... iot
    }
)
_BASE62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_WORDS = (
    rb"(?i)pass(word|wd|phrase)?\d*|pw|pwd|secret\d*|token|user(name)?|admin|root|guest|tests?|demo|local|default|none|null|"
    rb"true|false|foo(bar)?|bar|baz|tiger|postgres|mysql|mariadb|redis|rabbitmq|mongo(db)?|development|production|"
    rb"p[@4a][s$5]{2}w[o0]rd[0-9!]*|hunter2|letmein|x+|\*+|-+|\.+"
)
# `$VAR`, `${VAR}`, `{name}`, `{{ name }}`, `%s`, `%(name)s`, `<name>`, `[name]`, `:name`, `@name@`, `env.NAME`, ...
_REFERENCE = rb"(?s)[$%<{\[(:@&!#].*|.*(\$\{|\{\{|%\(|<%|\$\(|#\{).*|.*[>}\])]"
_NUMBER = rb"[-+]?[0-9_]*\.?[0-9_]*([eE][-+]?[0-9]+)?[A-Za-z%]{0,2}"
_LOCAL = (
    rb"(?i)localhost|127\..*|0\.0\.0\.0|\[?::1?\]?|host(name|ip)?\d*|server(name)?|domain|address|endpoint|ip|db|database|proxy|"
    rb"some[a-z-]*|my[a-z-]*|your[a-z-]*|foo|bar|a|b|x|test|(.+\.)?(example|test|invalid|localhost|local)|"
    rb"(.+\.)?example\.(com|org|net|edu|io|co)|(.+\.)?(foo|bar|domain|host|server|site|acme)\.(com|org|net|tld)"
)


def entropy(value: bytes) -> float:
    """Shannon's entropy of the bytes of `value`, in bits a byte."""
    counts, size = Counter(value).values(), len(value)
    return -sum(count / size * math.log2(count / size) for count in counts) if size else 0.0


def random(value: bytes, bits: float) -> bool:
    """Whether `value` looks drawn by lot: no placeholder, and at least `bits` a byte."""
    # The cheapest question first: files made of beginnings of tokens ask hundreds of thousands of times.
    return len(set(value)) >= 2**bits and entropy(value) >= bits and re.search(_PLACEHOLDER, value) is None


def public(value: bytes) -> bool:
    """Whether `value` stands in a manual for everybody to read."""
    return hashlib.sha256(value).hexdigest() in _PUBLIC


def checksum62(token: bytes) -> bool:
    """Whether a token of 36 characters after its prefix ends in the CRC-32 of the 30 before, in base 62."""
    body, told = token[-36:-6], token[-6:]
    value, digits = binascii.crc32(body), bytearray()
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits.append(_BASE62[digit])
    return bytes(reversed(digits)) == told


def decoded(text: bytes) -> bytes | None:
    """What `text` stands for in base64, of either alphabet and with or without padding; None if it is no base64."""
    plain = text.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(decoded(text) or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def signed_token(token: bytes) -> bool:
    """Whether a JWT (RFC 7519) is signed and says who issued it or until when it counts; those of manuals do not."""
    header, payload, signature = token.split(b".")[:3]
    head, body = _object(header), _object(payload)
    algorithm = head.get("alg")
    if not isinstance(algorithm, str) or algorithm.lower() == "none":
        return False
    if body.get("sub") == "1234567890" or body.get("iss") in ("joe", "https://example.com", "urn:foo"):
        return False
    return ("iss" in body or "exp" in body) and entropy(signature) > 3.5


def key(body: bytes, *, encrypted: bool) -> bool:
    """Whether the base64 between the markers of a private key is one: DER as long as it says, OpenSSH, OpenPGP.

    `encrypted` is the old way, where headers say so and the rest could be anything.
    """
    data = decoded(body)
    if data is None or len(data) < 48:
        return False
    if encrypted or data.startswith(b"openssh-key-v1\0"):
        return len(data) >= 64
    if data[0] == 0x30:
        wide = data[1] & 0x7F if data[1] & 0x80 else 0
        size = int.from_bytes(data[2 : 2 + wide], "big") if wide else data[1]
        return wide < 4 and 2 + wide + size == len(data)
    return data[0] >= 0x94


def snowflake(token: bytes) -> bool:
    """Whether a bot token begins with a number in base64, as Discord's do."""
    number = decoded(token.partition(b".")[0])
    return number is not None and number.isdigit() and 16 <= len(number) <= 20


def login(value: bytes) -> bool:
    """Whether base64 `value` is `user:password`."""
    plain = decoded(value)
    if plain is None:
        return False
    user, colon, password = plain.partition(b":")
    return bool(user and colon and len(password) > 2) and not placeholder(password)


def placeholder(value: bytes) -> bool:
    """Whether a password is a word of manuals, or the name of something that holds the real one."""
    return bool(re.fullmatch(_WORDS, value) or re.fullmatch(_REFERENCE, value) or re.search(_PLACEHOLDER, value))


def _classes(value: bytes) -> int:
    """How many there are of: small letters, capitals, digits, anything but the signs that identifiers have."""
    kinds = (rb"[a-z]", rb"[A-Z]", rb"[0-9]", rb"[^A-Za-z0-9_.\-:/\\\s]")
    return sum(re.search(kind, value) is not None for kind in kinds)


def password(value: bytes, *, strict: bool) -> bool:
    """Whether `value` is a password somebody chose or drew; `strict` wants one that can be nothing else."""
    value = unquote_to_bytes(value)
    if placeholder(value) or not re.search(rb"[0-9]", value) or not re.search(rb"[A-Za-z]", value):
        return False
    if strict:
        return len(value) >= 10 and _classes(value) >= 3 and entropy(value) >= 3.0
    return len(value) >= 8 and entropy(value) >= 2.5


def assigned(value: bytes) -> bool:
    """Whether the value of a setting called `password`, `token` or the like is a secret, and no name of one."""
    if placeholder(value) or len(value) < 8 or re.fullmatch(_NUMBER, value):
        return False
    letters = len(re.findall(rb"[A-Za-z]", value))
    digits = len(re.findall(rb"[0-9]", value))
    if not letters or not digits or re.search(rb"[\s(){}\[\]<>|]|://|\\", value):
        return False
    if _classes(value) >= 3:
        parts = re.split(rb"[_.:/#-]", value)
        word = rb"[A-Za-z]*[0-9]{0,4}" if len(parts) == 1 else rb"[A-Za-z]*[0-9]{0,4}[A-Za-z]{0,2}"
        return entropy(value) >= 3.0 and not all(re.fullmatch(word, part) for part in parts)
    # Drawn from few characters it must be long, and digits must be everywhere: `my-release-postgres-15` is a name.
    turns = len(re.findall(rb"[0-9][A-Za-z]|[A-Za-z][0-9]", value))
    return len(value) >= 16 and turns >= 5 and entropy(value) >= 3.0 and not re.search(rb"[-./:]", value)


def real_host(host: bytes) -> bool:
    """Whether a host is somebody's, and not this machine or one of a manual."""
    return not re.fullmatch(_LOCAL, host) and not re.fullmatch(_REFERENCE, host)
