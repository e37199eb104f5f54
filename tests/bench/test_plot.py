"""The picture is XML, and its bars are as long as what they stand for."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import plot
from rivals import METHODS
from scenarios import TITLES

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*groups: plot.Group) -> ElementTree.Element:
    return ElementTree.fromstring(plot.svg(groups, 'Seconds & "more" <b>'))


def test_bars_are_as_long_as_their_values() -> None:
    root = drawn(plot.Group("one", (plot.Bar("ours", 2.0, True), plot.Bar("theirs", 8.0))))
    bars = [(float(bar.attrib["width"]), bar.attrib["class"]) for bar in root.iter(f"{SVG}rect")]
    assert [kind for _, kind in bars] == ["o", "r"]
    assert bars[1][0] == 4 * bars[0][0]


def test_text_is_escaped_and_everything_is_inside() -> None:
    root = drawn(plot.Group("a < b & c", (plot.Bar('"<x>"', 1.0),)), plot.Group("two", (plot.Bar("y", 0.0),)))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert "a < b & c" in texts
    assert '"<x>"' in texts
    height, width = float(root.attrib["height"]), float(root.attrib["width"])
    for bar in root.iter(f"{SVG}rect"):
        assert float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width
        assert float(bar.attrib["y"]) + float(bar.attrib["height"]) <= height
    assert root.attrib["aria-label"] == 'Seconds & "more" <b>'


def test_no_bars_no_group() -> None:
    assert [element.text for element in drawn(plot.Group("empty", ())).iter(f"{SVG}text")] == ['Seconds & "more" <b>']


def test_every_name_has_room_beside_its_bar() -> None:
    names = [*(method.title for method in METHODS.values()), *TITLES.values()]
    assert max(map(len, names)) * 6.7 < plot.LABELS - 8  # pixels a letter, on average, at 12 pixels
