"""The grammar of OpenPGP messages: frames, armour, packets."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import FormatError
from ociassemble.formats import openpgp
from ociassemble.formats.openpgp import OpenPGPFormatError
from tests.debian_archive import Key, armoured, clearsigned, packet

KEY = Key()
MESSAGE = clearsigned("A: 1\n- dash\n-\n\ntrailing \t\n", KEY)


def test_a_message_taken_apart() -> None:
    found = openpgp.cleartext(MESSAGE)

    assert found.text == b"A: 1\n- dash\n-\n\ntrailing\n"
    assert found.signed == b"A: 1\r\n- dash\r\n-\r\n\r\ntrailing"
    (signature,) = openpgp.packets(found.signatures)
    assert openpgp.signature(signature.body).issuer == KEY.name


def test_windows_line_ends_change_nothing() -> None:
    assert openpgp.cleartext(MESSAGE.replace(b"\n", b"\r\n")) == openpgp.cleartext(MESSAGE)


@pytest.mark.spec("DEBIAN-SIGN-1")
@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"Package: evil\n\n" + data,
        lambda data: b"\n" + data,
        lambda data: data + b"Package: evil\n",
        lambda data: data + data,
        lambda data: data.replace(b"Hash: SHA256\n", b"Package: evil\n"),
        lambda data: data.replace(b"Hash: SHA256\n\n", b"Hash: SHA256\nA: 0\n\n"),
        lambda data: data.replace(b"- - dash", b"-dash"),
        lambda data: data.replace(b"A: 1", b"A: 1\rB: 2"),
        lambda data: data.replace(b"A: 1", b"A: \x001"),
        lambda data: data.replace(b"-----BEGIN PGP SIGNATURE-----", b"-----BEGIN PGP SIGNATURES----"),
        lambda data: data[: data.index(b"-----END PGP SIGNATURE")],
        lambda data: data.replace(b"-----END PGP SIGNATURE-----", b"!\n-----END PGP SIGNATURE-----"),
        lambda data: data.replace(b"SIGNATURE-----\n\n", b"SIGNATURE-----\nnot a header\n\n"),
        lambda data: data.replace(b"\n=", b"\n=AAAA\n="),
    ],
)
def test_other_frames_are_refused(change: object) -> None:
    with pytest.raises(OpenPGPFormatError):
        openpgp.cleartext(change(MESSAGE))  # type: ignore[operator]


def test_a_wrong_checksum_is_refused() -> None:
    checksum = MESSAGE[MESSAGE.rindex(b"\n=") + 2 :][:4]
    other = bytes([checksum[0] ^ 1, *checksum[1:]])
    with pytest.raises(OpenPGPFormatError, match=r"checksum|base64"):
        openpgp.cleartext(MESSAGE.replace(b"\n=" + checksum, b"\n=" + other))


def test_signatures_without_end_are_refused_before_they_cost_time() -> None:
    huge = armoured(bytes(1 << 17)).encode()
    with pytest.raises(OpenPGPFormatError, match="bytes"):
        openpgp.cleartext(MESSAGE[: MESSAGE.index(b"-----BEGIN PGP SIGNATURE")] + huge)


def test_packet_headers_old_and_new() -> None:
    body = bytes(300)
    old_one = bytes([0x80 | 13 << 2, 5]) + b"hello"
    old_two = bytes([0x80 | 13 << 2 | 1]) + (300).to_bytes(2, "big") + body
    new_two = bytes([0xC0 | 13, 192 + (300 - 192 >> 8), 300 - 192 & 0xFF]) + body
    found = list(openpgp.packets(old_one + old_two + new_two + packet(2, b"x")))

    assert found == [(13, b"hello"), (13, body), (13, body), (2, b"x")]


@pytest.mark.parametrize(
    "data",
    [b"\x00", b"\x83xx", b"\xc2\xe0" + bytes(40), b"\xc2", b"\xc2\x05abcd", b"\xc2\xff\xff\xff\xff\xff", b"\x88"],
)
def test_broken_packets(data: bytes) -> None:
    with pytest.raises(OpenPGPFormatError):
        list(openpgp.packets(data))


def test_keys() -> None:
    assert openpgp.public_key(KEY.body).fingerprint == KEY.name
    for bad in (b"\x03" + KEY.body[1:], KEY.body[:5] + b"\x10" + KEY.body[6:], KEY.body + b"x", KEY.body[:-1], b""):
        with pytest.raises(OpenPGPFormatError):
            openpgp.public_key(bad)


@pytest.mark.spec("DEBIAN-SIGN-4")
def test_signatures_over_weak_hashes_are_refused() -> None:
    with pytest.raises(OpenPGPFormatError, match="SHA-2"):
        openpgp.signature(KEY.sign(b"x", 1, hash=2))


def test_a_signature_needs_its_creation_time() -> None:
    body = bytearray(KEY.sign(b"x", 1))
    body[body.index(b"\x05\x02") + 1] = 100
    with pytest.raises(OpenPGPFormatError, match="creation time"):
        openpgp.signature(bytes(body))


def test_an_unknown_critical_subpacket_is_refused() -> None:
    with pytest.raises(OpenPGPFormatError, match="critical"):
        openpgp.signature(KEY.sign(b"x", 1, extra=b"\x02\xe4x"))
    assert openpgp.signature(KEY.sign(b"x", 1, extra=b"\x02\x64x")).issuer == KEY.name


@given(st.data())
def test_total_on_changed_messages(data: st.DataObject) -> None:
    changed = bytearray(MESSAGE)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        for found in openpgp.packets(openpgp.cleartext(bytes(changed)).signatures):
            openpgp.signature(found.body)


@given(st.binary(max_size=80))
def test_total_on_anything(data: bytes) -> None:
    for function in (openpgp.public_key, openpgp.signature, openpgp.cleartext, lambda d: list(openpgp.packets(d))):
        with contextlib.suppress(FormatError):
            function(data)
