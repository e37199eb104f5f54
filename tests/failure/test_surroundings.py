"""Surroundings as containers and build agents have them (R6): no home, no user of that number, nothing to write to.

Each of them builds, and gives the digest that a build in good order gives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.failure.scene import Done, scene_below

NOBODY = 54321  # no database of users knows it
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user, or mount")
# Another user may not even read the interpreter that runs the tests: this one reads everything, and writes nothing.
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", "--clear-groups", "--inh-caps=+dac_read_search",
             "--ambient-caps=+dac_read_search", "--")  # fmt: skip


class Place:
    """A folder that every user may look into, with a base, an application, and a folder to write the result to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        self.uid = os.geteuid()
        self.words: list[str] = []
        self.limit = 0  # processes and threads of the user who builds; 0: as many as there may be
        with scene_below(folder / "scene") as scene:
            scene.files(main__py="print(1)\n")
            scene.base()
            self.expected = scene.run("build", "project", "-b", "oci:base:v1", "-o", scene.layout).worked().out
            shutil.copytree(scene.project, folder / "project")
            shutil.copytree(scene.root / "base", folder / "base")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def own(self, name: str, mode: int = 0o700) -> Path:
        """A folder of the user who builds."""
        path = self.folder / name
        path.mkdir(exist_ok=True)
        os.chown(path, self.uid, -1)
        path.chmod(mode)
        return path

    def build(self, out: str = "out") -> Done:
        words = [*(AS_NOBODY if self.uid == NOBODY else ()), sys.executable, "-m", "ociassemble", *self.words]
        words += ["build", "project", "-b", "oci:base:v1", "-o", f"oci:{self.own(out)}/image:v1"]
        done = subprocess.run(
            [*(("prlimit", f"--nproc={self.limit}") if self.limit else ()), *words],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # below /tmp/pytest-of-root another user cannot look
    try:
        yield Place(folder)
    finally:
        shutil.rmtree(folder)


def mounted(path: Path, options: str) -> Callable[[], None]:
    """A small disk at `path`; what is returned takes it away."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    return lambda: subprocess.run(["umount", path], check=True) and None


SETUPS = [
    "no HOME",
    "HOME that is not there",
    "HOME that is no folder",
    "relative XDG_CACHE_HOME",
    "no environment at all",
    pytest.param("no user of that number", marks=root_only),
    pytest.param("no user of that number, and another's HOME", marks=root_only),
    pytest.param("own folder that may not be written", marks=root_only),
    pytest.param("cache folder of others' home", marks=root_only),
    pytest.param("read-only disk", marks=root_only),
    pytest.param("read-only disk with a warm cache", marks=root_only),
    pytest.param("temporary folder without programs", marks=root_only),
]


@pytest.mark.spec("STORE-12")
@pytest.mark.parametrize("what", SETUPS)
def test_it_builds_all_the_same(place: Place, what: str) -> None:
    environment, undo, warned = place.environment, [], True
    environment["TMPDIR"] = str(place.own("tmp"))
    if what == "no HOME":
        warned = False  # the database of users says where it is
        environment["XDG_CACHE_HOME"] = str(place.own("cache"))
    elif what == "HOME that is not there":
        environment["HOME"] = "/proc/nowhere"
    elif what == "HOME that is no folder":
        environment["HOME"] = os.devnull
    elif what == "relative XDG_CACHE_HOME":
        environment |= {"XDG_CACHE_HOME": "cache", "HOME": str(place.own("home"))}
        warned = False
    elif what == "no environment at all":
        environment.clear()
        place.words = ["--cache-dir", str(place.own("cache"))]
        warned = False
    else:
        place.uid = NOBODY if "disk" not in what and "temporary" not in what else place.uid
        environment["TMPDIR"] = str(place.own("tmp"))
        if what == "no user of that number, and another's HOME":
            environment["HOME"] = str(place.folder)
        elif what == "own folder that may not be written":
            place.words = ["--cache-dir", str(place.own("cache", 0o500))]
        elif what == "cache folder of others' home":
            (place.folder / "home/.cache").mkdir(parents=True)
            environment["HOME"] = str(place.folder / "home")
        elif "read-only disk" in what:
            cache = place.own("cache")
            undo.append(mounted(cache, "size=4m,mode=700"))
            place.words = ["--cache-dir", str(cache)]
            if "warm" in what:
                assert place.build("first").worked()
            subprocess.run(["mount", "-o", "remount,ro", cache], check=True)
        elif what == "temporary folder without programs":
            undo.append(mounted(place.folder / "tmp", "size=4m,noexec,nosuid"))
            environment["HOME"] = str(place.own("home"))
            warned = False
    try:
        done = place.build().worked()
    finally:
        for action in undo:
            action()

    assert done.out.rpartition("@")[2] == place.expected.rpartition("@")[2]
    assert done.err.count("going on without it") == warned, done.err
    assert list((place.folder / "tmp").iterdir()) == []


@root_only
@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_user_who_may_have_few_processes(place: Place, most: int) -> None:
    place.uid = NOBODY
    place.words = ["--cache-dir", str(place.own("cache")), "--jobs", "4"]
    place.limit = most
    assert place.build().worked().out.rpartition("@")[2] == place.expected.rpartition("@")[2]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed(place: Place, closed: str) -> None:
    words = [sys.executable, "-m", "ociassemble", "--cache-dir", "cache", "build", "project", "-b", "oci:base:v1"]
    words += ["-o", "oci:closed:v1", "--digest-file", "closed.txt"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *words], cwd=place.folder, env=place.environment, check=False
    )
    assert done.returncode == 0
    assert (place.folder / "closed.txt").read_text().strip() == place.expected.rpartition("@")[2].strip()


@root_only
@pytest.mark.spec("STORE-1")
def test_a_store_of_another_user_is_refused(place: Place) -> None:
    place.words = ["--cache-dir", str(place.own("cache"))]
    place.build("first").worked()
    for path in (place.folder / "cache").rglob("*"):
        os.chown(path, NOBODY, -1)
    place.build().failed(11, "belongs to another user", hint="choose another --cache-dir")
