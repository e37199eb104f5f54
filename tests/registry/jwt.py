"""A token server that docker-registry believes: JSON web tokens signed by a certificate made for the test."""

from __future__ import annotations

import base64
import datetime
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from tests.net.scripted import Answer, Request, ScriptedServer

ISSUER, SERVICE = "the test's token server", "the test's registry"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class SigningTokenServer(ScriptedServer):
    """Everyone may pull; who sends `authorization` may do what they ask for."""

    def __init__(self, folder: Path, authorization: str) -> None:
        super().__init__()
        self.authorization = authorization
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "token server")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.bundle = folder / "bundle.pem"
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
        self.on("GET", r"/token.*", self.give)

    def give(self, request: Request) -> Answer:
        sent = request.headers.get("authorization", "")
        if sent and sent != self.authorization:
            return Answer(401, b'{"details":"incorrect username or password"}')
        access: list[dict[str, Any]] = []
        for scope in parse_qs(urlsplit(request.path).query).get("scope", []):
            kind, name, actions = scope.split(":")
            allowed = actions.split(",") if sent else [action for action in actions.split(",") if action == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        return Answer(body=json.dumps({"token": self._sign(access), "expires_in": 300}).encode())

    def _sign(self, access: list[dict[str, Any]]) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER, "sub": "", "aud": SERVICE, "exp": now + 300, "nbf": now - 10, "iat": now, "jti": "1",
            "access": access,
        }  # fmt: skip
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self._der]}
        text = f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(claims).encode())}"
        return f"{text}.{_b64(self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"
