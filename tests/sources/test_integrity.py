"""Subresource Integrity: which hash counts, and what is no hash (NPM-12)."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import Error
from ociassemble.sources.integrity import Integrity, IntegrityMismatchError, IntegrityTextError
from tests.sources.npm_registry import sri

DATA = b"a tarball"


def right(text: str, data: bytes) -> bool:
    check = Integrity.parse(text, "`x`").check()
    check.update(data[:4])
    check.update(data[4:])
    try:
        check.verify("x.tgz")
    except IntegrityMismatchError as error:
        assert "x.tgz" in str(error)
        assert "found:" in error.details[-1]
        return False
    return True


@pytest.mark.spec("NPM-12")
@pytest.mark.parametrize("algorithm", ["sha512", "sha384", "sha256", "sha1"])
def test_each_algorithm(algorithm: str) -> None:
    assert right(sri(algorithm, DATA), DATA)
    assert right(sri(algorithm, DATA) + "?with=options", DATA)
    assert not right(sri(algorithm, DATA), DATA + b"!")
    assert Integrity.parse(sri(algorithm, DATA), "x").weak == (algorithm == "sha1")


@pytest.mark.spec("NPM-12")
def test_only_the_strongest_counts() -> None:
    assert right(f"{sri('sha1', b'other')} {sri('sha512', DATA)}", DATA)
    assert not right(f"{sri('sha1', DATA)} {sri('sha256', DATA)}\t{sri('sha512', b'other')}", DATA)


@pytest.mark.spec("NPM-12")
def test_one_of_several_is_enough() -> None:
    both = f"{sri('sha512', b'other')} {sri('sha512', DATA)}"
    assert right(both, DATA)
    assert right(both, b"other")
    assert not right(both, b"third")


@pytest.mark.spec("NPM-12")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha512-",
        "sha512-AAAA",
        "sha512",
        "md5-" + "A" * 22 + "==",
        "SHA512-" + sri("sha512", DATA)[7:],
        sri("sha512", DATA)[:-4],
        sri("sha256", DATA).replace("sha256", "sha512"),
        hashlib.sha512(DATA).hexdigest(),
        "sha512-" + "!" * 88,
        "sha512-" + "A" * 87,
    ],
)
def test_what_is_no_hash(text: str) -> None:
    with pytest.raises(IntegrityTextError) as caught:
        Integrity.parse(text, "`express@4.0.0`")
    assert "express@4.0.0" in str(caught.value)
    assert caught.value.hint


@given(st.text(max_size=200))
def test_reading_is_total(text: str) -> None:
    with contextlib.suppress(Error):
        assert Integrity.parse(text, "x").digests
