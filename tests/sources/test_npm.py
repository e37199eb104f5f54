"""From hashes to tarballs: a registry of this test's own (NPM-12 to NPM-19, NPM-22, NPM-24)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ociassemble.content.memory import MemoryStore
from ociassemble.content.store import Store
from ociassemble.errors import AuthError, Error, IntegrityError, ProjectError
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.progress import Note, Progress
from ociassemble.sources import npm, npmrc
from ociassemble.sources.integrity import IntegrityMismatchError
from ociassemble.sources.npm import NpmMissingError, NpmOfflineError, NpmSourceError, Registries, Tarball
from ociassemble.sources.npmrc import NpmSettings
from tests.net.scripted import Answer
from tests.sources.npm_registry import NpmRegistry, Packed, make, sri

ONE, TWO, SCOPED = make("one"), make("two", "2.0.0-rc.1"), make("@acme/three", "3.1.4")


@pytest.fixture
def registry() -> Iterator[NpmRegistry]:
    with NpmRegistry(ONE, TWO, SCOPED) as running:
        yield running


@pytest.fixture
def other() -> Iterator[NpmRegistry]:
    with NpmRegistry(prefix="/other") as running:
        yield running


def tarball(item: Packed, url: str = "", **changes: str) -> Tarball:
    return Tarball(item.name, item.version, item.integrity, url)._replace(**changes)


def configured(text: str) -> NpmSettings:
    """What a project's .npmrc says."""
    folder = Path("/work")
    files = {folder / ".npmrc": text.encode()}
    return npmrc.discover(environment={}, home=Path("/home"), folder=folder, read=files.get)


def nobody() -> str:
    raise AssertionError("npm was asked")


def places(registry: NpmRegistry, more: str = "") -> Registries:
    return Registries(configured(f"registry={registry.registry}/\n{more}"), nobody)


def obtain(
    *items: Tarball,
    registries: Registries | Callable[[], Registries],
    store: Store | None = None,
    folder: Path = Path("/nonexistent"),
    wire: Wire | None = None,
    progress: Progress | None = None,
) -> dict[Tarball, ArtifactRef]:
    return npm.obtain(
        items,
        registries if callable(registries) else lambda: registries,
        folder=folder,
        wire=wire or Wire(attempts=1),
        store=store if store is not None else MemoryStore(),
        progress=progress or Progress(),
        jobs=2,
    )


# ------------------------------------------------------------------------------------------------ which URL


@pytest.mark.spec("NPM-16")
def test_packages_come_from_the_configured_registry(registry: NpmRegistry) -> None:
    store = MemoryStore()
    found = obtain(*map(tarball, (ONE, TWO, SCOPED)), registries=places(registry), store=store)

    assert {str(item): ref for item, ref in found.items()} == {
        f"{item.name}@{item.version}": ArtifactRef(Digest.of(item.data), len(item.data), filename)
        for item, filename in ((ONE, "one-1.0.0.tgz"), (TWO, "two-2.0.0-rc.1.tgz"), (SCOPED, "three-3.1.4.tgz"))
    }
    assert registry.fetched() == sorted(item.path for item in (ONE, TWO, SCOPED))
    assert set(store.blobs.values()) == {item.data for item in (ONE, TWO, SCOPED)}


@pytest.mark.spec("NPM-16")
def test_the_order_of_places() -> None:
    settings = configured("registry=https://main.example/npm\n@acme:registry=https://acme.example")
    both = Registries(settings, nobody)
    own = "https://own.example/one/-/one-1.0.0.tgz"
    assert both.urls(tarball(ONE)) == ("https://main.example/npm/one/-/one-1.0.0.tgz",)
    assert both.urls(tarball(ONE, own)) == ("https://main.example/npm/one/-/one-1.0.0.tgz", own)
    assert both.urls(tarball(SCOPED)) == ("https://acme.example/@acme/three/-/three-3.1.4.tgz",)
    escaped = "https://own.example/x/@acme%2fthree/-/three-3.1.4.tgz"
    assert both.urls(tarball(SCOPED, escaped)) == ("https://acme.example/@acme/three/-/three-3.1.4.tgz", escaped)
    remote = "https://files.example/one.tgz"
    assert both.urls(tarball(ONE, remote)) == (remote,)
    assert both.urls(tarball(SCOPED, remote)) == (remote, "https://acme.example/@acme/three/-/three-3.1.4.tgz")
    assert both.urls(tarball(ONE, "https://main.example/npm/one/-/one-1.0.0.tgz")) == (
        "https://main.example/npm/one/-/one-1.0.0.tgz",
    )


@pytest.mark.spec("NPM-17")
def test_without_a_hash_only_the_locks_own_url_is_asked() -> None:
    both = Registries(configured("registry=https://main.example"), nobody)
    own = "https://own.example/one/-/one-1.0.0.tgz"
    assert both.urls(tarball(ONE, own, integrity="")) == (own,)
    assert both.urls(tarball(ONE, integrity="")) == ("https://main.example/one/-/one-1.0.0.tgz",)


@pytest.mark.spec("NPM-21")
def test_npm_is_asked_only_where_nobody_names_a_registry() -> None:
    asked: list[int] = []

    def default() -> str:
        asked.append(1)
        return "https://default.example"

    nothing = Registries(NpmSettings(), default)
    own = "https://own.example/one/-/one-1.0.0.tgz"
    assert nothing.urls(tarball(ONE, own)) == (own,)
    assert asked == []
    assert nothing.urls(tarball(ONE)) == ("https://default.example/one/-/one-1.0.0.tgz",)


@pytest.mark.spec("NPM-16")
def test_the_locks_own_url_is_the_second_choice(registry: NpmRegistry, other: NpmRegistry) -> None:
    other.add(ONE)
    other.add(TWO, b"other bytes")
    items = [tarball(item, registry.registry + item.path) for item in (ONE, TWO)]

    found = obtain(*items, registries=places(other))

    assert {ref.digest for ref in found.values()} == {Digest.of(ONE.data), Digest.of(TWO.data)}
    assert registry.fetched() == [TWO.path]  # ONE was right where it was looked for first


@pytest.mark.spec("NPM-15")
@pytest.mark.parametrize(
    ("package", "version", "filename"),
    [
        ("express", "4.21.2", "express-4.21.2.tgz"),
        ("@babel/core", "7.0.0-beta.4", "core-7.0.0-beta.4.tgz"),
        ("x", "1.0.0+build/../..\\\n", "x-1.0.0+build_.._..__.tgz"),
        (".hidden", "1", "hidden-1.tgz"),
    ],
)
def test_names_of_files_are_made_of_name_and_version(package: str, version: str, filename: str) -> None:
    for url in ("", "https://a.example/download/0123456789abcdef", "https://b.example/x.tgz?token=secret"):
        assert Tarball(package, version, "", url).filename == filename


# ------------------------------------------------------------------------------------------------ hashes


@pytest.mark.spec("NPM-12")
@pytest.mark.parametrize("algorithm", ["sha512", "sha384", "sha256"])
def test_what_is_not_the_locked_file_is_not_kept(registry: NpmRegistry, algorithm: str) -> None:
    store = MemoryStore()
    wrong = tarball(ONE, integrity=sri(algorithm, TWO.data))
    with pytest.raises(IntegrityMismatchError, match=r"one-1\.0\.0\.tgz") as caught:
        obtain(wrong, registries=places(registry), store=store)
    assert caught.value.exit_code == 7
    assert any(registry.host in line for line in caught.value.details)
    assert store.blobs == {}
    assert store.records == {}


@pytest.mark.spec("NPM-12")
def test_a_hash_that_cannot_be_checked_is_an_error_before_anything_is_asked(registry: NpmRegistry) -> None:
    with pytest.raises(IntegrityError, match=r"two@2\.0\.0-rc\.1"):
        obtain(tarball(ONE), tarball(TWO, integrity="md5-AAAA"), registries=places(registry))
    assert registry.requests == []


@pytest.mark.spec("NPM-13")
def test_weak_and_missing_hashes_are_told_once(registry: NpmRegistry) -> None:
    notes: list[str] = []
    progress = Progress(lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    weak = [tarball(item, integrity=sri("sha1", item.data)) for item in (ONE, TWO)]
    store = MemoryStore()

    found = obtain(*weak, tarball(SCOPED, integrity=""), registries=places(registry), store=store, progress=progress)

    assert len(found) == 3
    assert len(notes) == 2
    assert "`@acme/three@3.1.4`" in notes[0]
    assert "SHA-1" in notes[1] and "`one@1.0.0`, `two@2.0.0-rc.1`" in notes[1]
    assert store.records == {}  # another file may have the same hash: it is looked at again
    with pytest.raises(IntegrityMismatchError):
        obtain(tarball(ONE, integrity=sri("sha1", b"other")), registries=places(registry))


@pytest.mark.spec("NPM-14")
def test_what_was_checked_once_is_not_asked_for_again(registry: NpmRegistry) -> None:
    store = MemoryStore()
    first = obtain(tarball(ONE), tarball(SCOPED), registries=places(registry), store=store)
    registry.requests.clear()

    def no_registry() -> Registries:
        raise AssertionError("the configuration was read")

    assert obtain(tarball(ONE), tarball(SCOPED), registries=no_registry, store=store) == first
    assert obtain(tarball(ONE), registries=no_registry, store=store, wire=Wire(offline=True))
    assert registry.requests == []


@pytest.mark.spec("NPM-14")
@pytest.mark.parametrize("spoil", [b"", b"{", b"[]", b'{"sha256": 1, "size": 2}', b'{"sha256": "../../etc"}'])
def test_a_memory_that_is_spoilt_or_of_a_lost_file_counts_as_none(registry: NpmRegistry, spoil: bytes) -> None:
    store = MemoryStore()
    first = obtain(tarball(ONE), registries=places(registry), store=store)
    (key,) = store.records
    assert key == ("npm", "sha512-" + hashlib.sha512(ONE.data).hexdigest())
    store.records[key] = spoil
    assert obtain(tarball(ONE), registries=places(registry), store=store) == first
    store.blobs.clear()
    assert obtain(tarball(ONE), registries=places(registry), store=store) == first
    assert len(registry.requests) == 3


def test_one_file_under_two_names_is_one_blob(registry: NpmRegistry) -> None:
    store = MemoryStore()
    alias = tarball(ONE, registry.registry + ONE.path, package="uno")
    found = obtain(tarball(ONE), alias, registries=places(registry), store=store)
    assert {ref.digest for ref in found.values()} == {Digest.of(ONE.data)}
    assert len(store.blobs) == 1


def test_a_download_that_breaks_off_goes_on(registry: NpmRegistry) -> None:
    big = make("big", files={"noise": base64.b64encode(hashlib.shake_256(b"x").digest(90_000))})
    registry.on("GET", "/npm" + big.path, Answer(200, big.data, cut=1000), Answer(200, big.data))
    assert obtain(tarball(big), registries=places(registry))
    assert registry.requests[1].headers["range"] == "bytes=1000-"


# ------------------------------------------------------------------------------------------------ what is nowhere


@pytest.mark.spec("NPM-19")
def test_all_that_is_missing_is_named_at_once(registry: NpmRegistry) -> None:
    gone = [make("gone"), make("lost", "0.0.1")]
    with pytest.raises(NpmMissingError) as caught:
        obtain(tarball(ONE), *map(tarball, gone), registries=places(registry))
    assert "gone@1.0.0, lost@0.0.1" in str(caught.value)
    assert ".npmrc" in (caught.value.hint or "")
    assert any(gone[0].path in line for line in caught.value.details)


@pytest.mark.spec("NPM-19")
def test_offline_names_all_that_is_not_in_the_store(registry: NpmRegistry) -> None:
    store = MemoryStore()
    obtain(tarball(ONE), registries=places(registry), store=store)

    def no_registry() -> Registries:
        raise AssertionError("the configuration was read")

    with pytest.raises(NpmOfflineError) as caught:
        obtain(*map(tarball, (ONE, TWO, SCOPED)), registries=no_registry, store=store, wire=Wire(offline=True))
    assert caught.value.details == ("@acme/three@3.1.4", "two@2.0.0-rc.1")
    assert caught.value.exit_code == 9
    with pytest.raises(NpmOfflineError):
        npm.locate(
            {Digest.of(TWO.data): tarball(TWO)},
            no_registry,
            folder=Path("/nonexistent"),
            wire=Wire(offline=True),
            store=store,
        )


@pytest.mark.spec("NPM-18")
def test_what_is_no_tarball_is_named_all_of_it() -> None:
    urls = [
        "git+ssh://git@code.example/a.git#0123",
        "git+https://me:hunter2@code.example/b.git",
        "ftp://x.example/c.tgz",
    ]
    items = [Tarball(f"p{number}", "1.0.0", ONE.integrity, url) for number, url in enumerate(urls)]
    with pytest.raises(NpmSourceError) as caught:
        obtain(tarball(ONE), *items, registries=nobody)  # type: ignore[arg-type]
    text = str(caught.value) + str(caught.value.details)
    assert all(f"p{number}@1.0.0" in text for number in range(3))
    assert "hunter2" not in text
    assert caught.value.exit_code == 3


@pytest.mark.spec("NPM-18")
def test_tarballs_of_the_project(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    (folder / "vendor").mkdir(parents=True)
    (folder / "vendor" / "one 1.tgz").write_bytes(ONE.data)
    (tmp_path / "outside.tgz").write_bytes(ONE.data)
    (folder / "link.tgz").symlink_to(tmp_path / "outside.tgz")
    store = MemoryStore()
    inside = tarball(ONE, "file:vendor/one 1.tgz")

    found = obtain(inside, registries=nobody, store=store, folder=folder, wire=Wire(offline=True))  # type: ignore[arg-type]

    assert found == {inside: ArtifactRef(Digest.of(ONE.data), len(ONE.data), "one-1.0.0.tgz")}
    for url in (
        "file:../outside.tgz",
        "file:link.tgz",
        "file:missing.tgz",
        "file:vendor",
        "file:///etc/passwd",
        "file:\0",
    ):
        with pytest.raises(ProjectError, match=r"one@1\.0\.0"):
            obtain(tarball(ONE, url), registries=nobody, folder=folder)  # type: ignore[arg-type]
    (folder / "vendor" / "one 1.tgz").write_bytes(TWO.data)
    with pytest.raises(IntegrityMismatchError):
        obtain(inside, registries=nobody, store=store, folder=folder)  # type: ignore[arg-type]
    assert npm.locate({Digest.of(TWO.data): inside}, nobody, folder=folder, wire=Wire(offline=True), store=store) == {}  # type: ignore[arg-type]
    assert store.size(Digest.of(TWO.data)) == len(TWO.data)


# ------------------------------------------------------------------------------------------------ credentials


def denied(call: Callable[[], Any]) -> Error:
    with pytest.raises(AuthError) as caught:
        call()
    assert "hunter2" not in str(caught.value) + str(caught.value.details) + str(caught.value.hint)
    return caught.value


@pytest.mark.spec("NPM-22", "NPM-24")
def test_a_registry_that_wants_a_token_gets_it(registry: NpmRegistry) -> None:
    registry.token = "hunter2"
    denied(lambda: obtain(tarball(ONE), registries=places(registry)))
    denied(lambda: obtain(tarball(ONE), registries=places(registry, f"{registry.key}:_authToken=wrong")))
    denied(lambda: obtain(tarball(ONE), registries=places(registry, "//127.0.0.1:1/:_authToken=hunter2")))
    assert obtain(tarball(ONE), registries=places(registry, f"{registry.key}:_authToken=hunter2"))


@pytest.mark.spec("NPM-22")
def test_a_token_stays_where_it_belongs(registry: NpmRegistry, other: NpmRegistry) -> None:
    other.add(TWO)
    token = f"{registry.key}:_authToken=hunter2"
    obtain(tarball(TWO, other.registry + TWO.path), registries=Registries(configured(token), nobody))
    obtain(tarball(ONE), registries=places(registry, token))
    assert other.credentials() == set()
    assert registry.credentials() == {"Bearer hunter2"}


@pytest.mark.spec("NPM-22")
def test_a_token_does_not_follow_to_another_host_nor_out_of_its_path(registry: NpmRegistry, other: NpmRegistry) -> None:
    token = f"{registry.key}:_authToken=hunter2"
    other.add(ONE)
    registry.on("GET", "/npm" + ONE.path, Answer(302, headers=(("Location", other.registry + ONE.path),)))
    registry.on("GET", "/npm" + TWO.path, Answer(302, headers=(("Location", "/files/two.tgz"),)))
    registry.on("GET", "/files/two.tgz", Answer(200, TWO.data))
    registry.on("GET", "/npm" + SCOPED.path, Answer(307, headers=(("Location", "/npm/files/three.tgz"),)))
    registry.on("GET", "/npm/files/three.tgz", Answer(200, SCOPED.data))

    obtain(*map(tarball, (ONE, TWO, SCOPED)), registries=places(registry, token))

    assert other.fetched() == [ONE.path]
    assert other.credentials() == set()
    sent = {request.path: "authorization" in request.headers for request in registry.requests}
    assert sent == {
        "/npm" + ONE.path: True,
        "/npm" + TWO.path: True,
        "/files/two.tgz": False,
        "/npm" + SCOPED.path: True,
        "/npm/files/three.tgz": True,
    }


@pytest.mark.spec("NPM-22")
def test_another_hosts_own_token_is_not_sent_there_by_a_redirect(registry: NpmRegistry, other: NpmRegistry) -> None:
    other.add(ONE)
    registry.on("GET", "/npm" + ONE.path, Answer(302, headers=(("Location", other.registry + ONE.path),)))
    text = f"{registry.key}:_authToken=hunter2\n{other.key}:_authToken=hunter2"
    assert obtain(tarball(ONE), registries=places(registry, text))
    assert other.credentials() == set()


@pytest.mark.spec("NPM-24")
def test_passwords_in_the_locks_own_urls_are_not_shown(registry: NpmRegistry) -> None:
    url = registry.registry.replace("://", "://me:hunter2@") + "/gone.tgz"
    with pytest.raises(Error) as caught:
        obtain(tarball(ONE, url), registries=Registries(NpmSettings(), nobody))
    assert "hunter2" not in str(caught.value) + str(caught.value.details) + str(caught.value.hint)
    assert registry.credentials() == {"Basic " + base64.b64encode(b"me:hunter2").decode()}


@pytest.mark.spec("NPM-25")
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/a.tgz",
        "HTTP://[::ffff:169.254.169.254]/a/-/a-1.0.0.tgz",
        "https://metadata.google.internal/a.tgz",
        "http://me:hunter2@169.254.170.2:80/a.tgz",
    ],
)
def test_no_lock_sends_us_to_where_clouds_keep_secrets(url: str) -> None:
    with pytest.raises(npm.NpmSourceError, match="an address that serves secrets") as caught:
        npm.refuse_others([npm.Tarball("a", "1.0.0", "", url)])
    assert "hunter2" not in str(caught.value)
    npm.refuse_others(
        [npm.Tarball("a", "1.0.0", "", text) for text in ("http://10.0.0.1/a.tgz", "http://[x/a.tgz", "")]
    )
