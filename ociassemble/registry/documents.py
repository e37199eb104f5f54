"""The lists that registries answer with, and their pages. Total."""

from __future__ import annotations

import json
import re

from ociassemble.net.response import Response
from ociassemble.net.url import join
from ociassemble.registry.errors import RegistryAnswerError

_LINK = r"<([^>]*)>([^<]*)"


def names(raw: bytes, key: str, host: str) -> list[str]:
    """The list at `key` of a tags or catalog answer; what is no plain text in it is left out."""
    try:
        found = json.loads(raw).get(key) or []
    except (ValueError, AttributeError, RecursionError):
        raise RegistryAnswerError(f"`{host}` did not answer with a list of {key}") from None
    if not isinstance(found, list):
        raise RegistryAnswerError(f"`{host}` did not answer with a list of {key}")
    return [name for name in found if isinstance(name, str) and name.isascii() and name.isprintable()]


def next_page(response: Response) -> str:
    """The URL of the Link with rel=next (RFC 8288), "" on the last page."""
    for header in response.headers("Link"):
        for target, parameters in re.findall(_LINK, header):
            if "next" in parameters.replace('"', " ").replace("=", " ").split() and target:
                return join(response.url, target)
    return ""
