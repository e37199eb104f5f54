"""From names to pinned packages over a signed mirror on loopback, and from pins to URLs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from ociassemble.attest import openpgp
from ociassemble.content.memory import MemoryStore
from ociassemble.content.verify import DigestMismatchError
from ociassemble.errors import IntegrityError, NotFoundError
from ociassemble.net import download
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.locked_base import DebianPackage
from ociassemble.sources import debian
from ociassemble.sources.debian import Mirror, MirrorMissingError, PackageMissingError, ReleaseError, StaleError, Suite
from tests.debian_archive import DAY, NOW, Archive, Certificate, Key, Package, served

SUITES = (Suite("debian", "trixie"), Suite("debian", "trixie-updates"), Suite("debian-security", "trixie-security"))
CERTIFICATE = Certificate()
KEYRING = openpgp.read_keyring([CERTIFICATE.ring], frozenset({CERTIFICATE.primary.name}))

OLD = Package("libssl3t64", "3.5.4-1~deb13u2", b"old")
NEW = Package("libssl3t64", "3.5.4-1~deb13u10", b"new")
DATA = Package("tzdata", "2026f-0", b"zones", "all")
EPOCH = Package("zlib1g", "1:1.3.1-1", b"zlib")
ARM = Package("libssl3t64", "3.5.4-1~deb13u10", b"arm", "arm64")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = Archive(tmp_path, CERTIFICATE.signer)
    made.suite("debian", "trixie", [OLD, DATA, EPOCH], valid=None)
    made.suite("debian", "trixie-updates", [])
    made.suite("debian-security", "trixie-security", [NEW, ARM], pool="pool/updates/main")
    return made


@pytest.fixture
def url(archive: Archive) -> Iterator[str]:
    with served(archive.root) as address:
        yield address


@functools.cache
def wire() -> Wire:
    return Wire()


def fetch(url: str, limit: int) -> bytes:
    return download.get(wire(), url, limit=limit).data


def verify(document: bytes) -> bytes:
    return openpgp.verify(document, KEYRING).text


def resolve(url: str, *names: str, now: float = NOW, architecture: str = "amd64") -> tuple[DebianPackage, ...]:
    mirror = debian.discover(url)
    return debian.resolve(mirror, SUITES, {architecture: names}, fetch=fetch, verify=verify, now=now)[architecture]


@pytest.mark.spec("DEBIAN-INDEX-4", "DEBIAN-INDEX-5")
def test_the_highest_version_over_all_suites_by_name(url: str) -> None:
    found = resolve(url, "zlib1g", "tzdata", "libssl3t64")

    assert [(item.name, item.version, item.archive) for item in found] == [
        ("libssl3t64", "3.5.4-1~deb13u10", "debian-security"),
        ("tzdata", "2026f-0", "debian"),
        ("zlib1g", "1:1.3.1-1", "debian"),
    ]
    assert found[0].path == "pool/updates/main/l/libssl3t64/libssl3t64_3.5.4-1~deb13u10_amd64.deb"
    assert found[0].artifact == ArtifactRef(Digest.of(b"new"), 3, "libssl3t64_3.5.4-1~deb13u10_amd64.deb")
    assert "127.0.0.1" not in str(found)


def test_architectures_have_their_own_packages(url: str) -> None:
    mirror = debian.discover(url)
    wanted = {"amd64": ["libssl3t64"], "arm64": ["libssl3t64", "tzdata"]}
    found = debian.resolve(mirror, SUITES, wanted, fetch=fetch, verify=verify, now=NOW)

    assert [item.digest for item in found["amd64"]] == [Digest.of(b"new")]
    assert [item.digest for item in found["arm64"]] == [Digest.of(b"arm"), Digest.of(b"zones")]


@pytest.mark.spec("DEBIAN-INDEX-4")
def test_of_equal_versions_the_earlier_suite(archive: Archive, url: str) -> None:
    archive.suite("debian", "trixie-updates", [DATA._replace(data=b"other zones")], pool="pool/other")

    assert resolve(url, "tzdata")[0].digest == Digest.of(b"zones")


def test_a_package_that_is_nowhere(url: str) -> None:
    with pytest.raises(PackageMissingError) as caught:
        resolve(url, "tzdata", "libabsent", "libnone")
    assert "libabsent" in str(caught.value)
    assert any("libnone" in detail for detail in caught.value.details)
    assert any("trixie-security" in detail for detail in caught.value.details)


# --- what signed files protect from --------------------------------------------------------------------------


@pytest.mark.spec("DEBIAN-INDEX-2")
def test_valid_until_is_judged_when_suites_are_resolved(url: str) -> None:
    assert resolve(url, "tzdata", now=NOW + 5 * DAY)
    with pytest.raises(StaleError) as caught:
        resolve(url, "tzdata", now=NOW + 7 * DAY)
    assert caught.value.code == "integrity.stale"
    assert caught.value.exit_code == 7
    assert caught.value.hint


@pytest.mark.spec("DEBIAN-INDEX-2")
def test_a_release_from_the_future(url: str) -> None:
    with pytest.raises(StaleError, match="future"):
        resolve(url, "tzdata", now=NOW - 3 * DAY)


def test_a_tampered_release(archive: Archive, url: str) -> None:
    release = archive.root / "debian/dists/trixie/InRelease"
    release.write_bytes(release.read_bytes().replace(b"Origin: Test", b"Origin: Rest"))
    with pytest.raises(openpgp.SignatureError) as caught:
        resolve(url, "tzdata")
    assert caught.value.code == "integrity.signature"
    assert any("trixie" in detail for detail in caught.value.details)


def test_a_release_signed_by_another_key(archive: Archive, url: str) -> None:
    Archive(archive.root, Key()).suite("debian", "trixie", [DATA])
    with pytest.raises(openpgp.UntrustedKeyError):
        resolve(url, "tzdata")


@pytest.mark.spec("DEBIAN-INDEX-1")
def test_an_old_suite_cannot_pose_as_a_new_one(archive: Archive, url: str) -> None:
    archive.suite("debian", "trixie", [OLD], codename="bookworm", valid=None)
    with pytest.raises(ReleaseError, match="bookworm"):
        resolve(url, "libssl3t64")


@pytest.mark.spec("DEBIAN-INDEX-3")
@pytest.mark.parametrize("by_hash", [True, False])
def test_a_changed_index(archive: Archive, url: str, by_hash: bool) -> None:
    archive.suite("debian", "trixie", [DATA], by_hash=by_hash)
    assert resolve(url, "tzdata")
    pattern = "by-hash/SHA256/*" if by_hash else "Packages.xz"
    for index in (archive.root / "debian/dists/trixie/main/binary-amd64").glob(pattern):
        index.write_bytes(index.read_bytes()[:-1] + b"x")
    with pytest.raises(DigestMismatchError):
        resolve(url, "tzdata")


@pytest.mark.spec("DEBIAN-INDEX-3")
def test_an_index_whose_hash_is_gone_is_asked_for_by_name(archive: Archive, url: str) -> None:
    folder = archive.root / "debian/dists/trixie/main/binary-amd64"
    (index,) = (folder / "by-hash/SHA256").iterdir()
    index.rename(folder / "Packages.xz")

    assert resolve(url, "tzdata")[0].version == "2026f-0"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Filename", "../../etc/passwd.deb"),
        ("Filename", "pool/main/../../x.deb"),
        ("Filename", "/pool/main/x/x.deb"),
        ("Filename", "pool/main/x/x.exe"),
        ("Filename", "http://mirror.example/pool/main/x.deb"),
        ("Size", "-1"),
        ("Size", "9" * 40),
        ("SHA256", "0" * 63),
        ("SHA256", "sha256:" + "0" * 64),
        ("Version", "not a version"),
    ],
)
def test_stanzas_that_lead_elsewhere(tmp_path: Path, field: str, value: str) -> None:
    class Lying(Archive):
        def _stanza(self, archive: str, package: Package, pool: str) -> str:
            lines = super()._stanza(archive, package, pool).splitlines(keepends=True)
            return "".join(f"{field}: {value}\n" if line.startswith(field + ":") else line for line in lines)

    Lying(tmp_path, CERTIFICATE.signer).suite("debian", "trixie", [DATA])
    with served(tmp_path) as url, pytest.raises(IntegrityError):
        debian.resolve(debian.discover(url), SUITES[:1], {"amd64": ["tzdata"]}, fetch=fetch, verify=verify, now=NOW)


def test_a_second_mirror_is_asked_where_the_first_has_nothing_or_others_files(archive: Archive, tmp_path: Path) -> None:
    other = tmp_path / "other"
    Archive(other, Key()).suite("debian", "trixie", [DATA._replace(data=b"foreign")])
    with served(archive.root) as good, served(other) as foreign:
        mirror = Mirror({"debian": (f"{foreign}/absent", f"{foreign}/debian", f"{good}/debian")})
        wanted = {"amd64": ["tzdata"]}
        found = debian.resolve(mirror, SUITES[:1], wanted, fetch=fetch, verify=verify, now=NOW)
        with pytest.raises(openpgp.UntrustedKeyError):
            debian.resolve(
                Mirror({"debian": (f"{foreign}/absent", f"{foreign}/debian")}),
                SUITES[:1],
                wanted,
                fetch=fetch,
                verify=verify,
                now=NOW,
            )
    assert found["amd64"][0].digest == Digest.of(b"zones")


def test_an_index_that_did_not_change_is_not_fetched_again(archive: Archive, url: str) -> None:
    asked: list[str] = []

    def noted(url: str, limit: int) -> bytes:
        asked.append(url.rpartition("/dists/")[2])
        return fetch(url, limit)

    def once(*names: str) -> tuple[DebianPackage, ...]:
        asked.clear()
        return debian.resolve(
            debian.discover(url), SUITES[:1], {"amd64": names}, fetch=noted, verify=verify, now=NOW, store=store
        )["amd64"]

    store = MemoryStore()
    first = once("tzdata", "zlib1g")
    assert len(asked) == 2
    assert once("zlib1g", "tzdata") == first
    assert asked == ["trixie/InRelease"]
    assert [item.name for item in once("libssl3t64")] == ["libssl3t64"]
    assert len(asked) == 2
    archive.suite("debian", "trixie", [DATA._replace(version="2027a-0")])
    assert once("tzdata")[0].version == "2027a-0"
    for key in store.records:
        store.records[key] = b"{"
    assert once("tzdata")[0].version == "2027a-0"


# --- pins ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("DEBIAN-INDEX-2")
def test_pinned_packages_are_fetched_without_asking_a_suite(archive: Archive, url: str) -> None:
    pins = resolve(url, "tzdata", "libssl3t64")
    for release in archive.root.rglob("InRelease"):
        release.unlink()
    store = MemoryStore()

    def bring(urls: object, ref: ArtifactRef) -> None:
        download.fetch(wire(), urls, ref.digest, ref.size, store)  # type: ignore[arg-type]

    debian.fetch_packages(pins, debian.discover(url), bring)

    assert {store.open(pin.digest).read() for pin in pins} == {b"new", b"zones"}


def test_a_pin_the_mirror_dropped(archive: Archive, url: str) -> None:
    (pin,) = resolve(url, "tzdata")
    (archive.root / "debian" / pin.path).unlink()

    def bring(urls: object, ref: ArtifactRef) -> None:
        download.fetch(wire(), urls, ref.digest, ref.size, MemoryStore())  # type: ignore[arg-type]

    with pytest.raises(NotFoundError) as caught:
        debian.fetch_packages([pin], debian.discover(url), bring)
    assert caught.value.code == "not-found.debian-package"
    assert "ociassemble lock" in (caught.value.hint or "")


def test_urls() -> None:
    pin = DebianPackage("libstdc++6", "1", "debian", "pool/main/g/gcc-14/libstdc++6_14~x_amd64.deb", Digest.of(b""), 0)
    mirror = Mirror({"debian": ("http://mirror.example/debian", "http://other.example/d")})

    assert debian.urls(pin, mirror) == (
        "http://mirror.example/debian/pool/main/g/gcc-14/libstdc++6_14~x_amd64.deb",
        "http://other.example/d/pool/main/g/gcc-14/libstdc++6_14~x_amd64.deb",
    )
    with pytest.raises(MirrorMissingError):
        debian.urls(pin._replace(archive="debian-security"), mirror)
