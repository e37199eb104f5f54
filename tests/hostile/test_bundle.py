"""Bundles that lie: what each claims, and that nothing of it reaches the store."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ociassemble.content.directory import DirectoryStore
from ociassemble.errors import Error, IntegrityError
from ociassemble.oci.digest import Digest
from ociassemble.operations.bundle_load import load
from ociassemble.progress import Progress
from ociassemble.session import Session
from ociassemble.session.environment import Environment, Options
from tests.transports.bundles import members, repacked, small, written

WHEEL = b"the bytes of a wheel" * 100
Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    environment = Environment(
        variables={}, home=tmp_path, folder=tmp_path, python=Path("/nonexistent"), prefix=Path("/nonexistent")
    )
    return Session(environment, Options(offline=True, cache_dir=tmp_path / "cache"), Progress())


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return written(small(WHEEL), tmp_path / "good")


def held(store: DirectoryStore) -> set[bytes]:
    return {path.read_bytes() for path in (store.root / "blobs").rglob("*") if path.is_file()}


def index_of(found: Members) -> int:
    return next(number for number, (member, _) in enumerate(found) if member.name == "index.json")


def edited(found: Members, what: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a document below the root and every digest and size on the way up: a lie that is consistent."""
    documents = {member.name.rpartition("/")[2]: number for number, (member, _) in enumerate(found)}
    top = json.loads(found[index_of(found)][1])
    root = next(
        item for item in top["manifests"] if item["annotations"]["org.opencontainers.image.ref.name"] == "bundle"
    )

    def replaced(descriptor: dict[str, Any], document: dict[str, Any]) -> None:
        number = documents[descriptor["digest"].partition(":")[2]]
        data = json.dumps(document).encode()
        member = copy.copy(found[number][0])
        descriptor["digest"], descriptor["size"] = str(Digest.of(data)), len(data)
        member.name = f"blobs/sha256/{Digest.of(data).hex}"
        found[number] = (member, data)

    document = json.loads(found[documents[root["digest"].partition(":")[2]]][1])
    if what == "root":
        change(document)
    else:
        child = next(item for item in document["manifests"] if item.get("artifactType"))
        manifest = json.loads(found[documents[child["digest"].partition(":")[2]]][1])
        change(manifest)
        replaced(child, manifest)
    replaced(root, document)
    number = index_of(found)
    found[number] = (found[number][0], json.dumps(top).encode())


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def _wheel(found: Members) -> int:
    return next(number for number, (_, data) in enumerate(found) if data == WHEEL)


def other_bytes(found: Members) -> None:
    number = _wheel(found)
    found[number] = (found[number][0], WHEEL[:-1] + b"!")


def longer(found: Members) -> None:
    number = _wheel(found)
    found[number] = (found[number][0], WHEEL + b"more")


def shorter(found: Members) -> None:
    number = _wheel(found)
    found[number] = (found[number][0], WHEEL[:-1])


def gone(found: Members) -> None:
    del found[_wheel(found)]


def twice(found: Members) -> None:
    found.append(found[_wheel(found)])


def linked(kind: bytes, target: str) -> Callable[[Members], None]:
    def change(found: Members) -> None:
        number = _wheel(found)
        found[number] = (entry(found[number][0].name, kind, target), b"")

    return change


def added(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> Callable[[Members], None]:
    return lambda found: found.append((entry(name, kind, target), b""))


def root(change: Callable[[dict[str, Any]], object]) -> Callable[[Members], None]:
    return lambda found: edited(found, "root", change)


def artifact(change: Callable[[dict[str, Any]], object]) -> Callable[[Members], None]:
    return lambda found: edited(found, "artifact", change)


def no_root(found: Members) -> None:
    number = index_of(found)
    document = json.loads(found[number][1])
    for item in document["manifests"]:
        item["annotations"] = {"org.opencontainers.image.ref.name": "other"}
    found[number] = (found[number][0], json.dumps(document).encode())


def base_as_root(found: Members) -> None:
    number = index_of(found)
    document = json.loads(found[number][1])
    names = [item["annotations"] for item in document["manifests"]]
    document["manifests"][0]["annotations"], document["manifests"][1]["annotations"] = names[1], names[0]
    found[number] = (found[number][0], json.dumps(document).encode())


def raw_index(data: bytes) -> Callable[[Members], None]:
    def change(found: Members) -> None:
        number = index_of(found)
        found[number] = (found[number][0], data)

    return change


TITLE = "org.opencontainers.image.title"
NAME = "dev.ociassemble.bundle.name"
VERSION = "dev.ociassemble.bundle.version"
KIND = "dev.ociassemble.bundle.kind"
BASE_NAME = "dev.ociassemble.bundle.base-name"

LIES: dict[str, Callable[[Members], None]] = {
    "a blob with other bytes": other_bytes,
    "a blob that is longer": longer,
    "a blob that is shorter": shorter,
    "a blob that is not there": gone,
    "a blob that is there twice": twice,
    "a blob that is a symlink out": linked(tarfile.SYMTYPE, "/etc/passwd"),
    "a blob that is a symlink within": linked(tarfile.SYMTYPE, "../../index.json"),
    "a blob that is a hard link": linked(tarfile.LNKTYPE, "index.json"),
    "a blob that is a device": linked(tarfile.CHRTYPE, ""),
    "a blob that is a pipe": linked(tarfile.FIFOTYPE, ""),
    "a name that leads out": added("../escaped"),
    "a name that leads out later": added("blobs/sha256/../../../escaped"),
    "a symlink that nothing names": added("readme", tarfile.SYMTYPE, "index.json"),
    "a second index": lambda found: found.append(found[index_of(found)]),
    "no index": lambda found: found.pop(index_of(found)),
    "an index that is no JSON": raw_index(b"{"),
    "an index of nothing": raw_index(b"{}"),
    "an index that is deep": raw_index(b"[" * 100_000),
    "an index without the bundle": no_root,
    "the base as the bundle": base_as_root,
    "no version": root(lambda document: document["annotations"].pop(VERSION)),
    "a later version": root(lambda document: document["annotations"].update({VERSION: "2"})),
    "no name": root(lambda document: document["annotations"].pop(NAME)),
    "a name that is a path": root(lambda document: document["annotations"].update({NAME: "../x"})),
    "a name that is long": root(lambda document: document["annotations"].update({NAME: "x" * 5000})),
    "an older bundle that is none": root(
        lambda document: document["annotations"].update({"dev.ociassemble.bundle.since": "sha256:x"})
    ),
    "two bases": root(lambda document: document["manifests"].append(document["manifests"][0])),
    "an unknown kind": root(lambda document: document["manifests"][1]["annotations"].update({KIND: "program"})),
    "no kind": root(lambda document: document["manifests"][1].pop("annotations")),
    "an artifact of another kind": root(
        lambda document: document["manifests"][1]["annotations"].update({KIND: "debian"})
    ),
    "a base without a usable name": root(
        lambda document: document["manifests"][0]["annotations"].update({BASE_NAME: "UPPER//x"})
    ),
    "a document that is not there": root(
        lambda document: document["manifests"][1].update({"digest": "sha256:" + "0" * 64})
    ),
    "a document of another size": root(lambda document: document["manifests"][1].update({"size": 10})),
    "a title that is a path": artifact(
        lambda document: document["layers"][0]["annotations"].update({TITLE: "../../x.whl"})
    ),
    "a title that is none": artifact(lambda document: document["layers"][0].pop("annotations")),
    "a title of two dots": artifact(lambda document: document["layers"][0]["annotations"].update({TITLE: ".."})),
    "a title with a line break": artifact(
        lambda document: document["layers"][0]["annotations"].update({TITLE: "x\n.whl"})
    ),
    "two files of one title": artifact(lambda document: document["layers"].append(document["layers"][0])),
    "a size that is smaller": artifact(lambda document: document["layers"][0].update({"size": 10})),
    "a size that is negative": artifact(lambda document: document["layers"][0].update({"size": -1})),
    "a size that is endless": artifact(lambda document: document["layers"][0].update({"size": 2**60})),
    "an artifact with a config": artifact(
        lambda document: document["config"].update({"mediaType": "application/vnd.oci.image.config.v1+json"})
    ),
    "an artifact without a type": artifact(lambda document: document.pop("artifactType")),
}


@pytest.mark.spec("BUNDLE-11", "BUNDLE-12", "BUNDLE-13")
@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_refused(good: Path, session: Session, tmp_path: Path, name: str) -> None:
    found = members(good)
    LIES[name](found)
    path = repacked(tmp_path / "bad", found)

    with pytest.raises(Error) as refused:
        load(session, str(path))

    assert str(refused.value)
    assert not any(path.name == "escaped" for path in tmp_path.rglob("*"))
    # What was verified before the lie was met may have been kept; what is not what it says never is.
    assert held(session.store) <= {data for _, data in members(good)}
    assert not (session.store.root / "refs").exists() and not (session.store.root / "records" / "tags").exists()


@pytest.mark.spec("BUNDLE-11")
def test_what_nothing_names_is_not_looked_at(good: Path, session: Session, tmp_path: Path) -> None:
    found = members(good)
    found.append((entry(f"blobs/sha256/{'0' * 64}"), b"not what its name says"))
    found.append((entry("tool/x.whl"), b"nobody asked for it"))
    found.append((entry("README"), b"hello"))

    load(session, str(repacked(tmp_path / "more", found)))

    assert WHEEL in held(session.store)
    assert held(session.store) <= {data for _, data in members(good)}


@pytest.mark.spec("BUNDLE-11")
@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_our_error_or_none(good: Path, session: Session, tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(good.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        raw[at] ^= data.draw(st.integers(1, 255))
    else:
        del raw[at:]
    path = tmp_path / "damaged"
    path.write_bytes(raw)
    known = {content for _, content in members(good)}

    with contextlib.suppress(Error):
        load(session, str(path))

    assert held(session.store) <= known


@pytest.mark.spec("BUNDLE-11", "BUNDLE-12")
@pytest.mark.parametrize("content", [b"", b"\0" * 10240, b"x" * 5000, b"PK\x03\x04", b"{}"])
def test_what_is_no_bundle(session: Session, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)

    with pytest.raises(IntegrityError):
        load(session, str(tmp_path / "x"))


def test_an_archive_of_an_image_is_no_bundle(session: Session, tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in (
            ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
            ("index.json", b'{"schemaVersion":2,"manifests":[]}'),
        ):
            member = entry(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    (tmp_path / "x").write_bytes(made.getvalue())

    with pytest.raises(IntegrityError, match="no whole bundle"):
        load(session, str(tmp_path / "x"))
