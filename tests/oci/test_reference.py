"""References: Docker's normalisation, and refusals that help (registry grammar of the distribution specification)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.errors import Error, UsageError
from ociassemble.oci.digest import Digest
from ociassemble.oci.reference import InvalidReferenceError, Reference, canonical_host

D = "sha256:" + "ab" * 32

CASES = [
    # text, canonical, familiar, host of the API
    ("alpine", "docker.io/library/alpine:latest", "alpine:latest", "registry-1.docker.io"),
    ("alpine:3", "docker.io/library/alpine:3", "alpine:3", "registry-1.docker.io"),
    ("docker.io/alpine:3", "docker.io/library/alpine:3", "alpine:3", "registry-1.docker.io"),
    ("index.docker.io/library/alpine:3", "docker.io/library/alpine:3", "alpine:3", "registry-1.docker.io"),
    ("registry-1.docker.io/u/x", "docker.io/u/x:latest", "u/x:latest", "registry-1.docker.io"),
    ("registry.hub.docker.com/u/x", "docker.io/u/x:latest", "u/x:latest", "registry-1.docker.io"),
    ("u/x", "docker.io/u/x:latest", "u/x:latest", "registry-1.docker.io"),
    ("docker://u/x:1", "docker.io/u/x:1", "u/x:1", "registry-1.docker.io"),
    (f"alpine@{D}", f"docker.io/library/alpine@{D}", f"alpine@{D}", "registry-1.docker.io"),
    (f"alpine:3@{D}", f"docker.io/library/alpine:3@{D}", f"alpine:3@{D}", "registry-1.docker.io"),
    ("gcr.io/distroless/python3", "gcr.io/distroless/python3:latest", "gcr.io/distroless/python3:latest", "gcr.io"),
    ("GCR.IO/distroless/python3:a", "gcr.io/distroless/python3:a", "gcr.io/distroless/python3:a", "gcr.io"),
    ("localhost/x", "localhost/x:latest", "localhost/x:latest", "localhost"),
    ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest", "localhost:5000"),
    ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000", "registry-1.docker.io"),
    ("LOCALHOST/x", "localhost/x:latest", "localhost/x:latest", "localhost"),
    ("h:05000/x:t", "h:5000/x:t", "h:5000/x:t", "h:5000"),
    ("127.0.0.1:5000/a/b/c:t", "127.0.0.1:5000/a/b/c:t", "127.0.0.1:5000/a/b/c:t", "127.0.0.1:5000"),
    ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest", "[::1]:5000"),
    ("[0:0:0:0:0:0:0:1]/x:t", "[::1]/x:t", "[::1]/x:t", "[::1]"),
    ("[2001:DB8::0:1]/x:t", "[2001:db8::1]/x:t", "[2001:db8::1]/x:t", "[2001:db8::1]"),
    ("r.example/a__b/c--d/e.f:V1._-", "r.example/a__b/c--d/e.f:V1._-", "r.example/a__b/c--d/e.f:V1._-", "r.example"),
    ("docker.io/localhost/x:t", "docker.io/localhost/x:t", "docker.io/localhost/x:t", "registry-1.docker.io"),
    ("docker.io/a.b/x:t", "docker.io/a.b/x:t", "docker.io/a.b/x:t", "registry-1.docker.io"),
    ("docker.io/library/a/b:t", "docker.io/library/a/b:t", "library/a/b:t", "registry-1.docker.io"),
    (f"docker.io/{'a' * 64}:t", f"docker.io/library/{'a' * 64}:t", f"library/{'a' * 64}:t", "registry-1.docker.io"),
]


@pytest.mark.parametrize(("text", "canonical", "familiar", "api"), CASES, ids=[case[0][:40] for case in CASES])
def test_normalisation(text: str, canonical: str, familiar: str, api: str) -> None:
    reference = Reference.parse(text)
    assert (str(reference), reference.familiar, reference.api_host) == (canonical, familiar, api)
    assert Reference.parse(canonical) == Reference.parse(familiar) == reference


REFUSED = [
    ("", "empty"),
    ("https://gcr.io/x", "begins with `https://`"),
    ("oci://x", "begins with `oci://`"),
    ("Alpine", "lower case"),
    ("Box/x", "lower case"),
    ("gcr.io/Distroless/x", "lower case"),
    ("gcr.io/", "no repository"),
    ("gcr.io//x", "empty part"),
    ("a//b", "empty part"),
    ("/a", "empty part"),
    ("a/", "empty part"),
    ("a:", "without a tag"),
    ("a@", "not a digest"),
    ("a@sha256:", "not a digest"),
    (f"a@{D.upper()}", "not a digest"),
    (f"a@{D}@{D}", "not a digest"),
    ("a@sha1:" + "a" * 40, "not a digest"),
    ("user:password@gcr.io/x", "not a digest"),
    ("a b", "characters"),
    (" a", "characters"),
    ("a\nb", "characters"),
    ("a\x1b[31m", "characters"),
    ("b\u00fccher.example/x", "characters"),
    ("a?b", "not a part"),
    ("a#b", "not a part"),
    ("../x", "not a host"),
    ("a/../x", "not a part"),
    ("a/./x", "not a part"),
    ("a/-x", "not a part"),
    ("a___b", "not a part"),
    ("a..b/x", "not a host"),
    ("a/b..c", "not a part"),
    ("h:0/x", "not a port"),
    ("h:65536/x", "not a port"),
    ("h:x/y", "not a host"),
    ("-h.example/x", "not a host"),
    ("[::g]/x", "not a host"),
    ("[1::2::3]/x", "not an IPv6"),
    ("[fe80::1%25eth0]/x", "not a host"),
    ("a:.t", "not a tag"),
    ("a:" + "t" * 129, "not a tag"),
    ("f" * 64, "image id"),
    ("h.example/" + "a" * 250, "longer than 255"),
    ("a" * 5000, "too long"),
    ("C:\\x", "not a tag"),
]


@pytest.mark.parametrize(("text", "why"), REFUSED, ids=[repr(case[0])[:40] for case in REFUSED])
def test_what_is_not_a_reference_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse(text)
    assert why in str(caught.value)
    assert (caught.value.code, caught.value.exit_code) == ("usage.reference", 2)
    assert str(caught.value).isprintable()


def test_a_capital_letter_gets_the_spelling_that_was_meant() -> None:
    with pytest.raises(UsageError) as caught:
        Reference.parse("gcr.io/Distroless/Static:Tag")
    assert caught.value.hint == "did you mean `gcr.io/distroless/static:Tag`?"


def test_changes() -> None:
    reference = Reference.parse("gcr.io/a/b:1")
    assert reference.name == "gcr.io/a/b"
    assert str(reference.with_tag("2")) == "gcr.io/a/b:2"
    assert str(reference.with_digest(Digest(D))) == f"gcr.io/a/b:1@{D}"
    assert reference.identifier == "1"
    assert reference.with_digest(Digest(D)).identifier == D
    with pytest.raises(InvalidReferenceError):
        reference.with_tag("a/b")


def test_hosts_compare_in_one_form() -> None:
    assert canonical_host("INDEX.docker.io") == "docker.io"
    assert canonical_host("[::0001]:80") == "[::1]:80"
    with pytest.raises(InvalidReferenceError):
        canonical_host("a/b")


@settings(max_examples=150)
@given(st.text(alphabet="aA0.:-_/@[]s%\x00\u00e9 ", max_size=40) | st.text(max_size=20))
def test_parse_is_total_and_its_output_is_stable(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except Error as error:
        assert error.code == "usage.reference"
        return
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar) == reference
