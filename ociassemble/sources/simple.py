"""Pages of a simple index: PEP 691 (JSON, with PEP 700's sizes) and PEP 503 (HTML). Pure and total."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ociassemble.errors import Error, FormatError
from ociassemble.formats.package_name import normalised
from ociassemble.net.redirect import unreachable_from
from ociassemble.net.url import join, origin, without_userinfo

JSON = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
# Anchors and the base, not by `html.parser`: what it does to a page of a hundred unclosed tags takes time with the
# square of its size. Values may hold a `>`, as `data-requires-python` of older pages does; nothing backtracks.
_VALUE = r"""(?:"([^"]*+)"|'([^']*+)'|([^\s"'<>]++))"""
_ATTRIBUTE = re.compile(rf"""([^\s"'<>/=]++)(?:\s*+=\s*+{_VALUE})?+""")
_TAG = re.compile(
    r"""<(a|base)(?=[\s/>])((?:[\s/]++|"""
    r"""[^\s"'<>/=]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'<>]++))?+)*+)>""",
    re.IGNORECASE,
)


class Link(NamedTuple):
    """One file of a page. `sha256` is "" and `size` -1 where the page does not tell."""

    filename: str
    url: str  # absolute, without fragment and userinfo
    sha256: str
    size: int  # bytes


def parse(data: bytes, content_type: str, url: str) -> tuple[Link, ...]:
    """The files of the page `data`, which came from `url`; links that lead where they may not are left out.

    Raises `FormatError` where the page is none.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind.endswith("json"):
        return tuple(_json(data, url))
    if kind in ("text/html", "application/vnd.pypi.simple.v1+html", "application/xhtml+xml", ""):
        return tuple(_html(data, url))
    raise FormatError(f"the package index answered with `{kind:.80}`, which is no page of a simple index")


def same_file(first: str, second: str) -> bool:
    """Whether two file names differ in nothing but the spelling that indexes normalise."""
    return normalised(first) == normalised(second)


def _json(data: bytes, url: str) -> Iterator[Link]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError("the package index answered with something that is not JSON") from error
    files = document.get("files") if isinstance(document, dict) else None
    if not isinstance(files, list):
        raise FormatError("the package index answered with JSON that is no page of a simple index")
    for item in files:
        if not isinstance(item, dict):
            continue
        filename, href, hashes, size = (item.get(key) for key in ("filename", "url", "hashes", "size"))
        if isinstance(filename, str) and isinstance(href, str):
            sha256 = hashes.get("sha256") if isinstance(hashes, dict) else ""
            link = _link(filename, href, sha256, size, url)
            if link is not None:
                yield link


def _html(data: bytes, url: str) -> Iterator[Link]:
    text = data.decode("utf-8", "replace")
    hrefs: list[str] = []
    base = ""
    for found in _TAG.finditer(_without_comments(text)):
        values = (item.groups() for item in _ATTRIBUTE.finditer(found[2]))
        href = next((unescape(a or b or c or "") for name, a, b, c in values if name.lower() == "href"), "")
        if found[1].lower() == "a" and href:
            hrefs.append(href)
        elif href and not base:
            base = href
    try:
        base = join(url, base) if base else url
    except ValueError:
        base = url
    for href in hrefs:
        address, _, fragment = href.partition("#")
        sha256 = next((item[7:] for item in fragment.split("&") if item.startswith("sha256=")), "")
        filename = unquote(address.partition("?")[0].rpartition("/")[2])
        link = _link(filename, address, sha256, None, base)
        if link is not None:
            yield link


def _without_comments(text: str) -> str:
    parts, position = [], 0
    while (start := text.find("<!--", position)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        parts.append(text[position:start])
        position = end + 3
    return "".join((*parts, text[position:]))


def _link(filename: str, href: str, sha256: Any, size: Any, base: str) -> Link | None:
    """A link that may be followed, or None: a page on a server never leads to files of this machine."""
    try:
        address = join(base, href).partition("#")[0]
        if address.startswith("file://"):
            if not base.startswith("file://") or urlsplit(address).netloc not in ("", "localhost"):
                return None
        else:
            address, _ = without_userinfo(address)
            if not base.startswith("file://") and unreachable_from(origin(base), origin(address)):
                return None
    except (Error, ValueError):
        return None
    if not filename or "/" in filename or "\0" in filename:
        return None
    known = isinstance(sha256, str) and _SHA256.fullmatch(sha256.lower())
    told = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    return Link(filename, address, sha256.lower() if known else "", size if told else -1)
