"""What differs, for people: layers first, then details of which each layer has its share."""

from __future__ import annotations

import pytest

from ociassemble.image import compare_layers, differences
from ociassemble.image.compare import compare
from ociassemble.image.compare_packages import layer_difference
from ociassemble.image.differences import Comparison, Difference, LayerDifference, LayerName, Moved
from ociassemble.image.image import Image
from ociassemble.image.told import told
from ociassemble.testing.images import Folder, Link, image, layer

MANY = {f"{number:03}": "1" for number in range(100)}
OTHER = dict.fromkeys(MANY, "2")


def images(*pairs: tuple[object, object]) -> tuple[Image, Image]:
    one, other = ([layer(pair[side]) for pair in pairs] for side in (0, 1))  # type: ignore[arg-type]
    return image(one), image(other)


def between(*pairs: tuple[object, object]) -> Comparison:
    one, other = images(*pairs)
    return compare(one.node, other.node)


@pytest.mark.spec("VERIFY-19")
def test_every_layer_is_told_and_shows_its_share() -> None:
    comparison = between((MANY, OTHER), ({"same": "x"}, {"same": "x"}), ({"a": "1"}, {"a": "2"}), (MANY, OTHER))
    lines = told(comparison, 21)

    assert lines[:3] == [
        "layer 1 (base): 100 files differ",
        "layer 3 (base): 1 file differs",
        "layer 4 (base): 100 files differ",
    ]
    details = [line.partition(":")[0] for line in lines[3:-1]]
    assert details == ["layer 1 (base)"] * 10 + ["layer 3 (base)"] + ["layer 4 (base)"] * 10
    assert lines[-1] == "and 180 more differences: `--format json` tells of them"


@pytest.mark.spec("VERIFY-19")
def test_few_differences_are_all_told() -> None:
    lines = told(between(({"a": "1"}, {"a": "2"})), 50)

    assert len(lines) == 2
    assert lines[1].startswith("layer 1 (base): `a`: content differs from byte 0 on")


@pytest.mark.spec("VERIFY-6")
def test_a_large_layer_leaves_room_for_those_above(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (compare_layers, differences):
        monkeypatch.setattr(module, "MAX_KEPT", 50)
    comparison = between((MANY, OTHER), (MANY, OTHER))

    shown = [item.layer.number for item in comparison.differences if item.layer is not None]
    assert (shown.count(0), shown.count(1), comparison.omitted) == (50, 20, 130)
    assert [(item.files, item.more) for item in comparison.layers] == [(50, True), (50, True)]
    assert told(comparison, 4)[0] == "layer 1 (base): more than 50 files differ"


@pytest.mark.spec("VERIFY-19")
def test_folders_are_no_files() -> None:
    (found,) = between(({"a": Folder(), "a/b": "1"}, {"c": Folder(), "c/l": Link("x")})).layers

    assert found.files == 2  # a/b and c/l


@pytest.mark.spec("VERIFY-19")
def test_a_layer_that_only_one_image_has() -> None:
    one, other = image([layer({"a": "1"}), layer({"b": "1"})]), image([layer({"a": "1"})])

    assert told(compare(one.node, other.node), 50)[0] == "layer 2 (base): only in the image"
    assert told(compare(other.node, one.node), 50, "one", "other")[0] == "layer 2 (base): only in the other"


@pytest.mark.spec("VERIFY-19")
def test_more_layers_than_lines() -> None:
    lines = told(between(*(({"a": f"{number}"}, {"a": f"x{number}"}) for number in range(9))), 3)

    assert len(lines) == 8
    assert lines[3] == "and 6 more layers"
    assert lines[-1].startswith("and ") and "more differences" in lines[-1]


def change(path: str, one: str | None, other: str | None) -> Difference:
    return Difference("content", "file", "presence", one, other, path=path)


@pytest.mark.spec("VERIFY-19")
def test_versions_are_those_of_the_inputs_or_of_installed_wheels() -> None:
    name = LayerName(2, "dependencies", "dependency")
    found = [
        change("x/Foo_bar-1.0.dist-info", "directory", None),
        change("x/Foo_bar-1.0.dist-info/RECORD", "file", None),
        change("x/foo_bar-2.0rc1.dist-info/RECORD", None, "file"),
        change("x/gone-1.dist-info/RECORD", "file", None),
        change("x/no-dist-info/RECORD", "file", None),
    ]
    told_by_files = (Moved("foo-bar", "1.0", "2.0rc1"), Moved("gone", "1", None))

    assert layer_difference(name, "", found, 0, None, None).packages == told_by_files
    assert layer_difference(name, "", found, 0, {"foo-bar": "7"}, None).packages == told_by_files
    assert layer_difference(name, "", found, 0, {"a": "1", "b": "1"}, {"a": "1", "b": "2"}).packages == (
        Moved("b", "1", "2"),
    )


@pytest.mark.spec("VERIFY-19")
def test_versions_in_words() -> None:
    packages = (Moved("a", "1", "2"), Moved("b", None, "3"), *(Moved(f"c{n}", "1", "2") for n in range(8)))
    found = LayerDifference(LayerName(2, "numpy", "dependency"), "linux/amd64", 2, False, packages)
    (line,) = told(Comparison(layers=(found,)), 50)

    assert line.startswith(
        "linux/amd64: layer 3 `numpy` (dependency): a (image 1, rebuild 2), b 3 only in the rebuild, c0"
    )
    assert line.endswith("2 more packages, 2 files differ")
