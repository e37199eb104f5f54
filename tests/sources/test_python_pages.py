"""Pages of simple indexes, honest and hostile (PEP 503, PEP 691)."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import FormatError
from ociassemble.formats.package_name import normalised
from ociassemble.sources.simple import JSON, Link, parse, same_file

PAGE = "https://registry.example/simple/flask/"
SHA = "ab" * 32


def page(*files: Any) -> bytes:
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "flask", "files": files}).encode()


@pytest.mark.spec("LOCK-17")
def test_a_json_page_with_sizes_and_relative_urls() -> None:
    data = page(
        {"filename": "flask-1.whl", "url": "../../f/flask-1.whl", "hashes": {"sha256": SHA.upper()}, "size": 7},
        {"filename": "flask-2.whl", "url": "https://files.example/flask-2.whl#x", "hashes": {}, "yanked": "bad"},
    )

    assert parse(data, JSON + "; charset=utf-8", PAGE) == (
        Link("flask-1.whl", "https://registry.example/f/flask-1.whl", SHA, 7),
        Link("flask-2.whl", "https://files.example/flask-2.whl", "", -1),
    )


@pytest.mark.spec("LOCK-17")
def test_an_html_page_with_a_base() -> None:
    data = (
        '<!DOCTYPE html><html><head><base href="/f/"></head><body>'
        f'<a href="flask-1%2Blocal.whl#sha256={SHA}" data-requires-python="&gt;=3">x</a>'
        '<a name="no-href">y</a><a href="flask-2.whl?token=1#md5=00">z</a><a href="other/">up</a>'
    ).encode()

    assert parse(data, "text/html; charset=UTF-8", PAGE) == (
        Link("flask-1+local.whl", "https://registry.example/f/flask-1%2Blocal.whl", SHA, -1),
        Link("flask-2.whl", "https://registry.example/f/flask-2.whl?token=1", "", -1),
    )


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "file://registry.example/x.whl",
        "ftp://files.example/x.whl",
        "http://127.0.0.1/x.whl",
        "http://169.254.169.254/latest/x.whl",
        "https://10.0.0.1/x.whl",
        "https://[::1/x.whl",
        "javascript:alert(1)",
    ],
)
def test_a_page_of_a_server_leads_nowhere_it_should_not(url: str) -> None:
    assert parse(page({"filename": "x.whl", "url": url, "hashes": {"sha256": SHA}}), JSON, PAGE) == ()


def test_credentials_that_a_page_hands_out_are_not_taken() -> None:
    (link,) = parse(page({"filename": "x.whl", "url": "https://a:b@files.example/x.whl", "hashes": {}}), JSON, PAGE)

    assert link.url == "https://files.example/x.whl"


@pytest.mark.parametrize(
    "item",
    [
        None,
        [],
        {},
        {"filename": "x.whl"},
        {"filename": 1, "url": "x"},
        {"filename": "../x.whl", "url": "x.whl"},
        {"filename": "", "url": "x.whl"},
        {"filename": "x\0.whl", "url": "x.whl"},
    ],
)
def test_entries_that_are_none_are_left_out(item: Any) -> None:
    assert parse(page(item), JSON, PAGE) == ()


@pytest.mark.parametrize("hashes", [None, [], {"sha256": 1}, {"sha256": "zz"}, {"md5": "00"}, "sha256"])
@pytest.mark.parametrize("size", [None, -1, True, "7", 1.5])
def test_hashes_and_sizes_that_are_none_are_not_known(hashes: Any, size: Any) -> None:
    (link,) = parse(page({"filename": "x.whl", "url": "x.whl", "hashes": hashes, "size": size}), JSON, PAGE)

    assert (link.sha256, link.size) == ("", -1)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<html>", JSON),
        (b"[]", JSON),
        (b'{"files": {}}', JSON),
        (b"[" * 200_000, JSON),
        (b"\xff\xfe", JSON),
        (b"{}", "text/plain"),
        (b"", "application/zip"),
    ],
)
def test_what_is_no_page_is_an_error(data: bytes, kind: str) -> None:
    with pytest.raises(FormatError):
        parse(data, kind, PAGE)


@given(st.binary(max_size=200), st.sampled_from([JSON, "text/html", ""]))
def test_any_bytes_give_links_or_our_error(data: bytes, kind: str) -> None:
    with contextlib.suppress(FormatError):
        parse(data, kind, PAGE)


@given(st.text("<>!/a-b[]=\"' hrefbas#&;\0", max_size=60))
def test_any_html_gives_links_or_our_error(text: str) -> None:
    with contextlib.suppress(FormatError):
        parse(text.encode(), "text/html", PAGE)


def test_spelling_of_names() -> None:
    assert normalised("Foo.Bar__baz") == "foo-bar-baz"
    assert same_file("Foo.Bar-1.0-py3-none-any.whl", "foo_bar-1.0-py3-none-any.whl")
    assert not same_file("foo-1.0-py3-none-any.whl", "foo-1.1-py3-none-any.whl")
