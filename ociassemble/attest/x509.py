"""What a certificate says of itself: enough to tell whether programs will take it as an authority."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime

from ociassemble.project.authorities import Authority, AuthorityError


def judge(authority: Authority, now: datetime) -> tuple[str, ...]:
    """What to warn of: certificates that have expired, or are of no authority. `AuthorityError` for what is none."""
    from cryptography import x509

    told: list[str] = []
    for number, data in enumerate(authority.certificates, 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of serial numbers that real authorities have
                certificate = x509.load_der_x509_certificate(data)
                name = certificate.subject.rfc4514_string()
                ends, begins = certificate.not_valid_after_utc, certificate.not_valid_before_utc
                signs = _is_authority(certificate)
        except (ValueError, TypeError, OverflowError, x509.InvalidVersion) as error:
            raise AuthorityError(
                f"certificate {number} of `--ca-cert` `{authority.name}` cannot be read: {error!s:.200}",
                hint="it must be an X.509 certificate in PEM or DER form",
            ) from error
        shown = f"the certificate `{name}` of --ca-cert"
        if ends < now:
            told.append(f"{shown} expired on {ends:%Y-%m-%d}: programs will refuse what it signed")
        elif begins > now:
            told.append(f"{shown} is valid from {begins:%Y-%m-%d} on only")
        if not signs:
            told.append(f"{shown} is not of an authority (CA:TRUE is missing): most programs will not trust it as one")
    return tuple(told)


def _is_authority(certificate: object) -> bool:
    from cryptography import x509

    assert isinstance(certificate, x509.Certificate)
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1  # before extensions every certificate could sign


def now() -> datetime:
    """The time by this machine's clock: it decides warnings, never bytes."""
    return datetime.now(UTC)
