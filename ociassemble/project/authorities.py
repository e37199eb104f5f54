"""`--ca-cert FILE`: certificates of authorities that programs in the image are to trust (packing.md, PACK-80 on).

A file is one certificate in DER form or a bundle in PEM form. Only the certificates get into the image, written
anew, so that comments and line ends of the file do not decide any digest.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ociassemble.errors import UsageError

_LIMIT = 4 << 20  # bytes; all authorities of a browser come to 250 KiB
_BLOCK = rb"(?s)-----BEGIN ([A-Z0-9 ]{1,60})-----\s(.*?)-----END \1-----"
_BEGIN = rb"-----BEGIN "
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE")
_NAME = r"[^A-Za-z0-9._-]+"


class AuthorityError(UsageError):
    """A `--ca-cert` that is no certificate, or holds what must not be in an image."""

    code = "usage.ca-cert"


class Authority(NamedTuple):
    """The certificates of one file, as DER. `name` is the file's, without its ending, fit for a path."""

    name: str
    certificates: tuple[bytes, ...]

    @property
    def pem(self) -> str:
        """All of them in PEM form, as openssl writes it."""
        return "".join(map(_pem, self.certificates))


def read(paths: Iterable[Path]) -> tuple[Authority, ...]:
    """The certificates of each file; two files of one name get names of their own. Raises `AuthorityError`."""
    found: list[Authority] = []
    for path in dict.fromkeys(paths):
        certificates = parse(_bytes(path), str(path))
        stem = re.sub(_NAME, "-", path.name.rsplit(".", 1)[0]).strip("-.") or "authority"
        taken, name, number = {one.name for one in found}, stem, 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        found.append(Authority(name, certificates))
    return tuple(found)


def _bytes(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would never end
        raise AuthorityError(f"`--ca-cert {path}` is not a file", hint="name the file with the certificates")
    try:
        with path.open("rb") as stream:
            data = stream.read(_LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise AuthorityError(f"cannot read `--ca-cert {path}`: {reason}") from error
    if len(data) > _LIMIT:
        raise AuthorityError(f"`--ca-cert {path}` is over {_LIMIT >> 20} MiB: that is no file of certificates")
    return data


def parse(data: bytes, shown: str) -> tuple[bytes, ...]:
    """The certificates of a file, as DER, each once; whether they are X.509 is for others to judge."""
    if not re.search(_BEGIN, data):
        if data[:1] == b"\x30":
            return (data,)
        raise AuthorityError(
            f"`--ca-cert {shown}` holds no certificate", hint="it must be PEM (`-----BEGIN CERTIFICATE-----`) or DER"
        )
    found: list[bytes] = []
    blocks = re.findall(_BLOCK, data)
    if len(blocks) != len(re.findall(_BEGIN, data)):
        raise AuthorityError(f"`--ca-cert {shown}` has a block without its end", hint="it may have been cut off")
    for label, body in blocks:
        if b"PRIVATE KEY" in label:
            raise AuthorityError(
                f"`--ca-cert {shown}` holds a private key, which must never be in an image",
                hint="pass a file with the certificate alone: `openssl x509 -in FILE` prints it",
            )
        if label not in _CERTIFICATES:
            raise AuthorityError(
                f"`--ca-cert {shown}` holds a {label.decode()}; only certificates are taken",
                hint="`openssl x509 -in FILE` prints the plain certificate",
            )
        try:
            found.append(base64.b64decode(b"".join(body.split()), validate=True))
        except binascii.Error as error:
            raise AuthorityError(f"certificate {len(found) + 1} of `--ca-cert {shown}` is not base64") from error
    return tuple(dict.fromkeys(found))


def _pem(certificate: bytes) -> str:
    text = base64.b64encode(certificate).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"
