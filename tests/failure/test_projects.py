"""Folders, settings, locks and command lines that cannot be built."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.failure.scene import Scene, Snapshot

pytestmark = pytest.mark.spec("FAIL-1", "FAIL-2")


@pytest.fixture
def base(scene: Scene) -> str:
    """An application that was built once onto it."""
    made = scene.base()
    scene.files(main__py="print(1)\n")
    scene.built("-b", made)
    return made


def symlink(target: str) -> Callable[[Scene], object]:
    return lambda scene: (scene.project / "link").symlink_to(target)


def files(**content: str) -> Callable[[Scene], object]:
    return lambda scene: scene.files(**content)


def device(scene: Scene) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(scene.project / "socket"))


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk=\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("change", "status", "text", "hint"),
    [
        (symlink("../outside"), 3, "the symlink `link` -> `../outside` leads out of", "copy what it points to"),
        (symlink("/etc/passwd"), 3, "the symlink `link` -> `/etc/passwd` is absolute", "copy what it points to"),
        (lambda scene: os.mkfifo(scene.project / "fifo"), 3, "`fifo` is a fifo", "remove it"),
        (device, 3, "`socket` is a socket", "remove it"),
        (files(__env="PASSWORD=1"), 8, "`.env`: env-file (environment file), fingerprint ", "[secrets] allow = "),
        (files(deploy=KEY), 8, "`deploy:1`: private-key (private key, ", "[secrets] allow = "),
        (files(__wh__main__py=""), 3, "`.wh.main.py` is named like a whiteout", "rename it"),
        (files(ociassemble__toml="bse = 'x'\n"), 2, "there is no setting `bse`", "did you mean `base`?"),
        (files(ociassemble__toml="[python]\nextra = ['a']\n"), 2, "there is no setting `python.extra`", "did you mean"),
        (files(ociassemble__toml="base = 7\n"), 2, "base", ""),
        (files(ociassemble__toml="base = [\n"), 2, "`ociassemble.toml` cannot be read: ", None),
        (files(pyproject__toml="[project\n"), 3, "`pyproject.toml` is not TOML: ", None),
        (files(pyproject__toml="[project]\nname = 1\n"), 3, "`pyproject.toml`: not a name for a project: 1", None),
        (files(pyproject__toml="[tool.ociassemble]\nbase = 1\n"), 2, "base", ""),
        (files(requirements__txt="alpha @@ 1\n"), 3, "`requirements.txt` line 1: not a requirement", "flask"),
        (files(pylock__toml="lock-version = '9.9'\n"), 3, "`pylock.toml` is not a valid pylock.toml: ", None),
        (files(uv__lock="[\n", pyproject__toml="[project]\nname='a'\n"), 3, "`uv.lock` is not TOML: ", None),
        (files(ociassemble__lock="{"), 3, "`ociassemble.lock` is not JSON: ", "restore it from version control"),
        (files(ociassemble__lock="<<<<<<< ours\n"), 3, "merge conflict", ""),
        (files(ociassemble__lock='{"lock-version": 99}'), 3, "has lock-version 99", "upgrade ociassemble"),
        (lambda scene: (scene.project / "ociassemble.lock").mkdir(), 3, "is not a file", "--lockfile"),
        (lambda scene: (scene.project / "main.py").unlink(), 3, "nothing says how the application starts", "--cmd"),
        (lambda scene: shutil.rmtree(scene.project), 3, "there is no folder `project`", "name the folder"),
    ],
)  # fmt: skip
def test_a_project_that_cannot_be_built(
    scene: Scene, base: str, change: Callable[[Scene], object], status: int, text: str, hint: str | None
) -> None:
    change(scene)
    before = Snapshot.of(scene)

    done = scene.run("build", "project", "-b", base, "--kind", "python", "-o", scene.layout)

    done.failed(status, text, hint=hint)
    before.holds(scene)


@pytest.mark.parametrize(
    ("words", "status", "text", "hint"),
    [
        ("build project --allow-secret .env", 2, "`--allow-secret` is gone: ", "[secrets] allow = "),
        ("build nowhere", 3, "there is no folder `nowhere`", "name the folder"),
        ("build NOTES", 3, "`notes.txt` is not a program", "name the folder of the application, or its program"),
        ("build /", 3, "`/` is not an application", "name the folder of the application"),
        ("build HOME", 3, "is your home folder, not an application", "name the folder of the application"),
        ("build project --kind ruby", 2, "`ruby` is none of", "known are"),
        ("build project --push", 2, "`--push` needs a name", "-t REGISTRY/NAME:TAG"),
        ("build project -t registry.example/a:v1@sha256:" + "0" * 64, 2, "has a digest", "`registry.example/a:v1`"),
        ("build project -t Registry.example/A:v1", 2, "is not an image reference", "did you mean"),
        ("build project -o type=tar", 2, "`-o type=tar` is not understood", "oci:DIR"),
        ("build project -o oci:", 2, "`oci:` names no folder", "oci:DIR"),
        ("build project -o oci-archive:", 2, "`oci-archive:` names no archive", "`oci-archive:FILE`"),
        ("build project -o oci-archive:nowhere/x.tar", 11, "`nowhere` is no such folder", "make the folder first"),
        ("build project -o oci-archive:- -o docker-archive:-", 2, "two archives cannot both go to standard", "a file"),
        ("build project --cmd '", 2, "the quote ' is not closed", None),
        ("build project --compression lzma", 2, "`lzma` is not understood", "zstd:3"),
        ("build project --compression gzip:99", 2, "gzip has no level 99", "1 to 9"),
        ("build project --source-date-epoch tomorrow", 2, "is not a number of seconds", "`git`, or `now`"),
        ("build project -e NOVALUE", 2, "`--env NOVALUE` is not of the form KEY=VALUE", "`KEY-`"),
        ("build project --workdir relative", 2, "`relative`", ""),
        ("build project --ignorefile nowhere", 3, "cannot read the ignore file `nowhere`", None),
        ("build project --wheel nowhere-1.0-py3-none-any.whl", 3, "cannot read the wheel", None),
        ("build project --wheel archive.zip", 3, "`archive.zip` is not a wheel's file name", "keep the name"),
        ("build project --ca-file nowhere -b registry.example/x", 2, "`nowhere`", None),
        ("build project --registry-mirror gcr.io", 2, "`gcr.io` is not `HOST=MIRROR`", "for example"),
        ("build project --locked", 8, "there is no `ociassemble.lock`", "`ociassemble lock`"),
        ("lock project --check", 8, "there is no `ociassemble.lock`", "`ociassemble lock`"),
    ],
)  # fmt: skip
def test_a_command_line_that_cannot_work(
    scene: Scene, base: str, words: str, status: int, text: str, hint: str | None
) -> None:
    (scene.root / "notes.txt").write_text("no program\n")
    before = Snapshot.of(scene)
    places = {"HOME": str(scene.home), "NOTES": "notes.txt"}
    argv = [places.get(word, word) for word in words.split(" ")]
    argv += [] if "-b" in argv else ["-b", base]
    if argv[0] == "build" and "-o" not in argv and "-t" not in argv:
        argv += ["-o", scene.layout]

    done = scene.run(*argv)

    done.failed(status, text, hint=hint)
    before.holds(scene)


# --- locks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "environment"), [(["--locked"], {}), ([], {"CI": "true"}), ([], {"CI": "1"})])
def test_a_stale_lock_where_it_must_not_be(
    scene: Scene, base: str, words: list[str], environment: dict[str, str]
) -> None:
    scene.run("lock", "project", "-b", base).worked()
    before = Snapshot.of(scene)

    done = scene.run(
        "build", "project", "-b", base, "--platform", "linux/arm64", "-o", scene.layout, *words, **environment
    )

    done.failed(
        8,
        "`ociassemble.lock` is stale",
        "`linux/arm64` is asked for",
        hint="run `ociassemble lock --platform linux/amd64,linux/arm64`",
    )
    before.holds(scene)


def test_a_stale_lock_elsewhere_is_told_and_left_as_it_is(scene: Scene, base: str) -> None:
    scene.run("lock", "project", "-b", base).worked()
    before = Snapshot.of(scene)
    shutil.copytree(scene.root / "base", scene.root / "other")

    done = scene.run("build", "project", "-b", "oci:other:v1", "-o", f"oci:{scene.outputs}/second:v1").worked()

    assert "warning: `ociassemble.lock` is stale, resolving again: the base is `oci:other:v1`" in done.err
    assert Snapshot.of(scene).project == before.project


@pytest.mark.spec("LOCK-31")
def test_a_lock_that_is_named_and_not_there(scene: Scene, base: str) -> None:
    before = Snapshot.of(scene)
    done = scene.run("build", "project", "-b", base, "--lockfile", "other.lock", "-o", scene.layout)

    done.failed(3, "there is no lock `other.lock`", hint="`ociassemble lock --lockfile other.lock`")
    before.holds(scene)


def test_a_broken_lock_is_written_anew_by_lock(scene: Scene, base: str) -> None:
    scene.files(ociassemble__lock="{")

    done = scene.run("lock", "project", "-b", base).worked()

    assert "warning: `ociassemble.lock` is not JSON" in done.err
    scene.run("build", "project", "-b", base, "-o", scene.layout, "--locked").worked()


# --- permissions ---------------------------------------------------------------------------------------------


def powerless() -> None:
    """In a child of root: give up reading and writing what the permissions forbid (CAP_DAC_*), for good."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            assert libc.prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


def forbid(path: Path, mode: int) -> None:
    """Make it somebody else's where we can, and in any case one that may not be touched."""
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    path.chmod(mode)


linux = pytest.mark.skipif(sys.platform != "linux" and os.geteuid() == 0, reason="root can read everything here")


@linux
@pytest.mark.parametrize("what", ["file", "folder"])
def test_an_unreadable_file(scene: Scene, base: str, what: str) -> None:
    scene.file("folder/data", "x")
    path = scene.project / ("folder" if what == "folder" else "folder/data")
    words = ["build", "project", "-b", base, "-o", scene.layout]
    forbid(path, 0o000)
    before = Snapshot.of(scene)

    done = scene.spawn(*words, before=powerless)

    done.failed(3, f"`{path.relative_to(scene.project)}`", "ermission denied", hint="")
    before.holds(scene)
    path.chmod(0o755)
    scene.spawn(*words, before=powerless).worked()


@linux
def test_an_unreadable_lock_and_an_unreadable_base(scene: Scene, base: str) -> None:
    before = Snapshot.of(scene)
    words = ["build", "project", "-b", base, "-o", scene.layout]
    lock = scene.files(ociassemble__lock="{}") / "ociassemble.lock"
    forbid(lock, 0o000)

    scene.spawn(*words, before=powerless).failed(3, "cannot read the lock", "Permission denied", hint="--lockfile")
    lock.unlink()
    before.holds(scene)

    layers = scene.root / "base/blobs/sha256"
    forbid(layers, 0o000)
    done = scene.spawn("--cache-dir", "another", *words, before=powerless)
    layers.chmod(0o755)

    assert (done.status, done.out) == (4, ""), done.err
    assert "Traceback" not in done.err
    before.holds(scene)


@linux
def test_places_that_may_not_be_written(scene: Scene, base: str) -> None:
    """An output, the project's lock and the cache, each in a folder of somebody else."""
    words = ["build", "project", "-b", base]
    for folder in (scene.outputs, scene.project):
        forbid(folder, 0o555)
    (scene.root / "private").mkdir()
    forbid(scene.root / "private", 0o555)
    before = Snapshot.of(scene)

    done = scene.spawn(*words, "-o", "oci:outputs/new:v1", before=powerless)
    done.failed(11, "cannot write `outputs/new`: `outputs` may not be written to", hint="another place")
    done = scene.spawn(*words, "--digest-file", "outputs/digest", before=powerless)
    done.failed(11, "cannot write `outputs/digest`: `outputs` may not be written to", hint="another place")
    done = scene.spawn("lock", "project", "-b", base, before=powerless)
    done.failed(11, "`project`", "ermission denied", hint=None)
    # The cache is done without.
    done = scene.spawn("--cache-dir", "private/cache", *words, "-o", "oci:new:v1", before=powerless).worked()
    assert "the cache `private/cache/store` cannot be written to" in done.err

    before.holds(scene)
    assert not (scene.root / "private" / "cache").exists()


@linux
def test_a_layout_that_may_not_be_written(scene: Scene, base: str) -> None:
    for folder in (scene.outputs / "image", scene.outputs / "image/blobs/sha256"):
        forbid(folder, 0o555)
    before = Snapshot.of(scene)

    done = scene.spawn("build", "project", "-b", base, "-e", "A=1", "-o", scene.layout, before=powerless)

    done.failed(11, "may not be written to", hint="another place")
    before.holds(scene)


@linux
def test_a_layout_whose_blobs_may_not_be_written(scene: Scene, base: str) -> None:
    """Found when the last step has begun; it is taken back."""
    forbid(scene.outputs / "image/blobs/sha256", 0o555)
    before = Snapshot.of(scene)

    done = scene.spawn("build", "project", "-b", base, "-e", "A=1", "-o", scene.layout, before=powerless)

    done.failed(11, "ermission denied", hint=None)
    before.holds(scene)
