"""Who signed an InRelease file: right keys and right bytes only."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ociassemble.attest import openpgp
from ociassemble.attest.openpgp import KeyringError, SignatureError, UntrustedKeyError
from tests.debian_archive import DAY, NOW, Certificate, Key, clearsigned, packet

TEXT = "Origin: Test\nCodename: trixie\n- item\nSHA256:\n abc 1 main/x\n"


def keyring(*certificates: Certificate) -> openpgp.Keyring:
    return openpgp.read_keyring(
        [item.ring for item in certificates], frozenset(item.primary.name for item in certificates)
    )


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return Certificate()


@pytest.mark.parametrize("how", [{}, {"subkey": False}, {"bits": 2048}, {"bits": 2048, "subkey": False}])
def test_a_good_signature(how: dict[str, int]) -> None:
    certificate = Certificate(**how)  # type: ignore[arg-type]
    found = openpgp.verify(clearsigned(TEXT, certificate.signer), keyring(certificate))

    assert found.text.decode() == TEXT
    assert found.signers == (certificate.primary.name,)
    assert found.created == NOW - DAY


def test_gpgv_agrees_with_how_these_tests_sign(certificate: Certificate, tmp_path: Path) -> None:
    gpgv = shutil.which("gpgv")
    if gpgv is None:
        pytest.skip("gpgv is not installed")
    (tmp_path / "ring.gpg").write_bytes(certificate.ring)
    (tmp_path / "InRelease").write_bytes(clearsigned(TEXT, certificate.signer))
    ring = ["--homedir", tmp_path, "--keyring", tmp_path / "ring.gpg"]
    done = subprocess.run([gpgv, *ring, tmp_path / "InRelease"], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.spec("DEBIAN-SIGN-3")
def test_every_changed_byte_is_noticed(certificate: Certificate) -> None:
    document = clearsigned(TEXT, certificate.signer)
    ring = keyring(certificate)
    for position in range(len(document)):
        changed = bytearray(document)
        changed[position] ^= 1
        try:
            found = openpgp.verify(bytes(changed), ring)
        except SignatureError:
            continue
        # What is not covered: the name of the hash (the signature says its own) and the armour's form.
        assert found.text.decode() == TEXT, f"byte {position} of the text was changed"


@pytest.mark.spec("DEBIAN-SIGN-3")
def test_a_key_nobody_knows(certificate: Certificate) -> None:
    with pytest.raises(UntrustedKeyError) as caught:
        openpgp.verify(clearsigned(TEXT, Certificate().signer), keyring(certificate))
    assert caught.value.code == "integrity.signature.untrusted"
    assert caught.value.exit_code == 7
    assert caught.value.hint


def test_unknown_keys_beside_a_known_one_are_passed_over(certificate: Certificate) -> None:
    document = clearsigned(TEXT, Key(), certificate.signer, Key())

    assert openpgp.verify(document, keyring(certificate)).signers == (certificate.primary.name,)


@pytest.mark.spec("DEBIAN-SIGN-3")
def test_a_wrong_signature_of_a_known_key_beside_a_right_one(certificate: Certificate) -> None:
    other = Certificate()
    right = clearsigned(TEXT, certificate.signer)
    wrong = clearsigned("Another: text\n", other.signer)
    both = _with_signatures(right, _signatures(right) + _signatures(wrong))
    with pytest.raises(SignatureError) as caught:
        openpgp.verify(both, keyring(certificate, other))
    assert caught.value.code == "integrity.signature"


def _signatures(document: bytes) -> bytes:
    from ociassemble.formats.openpgp import cleartext

    return cleartext(document).signatures


def _with_signatures(document: bytes, signatures: bytes) -> bytes:
    from tests.debian_archive import armoured

    return document[: document.index(b"-----BEGIN PGP SIGNATURE")] + armoured(signatures).encode()


def test_no_signature_at_all(certificate: Certificate) -> None:
    document = _with_signatures(clearsigned(TEXT, certificate.signer), b"")
    with pytest.raises(SignatureError):
        openpgp.verify(document, keyring(certificate))
    with pytest.raises(SignatureError):
        openpgp.verify(TEXT.encode(), keyring(certificate))


def test_a_key_whose_time_is_over() -> None:
    certificate = Certificate(lifetime=50 * DAY)
    with pytest.raises(UntrustedKeyError, match="not valid then"):
        openpgp.verify(clearsigned(TEXT, certificate.signer), keyring(certificate))
    found = openpgp.verify(clearsigned(TEXT, certificate.signer, created=NOW - 60 * DAY), keyring(certificate))
    assert found.created == NOW - 60 * DAY


def test_a_signature_older_than_its_key(certificate: Certificate) -> None:
    with pytest.raises(UntrustedKeyError, match="not valid then"):
        openpgp.verify(clearsigned(TEXT, certificate.signer, created=NOW - 200 * DAY), keyring(certificate))


def test_signatures_of_other_types_are_refused(certificate: Certificate) -> None:
    with pytest.raises(SignatureError, match="type"):
        openpgp.verify(clearsigned(TEXT, certificate.signer, kind=0), keyring(certificate))


def test_a_signature_that_claims_another_issuer(certificate: Certificate) -> None:
    document = clearsigned(TEXT, Key(), issuer=certificate.signer.fingerprint)
    with pytest.raises(SignatureError):
        openpgp.verify(document, keyring(certificate))


@pytest.mark.spec("DEBIAN-SIGN-2")
@pytest.mark.parametrize("how", [{"back": False}, {"revoked": True}, {"subkey_revoked": True}])
def test_subkeys_that_do_not_count(how: dict[str, bool]) -> None:
    certificate = Certificate(**how)  # type: ignore[arg-type]
    ring = keyring(certificate)

    assert certificate.signer.name not in ring
    with pytest.raises(UntrustedKeyError):
        openpgp.verify(clearsigned(TEXT, certificate.signer), ring)


@pytest.mark.spec("DEBIAN-SIGN-2")
def test_a_subkey_that_somebody_slipped_into_the_ring(certificate: Certificate) -> None:
    foreign = Certificate()
    smuggled = foreign.ring[foreign.ring.index(packet(14, foreign.signer.body)) :]
    ring = openpgp.read_keyring([certificate.ring + smuggled], frozenset({certificate.primary.name}))

    assert foreign.signer.name not in ring
    assert certificate.signer.name in ring


@pytest.mark.spec("DEBIAN-SIGN-2")
def test_only_pinned_keys_make_a_keyring(certificate: Certificate) -> None:
    with pytest.raises(KeyringError, match="not one of the pinned"):
        openpgp.read_keyring([Certificate().ring], frozenset({certificate.primary.name}))
    with pytest.raises(KeyringError, match="missing"):
        openpgp.read_keyring([], frozenset({certificate.primary.name}))
    with pytest.raises(KeyringError):
        openpgp.read_keyring([certificate.ring[:-3]], frozenset({certificate.primary.name}))


@pytest.mark.spec("DEBIAN-SIGN-4")
def test_short_rsa_keys_do_not_count() -> None:
    certificate = Certificate(bits=1024)

    assert keyring(certificate) == {}


@pytest.mark.spec("DEBIAN-SIGN-2")
def test_debians_own_keys_are_there_and_whole() -> None:
    ring = openpgp.debian_keyring()

    # Each of the four automatic keys with its subkey, and the two stable release keys.
    assert len(ring) == 10
    assert {key.primary for key in ring.values()} == set(openpgp.DEBIAN_ARCHIVE_KEYS.values())
    assert all(key.until > NOW for key in ring.values())
    with pytest.raises(UntrustedKeyError):
        openpgp.verify_release(clearsigned(TEXT, Certificate().signer))
