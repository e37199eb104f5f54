"""Verify what Debian's archive signed, with `cryptography` alone (specs/behaviour/debian-base.md, DEBIAN-SIGN).

The keys are the archive's own, shipped in `keys/` as Debian publishes them, and pinned by fingerprint here: a file
that was exchanged is refused like a signature that was.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import NamedTuple

from ociassemble.errors import FormatError, IntegrityError
from ociassemble.formats import openpgp
from ociassemble.formats.openpgp import Packet, PublicKey, Signature

MIN_RSA, MAX_RSA = 2048, 8192  # bits; the upper bound keeps a hostile key from costing minutes

# Fingerprints of the primary keys: trixie and bookworm (which still sign today's suites).
DEBIAN_ARCHIVE_KEYS = {
    "debian-archive-trixie-automatic.gpg": "04B54C3CDCA79751B16BC6B5225629DF75B188BD",
    "debian-archive-trixie-security-automatic.gpg": "5E04A1E3223A19A20706E20F9904613D4CCE68C6",
    "debian-archive-trixie-stable.gpg": "41587F7DB8C774BCCF131416762F67A0B2C39DE4",
    "debian-archive-bookworm-automatic.gpg": "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8",
    "debian-archive-bookworm-security-automatic.gpg": "05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0",
    "debian-archive-bookworm-stable.gpg": "4D64FEC119C2029067D6E791F8D2585B8783D481",
}


class SignatureError(IntegrityError):
    """A signature is missing, broken, or not over these bytes."""

    code = "integrity.signature"


class UntrustedKeyError(SignatureError):
    """Signed, but by nobody we trust, or with a key that was not valid at that time."""

    code = "integrity.signature.untrusted"


class KeyringError(IntegrityError):
    """The keys themselves are not the pinned ones, or broken."""

    code = "integrity.keyring"


class SigningKey(NamedTuple):
    """A key that may sign documents between two times (seconds since 1970; `until` 0 means no end)."""

    key: PublicKey
    primary: str  # fingerprint of the key it belongs to
    since: int
    until: int


class Verified(NamedTuple):
    """`text` is exactly what is covered by the signatures; nothing else of the document may be believed."""

    text: bytes
    signers: tuple[str, ...]  # fingerprints of the primary keys, sorted
    created: int  # of the newest good signature, seconds since 1970


Keyring = dict[str, SigningKey]  # by fingerprint of the signing key


@functools.cache
def debian_keyring() -> Keyring:
    """The archive keys shipped with this package."""
    folder = resources.files("ociassemble.attest") / "keys"
    return read_keyring(
        [(folder / name).read_bytes() for name in DEBIAN_ARCHIVE_KEYS], frozenset(DEBIAN_ARCHIVE_KEYS.values())
    )


def verify_release(document: bytes) -> bytes:
    """The text of an InRelease file that Debian's archive signed; `SignatureError` otherwise."""
    return verify(document, debian_keyring(), what="the InRelease file").text


def verify(document: bytes, keyring: Keyring, *, what: str = "the document") -> Verified:
    """Check a cleartext signed document: at least one key of `keyring` must have signed it.

    Signatures by keys we do not know are passed over, as archives sign with old and new keys at once; one by a key
    we know that is wrong refuses the document, whatever the others say.
    """
    try:
        message = openpgp.cleartext(document)
        found = _signatures(message.signatures)
    except FormatError as error:
        raise SignatureError(f"{what} cannot be verified: {error}") from error
    good: list[tuple[str, int]] = []
    stale: list[str] = []
    for signature in found:
        signer = keyring.get(signature.issuer)
        if signer is None:
            continue
        if signature.type != openpgp.TEXT:
            raise SignatureError(f"{what} has a signature of the type {signature.type:#04x}, not over a text")
        if not _good(signature, signer.key, message.signed):
            raise SignatureError(
                f"{what} is not what {signature.issuer} signed: it was changed, or it is broken",
                hint="try again, or another mirror; if it stays so, somebody tampers with what you receive",
            )
        if not signer.since <= signature.created or (signer.until and signature.created >= signer.until):
            stale.append(signature.issuer)
            continue
        good.append((signer.primary, signature.created))
    if not good:
        raise UntrustedKeyError(
            f"{what} is not signed by a key of Debian's archive"
            if not stale
            else f"{what} was signed with a key that was not valid then",
            details=[f"signed by {signature.issuer or 'an unnamed key'}" for signature in found],
            hint="the mirror must serve Debian's own signed files, unchanged",
        )
    return Verified(message.text, tuple(sorted({name for name, _ in good})), max(time for _, time in good))


def _signatures(data: bytes) -> list[Signature]:
    """The signatures we can judge. Kinds we cannot (newer versions, other algorithms) stand beside them."""
    found: list[Signature] = []
    for packet in openpgp.packets(data):
        if packet.tag != openpgp.SIGNATURE:
            raise SignatureError(f"a packet of the kind {packet.tag} among the signatures")
        if len(found) >= 32:
            raise SignatureError("more than 32 signatures")
        try:
            found.append(openpgp.signature(packet.body))
        except FormatError:
            continue
    return found


def read_keyring(rings: Iterable[bytes], pinned: frozenset[str]) -> Keyring:
    """The keys in `rings` that may sign documents; their primary keys must be exactly the `pinned` ones.

    A subkey counts only with its primary's binding signature and its own in return; revoked keys do not count.
    """
    keyring: Keyring = {}
    seen: set[str] = set()
    for ring in rings:
        try:
            for certificate in _certificates(ring):
                primary = openpgp.public_key(certificate[0].body)
                if primary.fingerprint not in pinned:
                    raise KeyringError(f"the key {primary.fingerprint} is not one of the pinned ones")
                seen.add(primary.fingerprint)
                for key in _signing_keys(primary, certificate):
                    keyring[key.key.fingerprint] = key
        except FormatError as error:
            raise KeyringError(f"a keyring cannot be read: {error}") from error
    if missing := sorted(pinned - seen):
        raise KeyringError(f"the pinned key {missing[0]} is missing")
    return keyring


def _certificates(ring: bytes) -> list[list[Packet]]:
    """The packets of `ring`, cut before each primary key."""
    found: list[list[Packet]] = []
    for packet in openpgp.packets(ring):
        if packet.tag == openpgp.PUBLIC_KEY:
            found.append([])
        if not found:
            raise KeyringError("a keyring that does not begin with a key")
        found[-1].append(packet)
    return found


def _signing_keys(primary: PublicKey, packets: Sequence[Packet]) -> list[SigningKey]:
    certified: list[Signature] = []
    bound: dict[str, tuple[PublicKey, Signature]] = {}
    revoked: set[str] = set()
    subject = b""  # what is hashed after the primary key: nothing, a user id, or a subkey
    subkey: PublicKey | None = None
    for packet in packets[1:]:
        if packet.tag == openpgp.USER_ID:
            subject, subkey = b"\xb4" + len(packet.body).to_bytes(4, "big") + packet.body, None
        elif packet.tag == openpgp.PUBLIC_SUBKEY:
            subkey = _known_key(packet.body)
            subject = subkey.hashed if subkey is not None else b""
        elif packet.tag == openpgp.SIGNATURE:
            signature = _own_signature(packet.body, primary)
            if signature is None:
                continue
            over = b"" if signature.type in (openpgp.DIRECT_KEY, openpgp.KEY_REVOCATION) else subject
            if not _good(signature, primary, primary.hashed + over):
                continue
            if signature.type == openpgp.KEY_REVOCATION:
                return []
            if signature.type in openpgp.CERTIFICATIONS and subkey is None:
                certified.append(signature)
            elif signature.type == openpgp.SUBKEY_BINDING and subkey is not None:
                before = bound.get(subkey.fingerprint)
                if before is None or before[1].created <= signature.created:
                    bound[subkey.fingerprint] = subkey, signature
            elif signature.type == openpgp.SUBKEY_REVOCATION and subkey is not None:
                revoked.add(subkey.fingerprint)
    if not certified:
        return []
    newest = max(certified, key=lambda signature: signature.created)
    until = primary.created + newest.key_expires if newest.key_expires else 0
    keys: list[SigningKey] = []
    if newest.flags is None or newest.flags & 2:
        keys.append(SigningKey(primary, primary.fingerprint, primary.created, until))
    for fingerprint, (key, binding) in bound.items():
        if fingerprint in revoked or not (binding.flags or 0) & 2 or not _binds_back(primary, key, binding):
            continue
        ends = [end for end in (until, key.created + binding.key_expires if binding.key_expires else 0) if end]
        keys.append(SigningKey(key, primary.fingerprint, max(key.created, primary.created), min(ends, default=0)))
    return keys


def _known_key(body: bytes) -> PublicKey | None:
    """The subkey, if it is of a kind we use; others (for encryption) are none of our business."""
    try:
        return openpgp.public_key(body)
    except FormatError:
        return None


def _own_signature(body: bytes, primary: PublicKey) -> Signature | None:
    """A signature of the key over itself; those of third parties prove nothing to us."""
    try:
        signature = openpgp.signature(body)
    except FormatError:
        return None
    return signature if signature.issuer == primary.fingerprint else None


def _binds_back(primary: PublicKey, subkey: PublicKey, binding: Signature) -> bool:
    """Whether the subkey itself says it belongs to `primary`: else anybody could adopt a signing key of others."""
    for body in binding.embedded:
        try:
            back = openpgp.signature(body)
        except FormatError:
            continue
        if back.type == openpgp.PRIMARY_BINDING and _good(back, subkey, primary.hashed + subkey.hashed):
            return True
    return False


def _good(signature: Signature, key: PublicKey, data: bytes) -> bool:
    """Whether `signature` is `key`'s over `data`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, utils

    digest = hashlib.new(signature.hash, data + signature.hashed).digest()
    if digest[:2] != signature.left or signature.algorithm != key.algorithm:
        return False
    try:
        if key.material is not None:
            modulus, exponent = key.material
            if not MIN_RSA <= modulus.bit_length() <= MAX_RSA:
                return False
            algorithm = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
            raw = signature.numbers[0].to_bytes((modulus.bit_length() + 7) // 8, "big")
            rsa.RSAPublicNumbers(exponent, modulus).public_key().verify(
                raw, digest, padding.PKCS1v15(), utils.Prehashed(algorithm[signature.hash])
            )
        else:
            r, s = signature.numbers
            raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
            ed25519.Ed25519PublicKey.from_public_bytes(key.point).verify(raw, digest)
    except (InvalidSignature, ValueError, OverflowError):
        return False
    return True
