"""`explain`: what a layer of an assembled base is from."""

from __future__ import annotations

import pytest

from ociassemble.base.debian.recipe import ReleaseItem, load
from ociassemble.operations.explain import why_base
from tests.plan.lock_examples import example

LOCKED = example().platforms["linux/arm64"]


@pytest.mark.spec("EXPLAIN-1")
def test_the_layer_of_an_upstream_release_is_told_with_its_version() -> None:
    assert LOCKED.base is not None
    base = {"name": "", "source": "debian", "digest": str(LOCKED.base.digest)}

    assert why_base(base, "Node.js 24", LOCKED) == "base, from the upstream release nodejs24 24.19.0"
    assert why_base(base, "C library", LOCKED) == "base, assembled from 1 Debian packages"
    for other in (None, example().platforms["linux/amd64"]):  # no lock that pins this base
        assert why_base(base, "Node.js 24", other) == "base, assembled from Debian packages"


@pytest.mark.spec("EXPLAIN-1")
def test_recipes_call_the_layer_of_a_release_after_it() -> None:
    """What `why_base` goes by: a lock says of a release neither title nor layer."""
    recipe = load()
    found = {
        (item.release, "".join(letter for letter in layer.title.lower() if letter.isalnum()))
        for image in recipe.images.values()
        for layer in image.layers
        for item in layer.items
        if isinstance(item, ReleaseItem)
    }

    assert found == {(name, name) for name in recipe.archives}
