"""What is told about a certificate that programs in an image are to trust."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ociassemble.attest.x509 import judge, now
from ociassemble.project.authorities import Authority, AuthorityError
from tests.certificates import Signed, authority, server

ROOT = authority("Company Root")


def told(signed: Signed) -> tuple[str, ...]:
    return judge(Authority("company", (signed.der,)), now())


@pytest.mark.spec("PACK-80")
def test_a_good_authority_is_not_talked_about() -> None:
    assert told(ROOT) == ()


@pytest.mark.spec("PACK-80")
def test_what_programs_will_not_like_is_told() -> None:
    (old,) = told(authority("Old", days=(-20, -10)))
    ended = datetime.now(UTC) - timedelta(days=10)
    assert old.startswith(f"the certificate `CN=Old` of --ca-cert expired on {ended:%Y-%m-%d}")
    (new,) = told(authority("New", days=(5, 10)))
    assert "valid from" in new
    for none in (server(ROOT), authority("None", ca=None), authority("False", ca=False)):
        (said,) = told(none)
        assert "not of an authority" in said
    both = judge(Authority("x", (ROOT.der, server(ROOT).der)), now() + timedelta(days=4000))
    assert len(both) == 3


@pytest.mark.spec("PACK-80")
@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x03\x02\x01\x01", ROOT.der[:-1], ROOT.der + b"x"])
def test_what_is_no_certificate(data: bytes) -> None:
    with pytest.raises(AuthorityError, match="certificate 2 of `--ca-cert` `company`") as caught:
        judge(Authority("company", (ROOT.der, data)), now())
    assert caught.value.hint


@given(st.integers(0, len(ROOT.der) - 1), st.integers(0, 255))
@example(12, 1)  # a version that there is none of
def test_any_spoilt_certificate_is_judged_or_refused(place: int, value: int) -> None:
    data = bytearray(ROOT.der)
    data[place] = value
    try:
        assert isinstance(judge(Authority("x", (bytes(data),)), now()), tuple)
    except AuthorityError as error:
        assert "x" in error.message
