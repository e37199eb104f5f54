"""Names of the local store, and what is said where one was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.content.directory import DirectoryStore
from ociassemble.oci.reference import Reference
from ociassemble.progress import Progress
from ociassemble.testing import images
from ociassemble.transports.local import LocalDestination, LocalMissingError, LocalSource, hint_for
from ociassemble.transports.transfer import write


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore(tmp_path / "store")
    node = images.image([images.layer({"x": "x"})], platform="linux/amd64").node
    for name in ("localhost/web", "hello:v1", "registry.example/team/app:v2"):
        write(node, LocalDestination(store, Reference.parse(name)), progress=Progress(), jobs=1)
    return store


@pytest.mark.spec("CLI-16")
@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("web", "the local store has `local:localhost/web:latest`"),
        ("web:v2", None),
        ("hello:v1", "the local store has it: `local:docker.io/library/hello:v1`"),
        ("hello", None),
        ("registry.example/team/app:v2", "the local store has it: `local:registry.example/team/app:v2`"),
        ("registry.example/other/app:v2", None),  # another's image of the same name is none of ours
        ("team/app:v2", "the local store has `local:registry.example/team/app:v2`"),
        ("eb", None),
    ],
)
def test_what_was_probably_meant(store: DirectoryStore, asked: str, hint: str | None) -> None:
    assert hint_for(store, Reference.parse(asked)) == hint


@pytest.mark.spec("CLI-16")
def test_a_name_that_is_missing_tells_the_one_that_is_there(store: DirectoryStore) -> None:
    with pytest.raises(LocalMissingError) as caught:
        LocalSource(store, Reference.parse("web")).read()

    assert caught.value.hint == "the local store has `local:localhost/web:latest`"


def test_a_store_without_names_hints_at_nothing(tmp_path: Path) -> None:
    assert hint_for(DirectoryStore(tmp_path / "none"), Reference.parse("web")) is None
