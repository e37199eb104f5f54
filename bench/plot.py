"""The figures as a picture: bars in SVG 1.1, grouped by scenario, by hand. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

WIDTH, LABELS, BAR, GAP, GROUP = 820, 320, 16, 6, 34  # pixels; LABELS: room for names at the left
RIGHT = 90  # room for figures behind the longest bar


class Bar(NamedTuple):
    name: str
    value: float
    ours: bool = False


class Group(NamedTuple):
    """Bars that are compared; each group has a scale of its own."""

    title: str
    bars: tuple[Bar, ...]


# Readable on white and on the dark background that code hosts show to many.
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#57606a}.t{font-weight:600;fill:#1f2328}"
    ".o{fill:#1a7f64}.r{fill:#9aa4b1}"
    "@media(prefers-color-scheme:dark){text{fill:#9aa4b1}.t{fill:#e6edf3}.o{fill:#3fb68b}.r{fill:#57606a}}"
)


def svg(groups: Sequence[Group], title: str, unit: str = "s") -> str:
    """One picture, bars to the right of their names, the value behind each."""
    rows: list[str] = []
    y = 30
    room = WIDTH - LABELS - RIGHT
    for group in groups:
        if not group.bars:
            continue
        y += GROUP - BAR
        rows.append(f'<text class="t" x="8" y="{y}">{escape(group.title)}</text>')
        y += GAP + 4
        longest = max(bar.value for bar in group.bars) or 1.0
        for bar in group.bars:
            width = max(1.0, room * bar.value / longest)
            middle = y + BAR - 4
            rows.append(f'<text x="{LABELS - 8}" y="{middle}" text-anchor="end">{escape(bar.name)}</text>')
            kind = "o" if bar.ours else "r"
            rows.append(f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>')
            rows.append(f'<text x="{LABELS + width + 6:.1f}" y="{middle}">{bar.value:.2f} {escape(unit)}</text>')
            y += BAR + GAP
    height = y + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-label={quoteattr(title)}>\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n'
        f'<text class="t" x="8" y="20">{escape(title)}</text>\n' + "\n".join(rows) + "\n</svg>\n"
    )
