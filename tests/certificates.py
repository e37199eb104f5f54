"""Certificates for tests: authorities, and what they sign. Valid for a year from yesterday unless stated."""

from __future__ import annotations

import base64
import ipaddress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Signed(NamedTuple):
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        """Certificate and key, as servers want them."""
        form = serialization.PrivateFormat.PKCS8
        key = self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        return self.certificate.public_bytes(serialization.Encoding.PEM) + key


def authority(name: str, *, ca: bool | None = True, days: tuple[int, int] = (-1, 365)) -> Signed:
    """A root that signed itself; `ca` None leaves BasicConstraints away. `days` from today, first and last."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = _builder(name, name, key, days)
    if ca is not None:
        made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        usage = x509.KeyUsage(True, False, False, False, False, ca, ca, False, False)
        made = made.add_extension(usage, critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return Signed(made.sign(key, hashes.SHA256()), key)


def server(root: Signed, address: str = "127.0.0.1") -> Signed:
    """A server's certificate for an address, signed by `root`."""
    key = ec.generate_private_key(ec.SECP256R1())
    (issuer,) = root.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address)), x509.DNSName("localhost")])
    made = (
        _builder("server", str(issuer.value), key, (-1, 90))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key()), critical=False)
    )
    return Signed(made.sign(root.key, hashes.SHA256()), key)


def _builder(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, days: tuple[int, int]
) -> x509.CertificateBuilder:
    today = datetime.now(UTC)
    first, last = (today + timedelta(days=number) for number in days)

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    return (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
    )


def pem(data: bytes, label: str = "CERTIFICATE") -> str:
    """DER as PEM, under any label."""
    text = base64.b64encode(data).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"
