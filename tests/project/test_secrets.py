"""The guard: what looks like a secret is refused, by name and by content, and what may pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.project import secrets
from ociassemble.project import tree as trees
from ociassemble.project.secrets import SecretError
from tests.spec_tables import cases

PEM = b"-----BEGIN %sPRIVATE KEY-----\nMIIB\n-----END %sPRIVATE KEY-----\n"


@pytest.mark.spec("PACK-30")
@pytest.mark.parametrize("case", cases("packing.md", "secret names"), ids=str)
def test_names(case: dict[str, str]) -> None:
    expected = None if case["refused as"] == "-" else case["refused as"]
    assert secrets.by_name(case["path"].strip("`")) == expected


@pytest.mark.spec("PACK-31")
@pytest.mark.parametrize(
    ("path", "head", "refused"),
    [
        ("server.pem", b"-----BEGIN CERTIFICATE-----\n" + PEM % (b"", b""), True),
        ("server.pem", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", False),
        ("a/server.key", b"# comment\n" + PEM % (b"RSA ", b"RSA "), True),
        ("a/server.key", b"a translation", False),
        ("SERVER.KEY", PEM % (b"EC ", b"EC "), True),
        ("any.txt", PEM % (b"OPENSSH ", b"OPENSSH "), True),
        ("any.txt", b"\n\n" + PEM % (b"ENCRYPTED ", b"ENCRYPTED "), True),
        ("any.asc", b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", True),
        ("any.asc", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", False),
        ("any.py", b'KEY = """\n' + PEM % (b"", b""), False),
        ("any.txt", b"PuTTY-User-Key-File-3: ssh-ed25519\n", True),
        ("keys.txt", b"AGE-SECRET-KEY-1QQQ", True),
        ("sa.json", b'{"type": "service_account", "private_key": "x"}', True),
        ("sa.json", b'{"type" : "service_account"}', False),
        ("sa.json", b'{"private_key": "x"}', False),
        (".npmrc", b"//registry.example/:_authToken=abc\n", True),
        (".npmrc", b"//registry.example/:_authToken=${NPM_TOKEN}\n", False),
        (".npmrc", b"# //registry.example/:_authToken=abc\nregistry=https://registry.example/\n", False),
        (".npmrc", b"_auth = YTpi\n", True),
        (".yarnrc.yml", b"npmAuthToken: abc\n", True),
        (".yarnrc.yml", b'npmAuthToken: "${TOKEN}"\n', False),
        ("pip.conf", b"[global]\nindex-url = https://user:secret@registry.example/simple\n", True),
        ("pip.conf", b"[global]\nindex-url = https://${USER}:${TOKEN}@registry.example/simple\n", False),
        ("pip.conf", b"[global]\nindex-url = https://registry.example/simple\n", False),
        ("empty.pem", b"", False),
    ],
)
def test_content(path: str, head: bytes, refused: bool) -> None:
    assert (secrets.by_content(path, head) is not None) is refused


@pytest.mark.spec("PACK-30", "PACK-32")
def test_all_are_listed_and_each_way_out_works(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "app.py").write_text("x")
    (tmp_path / ".env").write_text("A=1")
    (tmp_path / "deploy/id_rsa").write_text("x")
    (tmp_path / "deploy/tls.pem").write_bytes(PEM % (b"", b""))
    (tmp_path / "deploy/.netrc").symlink_to("../app.py")
    with pytest.raises(SecretError) as caught:
        trees.read(tmp_path)
    assert caught.value.code == "policy.secret" and caught.value.exit_code == 8
    assert caught.value.details == (
        "`.env`: environment file",
        "`deploy/.netrc`: login file (netrc)",
        "`deploy/id_rsa`: SSH private key",
        "`deploy/tls.pem`: private key",
    )
    assert caught.value.hint is not None
    assert ".ociassembleignore" in caught.value.hint and "--allow-secret .env" in caught.value.hint
    with pytest.raises(SecretError) as caught:
        trees.read(tmp_path, allow_secrets=["./deploy/"])
    assert caught.value.details == ("`.env`: environment file",)
    with pytest.raises(SecretError):
        trees.read(tmp_path, allow_secrets=["", ".", "deploy/tls", "deploy"])
    assert len(trees.read(tmp_path, allow_secrets=[".env", "deploy"]).files) == 6
    (tmp_path / ".dockerignore").write_text(".env\ndeploy")
    assert [file.path for file in trees.read(tmp_path).files] == ["app.py"]


def test_a_folder_named_like_a_secret_is_none(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    (tmp_path / ".env/readme").write_text("x")
    assert len(trees.read(tmp_path).files) == 2


def test_nothing_of_the_secret_is_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TOKEN=canary-1234")
    with pytest.raises(SecretError) as caught:
        trees.read(tmp_path)
    assert "canary" not in "".join((caught.value.message, caught.value.hint or "", *caught.value.details))
