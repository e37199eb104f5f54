"""Wheels and Debian packages that are not what they should be."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ociassemble.attest import openpgp
from tests.base.debian_bases import make_archive, stand_in
from tests.debian_archive import DAY, Archive, Certificate, Package, served
from tests.failure.index import pinned
from tests.failure.scene import Scene, Snapshot
from tests.formats.zip_builder import Member, archive
from tests.layer.wheel_builder import wheel as wheel_by_hand
from tests.net.scripted import Answer
from tests.sources.wheels import wheel

pytestmark = pytest.mark.spec("FAIL-1", "FAIL-2")
ALPHA, BETA = wheel("alpha", "1.0"), wheel("beta", "1.0")
SITE = "/usr/local/lib/python3.13/dist-packages"


@pytest.fixture
def base(scene: Scene) -> str:
    made = scene.base()
    scene.files(main__py="")
    scene.built("-b", made)
    return made


def made(name: str, files: dict[str, bytes], **lies: object) -> tuple[str, bytes]:
    """A wheel with these files; `lies` as `wheel_builder.wheel` takes them."""
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    data = wheel_by_hand({**files, f"{info}/METADATA": metadata}, info=info, **lies)  # type: ignore[arg-type]
    return f"{name}-1.0-py3-none-any.whl", data


# --- Python --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requirements", "status", "texts", "hint"),
    [
        (f"alpha==1.0 --hash=sha256:{'0' * 64}\n", 7, ["no wheel of `alpha` 1.0 has a hash"], "do not trust"),
        ("alpha==7\n", 3, ["no versions satisfy `requirements.txt`", "alpha==7"], ""),
        ("gamma\n", 3, ["no versions satisfy `requirements.txt`", "gamma"], "spelled right"),
        ("alpha @ git+https://registry.example/a\n", 3, ["alpha"], ""),
        ("-e .\n", 3, [], ""),
    ],
    ids=["wrong hash", "no such version", "no such package", "from git", "editable"],
)  # fmt: skip
def test_requirements_that_cannot_be_had(
    scene: Scene, base: str, requirements: str, status: int, texts: list[str], hint: str | None
) -> None:
    scene.wheels(ALPHA)
    scene.files(requirements__txt=requirements)
    before = Snapshot.of(scene)

    done = scene.run("build", "project", "-b", base, "-o", scene.layout)

    done.failed(status, *texts, hint=hint)
    before.holds(scene)


def test_a_wheel_that_is_not_the_locked_one(scene: Scene, base: str) -> None:
    """The lock names a hash; the index has come to serve other bytes."""
    index = scene.wheels(ALPHA, BETA)
    scene.files(requirements__txt=pinned(ALPHA, BETA))
    scene.run("--cache-dir", "another", "lock", "project", "-b", base).worked()
    index.on("*", f"/files/{ALPHA[0]}", Answer(200, ALPHA[1][:-1] + b"x"))
    before = Snapshot.of(scene)

    done = scene.run("build", "project", "-b", base, "-o", scene.layout, "--locked")

    done.failed(7, ALPHA[0], "sha256:", "from `http://127.0.0.1", hint=None)
    before.holds(scene)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(Answer(404), 4, id="404"),
        pytest.param(Answer(401), 5, id="401"),
        pytest.param(Answer(200, ALPHA[1], cut=100), 6, id="cut"),
        pytest.param(Answer(500), 6, id="500", marks=pytest.mark.long),  # asked for again, with pauses
        pytest.param(Answer(cut=-1), 6, id="no answer", marks=pytest.mark.long),
    ],
)
def test_a_wheel_that_does_not_come(scene: Scene, base: str, answer: Answer, status: int) -> None:
    index = scene.wheels(ALPHA)
    scene.files(requirements__txt=pinned(ALPHA))
    scene.run("--cache-dir", "another", "lock", "project", "-b", base).worked()
    index.on("*", f"/files/{ALPHA[0]}", answer)
    before = Snapshot.of(scene)

    done = scene.run("build", "project", "-b", base, "-o", scene.layout, "--locked")

    assert done.status == status, done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    before.holds(scene)


CLIMBING = archive([Member("../../../../etc/cron.d/x", b"* * * * * root id\n")])


@pytest.mark.parametrize(
    ("wheels", "status", "texts", "hint"),
    [
        ([made("evil", {"../../../../etc/cron.d/x": b"x"})], 7, ["evil-1.0", "`../../../../etc/cron.d/x`"], None),
        ([made("evil", {"/etc/cron.d/x": b"x"})], 7, ["evil-1.0", "/etc/cron.d/x"], None),
        ([made("evil", {"evil-1.0.data/data/../../../x": b"x"})], 7, ["evil-1.0"], None),
        ([("evil-1.0-py3-none-any.whl", CLIMBING)], 7, ["evil-1.0"], None),
        ([made("evil", {"evil.py": b"x"}, rows=["other.py,,"])], 7, ["RECORD"], "was changed"),
        ([("evil-1.0-py3-none-any.whl", ALPHA[1][:300])], 7, ["no end record: it is cut off"], None),
        ([("evil-1.0-py3-none-any.whl", b"")], 7, ["evil-1.0"], None),
        (
            [made("one", {"shared/x.py": b"1"}), made("two", {"shared/x.py": b"2"})], 3,
            [f"`{SITE}/shared/x.py` comes from both wheel one-1.0-py3-none-any.whl and wheel two-1.0-py3-none-any.whl"],
            "leave one of the two out",
        ),
        ([made("one", {"shared": b"1"}), made("two", {"shared/x.py": b"2"})], 3, [f"`{SITE}/shared`"], "leave one"),
    ],
    ids=[
        "climbs out", "absolute", "climbs out of data", "nothing but a climber", "RECORD lies", "cut", "empty",
        "one path in two wheels", "a file where the other has a folder",
    ],
)  # fmt: skip
def test_wheels_that_no_image_may_hold(
    scene: Scene, base: str, wheels: list[tuple[str, bytes]], status: int, texts: list[str], hint: str | None
) -> None:
    options = []
    for name, data in wheels:
        (scene.root / name).write_bytes(data)
        options += ["--wheel", name]
    before = Snapshot.of(scene)

    done = scene.run("build", "project", "-b", base, "-o", scene.layout, *options)

    done.failed(status, *texts, hint=hint)
    before.holds(scene)
    assert not (scene.root / "etc").exists()


# --- Debian --------------------------------------------------------------------------------------------------


NAMES = ("base-files", "netbase", "tzdata", "tzdata-legacy", "media-types", "ca-certificates")
RELEASE = "debian/dists/trixie/InRelease"


class FreshArchive(Archive):
    """An archive whose suites are of today: the command line looks at the real clock."""

    def suite(self, archive: str, name: str, packages: Sequence[Package], **how: Any) -> Path:
        return super().suite(archive, name, packages, **{"date": int(time.time()) - 3600, **how})


@pytest.fixture
def debian(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> FreshArchive:
    """The packages of `distroless/static` on loopback, signed by a key of this test that stands for Debian's."""
    certificate = Certificate()
    archive = FreshArchive(scene.root / "debian", certificate.signer)
    make_archive(archive, [*NAMES, "libssl3t64"])
    keyring = openpgp.read_keyring([certificate.ring], frozenset({certificate.primary.name}))
    monkeypatch.setattr(openpgp, "debian_keyring", lambda: keyring)
    scene.environment["OCIASSEMBLE_DEBIAN_MIRROR"] = scene.stack.enter_context(served(archive.root))
    scene.files(index__html="x")
    return archive


def changed(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def of_another_key(archive: Archive) -> None:
    make_archive(FreshArchive(archive.root, Certificate().signer), [*NAMES, "libssl3t64"])


def expired(archive: Archive) -> None:
    release = archive.suite("debian", "trixie-updates", [], date=int(time.time()) - 10 * DAY, valid=7 * DAY)
    assert release.is_file()


def package(archive: Archive) -> Path:
    return next(archive.root.glob("debian/pool/main/t/tzdata/tzdata_*_amd64.deb"))


def cut(archive: Archive) -> None:
    path = package(archive)
    path.write_bytes(path.read_bytes()[:-100])


def a_byte(archive: Archive) -> None:
    path = package(archive)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def signed_but_cut(archive: Archive) -> None:
    """A package that is cut off before it was hashed and signed: only reading it shows that."""
    items = [stand_in(name, architecture) for name in NAMES for architecture in ("amd64", "arm64")]
    items = [item._replace(data=item.data[:-200]) if item.name == "netbase" else item for item in items]
    archive.suite("debian", "trixie", items, valid=None, pool="pool/other")


@pytest.mark.parametrize(
    ("spoil", "status", "texts"),
    [
        (lambda archive: changed(archive.root / RELEASE, b"Codename: trixie", b"Codename: trixia"), 7, ["InRelease"]),
        (lambda archive: changed(archive.root / RELEASE, b"-----BEGIN PGP SIGNATURE", b"-----BEGIN PGP"), 7, []),
        (lambda archive: (archive.root / RELEASE).write_bytes(b"Suite: stable\n"), 7, ["InRelease"]),
        (of_another_key, 7, ["InRelease"]),
        (expired, 7, ["Release file of trixie-updates was valid until"]),
        (lambda archive: (archive.root / RELEASE).unlink(), 4, []),
        (cut, 7, ["tzdata", "bytes"]),
        (a_byte, 7, ["tzdata"]),
        (lambda archive: package(archive).unlink(), 4, ["tzdata"]),
        (signed_but_cut, 7, ["netbase"]),
    ],
    ids=[
        "tampered InRelease", "no signature", "not signed", "another key", "expired", "no InRelease",
        "truncated .deb", "tampered .deb", "missing .deb", "truncated .deb, signed",
    ],
)  # fmt: skip
def test_debian_packages_that_are_not_to_be_trusted(
    scene: Scene, debian: FreshArchive, spoil: Callable[[Archive], object], status: int, texts: list[str]
) -> None:
    spoil(debian)
    before = Snapshot.of(scene)

    done = scene.run("build", "project", "-b", "distroless/static", "--base-source", "debian", "-o", scene.layout)
    base = scene.run("base", "build", "distroless/static", "-o", scene.layout)

    for said in (done, base):
        assert (said.status, said.out) == (status, ""), said.err
        assert "Traceback" not in said.err
        assert all(text in said.error for text in texts), said.error
    before.holds(scene)


def test_the_same_packages_left_alone(scene: Scene, debian: FreshArchive) -> None:
    scene.run("build", "project", "-b", "distroless/static", "--base-source", "debian", "-o", scene.layout).worked()
