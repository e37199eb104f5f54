"""Layers of which somebody else says what they hold (a record of `--cache-repo`).

That is believed for one run, as the layer itself is, and never kept: under its diff_id it would speak for every layer
with that tar, also in builds that do not believe who said it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ociassemble.image.image import Layer


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldLayer(Layer):
    """`told()` is what its record of contents should be (`layer.contents`), or None; it may ask a registry."""

    told: Callable[[], bytes | None] = field(repr=False)
