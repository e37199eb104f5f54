"""URLs, proxies, redirects and waits: the pure parts of the wire."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.net import backoff, proxy, redirect
from ociassemble.net.errors import RedirectError
from ociassemble.net.url import (
    BadUrlError,
    Origin,
    is_loopback,
    is_metadata,
    is_private,
    join,
    origin,
    redact,
    without_userinfo,
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://H.example", ("https", "h.example", 443)),
        ("https://h.example:443/x", ("https", "h.example", 443)),
        ("http://h.example:80?x", ("http", "h.example", 80)),
        ("http://[0:0::1]:5000/", ("http", "::1", 5000)),
        ("https://u:p@h.example/", ("https", "h.example", 443)),
    ],
)
def test_origins(url: str, expected: tuple[str, str, int]) -> None:
    assert origin(url) == expected


def test_an_origin_shows_as_in_a_url() -> None:
    assert str(Origin("https", "h.example", 443)) == "https://h.example"
    assert str(Origin("https", "h.example", 444)) == "https://h.example:444"
    assert Origin("http", "::1", 5000).authority == "[::1]:5000"


def test_userinfo() -> None:
    url, header = without_userinfo("https://a%40b:p%3Aq@h.example/x?y=@")
    assert url == "https://h.example/x?y=@"
    assert header is not None
    assert base64.b64decode(header.removeprefix("Basic ")) == b"a@b:p:q"
    assert without_userinfo("https://h.example/@") == ("https://h.example/@", None)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:secret@h.example/x", "https://h.example/x"),
        ("https://h.example/x?sig=secret&digest=sha256:1&X-Amz-Signature=secret", "https://h.example/x?sig=***&digest=sha256:1&X-Amz-Signature=***"),
        ("https://h.example/x?flag", "https://h.example/x?flag"),
        ("https://[bad", "(an unreadable URL)"),
        ("https://h.example/\x1b[31m", "https://h.example/?[31m"),
    ],
)  # fmt: skip
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert redact(url) == shown


@given(st.text(max_size=30))
def test_urls_are_total(text: str) -> None:
    for url in (text, f"http://{text}", f"https://h.example/{text}"):
        redact(url)
        try:
            without_userinfo(url)
            origin(url)
        except BadUrlError:
            pass


@pytest.mark.parametrize(
    ("host", "loopback", "private", "metadata"),
    [
        ("localhost", True, True, False),
        ("x.localhost", True, True, False),
        ("localhost.example", False, False, False),
        ("127.9.9.9", True, True, False),
        ("::1", True, True, False),
        ("::ffff:127.0.0.1", True, True, False),
        ("10.1.2.3", False, True, False),
        ("192.168.0.1", False, True, False),
        ("8.8.8.8", False, False, False),
        ("169.254.169.254", False, True, True),
        ("::ffff:169.254.169.254", False, True, True),
        ("fe80::1%eth0", False, True, True),
        ("0.0.0.0", False, True, True),
        ("::", False, True, True),
        ("metadata.google.internal", False, False, True),
        ("h.example", False, False, False),
    ],
)
def test_kinds_of_hosts(host: str, loopback: bool, private: bool, metadata: bool) -> None:
    assert (is_loopback(host), is_private(host), is_metadata(host)) == (loopback, private, metadata)


@pytest.mark.parametrize(
    ("base", "location", "expected"),
    [
        ("https://h.example/v2/a/b", "c", "https://h.example/v2/a/c"),
        ("https://h.example/v2/a/b", "/c?_state=a%2Fb&e=&e=", "https://h.example/c?_state=a%2Fb&e=&e="),
        ("https://h.example/v2/a/b?x", "?n=2", "https://h.example/v2/a/b?n=2"),
        ("https://h.example/v2", "//other.example/x", "https://other.example/x"),
        ("https://h.example/v2", "/a b\u00fc", "https://h.example/a%20b%C3%BC"),
    ],
)
def test_locations(base: str, location: str, expected: str) -> None:
    assert join(base, location) == expected


# --- redirects -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "location", "followed"),
    [
        ("https://h.example/a", "https://other.example/b", True),
        ("https://h.example/a", "//other.example:8443/b", True),
        ("http://h.example/a", "https://h.example/b", True),
        ("http://10.0.0.1/a", "http://10.0.0.2/b", True),
        ("http://registry/a", "http://10.0.0.2/b", True),  # a name of this network only
        ("http://127.0.0.1:1/a", "http://localhost:2/b", True),
        ("https://h.example/a", "http://h.example/b", False),
        ("https://h.example/a", "https://10.0.0.1/b", False),
        ("https://h.example/a", "https://[::1]/b", False),
        ("https://10.0.0.1/a", "https://127.0.0.1/b", False),
        ("http://10.0.0.1/a", "http://169.254.169.254/b", False),
        ("https://h.example/a", "https://metadata.google.internal/b", False),
        ("https://h.example/a", "https://u@h.example/b", False),
        ("https://h.example/a", "javascript:1", False),
    ],
)
def test_where_a_redirect_may_lead(url: str, location: str, followed: bool) -> None:
    if followed:
        assert redirect.target(url, "GET", 302, location)
    else:
        with pytest.raises(RedirectError):
            redirect.target(url, "GET", 302, location)


# --- proxies ---------------------------------------------------------------------------------------------------


def test_proxy_variables() -> None:
    environment = {"HTTPS_PROXY": "http://p:1", "https_proxy": "http://q:2", "HTTP_PROXY": "r:3", "NO_PROXY": " x "}
    assert proxy.from_environment(environment) == {"https": "http://q:2", "http": "r:3", "no": "x"}
    assert "http" not in proxy.from_environment({**environment, "REQUEST_METHOD": "GET"})
    assert proxy.from_environment({"HTTPS_PROXY": ""}) == {}


def test_which_proxy() -> None:
    settings = {"http": "r:3", "https": "http://q:2", "no": "no.example"}
    assert proxy.choose(settings, origin("http://h.example")) == "http://r:3"
    assert proxy.choose(settings, origin("https://h.example")) == "http://q:2"
    assert proxy.choose(settings, origin("https://no.example")) is None
    assert proxy.choose(settings, origin("http://127.0.0.1:5000")) is None
    assert proxy.choose({"all": "http://a:1"}, origin("https://h.example")) == "http://a:1"
    assert proxy.choose({}, origin("https://h.example")) is None


@pytest.mark.parametrize(
    ("no_proxy", "url", "expected"),
    [
        ("*", "https://h.example", True),
        ("h.example", "https://h.example", True),
        ("h.example", "https://a.h.example", True),
        (".h.example", "https://a.h.example", True),
        ("*.h.example", "https://a.h.example", True),
        ("h.example", "https://ah.example", False),
        ("x, H.example ,y", "https://h.example", True),
        ("h.example:443", "https://h.example", True),
        ("h.example:80", "https://h.example", False),
        ("10.0.0.0/8", "http://10.9.9.9:1", True),
        ("10.0.0.1", "http://10.0.0.1", True),
        ("10.0.0.1:80", "http://10.0.0.1", True),
        ("10.0.0.1:81", "http://10.0.0.1", False),
        ("[2001:db8::1]:443", "https://[2001:db8::1]", True),
        ("2001:db8::/32", "https://[2001:db8::1]", True),
        ("", "https://h.example", False),
        (",,", "https://h.example", False),
        ("nonsense/99", "http://10.0.0.1", False),
    ],
)
def test_no_proxy(no_proxy: str, url: str, expected: bool) -> None:
    assert proxy.excluded(no_proxy, origin(url)) is expected


# --- waiting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 7 ", 7.0),
        ("9" * 30, 10.0**9),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("\u0667", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert backoff.retry_after(value, 1000.0) == seconds


def test_waits_grow_and_end() -> None:
    assert [backoff.delay(attempt, 0.0) for attempt in range(1, 9)] == [0.25, 0.5, 1, 2, 4, 8, 15, 15]
    assert backoff.delay(1, 0.999) < 0.5


def test_a_429_holds_back_everyone() -> None:
    now, slept = [0.0], []
    gate = backoff.Gate(lambda: now[0], slept.append)
    here, there = origin("https://h.example"), origin("https://other.example")
    gate.close(here, 10)
    gate.close(here, 5)
    gate.wait(there)
    gate.wait(here)
    now[0] = 11.0
    gate.wait(here)
    assert slept == [10.0]
