"""Results that cannot be written: layouts, registries, files, full disks."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ociassemble.testing import images
from tests.failure.scene import Scene, Snapshot, noise, tree
from tests.net.scripted import Answer, Request
from tests.registry.chaos import ChaosRegistry

pytestmark = pytest.mark.spec("FAIL-1", "FAIL-2")


@pytest.fixture
def base(scene: Scene) -> str:
    """An application that was built once onto it."""
    made = scene.base()
    scene.files(main__py="print(1)\n")
    scene.built("-b", made)
    return made


# --- places --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "text", "hint"),
    [
        ("-o oci:outputs/file:v1", "`outputs/file` is not a folder", "choose another name"),
        ("-o oci:outputs/file/below:v1", "`outputs/file` is not a folder", "make the folder first"),
        ("-o oci:outputs/full:v1", "`outputs/full` is not empty and not an OCI layout", "choose a new folder"),
        ("-o oci:outputs:v1", "`outputs` is not empty and not an OCI layout", "choose a new folder"),
        ("--digest-file nowhere/digest", "`nowhere` is no such folder", "make the folder first"),
        ("--image-refs outputs", "`outputs` is a folder", "choose another name"),
        ("--metadata-file outputs/file/x", "`outputs/file` is not a folder", "make the folder first"),
        ("-o oci:new:v1 -o oci:outputs/full:v1", "`outputs/full` is not empty", "choose a new folder"),
    ],
)
def test_places_that_are_something_else(scene: Scene, base: str, words: str, text: str, hint: str) -> None:
    """Known before any work is done."""
    (scene.outputs / "file").write_text("mine")
    (scene.outputs / "full").mkdir()
    (scene.outputs / "full/notes").write_text("mine")
    before = Snapshot.of(scene)

    done = scene.run("build", "project", "-b", base, *words.split())

    done.failed(11, text, hint=hint)
    assert "hash" not in done.err
    before.holds(scene)
    assert not (scene.root / "new").exists()


def test_a_layout_with_a_broken_index(scene: Scene, base: str) -> None:
    (scene.outputs / "image/index.json").write_text("{")
    before = Snapshot.of(scene)

    done = scene.run("build", "project", "-b", base, "-e", "A=1", "-o", scene.layout)

    assert (done.status, done.out) == (7, ""), done.err
    assert "Traceback" not in done.err
    before.holds(scene)


@pytest.mark.spec("FAIL-4")
def test_the_second_of_two_destinations_fails(scene: Scene, base: str) -> None:
    """No name is published before everything is everywhere."""
    registry = scene.stack.enter_context(ChaosRegistry())
    registry.on("PUT", "/v2/app/blobs/.*", Answer(403))
    before = Snapshot.of(scene)

    name = f"{registry.host}/app:v1"
    done = scene.run("build", "project", "-b", base, "-e", "A=1", "-o", scene.layout, "-t", name, "--push")

    assert done.status == 5, done.err
    before.holds(scene)


@pytest.mark.spec("FAIL-4")
def test_the_last_name_fails(scene: Scene, base: str) -> None:
    """What was published before cannot be taken back; the error says what it is."""
    registry = scene.stack.enter_context(ChaosRegistry())
    registry.on("PUT", "/v2/app/manifests/v1", Answer(403))

    name = f"{registry.host}/app:v1"
    done = scene.run("build", "project", "-b", base, "-o", scene.layout, "-t", name, "--push")

    done.failed(5, f"  written before: {scene.layout}@sha256:", hint="")


@pytest.mark.parametrize(
    "place", ["{host}/app:v1", "docker://{host}/app:v1", "type=registry,name={host}/app:v1", "foo"]
)
def test_an_output_is_no_way_to_push(scene: Scene, base: str, place: str) -> None:
    """Nothing is pushed without --push, whatever the name looks like."""
    with ChaosRegistry() as registry:
        done = scene.run("build", "project", "-b", base, "-o", place.format(host=registry.host))

        done.failed(2, "nothing is pushed without `--push`", hint="--push")
        assert not registry.requests


# --- registries ----------------------------------------------------------------------------------------------


def refuse(
    status: int, code: str, *, where: str = r"/v2/app/.*", method: str = "POST"
) -> Callable[[ChaosRegistry], None]:
    body = b'{"errors":[{"code":"%s","message":"no"}]}' % code.encode()
    challenge = (("WWW-Authenticate", 'Basic realm="test"'),) if status == 401 else ()
    return lambda registry: registry.on(method, where, Answer(status, body, challenge))


def dies_in_the_middle(registry: ChaosRegistry) -> None:
    """The first upload works; from the second on every connection ends without an answer."""
    seen: list[Request] = []

    def answer(request: Request) -> Answer:
        seen.append(request)
        return registry.work(request) if len(seen) == 1 else Answer(cut=-1)

    registry.on("PUT", r"/v2/app/blobs/.*", answer)


def loses_blobs(registry: ChaosRegistry) -> None:
    body = b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown"}]}'
    registry.on("PUT", r"/v2/app/manifests/.*", Answer(404, body))


@pytest.mark.parametrize(
    ("trouble", "status", "hint"),
    [
        (refuse(405, "UNSUPPORTED"), 11, None),
        (refuse(403, "DENIED"), 5, "ociassemble login"),
        (refuse(401, "UNAUTHORIZED", method="*"), 5, "ociassemble login"),
        (refuse(403, "DENIED", where="/v2/app/manifests/.*", method="PUT"), 5, ""),
        (refuse(413, "SIZE_INVALID", method="PUT"), 11, None),
        (dies_in_the_middle, 6, None),  # which takes its time: uploads are begun anew
        (loses_blobs, 11, None),
    ],
    ids=["read-only", "denied", "no credentials", "no manifest allowed", "too large", "dies", "loses blobs"],
)
def test_a_push_that_fails(
    scene: Scene, base: str, trouble: Callable[[ChaosRegistry], None], status: int, hint: str | None
) -> None:
    registry = scene.stack.enter_context(ChaosRegistry())
    assert isinstance(registry, ChaosRegistry)
    images.push(images.image([]), f"{registry.host}/app:v1")
    tags = dict(registry.manifests)
    trouble(registry)
    before = Snapshot.of(scene)

    done = scene.run("build", "project", "-b", base, "--push", "-t", f"{registry.host}/app:v1")

    assert (done.status, done.out) == (status, ""), done.err
    assert "Traceback" not in done.err
    assert registry.manifests["v1"] == tags["v1"]
    before.holds(scene)


def test_a_push_to_nobody(scene: Scene, base: str) -> None:
    before = Snapshot.of(scene)

    done = scene.run("build", "project", "-b", base, "--push", "-t", "127.0.0.1:1/app:v1")

    done.failed(6, "cannot reach `127.0.0.1:1`", hint="check the name and the network")
    before.holds(scene)


def test_a_push_of_an_image_that_is_not_there(scene: Scene, base: str) -> None:
    before = Snapshot.of(scene)
    host = scene.serve().host

    scene.run("push", f"{host}/nothing:v1").failed(4, "in the local store", hint="`ociassemble ls`")
    scene.run("push", scene.layout).failed(2, "to which image?", hint=f"ociassemble push {scene.layout}")
    scene.run("copy", f"{host}/nothing:v1", scene.layout).failed(4, "does not exist", hint="check the spelling")
    scene.run("pull", f"{host}/nothing:v1").failed(4, "does not exist", hint="check the spelling")
    before.holds(scene)


# --- full disks ----------------------------------------------------------------------------------------------


@pytest.fixture
def small(scene: Scene) -> Iterator[Path]:
    """A disk of 2 MiB."""
    folder = scene.root / "small"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", folder], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.spec("STORE-12", "STORE-13")
def test_a_full_cache(scene: Scene, base: str, small: Path) -> None:
    """3 MiB that do not compress, into 2: the image is the same, it is said once, and nothing is left."""
    from tests.failure.scene import verified

    scene.file("big", noise(3 << 20))
    cache = small / "cache"
    words = ["--cache-dir", str(cache), "build", "project", "-b", base]
    scene.run("--cache-dir", str(cache), "ls").worked()

    done = scene.spawn(*words, "-o", f"oci:{scene.outputs}/full:v1").worked()

    full = f"warning: the cache `{cache}/store` cannot be written to (No space left on device): going on without it"
    assert done.err.count(full) == 1
    scene.run("validate", f"oci:{scene.outputs}/full:v1").worked()
    other = scene.spawn("build", "project", "-b", base, "-o", f"oci:{scene.outputs}/other:v1").worked()
    assert done.out.rpartition("@")[2] == other.out.rpartition("@")[2]
    assert tree(scene.temporary).keys() == {"."}
    verified(cache / "store")

    named = scene.spawn(*words, "-t", "localhost/app:v1")  # a name is no memory
    named.failed(11, "No space left on device", f"`{small}", "bytes are needed there", hint="free some space")
    assert scene.run("--cache-dir", str(cache), "ls").worked().out == ""
    verified(cache / "store")


@pytest.mark.parametrize("what", ["layout", "new layout", "temporary"])
def test_a_full_disk(scene: Scene, base: str, small: Path, what: str) -> None:
    """3 MiB that do not compress, into 2."""
    scene.file("big", noise(3 << 20))
    options, place = ["-o", scene.layout], small / "image"
    if what == "layout":
        shutil.copytree(scene.outputs / "image", place)
        options = ["-o", f"oci:{place}:v1"]
    elif what == "new layout":
        options = ["-o", f"oci:{place}/in/here:v1"]
    else:
        small.joinpath("filler").write_bytes(noise(1900 << 10))
        scene.environment["TMPDIR"] = str(small)
        scene.wheels()
        scene.files(requirements__txt="alpha\n" + "#" * (200 << 10))
    before, there = Snapshot.of(scene), tree(small)

    done = scene.spawn("build", "project", "-b", base, "-e", f"A={what}", *options)

    if what == "temporary":  # whatever uv says of it
        assert done.status in (10, 11), done.err
        assert "Traceback" not in done.err
    else:
        done.failed(11, "No space left on device", f"`{small}", hint="free some space")
    before.holds(scene)
    assert tree(small) == there


@pytest.mark.parametrize("size", [1 << 20, 2000])
def test_a_limit_on_files(scene: Scene, base: str, size: int) -> None:
    """`ulimit -f`, for those who cannot mount: files of the cache end early."""
    scene.file("big", noise(3 << 20))
    before = Snapshot.of(scene)

    done = scene.spawn(
        "build", "project", "-b", base, "-o", scene.layout,
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        environment={"PYTHONDONTWRITEBYTECODE": "1"},  # or Python leaves modules cut short in its own cache
    )  # fmt: skip

    done.failed(11, "File too large", hint=None)
    before.holds(scene)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_result_that_cannot_be_printed(scene: Scene) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ociassemble", "base", "list"],
            stdout=full, stderr=subprocess.PIPE, text=True, env=scene.environment, check=False,
        )  # fmt: skip

    assert done.returncode == 11
    assert done.stderr.startswith("error: cannot write the result: No space left on device\n")


# --- the cache -----------------------------------------------------------------------------------------------


def test_a_cache_that_others_may_write_to(scene: Scene, base: str) -> None:
    """Whoever can write there could exchange what is built from."""
    before = Snapshot.of(scene)
    for folder, mode in ((scene.store, 0o777), (scene.store, 0o770), (scene.cache, 0o777)):
        kept = folder.stat().st_mode
        folder.chmod(mode)
        done = scene.run("build", "project", "-b", base, "-o", scene.layout)
        done.failed(11, f"the folder `{folder}` is writable by other users", hint=f"run `chmod go-w {folder}`")
        folder.chmod(kept)
    before.holds(scene)


def test_a_cache_that_is_no_folder(scene: Scene, base: str) -> None:
    (scene.root / "file").write_text("mine")
    before = Snapshot.of(scene)

    done = scene.run("--cache-dir", "file", "build", "project", "-b", base, "-o", scene.layout)

    assert (done.status, done.out) == (11, ""), done.err
    assert "Traceback" not in done.err
    assert (scene.root / "file").read_text() == "mine"
    before.holds(scene)
