"""Whom TLS connections trust: the system's store, certifi where that is empty, and what the user adds."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import NamedTuple

from ociassemble.errors import UsageError


class CertificateFileError(UsageError):
    """A file of certificates is missing or holds none."""

    code = "usage.ca-file"


class Trust(NamedTuple):
    """Where certificates of authorities are. `ssl_cert_*` replace the system's store; the other two add to it."""

    ssl_cert_file: str = ""  # $SSL_CERT_FILE
    ssl_cert_dir: str = ""  # $SSL_CERT_DIR
    requests_ca_bundle: str = ""  # $REQUESTS_CA_BUNDLE, a file or a folder
    ca_files: tuple[Path, ...] = ()  # --ca-file


def context(trust: Trust) -> ssl.SSLContext:
    """A context that verifies certificate and host name, TLS 1.2 or later."""
    made = ssl.create_default_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if trust.ssl_cert_file or trust.ssl_cert_dir:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        for place in (trust.ssl_cert_file, *trust.ssl_cert_dir.split(":")):
            if place and Path(place).exists():  # OpenSSL passes over what is not there, too
                _load(made, Path(place))
    elif not made.cert_store_stats()["x509_ca"] and not _has_folder():
        import certifi

        made.load_verify_locations(cafile=certifi.where())
    if trust.requests_ca_bundle:
        _load(made, Path(trust.requests_ca_bundle))
    for file in trust.ca_files:
        _load(made, file)
    return made


def files(trust: Trust) -> frozenset[str]:
    """The bundles that `context` trusts, links resolved: whoever is told to trust one of them need not be."""
    system = ssl.get_default_verify_paths()
    found = [trust.requests_ca_bundle, *map(str, trust.ca_files)]
    if trust.ssl_cert_file or trust.ssl_cert_dir:
        found.append(trust.ssl_cert_file)
    else:
        # Debian's folder of single certificates has all of them in one file, too.
        found += [system.openssl_cafile, f"{system.openssl_capath}/ca-certificates.crt"]
    return frozenset(os.path.realpath(path) for path in found if path)


def unverified() -> ssl.SSLContext:
    """A context for hosts that the user called insecure by name."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def _load(context: ssl.SSLContext, place: Path) -> None:
    try:
        if place.is_dir():
            context.load_verify_locations(capath=str(place))
        else:
            context.load_verify_locations(cafile=str(place))
    except FileNotFoundError:
        raise CertificateFileError(f"there is no file `{place}` with certificates") from None
    except (ssl.SSLError, OSError) as error:
        raise CertificateFileError(
            f"`{place}` cannot be read as certificates: {error}", hint="it must hold certificates in PEM form"
        ) from None


def _has_folder() -> bool:
    """Whether OpenSSL's folder of hashed certificates (loaded one by one, when needed) has any."""
    folder = ssl.get_default_verify_paths().capath
    return bool(folder) and any(Path(folder).glob("*.0"))
