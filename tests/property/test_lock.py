"""Any lock survives being written and read, is valid by the schema, and no bytes make the reader stumble."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.errors import Error
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import DirectoryFact, TrustFact
from ociassemble.plan.layout import Layout
from ociassemble.plan.lock import Asked, Lock, LockedPlatform
from ociassemble.plan.locked import LockedFacts, LockedFinding, LockedLayer, LockedPackage, Verdict
from ociassemble.plan.locked_base import BaseLayer, DebianBase, DebianPackage, RegistryBase
from ociassemble.plan.plan import ArchiveFile
from ociassemble.plan.release import UNKNOWN, Release, ReleaseArchive
from ociassemble.plan.started import Started
from tests.plan.lock_examples import example, written

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
NAME = TEXT.filter(bool)
DIGEST = st.binary(max_size=3).map(Digest.of)
SIZE = st.integers(0, 2**53)
PART = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"), min_size=1, max_size=8).filter(
    lambda text: text not in (".", "..")
)
PATH = st.lists(PART, min_size=1, max_size=3).map("/".join)
SCALAR = st.one_of(TEXT, st.booleans(), st.integers(-(2**53), 2**53), st.lists(TEXT, max_size=2).map(tuple))
SETTINGS = st.dictionaries(TEXT, st.one_of(SCALAR, st.dictionaries(TEXT, SCALAR, max_size=2)), max_size=3)
PLATFORMS = st.lists(st.sampled_from(["linux/amd64", "linux/arm64", "linux/arm/v7"]), min_size=1, unique=True)
PACKAGE = st.builds(LockedPackage, NAME, NAME, st.builds(ArtifactRef, DIGEST, SIZE, PART))
BASE_LAYERS = st.lists(st.builds(BaseLayer, DIGEST, DIGEST, SIZE), max_size=2).map(tuple)
DEBIAN_PACKAGES = st.lists(
    st.builds(DebianPackage, NAME, NAME, PART, PATH, DIGEST, SIZE, st.one_of(st.just(""), NAME)), max_size=2
).map(tuple)
MODE = st.integers(0, 0o1777)
RELEASE_FILES = st.lists(
    st.builds(ArchiveFile, PATH, PATH.map("/".__add__), DIGEST, SIZE, MODE),
    min_size=1,
    max_size=2,
    unique_by=(lambda item: item.inside, lambda item: item.path),
).map(tuple)
RELEASE_ARCHIVES = st.lists(
    st.builds(ReleaseArchive, st.sampled_from(["upstream", "npm"]), PATH, DIGEST, st.one_of(SIZE, st.just(UNKNOWN))),
    min_size=1,
    max_size=2,
).map(tuple)
RELEASES = st.lists(
    st.builds(
        Release,
        st.from_regex(r"[a-z0-9][a-z0-9.-]{0,8}", fullmatch=True),
        st.from_regex(r"[0-9][0-9A-Za-z.+-]{0,8}", fullmatch=True),
        RELEASE_FILES,
        RELEASE_ARCHIVES,
    ),
    max_size=1,
).map(tuple)
REPOSITORY = st.just("") | st.from_regex(r"[a-z0-9]{1,5}(/[a-z0-9]{1,5}){0,2}", fullmatch=True)
BASE = st.one_of(
    st.none(),
    st.builds(RegistryBase, DIGEST, SIZE, NAME, BASE_LAYERS, repository=REPOSITORY),
    st.builds(DebianBase, NAME, DEBIAN_PACKAGES, DIGEST, SIZE, NAME, BASE_LAYERS, NAME, RELEASES),
)
FINDING = st.builds(LockedFinding, NAME, st.sampled_from(["error", "warning", "info"]), NAME)
ABSOLUTE = PATH.map("/".__add__)
NAMES = st.lists(NAME, max_size=2).map(tuple)
ID = st.integers(0, 2**31)
STARTED = st.builds(
    Started, TEXT, ABSOLUTE, TEXT, st.integers(-1, 2**31), st.lists(ID, max_size=2).map(tuple), TEXT,
    st.lists(TEXT, max_size=2).map(tuple), NAMES, NAMES, NAMES,
)  # fmt: skip
LAYOUT = st.builds(
    Layout,
    st.integers(1, 99),
    st.dictionaries(PATH, NAME, max_size=2).map(lambda found: dict(sorted(found.items()))),
    st.lists(st.builds(DirectoryFact, PATH, MODE, ID, ID), max_size=2, unique_by=lambda item: item.path)
    .map(sorted)
    .map(tuple),
    NAMES,
    st.lists(st.builds(TrustFact, ABSOLUTE, DIGEST, SIZE, MODE, ID, ID), max_size=1).map(tuple),
    st.none() | st.tuples(ABSOLUTE, ABSOLUTE, ABSOLUTE),
    st.just("") | ABSOLUTE,
)
VERDICT = st.builds(
    Verdict,
    DIGEST,
    st.lists(DIGEST, max_size=2).map(tuple),
    st.lists(TEXT, max_size=2).map(tuple),
    st.lists(FINDING, max_size=2).map(tuple),
    st.none() | STARTED,
)
NODE = st.one_of(st.just(""), NAME)
PLATFORM = st.builds(
    LockedPlatform,
    facts=st.builds(LockedFacts, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, st.booleans(), NODE, NODE, st.none() | LAYOUT),
    base=BASE,
    packages=st.lists(PACKAGE, max_size=2).map(tuple),
    layers=st.lists(st.builds(LockedLayer, TEXT, DIGEST, DIGEST, DIGEST, SIZE, NAME), max_size=2).map(tuple),
    verdict=st.one_of(st.none(), VERDICT),
)


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    platforms = tuple(draw(PLATFORMS))
    inputs = draw(st.dictionaries(PATH, DIGEST, max_size=2))
    return Lock(
        created="2026-01-31T12:00:00Z",
        asked=Asked(draw(NAME), platforms, draw(NAME), draw(SETTINGS), inputs),
        platforms={name: draw(PLATFORM) for name in platforms},
        assembly_version=draw(st.integers(1, 2**53)),
    )


@pytest.mark.spec("LOCK-1")
@given(locks())
def test_a_lock_survives_being_written_and_read(lock: Lock) -> None:
    raw = written(lock)

    assert Lock.parse(raw) == lock
    assert Lock.parse(raw).dump() == raw
    assert json.loads(raw)["lock-version"] == 1


@settings(max_examples=150)
@given(st.data())
@pytest.mark.spec("LOCK-2")
def test_bytes_changed_anywhere_give_our_error_or_another_lock(data: st.DataObject) -> None:
    raw = bytearray(example().dump())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        kind = data.draw(st.sampled_from(["replace", "delete", "insert"]))
        if kind == "replace":
            raw[at] = data.draw(st.integers(0, 255))
        elif kind == "delete":
            del raw[at : at + data.draw(st.integers(1, 30))]
        else:
            raw[at:at] = data.draw(st.binary(max_size=4))
    try:
        lock = Lock.parse(bytes(raw))
    except Error as error:
        assert error.exit_code == 3
    else:
        assert Lock.parse(written(lock)) == lock
