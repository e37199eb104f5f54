"""What disks, power cuts and people do to the files of a store (R7): 17 corruptions of each of 11 kinds of file.

Each must be seen before anything is used, healed where the source can be asked, and without it be an error of ours or
make no difference. A cell that is no damage (the content of a lease means nothing) must make no difference either.
A sample by default; all of them under `long`, with the counts in build/reliability/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ociassemble.content import compress
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.store import BlobMissingError, healed
from ociassemble.errors import Error
from ociassemble.layer.build import build_layers
from ociassemble.layer.sources import Materials
from ociassemble.net.download import fetch
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import DebSource, LayerPlan
from ociassemble.progress import Progress
from tests.debian_archive import File, deb
from tests.failure.scene import Done, Scene, noise, scene_below
from tests.figures import kept
from tests.net.scripted import Answer, ScriptedServer
from tests.reliability.scenarios import project

NAME = "localhost/app:v1"
# Without these, what root may not read is not read by root either: so is a file of mode 0000 for everybody else.
WITHOUT_POWER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search",
                 "--inh-caps=-dac_override,-dac_read_search", "--")  # fmt: skip


# --- corruptions ---------------------------------------------------------------------------------------------


def flipped(at: Callable[[int], int]) -> Callable[[bytes, bytes], bytes]:
    def flip(data: bytes, other: bytes) -> bytes:
        place = min(max(at(len(data)), 0), len(data) - 1)
        return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :] if data else b"\x10"

    return flip


BYTES: dict[str, Callable[[bytes, bytes], bytes]] = {
    "first byte": flipped(lambda size: 0),
    "middle byte": flipped(lambda size: size // 2),
    "last byte": flipped(lambda size: size - 1),
    "header byte": flipped(lambda size: 4),
    "trailer byte": flipped(lambda size: size - 6),
    "cut to nothing": lambda data, other: b"",
    "cut to a byte": lambda data, other: data[:1],
    "cut in half": lambda data, other: data[: len(data) // 2],
    "last byte gone": lambda data, other: data[:-1],
    "a byte more": lambda data, other: data + b"\0",
    "zeros": lambda data, other: bytes(len(data)),
    "another valid one": lambda data, other: other,
}
PLACES = ("link", "folder", "pipe", "mode 0000", "hard link")
CORRUPTIONS = (*BYTES, *PLACES)


def corrupt(path: Path, how: str, other: bytes, elsewhere: Path) -> None:
    data = path.read_bytes()
    path.chmod(0o600)
    if how in BYTES:
        path.write_bytes(BYTES[how](data, other))
    elif how == "hard link":
        elsewhere.hardlink_to(path)
    elif how == "mode 0000":
        path.chmod(0)
    else:
        path.unlink()
        if how == "folder":
            path.mkdir()
            (path / "file").write_bytes(data)
        elif how == "link":
            elsewhere.write_bytes(data[:-1] + b"!")
            path.symlink_to(elsewhere)
        else:
            os.mkfifo(path)


# --- kinds of file -------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """A kind of file: where one is, what else is of its kind, and what is run that reads it.

    `online` must work; where its first word is "once", that command may find the damage and fail with an error of
    ours, and the ones after it heal. `offline` works or fails with an error of ours.
    """

    place: Callable[[Scene], Path]
    other: Callable[[Scene], Path | None]
    online: tuple[tuple[str, ...], ...]
    offline: tuple[str, ...]


BUILD = ("build", "project", "-b", "HOST/base:v1", "--locked", "-o", "oci:outputs/image:v1")
NAMED = ("build", "project", "-b", "HOST/base:v1", "--locked", "-t", NAME)
COPY = ("copy", "HOST/base@INDEX", "oci:outputs/image:v1")
VALIDATE = ("validate", f"local:{NAME}")


def blob(digest: str) -> Callable[[Scene], Path]:
    return lambda scene: scene.store / "blobs" / known(scene)[digest].replace(":", "/")


def file(pattern: str, number: int = 0) -> Callable[[Scene], Path]:
    return lambda scene: sorted(scene.store.glob(pattern))[number]


def nothing(scene: Scene) -> None:
    return None


KINDS = {
    "index": Kind(blob("index"), blob("manifest"), (COPY,), ("--offline", *COPY)),
    "manifest": Kind(blob("manifest"), blob("index"), (COPY,), ("--offline", *COPY)),
    "config": Kind(blob("config"), blob("layer"), (("once", *VALIDATE), NAMED, VALIDATE), ("--offline", *VALIDATE)),
    "layer": Kind(blob("layer"), blob("wheel"), (BUILD,), ("--offline", *BUILD)),
    "wheel": Kind(blob("wheel"), blob("layer"), ((*BUILD, "--no-cache"),), ("--offline", *BUILD, "--no-cache")),
    "name": Kind(file("refs/*app*"), file("refs/*other*"), (("once", *VALIDATE), NAMED, VALIDATE), VALIDATE),
    "record": Kind(file("records/layers/*"), file("records/layers/*", 1), (BUILD,), ("--offline", *BUILD)),
    "lease": Kind(file("leases/*"), nothing, (("cache", "prune"), BUILD), ("--offline", *BUILD)),
    "partial": Kind(
        lambda scene: scene.store / "partial" / f"{known(scene)['wheel'].partition(':')[2]}.part", blob("layer"),
        ((*BUILD, "--no-cache"),), ("--offline", *BUILD, "--no-cache"),
    ),
    "lock": Kind(file("lock"), nothing, (("cache", "prune"), BUILD), ("cache", "prune")),
}  # fmt: skip


def known(scene: Scene) -> dict[str, str]:
    """Digests of the scene, by what they are of."""
    found: dict[str, str] = scene.__dict__["known"]
    return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A project with a wheel and a lock, a base in a registry, a store that has seen all of it; `kept` is a copy."""
    import json

    with scene_below(tmp_path_factory.mktemp("corruption")) as made:
        _, (alpha,) = project(made, alpha=1_500_000)
        base = made.registry_base("linux/amd64", "linux/arm64")
        made.run("lock", "project", "-b", base, "--platform", "linux/amd64").worked()
        digest = made.run("digest", base).worked().out.strip()
        first = made.run(*(word.replace("HOST", made.serve().host) for word in NAMED)).worked()
        made.run("build", "project", "-b", base, "--locked", "-t", "localhost/other:v1", "-e", "A=b").worked()
        made.run("copy", f"{made.serve().host}/base@{digest}", "oci:outputs/image:v1").worked()
        made.run("cache", "prune").worked()
        made.run("build", "project", "-b", base, "--locked", "-o", "oci:outputs/other:v1").worked()
        manifest = json.loads(made.run("manifest", f"local:{NAME}").worked().out)
        children = json.loads(made.run("manifest", f"{made.serve().host}/base@{digest}").worked().out)["manifests"]
        made.__dict__["known"] = {
            "index": digest,
            "manifest": children[0]["digest"],
            "config": manifest["config"]["digest"],
            "layer": next(item["digest"] for item in manifest["layers"] if item["size"] > 1_000_000),
            "wheel": str(Digest.of(alpha[1])),
            "image": first.out.strip().rpartition("@")[2],
            "copied": digest,
        }
        (made.store / "leases" / "1700000000").write_bytes(b"")
        shutil.copytree(made.cache, made.root / "kept")
        yield made


def reset(scene: Scene, kind: str) -> Path:
    """The store as it was, and where the file is that is to be corrupted."""
    shutil.rmtree(scene.cache, ignore_errors=True)
    shutil.rmtree(scene.outputs, ignore_errors=True)
    scene.outputs.mkdir()
    shutil.copytree(scene.root / "kept", scene.cache)
    (scene.root / "elsewhere").unlink(missing_ok=True)
    for path in (scene.store / "leases").iterdir():
        if path.name != "1700000000":
            path.unlink()
    place = KINDS[kind].place(scene)
    if kind == "partial":
        whole = blob("wheel")(scene)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(whole.read_bytes()[:1_200_000])
        whole.unlink()
    return place


def run(scene: Scene, words: tuple[str, ...], *, powerless: bool) -> Done:
    words = tuple(word.replace("HOST", scene.serve().host).replace("INDEX", known(scene)["index"]) for word in words)
    if not powerless or os.geteuid() != 0:
        return scene.run(*words)
    done = subprocess.run(
        [*WITHOUT_POWER, sys.executable, "-m", "ociassemble", *words],
        cwd=scene.root, env=scene.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def judge(scene: Scene, done: Done, words: tuple[str, ...], why: str) -> None:
    """What was written is what it should be, or the error is one of ours."""
    shown = f"{why}: {' '.join(words)}: [exit {done.status}]\n{done.err}"
    assert "Traceback" not in done.err and "this is a bug" not in done.err, shown
    if "validate" in words and done.status == 7 and not done.err:
        return  # it says what it found on stdout
    if done.status != 0:
        assert done.status in (4, 6, 7, 9, 11) and done.err.count("\nerror: ") + done.err.startswith("error: ") == 1, (
            shown
        )
        return
    digest = done.out.strip().rpartition("@")[2]
    if "build" in words:
        assert digest == known(scene)["image"], shown
    if "copy" in words:
        assert digest == known(scene)["copied"], shown
    if "oci:outputs/image:v1" in words:
        scene.run("validate", "oci:outputs/image:v1").worked()


def survives(scene: Scene, kind: str, how: str) -> None:
    """Fail unless this corruption of this kind of file is seen, and healed where it can be."""
    why, powerless = f"{how} of {kind}", how == "mode 0000"
    this = KINDS[kind]

    def damage() -> Path:
        place = reset(scene, kind)
        other = this.other(scene)
        corrupt(place, how, other.read_bytes() if other is not None else b"another", scene.root / "elsewhere")
        return place

    damage()
    for words in this.online:
        once, words = words[0] == "once", words[1:] if words[0] == "once" else words
        done = run(scene, words, powerless=powerless)
        judge(scene, done, words, why)
        assert once or done.status == 0, f"{why}: {' '.join(words)}: [exit {done.status}]\n{done.err}"
    if kind not in ("lease", "lock"):
        for path in (scene.store / "blobs").rglob("*"):
            regular = path.is_file() and not path.is_symlink()
            bad = regular and Digest.of(path.read_bytes()).hex != path.name
            assert not bad, f"{why}: {path} is bad still"
    assert kind in ("lease", "lock", "partial") or this.place(scene).is_file(), why
    damage()
    done = run(scene, this.offline, powerless=powerless)
    judge(scene, done, this.offline, f"{why}, offline")


CELLS = [(kind, how) for kind in KINDS for how in CORRUPTIONS]
SAMPLE = [(kind, CORRUPTIONS[(3 * number + turn * 7) % len(CORRUPTIONS)])
          for number, kind in enumerate(KINDS) for turn in (0, 1)]  # fmt: skip


@pytest.mark.spec("STORE-2", "STORE-3", "STORE-5")
@pytest.mark.parametrize(("kind", "how"), SAMPLE)
def test_a_sample(scene: Scene, kind: str, how: str) -> None:
    survives(scene, kind, how)


# --- Debian packages: what reads them in a build, without the archive around them ------------------------------


class Packages:
    """A layer of one Debian package, whose file a server has."""

    def __init__(self, folder: Path, server: ScriptedServer) -> None:
        self.data = deb("one", [File("usr/share/one", noise(30_000))])
        self.digest = Digest.of(self.data)
        self.folder, self.server = folder, server
        server.on("GET", "/one.deb", Answer(body=self.data))
        artifact = ArtifactRef(digest=self.digest, size=len(self.data), filename="one.deb")
        self.plan = LayerPlan(title="one", role="base", sources=(DebSource(artifact, "one"),))

    def built(self, *, offline: bool) -> Digest:
        """The layer's diff_id, built from the store, which is filled from the server."""
        store = DirectoryStore(self.folder)
        wire = Wire(offline=offline)

        def bring(refs: tuple[ArtifactRef, ...]) -> None:
            for ref in refs:
                fetch(wire, [f"{self.server.url}/one.deb"], ref.digest, ref.size, store)

        def build() -> Digest:
            (made,) = build_layers(
                [self.plan],
                codec=lambda plan: compress.codec("gzip"),
                store=store,
                fetch=bring,
                materials=Materials(artifact=lambda ref: store.open_seekable(ref.digest), file=lambda item: iter),  # type: ignore[arg-type,return-value]
                use_records=False,
                jobs=1,
                progress=Progress(),
            )
            return made.layer.diff_id

        return healed(build, lambda text: None)


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[Packages]:
    with ScriptedServer() as server:
        yield Packages(tmp_path / "store", server)


def survives_as_package(packages: Packages, how: str, elsewhere: Path) -> None:
    expected = packages.built(offline=False)
    place = DirectoryStore(packages.folder).path(packages.digest)
    for offline in (False, True):
        corrupt(place, how, deb("two", []), elsewhere)
        try:
            assert packages.built(offline=offline) == expected
            assert place.is_file()
        except Error as error:
            assert offline, f"{how}: {error}"
            assert isinstance(error, BlobMissingError) or error.exit_code in (4, 7, 9), error
            assert packages.built(offline=False) == expected
        elsewhere.unlink(missing_ok=True)


@pytest.mark.parametrize("how", ["middle byte", "cut in half", "another valid one", "pipe"])
def test_a_sample_of_packages(packages: Packages, tmp_path: Path, how: str) -> None:
    survives_as_package(packages, how, tmp_path / "elsewhere")


# --- all of them ---------------------------------------------------------------------------------------------


@pytest.mark.long
def test_all(scene: Scene, tmp_path: Path) -> None:
    failed = []
    for kind, how in CELLS:
        try:
            survives(scene, kind, how)
        except AssertionError as error:
            failed.append(str(error).splitlines()[0])
    for how in CORRUPTIONS:
        with ScriptedServer() as server:
            try:
                survives_as_package(Packages(tmp_path / how / "store", server), how, tmp_path / "elsewhere")
            except (AssertionError, Error) as error:
                failed.append(f"{how} of deb: {error}")
    tried = len(CELLS) + len(CORRUPTIONS)
    harmless = len(KINDS) + 1 + (1 if os.geteuid() == 0 else 0) + len(BYTES) * 2
    note = (
        f"{len(KINDS) + 1} kinds of file, {len(CORRUPTIONS)} corruptions; {harmless} cells are no damage (a second "
        "hard link, bytes in leases and locks, which mean nothing) and must make no difference"
    )
    kept("corruption", what="Damage to a file of the store", tried=tried, survived=tried - len(failed), note=note)
    assert failed == []
