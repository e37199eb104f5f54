"""OpenPGP as signed Debian archives use it (RFC 4880, RFC 9580 for version 4): framing and packets, no arithmetic.

Cleartext signatures, ASCII armour, packet headers, version 4 keys and signatures. Whether a signature is right is
asked in `ociassemble.attest.openpgp`.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from ociassemble.errors import FormatError

# Tags, types and algorithms we know (RFC 9580, sections 5, 5.2.1, 9).
SIGNATURE, PUBLIC_KEY, USER_ID, PUBLIC_SUBKEY = 2, 6, 13, 14
TEXT = 0x01
CERTIFICATIONS = frozenset({0x10, 0x11, 0x12, 0x13})
SUBKEY_BINDING, PRIMARY_BINDING, DIRECT_KEY = 0x18, 0x19, 0x1F
KEY_REVOCATION, SUBKEY_REVOCATION = 0x20, 0x28
RSA, EDDSA = 1, 22
HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}

_ED25519 = bytes.fromhex("2b06010401da470f01")
_MAX_PACKET = 1 << 20  # bytes
_MAX_SIGNATURES = 1 << 16  # bytes in an armour; a signature by RSA-4096 has 0.6 kB
_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
_BEGIN_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END_SIGNATURE = b"-----END PGP SIGNATURE-----"
# Subpackets that may be marked critical without our understanding each: none of them restricts a signature more
# than the rules we apply anyway.
_KNOWN = frozenset({2, 3, 4, 7, 9, 11, 16, 20, 21, 22, 23, 25, 27, 28, 30, 32, 33, 34})
_HEADER = re.compile(rb"Hash: [A-Za-z0-9, -]{1,80}", re.ASCII)


class OpenPGPFormatError(FormatError):
    """A signed message, key or signature violates the format, or uses what nobody signs archives with."""

    code = "integrity.format.openpgp"


class Cleartext(NamedTuple):
    """A cleartext signed message: `text` as it is to be read, `signed` as it was hashed, and the signature packets."""

    text: bytes
    signed: bytes
    signatures: bytes


class Packet(NamedTuple):
    tag: int
    body: bytes


class PublicKey(NamedTuple):
    """A version 4 public key. `material` is (n, e) for RSA; for EdDSA `point` holds the 32 bytes of the key."""

    fingerprint: str  # 40 upper-case hex digits
    created: int  # seconds since 1970
    algorithm: int
    material: tuple[int, int] | None
    point: bytes
    hashed: bytes  # what signatures over this key hash


class Signature(NamedTuple):
    """A version 4 signature. `hashed` follows what is signed into the hash; times in seconds."""

    type: int
    algorithm: int
    hash: str  # a name hashlib knows
    hashed: bytes
    created: int
    issuer: str  # fingerprint, "" where only a key id was given
    key_expires: int  # after the key's creation; 0 never
    flags: int | None
    embedded: tuple[bytes, ...]  # bodies of signatures inside this one
    left: bytes  # the first two bytes of the hash
    numbers: tuple[int, ...]


def cleartext(data: bytes) -> Cleartext:
    """The one signed message that `data` consists of; anything before, between or after it is refused.

    What stands outside the signed block is what attackers put there for parsers that do not look at the frame.
    """
    lines = data.split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    lines = [line.rstrip(b" \t\r") for line in lines]
    if not lines or lines[0] != _BEGIN:
        raise OpenPGPFormatError("not a signed message: it does not begin with a PGP SIGNED MESSAGE line")
    position = 1
    while position < len(lines) and lines[position]:
        if not _HEADER.fullmatch(lines[position]):
            raise OpenPGPFormatError(f"an unexpected line in the head of the signed message: {lines[position]!r:.80}")
        position += 1
    try:
        end = lines.index(_BEGIN_SIGNATURE, position)
    except ValueError:
        raise OpenPGPFormatError("the signed message has no signature") from None
    body: list[bytes] = []
    for line in lines[position + 1 : end]:
        if line.startswith(b"-"):
            if not line.startswith(b"- ") and line != b"-":
                raise OpenPGPFormatError(f"an unescaped dash in the signed message: {line!r:.80}")
            line = line[2:]
        if b"\0" in line or b"\r" in line:
            raise OpenPGPFormatError("a control character in the signed message")
        body.append(line)
    if lines[-1] != _END_SIGNATURE:
        raise OpenPGPFormatError("the signed message goes on after its signature, or its signature does not end")
    return Cleartext(b"\n".join(body) + b"\n", b"\r\n".join(body), _armour(lines[end + 1 : -1]))


def _armour(lines: list[bytes]) -> bytes:
    """The bytes inside the lines of an ASCII armour."""
    if b"" in lines:
        first = lines.index(b"")
        if not all(b": " in line for line in lines[:first]):
            raise OpenPGPFormatError("an unexpected line in the head of the signature")
        lines = lines[first + 1 :]
    checksum = b""
    if lines and lines[-1].startswith(b"="):
        checksum = lines.pop()[1:]
    try:
        data = binascii.a2b_base64(b"".join(lines), strict_mode=True)
        expected = binascii.a2b_base64(checksum, strict_mode=True) if checksum else None
    except binascii.Error as error:
        raise OpenPGPFormatError(f"the signature is not base64: {error}") from error
    if len(data) > _MAX_SIGNATURES:
        raise OpenPGPFormatError(f"signatures of {len(data)} bytes")
    if expected is not None and expected != _crc24(data):
        raise OpenPGPFormatError("the checksum of the signature is wrong")
    return data


def _crc24(data: bytes) -> bytes:
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc.to_bytes(3, "big")


class _Reader:
    """Bounded reading; every read past the end is our error."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def __bool__(self) -> bool:
        return self.position < len(self.data)

    def take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.data):
            raise OpenPGPFormatError("an OpenPGP packet ends too early")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def mpi(self) -> int:
        bits = self.number(2)
        value = self.number((bits + 7) // 8)
        if value.bit_length() != bits:
            raise OpenPGPFormatError("a number in an OpenPGP packet has another length than it says")
        return value

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.position)


def packets(data: bytes) -> Iterator[Packet]:
    """The packets in `data`, old and new headers; partial and open-ended lengths are refused."""
    reader = _Reader(data)
    while reader:
        head = reader.number(1)
        if not head & 0x80:
            raise OpenPGPFormatError("not an OpenPGP packet")
        if head & 0x40:
            tag = head & 0x3F
            size = _length(reader)
        else:
            tag = head >> 2 & 0x0F
            if head & 3 == 3:
                raise OpenPGPFormatError("an OpenPGP packet of open-ended length")
            size = reader.number(1 << (head & 3))
        if size > _MAX_PACKET:
            raise OpenPGPFormatError(f"an OpenPGP packet of {size} bytes")
        yield Packet(tag, reader.take(size))


def _length(reader: _Reader) -> int:
    """A new-format packet length; also that of subpackets, but for the partial ones."""
    first = reader.number(1)
    if first < 192:
        return first
    if first < 224:
        return (first - 192 << 8) + reader.number(1) + 192
    if first == 255:
        return reader.number(4)
    raise OpenPGPFormatError("an OpenPGP packet in parts")


def public_key(body: bytes) -> PublicKey:
    """The key in the body of a public key or public subkey packet."""
    reader = _Reader(body)
    if (version := reader.number(1)) != 4:
        raise OpenPGPFormatError(f"an OpenPGP key of version {version}; only 4 is known")
    created = reader.number(4)
    algorithm = reader.number(1)
    material: tuple[int, int] | None = None
    point = b""
    if algorithm == RSA:
        material = (reader.mpi(), reader.mpi())
    elif algorithm == EDDSA:
        if reader.take(reader.number(1)) != _ED25519:
            raise OpenPGPFormatError("an EdDSA key on another curve than Ed25519")
        number = reader.mpi()
        encoded = number.to_bytes(33, "big") if number.bit_length() <= 264 else b""
        if encoded[:1] != b"\x40":
            raise OpenPGPFormatError("an Ed25519 key whose point is not in its native form")
        point = encoded[1:]
    else:
        raise OpenPGPFormatError(f"an OpenPGP key of the algorithm {algorithm}; only RSA and Ed25519 are known")
    if reader:
        raise OpenPGPFormatError("an OpenPGP key goes on after its numbers")
    hashed = b"\x99" + len(body).to_bytes(2, "big") + body
    fingerprint = hashlib.sha1(hashed, usedforsecurity=False).hexdigest().upper()
    return PublicKey(fingerprint, created, algorithm, material, point, hashed)


def signature(body: bytes) -> Signature:
    """The signature in the body of a signature packet; without a creation time in its hashed part it is refused."""
    reader = _Reader(body)
    if (version := reader.number(1)) != 4:
        raise OpenPGPFormatError(f"an OpenPGP signature of version {version}; only 4 is known")
    kind, algorithm, hash_number = reader.number(1), reader.number(1), reader.number(1)
    if hash_number not in HASHES:
        raise OpenPGPFormatError(f"an OpenPGP signature over the hash {hash_number}; only SHA-2 is accepted")
    if algorithm not in (RSA, EDDSA):
        raise OpenPGPFormatError(f"an OpenPGP signature of the algorithm {algorithm}; only RSA and Ed25519 are known")
    area = reader.take(reader.number(2))
    head = body[: reader.position]
    unhashed = reader.take(reader.number(2))
    left = reader.take(2)
    numbers = (reader.mpi(),) if algorithm == RSA else (reader.mpi(), reader.mpi())
    if reader:
        raise OpenPGPFormatError("an OpenPGP signature goes on after its numbers")
    found: dict[int, bytes] = {}
    embedded: list[bytes] = []
    for number, value in _subpackets(area):
        if number == 32:
            embedded.append(value)
        elif found.setdefault(number, value) != value:
            raise OpenPGPFormatError(f"an OpenPGP signature says the subpacket {number} twice")
    if len(found.get(2, b"")) != 4:
        raise OpenPGPFormatError("an OpenPGP signature without a creation time")
    # The unhashed part proves nothing; only signatures in it do, which prove themselves.
    embedded += (value for number, value in _subpackets(unhashed) if number == 32)
    issuer = found.get(33, b"")
    return Signature(
        type=kind,
        algorithm=algorithm,
        hash=HASHES[hash_number],
        hashed=head + b"\x04\xff" + len(head).to_bytes(4, "big"),
        created=int.from_bytes(found[2], "big"),
        issuer=issuer[1:].hex().upper() if len(issuer) == 21 and issuer[0] == 4 else "",
        key_expires=int.from_bytes(found.get(9, b"")[:4], "big"),
        flags=found[27][0] if found.get(27) else None,
        embedded=tuple(embedded),
        left=left,
        numbers=numbers,
    )


def _subpackets(area: bytes) -> Iterator[tuple[int, bytes]]:
    reader = _Reader(area)
    while reader:
        first = reader.number(1)
        if first < 192:
            size = first
        elif first < 255:
            size = (first - 192 << 8) + reader.number(1) + 192
        else:
            size = reader.number(4)
        if size < 1:
            raise OpenPGPFormatError("an empty OpenPGP subpacket")
        data = reader.take(size)
        number = data[0] & 0x7F
        if data[0] & 0x80 and number not in _KNOWN:
            raise OpenPGPFormatError(f"an OpenPGP signature with the unknown critical subpacket {number}")
        yield number, data[1:]
