"""What runtimes are asked to start, for tests: an image of a layout as the command line would hand it over."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

from ociassemble.image.image import open_image
from ociassemble.progress import Progress
from ociassemble.runtime.request import RunRequest
from ociassemble.transports.layout import LayoutDestination, LayoutSource
from ociassemble.transports.transfer import write


def request_of(layout: Path, tag: str, *, env: dict[str, str] | None = None, **options: Any) -> RunRequest:
    """A request for the image `tag` of an OCI layout."""
    image = open_image(LayoutSource(layout, tag).read())

    def lay_out(place: Path) -> str:
        write(image.node, LayoutDestination(place, "x"), progress=Progress(), jobs=1)
        return "x"

    if "args" in options:
        options["args"] = tuple(options["args"])
    return RunRequest(image=image, lay_out=lay_out, env=MappingProxyType(env or {}), **options)
