"""`--ca-cert`: which files are certificates, and what they become."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.project import authorities
from ociassemble.project.authorities import Authority, AuthorityError, read
from tests.certificates import authority, pem

A, B = authority("A"), authority("B")


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.spec("PACK-80", "PACK-84")
def test_pem_and_der_with_anything_between_are_the_same(tmp_path: Path) -> None:
    text = pem(A.der).encode()
    plain = read([written(tmp_path, "a.crt", text)])
    assert plain == (Authority("a", (A.der,)),)
    assert plain[0].pem == text.decode()
    assert read([written(tmp_path, "a.der", A.der)])[0].pem == text.decode()
    noisy = b"# Company\r\n" + text.replace(b"\n", b"\r\n") + b"subject=CN = B\n" + pem(B.der).encode() + text
    assert read([written(tmp_path, "a.pem", noisy)])[0].certificates == (A.der, B.der)
    old = text.replace(b"CERTIFICATE", b"X509 CERTIFICATE")
    assert read([written(tmp_path, "old.pem", old)])[0].certificates == (A.der,)


@pytest.mark.spec("PACK-82")
def test_names_are_those_of_the_files_and_each_is_one(tmp_path: Path) -> None:
    paths = [
        written(tmp_path, name, pem(one.der).encode())
        for name, one in (("one/ca.pem", A), ("two/ca.crt", B), ("My Company (2026).pem", A), ("...", B))
    ]
    assert [one.name for one in read([*paths, paths[0]])] == ["ca", "ca-2", "My-Company-2026", "authority"]


@pytest.mark.spec("PACK-80")
@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "no certificate"),
        (b"hello", "no certificate"),
        (pem(A.der, "PRIVATE KEY").encode(), "private key"),
        (pem(A.der).encode() + pem(A.der, "EC PRIVATE KEY").encode(), "private key"),
        (pem(A.der, "ENCRYPTED PRIVATE KEY").encode(), "private key"),
        (pem(A.der, "PKCS7").encode(), "only certificates"),
        (pem(A.der, "TRUSTED CERTIFICATE").encode(), "only certificates"),
        (pem(A.der, "CERTIFICATE REQUEST").encode(), "only certificates"),
        (pem(A.der).encode()[:-20], "without its end"),
        (pem(A.der).encode().replace(b"M", b"!"), "base64"),
        (b"\x30" * (5 << 20), "over 4 MiB"),
    ],
)
def test_what_is_refused(tmp_path: Path, data: bytes, word: str) -> None:
    with pytest.raises(AuthorityError, match=word) as caught:
        read([written(tmp_path, "bad.pem", data)])
    assert caught.value.exit_code == 2 and "bad.pem" in caught.value.message


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path, Path("a\0b")):
        with pytest.raises(AuthorityError):
            read([path])


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x30", b"-----BEGIN CERTIFICATE-----\n", pem(A.der).encode()]))
def test_any_bytes_are_certificates_or_an_error(data: bytes, start: bytes) -> None:
    try:
        found = authorities.parse(start + data, "x")
    except AuthorityError:
        return
    assert found and all(
        base64.b64decode("".join(Authority("x", (one,)).pem.split("\n")[1:-2])) == one for one in found
    )
