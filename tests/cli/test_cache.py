"""`cache info`, `cache verify`, `cache prune`, as commands on a store that builds filled."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ociassemble.content.directory import DirectoryStore
from tests.failure.scene import Scene, noise, scene_below, verified

NAME = "localhost/app:v1"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_below(tmp_path) as made:
        made.files(main__py="")
        made.run("build", "project", "-b", made.base(), "-t", NAME).worked()
        yield made


def told(scene: Scene, *words: str, status: int = 0) -> dict[str, object]:
    done = scene.run("cache", *words, "--format", "json")
    assert done.status == status, done.err
    found: dict[str, object] = json.loads(done.out)
    return found


def layer(scene: Scene) -> Path:
    """The application's layer in the store."""
    manifest = json.loads(scene.run("manifest", f"local:{NAME}").worked().out)
    return scene.store / "blobs" / str(manifest["layers"][-1]["digest"]).replace(":", "/")


def spoil(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])


@contextmanager
def held(store: Path) -> Iterator[None]:
    """Another process uses the store: its lease is on a disk that it can write to."""
    path = next((store / "leases").glob("*"), store / "leases" / str(int(time.time()) // 600 * 600))
    descriptor = os.open(path, os.O_RDONLY if path.exists() else os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """Makes a folder a read-only disk, until the test ends."""
    mounted: list[Path] = []

    def remount(folder: Path) -> None:
        for words in (["--bind", folder, folder], ["-o", "remount,bind,ro", folder]):
            done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
            mounted[:] = [folder]

    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a disk")
    yield remount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def age(scene: Scene, days: float) -> None:
    then = time.time() - days * 86400
    for folder in ("blobs", "records"):
        for path in (scene.store / folder).rglob("*"):
            os.utime(path, (then, then))


def test_info_counts_what_is_there(scene: Scene) -> None:
    found = told(scene, "info")
    blobs = [path for path in (scene.store / "blobs").rglob("*") if path.is_file()]
    records = [path for path in (scene.store / "records").rglob("*") if path.is_file()]
    assert found["folder"] == str(scene.store)
    assert found["blobs"] == {"count": len(blobs), "bytes": sum(path.stat().st_size for path in blobs)}
    assert found["records"] == {"count": len(records), "bytes": sum(path.stat().st_size for path in records)}
    assert found["trash"] == found["unfinished"] == {"count": 0, "bytes": 0}
    assert (found["images"]["count"], found["inUseSince"]) == (1, [])  # type: ignore[index]


def test_info_says_who_uses_it_and_what_is_unfinished(scene: Scene) -> None:
    from ociassemble.oci.digest import Digest

    store = DirectoryStore(scene.store)
    with store.resumable(Digest.of(b"x")) as part:
        part.write(noise(2 << 20))
        found = told(scene, "info")
        assert found["unfinished"] == {"count": 1, "bytes": 2 << 20}
        assert len(found["inUseSince"]) == 1  # type: ignore[arg-type]
        assert "by other processes" in scene.run("cache", "info").out


@pytest.mark.spec("STORE-14")
def test_verify_finds_what_went_bad_and_whose_it_was(scene: Scene) -> None:
    assert told(scene, "verify")["bad"] == []
    bad, record = layer(scene), next((scene.store / "records/layers").iterdir())
    spoil(bad)
    spoil(record)

    found = told(scene, "verify", status=7)

    digest = f"sha256:{bad.name}"
    assert found["bad"] == [
        {"kind": "blob", "name": digest, "problem": "has other bytes, and is removed", "of": [f"local:{NAME}"]},
        {"kind": "record", "name": f"layers/{record.name}", "problem": "had gone bad, and is removed", "of": []},
        {"kind": "image", "name": f"local:{NAME}", "problem": "lacks 1 of its blobs now", "of": [digest]},
    ]
    assert not bad.exists() and not record.exists()
    assert told(scene, "verify")["bad"] == []
    first = scene.run("build", "project", "-b", "oci:base:v1", "-t", NAME).worked()
    scene.run("validate", f"local:{NAME}").worked()
    assert first.out == scene.run("build", "project", "-b", "oci:base:v1", "-t", NAME).worked().out


@pytest.mark.spec("STORE-14")
def test_verify_names_the_layer_of_no_image(scene: Scene) -> None:
    bad = layer(scene)
    scene.run("build", "project", "-b", "oci:base:v1", "-t", NAME, "-l", "other=image").worked()
    for path in (scene.store / "refs").iterdir():
        path.unlink()
    spoil(bad)
    done = scene.run("cache", "verify")
    assert (done.status, "has other bytes, and is removed (the layer `application`)" in done.out) == (7, True)


@pytest.mark.spec("STORE-5", "STORE-14")
@pytest.mark.parametrize("how", ["a byte", "cut", "empty", "another name's", "folder"])
def test_a_name_that_went_bad(scene: Scene, how: str) -> None:
    """It is no image, and above all not another one; others are not in its way."""
    scene.run("build", "project", "-b", "oci:base:v1", "-t", "localhost/other:v1", "-e", "A=b").worked()
    (path,) = [path for path in (scene.store / "refs").iterdir() if "app" in path.name]
    other = next(item for item in (scene.store / "refs").iterdir() if item != path)
    raw = path.read_bytes()
    if how == "folder":
        path.unlink()
        path.mkdir()
    else:
        bad = {
            "a byte": raw[:-9] + b"0" + raw[-8:],
            "cut": raw[:-1],
            "empty": b"",
            "another name's": other.read_bytes(),
        }
        path.write_bytes(bad[how])

    scene.run("inspect", f"local:{NAME}").failed(7, f"local name `{NAME}` had gone bad", hint="build or pull")
    assert scene.run("ls").worked().out.startswith("localhost/other:v1@")
    if how != "folder":
        found = told(scene, "verify", status=7)
        assert [(item["kind"], item["name"]) for item in found["bad"]] == [("name", NAME)]  # type: ignore[union-attr]
        assert not path.exists()
    scene.run("build", "project", "-b", "oci:base:v1", "-t", NAME).worked()
    scene.run("validate", f"local:{NAME}").worked()


@pytest.mark.spec("STORE-10")
def test_prune_leaves_local_images_alone(scene: Scene) -> None:
    scene.run("build", "project", "-b", "oci:base:v1", "-o", scene.layout, "-e", "A=b").worked()
    before = verified(scene.store)
    age(scene, 31)
    found = told(scene, "prune")
    after = verified(scene.store)
    assert found["records"] and found["blobs"] == len(before) - len(after)
    scene.run("validate", f"local:{NAME}").worked()
    assert told(scene, "prune", "--older-than", "0s")["blobs"] == 0
    scene.run("validate", f"local:{NAME}").worked()


@pytest.mark.spec("STORE-10")
def test_prune_says_what_holds_more_than_was_asked_for(scene: Scene) -> None:
    done = scene.run("cache", "prune", "--max-size", "1B").worked()
    found = told(scene, "prune", "--max-size", "1B")
    assert found["keptFor"] == {"images": found["kept"], "processes": 0}
    assert found["kept"] == sum(path.stat().st_size for path in (scene.store / "blobs").rglob("*") if path.is_file())
    assert "stay, which is more than `--max-size 1B`: local images hold" in done.err
    assert "`ociassemble ls` names them, `cache prune --all` takes them, too" in done.err
    assert "processes" not in done.err
    assert "more than" not in scene.run("cache", "prune", "--max-size", "1GB").worked().err


@pytest.mark.spec("STORE-10")
def test_prune_says_what_processes_may_use(scene: Scene) -> None:
    for path in (scene.store / "refs").iterdir():
        path.unlink()
    with held(scene.store):
        done = scene.run("cache", "prune", "--max-size", "1B", "--dry-run").worked()
        found = told(scene, "prune", "--max-size", "1B", "--dry-run")
    assert found["keptFor"] == {"images": 0, "processes": found["kept"]}
    assert "would stay, which is more than `--max-size 1B`: processes that run now may use" in done.err
    assert "local images" not in done.err


@pytest.mark.spec("STORE-15")
def test_a_store_that_cannot_be_written_to(scene: Scene, read_only: Callable[[Path], None]) -> None:
    (scene.store / "leases" / "1700000000").touch()  # of a process that has ended
    bad = layer(scene)
    spoil(bad)
    read_only(scene.cache)

    shown = scene.run("cache", "info").worked().out
    assert f"cache dir             {scene.cache}\n" in shown
    assert f"store                 {scene.store} (read-only)\n" in shown
    assert "by other processes" not in shown
    found = told(scene, "info")
    assert (found["cacheDir"], found["writable"], found["inUseSince"]) == (str(scene.cache), False, [])
    with held(scene.store):
        assert "by other processes" in scene.run("cache", "info").worked().out
    for words in ([], ["--max-size", "1B"], ["--all"]):
        done = scene.run("cache", "prune", *words).failed(11, f"the store `{scene.store}` cannot be made smaller")
        assert "image" not in done.error
    problems = [item["problem"] for item in told(scene, "verify", status=7)["bad"]]  # type: ignore[union-attr]
    assert problems == ["has other bytes, and cannot be removed", "lacks 1 of its blobs now"]
    assert bad.exists()


def test_prune_of_everything(scene: Scene) -> None:
    found = told(scene, "prune", "--all")
    assert found["names"] == [NAME]
    assert verified(scene.store) == frozenset()
    assert scene.run("ls").worked().out == ""
    scene.run("build", "project", "-b", "oci:base:v1", "-t", NAME).worked()
    scene.run("validate", f"local:{NAME}").worked()


def test_an_empty_text_is_no_limit(scene: Scene) -> None:
    for words in (["--older-than", ""], ["--max-size", ""], ["--repo", "registry.example/x", "--older-than", ""]):
        scene.run("cache", "prune", *words).failed(2, f"`{words[-2]} ` is no", hint=words[-2])
    for words in (["--all", "--older-than", ""], ["--repo", "registry.example/x", "--max-size", ""]):
        scene.run("cache", "prune", *words).failed(2, hint=None if "--all" in words else "or `--all`")


def test_a_size_without_a_unit_takes_nothing_away(scene: Scene) -> None:
    """`--max-size 10` was meant as gigabytes by whoever forgot to say so."""
    before = verified(scene.store)
    for text in ("10", "00010", "1 0"):
        scene.run("cache", "prune", "--max-size", text).failed(2, "is no size", hint="10GB")
    assert verified(scene.store) == before


def test_a_store_that_is_not_there_yet(scene: Scene) -> None:
    for words in (["info"], ["verify"], ["prune"], ["prune", "--all"]):
        scene.run("--cache-dir", "new", "cache", *words).worked()


@pytest.mark.parametrize(
    ("text", "bytes_"), [("0MB", 0), ("2MB", 2_000_000), ("3 MiB", 3 << 20), ("1k", 1024), ("7B", 7), ("0", 0)]
)
def test_sizes(text: str, bytes_: int) -> None:
    from ociassemble.cli.cache import _bytes

    assert _bytes(text) == bytes_
