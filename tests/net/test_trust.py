"""TLS: whom we trust, and what an untrusted server is told apart from an unreachable one."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ociassemble.errors import UnreachableError
from ociassemble.net.errors import TlsError
from ociassemble.net.trust import CertificateFileError, Trust, context, files
from ociassemble.net.wire import Wire
from tests.net.scripted import Answer, ScriptedServer


def certificate(folder: Path, *, days: int = 1, address: str = "127.0.0.1") -> tuple[Path, Path]:
    """A self-signed certificate and its key; the certificate is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, private


class TlsServer(ScriptedServer):
    def __init__(self, pem: Path, key: Path) -> None:
        super().__init__()
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(pem, key)
        # The handshake happens in the thread of the connection, not in the one that accepts.
        self.socket = server_side.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.on("GET", "/", Answer(body=b"safe"))

    @property
    def url(self) -> str:
        return f"https://{self.host}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TlsServer]:
    with TlsServer(*certificate(tmp_path)) as running:
        yield running


def read(wire: Wire, url: str) -> bytes:
    with wire.request("GET", f"{url}/") as response:
        return response.read(100)


def test_an_unknown_authority_is_refused(server: TlsServer) -> None:
    with pytest.raises(TlsError, match="not trusted: self-signed") as caught:
        read(Wire(), server.url)
    assert "--ca-file" in (caught.value.hint or "")
    assert not isinstance(caught.value, UnreachableError)
    assert server.requests == []


@pytest.mark.parametrize("where", ["ca_files", "requests_ca_bundle", "ssl_cert_file"])
def test_an_authority_the_user_names_is_trusted(server: TlsServer, tmp_path: Path, where: str) -> None:
    pem = tmp_path / "cert.pem"
    trust = Trust(**{where: (pem,) if where == "ca_files" else str(pem)})  # type: ignore[arg-type]
    assert read(Wire(trust=trust), server.url) == b"safe"


@pytest.mark.parametrize(("days", "address", "why"), [(-1, "127.0.0.1", "expired"), (1, "127.0.0.2", "mismatch")])
def test_a_certificate_that_does_not_fit_is_refused(tmp_path: Path, days: int, address: str, why: str) -> None:
    pem, key = certificate(tmp_path, days=days, address=address)
    with TlsServer(pem, key) as server:
        with pytest.raises(TlsError, match=why):
            read(Wire(trust=Trust(ca_files=(pem,))), server.url)
        assert server.requests == []


def test_insecure_is_for_the_host_that_was_named(server: TlsServer) -> None:
    assert read(Wire(insecure=[server.host]), server.url) == b"safe"
    assert read(Wire(insecure=["127.0.0.1"]), server.url) == b"safe"
    with pytest.raises(TlsError):
        read(Wire(insecure=["127.0.0.2", "127.0.0.1:1"]), server.url)


@pytest.mark.parametrize("kind", ["missing", "empty", "garbage"])
def test_files_without_certificates_are_named(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "ca.pem"
    if kind != "missing":
        file.write_text("" if kind == "empty" else "nonsense")
    with pytest.raises(CertificateFileError, match="ca\\.pem") as caught:
        context(Trust(ca_files=(file,)))
    assert caught.value.exit_code == 2


def test_ssl_cert_file_replaces_the_system(tmp_path: Path) -> None:
    pem, _ = certificate(tmp_path)
    made = context(Trust(ssl_cert_file=str(pem)))
    assert len(made.get_ca_certs()) <= 1
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert made.check_hostname
    assert made.minimum_version == ssl.TLSVersion.TLSv1_2
    # What is not there is passed over, as OpenSSL does.
    context(Trust(ssl_cert_file=str(tmp_path / "no"), ssl_cert_dir=str(tmp_path)))


def test_the_bundles_that_are_trusted(tmp_path: Path) -> None:
    bundle, link = tmp_path / "bundle.pem", tmp_path / "link.pem"
    bundle.touch()
    link.symlink_to(bundle)
    system = ssl.get_default_verify_paths()
    real = str(bundle.resolve())

    assert os.path.realpath(system.openssl_cafile) in files(Trust())
    assert files(Trust(ssl_cert_file=str(link))) == {real}  # which replaces the system's
    assert files(Trust(ssl_cert_dir=str(tmp_path))) == set()
    assert real in files(Trust(requests_ca_bundle=str(link))) and real in files(Trust(ca_files=(bundle,)))
