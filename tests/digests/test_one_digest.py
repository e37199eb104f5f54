"""One digest: whatever the host is like, the build gives the committed digests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.digests import builds, fixture
from tests.digests.conftest import Shared
from tests.figures import kept

GIT = shutil.which("git")
TASKSET = shutil.which("taskset")
UV = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))


def check(kind: str, found: dict[str, Any], what: str) -> None:
    builds.check(found, builds.golden()["images"][kind], f"{kind} ({what})")
    cell = "one digest, whatever the host: locale, zone, umask, user, order of files, cores, Python, CPU model"
    kept(f"digest {kind} {what}", what=cell, tried=1, survived=1)


class Host(NamedTuple):
    """One way a host can be. Each row changes several things that have nothing to do with each other."""

    what: str
    umask: int = 0o022
    environment: dict[str, str] = {}
    flags: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()  # of the command


# Python takes C for UTF-8 unless it is told not to: then names are ASCII with surrogates.
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
HOSTS = (
    Host("umask 000, east, one job", 0, {"TZ": "Pacific/Apia", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}, ("-j1",)),
    Host("umask 077, west, ASCII", 0o077, {"TZ": "America/Adak", "PYTHONHASHSEED": "1", **ASCII}, ("-j7",)),
    Host("POSIX, warnings are errors", 0o027, {"LC_ALL": "POSIX", "PYTHONWARNINGS": "error"}, ("-j2",)),
    Host("optimised, one core", 0o022, {"PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "random"}, (),
         ("taskset", "-c", "0") if TASKSET else ()),
    Host("development mode", 0o002, {"PYTHONDEVMODE": "1", "LANG": "C", "TZ": "Asia/Kathmandu"}, ("-q",)),
)  # fmt: skip


@pytest.mark.spec("DIGEST-2")
@pytest.mark.parametrize(
    ("kind", "host"),
    [("python", host) for host in HOSTS] + [("directory", host) for host in HOSTS[:2]],
    ids=lambda value: value.what if isinstance(value, Host) else value,
)
def test_hosts(kind: str, host: Host, shared: Shared, tmp_path: Path) -> None:
    found = builds.build(
        kind, shared.applications[kind], shared.inputs, tmp_path, *host.flags,
        command=(*host.prefix, *builds.COMMAND), umask=host.umask, environment=host.environment,
    )  # fmt: skip
    check(kind, found, host.what)


@pytest.mark.spec("DIGEST-2")
def test_order_times_and_owners_of_files(shared: Shared, tmp_path: Path) -> None:
    files = fixture.application("directory")
    # Folders last, and each file in reverse: what a folder lists depends on the order in some file systems.
    backwards = tmp_path / "backwards"
    fixture.write(tuple(sorted(files, key=lambda file: file.path.encode(), reverse=True)), backwards)
    for number, path in enumerate(sorted(backwards.rglob("*"))):
        os.utime(path, (number * 10**8, number * 10**8), follow_symlinks=False)
        if os.geteuid() == 0:
            os.chown(path, number, 1000 + number, follow_symlinks=False)
    check("directory", builds.build("directory", backwards, shared.inputs, tmp_path / "out"), "backwards")


@pytest.mark.spec("DIGEST-2")
def test_modes_are_those_of_git(shared: Shared, tmp_path: Path) -> None:
    """Group and others may do what they want: 0600 and 0666 are one file, 0700 and 0777 another."""
    place = tmp_path / "modes"
    fixture.write(fixture.application("directory"), place)
    for number, path in enumerate(sorted(place.rglob("*"))):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        more = (0o077, 0o027, 0o007, 0o000)[number % 4]
        path.chmod(0o700 | more if mode & 0o100 else 0o600 | (more & 0o066))
    check("directory", builds.build("directory", place, shared.inputs, tmp_path / "out"), "modes")


@pytest.mark.spec("DIGEST-2")
@pytest.mark.skipif(GIT is None, reason="git is not installed")
def test_two_clones_and_a_copy_without_git(shared: Shared, tmp_path: Path) -> None:
    files = tuple(file for file in fixture.application("python") if not file.path.endswith("/"))
    origin = tmp_path / "origin"
    fixture.write(files, origin)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": "x@x.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }  # fmt: skip

    def git(*arguments: str, umask: int = 0o022) -> None:
        subprocess.run([str(GIT), *arguments], env=environment, umask=umask, check=True, capture_output=True)

    git("init", "-q", str(origin))
    git("-C", str(origin), "add", "-A", "-f")
    git("-C", str(origin), "commit", "-q", "-m", "all")
    one, two = tmp_path / "one", tmp_path / "two" / "deeper in another folder"
    git("clone", "-q", str(origin), str(one))
    git("clone", "-q", str(origin), str(two), umask=0o077)
    plain = tmp_path / "plain"
    fixture.write(files, plain)

    found = [
        builds.build("python", place, shared.inputs, tmp_path / f"out{n}") for n, place in enumerate((one, two, plain))
    ]

    assert (one / ".git").is_dir()
    assert found[0] == found[1] == found[2]
    # Git keeps no empty folder, and that is the only difference.
    committed = builds.golden()["images"]["python"]
    assert found[0]["digest"] != committed["digest"]
    assert found[0]["images"]["linux/amd64"]["layers"][:-1] == committed["images"]["linux/amd64"]["layers"][:-1]


@pytest.mark.spec("DIGEST-2")
def test_the_folder_is_named_in_many_ways(shared: Shared, tmp_path: Path) -> None:
    real = shared.applications["directory"]
    link = tmp_path / "l\u00efnk"
    link.symlink_to(real)
    for number, name in enumerate((".", f"../{real.name}/", str(link))):
        found = builds.build("directory", name, shared.inputs, tmp_path / f"out{number}", folder=real)
        check("directory", found, name)


@pytest.mark.spec("DIGEST-2", "DIGEST-32")
def test_what_is_in_the_cache(shared: Shared, tmp_path: Path) -> None:
    """One cache for builds of other platforms, with and without finished layers, damaged ones, and warm ones."""
    cache, place = tmp_path / "cache", shared.applications["python"]

    def build(name: str, *flags: str, platforms: tuple[str, ...] = fixture.PLATFORMS) -> dict[str, Any]:
        return builds.build("python", place, shared.inputs, tmp_path / name, *flags, cache=cache, platforms=platforms)

    alone = build("alone", platforms=("linux/arm64",))
    check("python", build("half warm"), "half warm")
    check("python", build("warm"), "warm")
    check("python", build("rebuilt", "--no-cache"), "--no-cache")
    records = sorted((cache / "store").glob("**/layers/*"))
    assert records
    for number, record in enumerate(records):
        record.write_bytes(record.read_bytes()[: 10 * number])
    check("python", build("damaged records"), "damaged records")
    committed = builds.golden()["images"]["python"]["images"]["linux/arm64"]
    assert alone["images"][""] == committed
    assert alone["digest"] == committed["manifest"]


@pytest.mark.spec("DIGEST-3", "DIGEST-24")
def test_with_a_lock_and_without(shared: Shared, tmp_path: Path) -> None:
    place = _lockable(shared, tmp_path / "1")
    epoch = {"SOURCE_DATE_EPOCH": fixture.EPOCH}
    builds.run([*LOCK, "--cache-dir", "../lock-cache"], shared.inputs, tmp_path, folder=place, environment=epoch)
    assert (place / "ociassemble.lock").is_file()

    def build(name: str, *flags: str, **more: Any) -> dict[str, Any]:
        return builds.build("python", ".", shared.inputs, tmp_path / name, *flags, base="../base", folder=place, **more)

    locked = build("locked", "--locked")
    unlocked = build("unlocked", "--no-lock", environment=epoch)
    flagged = build("flag", "--no-lock", "--source-date-epoch", fixture.EPOCH)
    constant = build("constant", "--no-lock")

    assert locked == unlocked == flagged
    assert locked["images"]["linux/amd64"]["created"] == "2023-11-14T22:13:20Z"
    # The lock itself is not packed, and but for `created` it changes nothing.
    check("python", constant, "--no-lock")
    assert builds.blobs(locked) == builds.blobs(constant)


@pytest.mark.spec("DIGEST-3")
def test_the_lock_is_the_same_bytes_whoever_writes_it(shared: Shared, tmp_path: Path) -> None:
    locks = []
    for number, host in enumerate(HOSTS[:3]):
        place = _lockable(shared, tmp_path / f"{number}")
        platforms = fixture.PLATFORMS[:: -1 if number % 2 else 1]
        builds.run(
            [*LOCK[:-1], ",".join(platforms), *host.flags, "--cache-dir", "../cache"], shared.inputs, tmp_path,
            folder=place, umask=host.umask, environment={**host.environment, "SOURCE_DATE_EPOCH": fixture.EPOCH},
        )  # fmt: skip
        locks.append((place / "ociassemble.lock").read_bytes())
    assert locks[0] == locks[1] == locks[2]


LOCK = ("lock", ".", "--base", "oci:../base", "--platform", ",".join(fixture.PLATFORMS))


def _lockable(shared: Shared, folder: Path) -> Path:
    """The application beside its base: a lock holds no path of the machine."""
    fixture.write(fixture.application("python"), folder / "app")
    (folder / "base").symlink_to(shared.inputs.base)
    return folder / "app"


@pytest.mark.spec("DIGEST-4")
@pytest.mark.skipif(not UV, reason="uv is not installed")
def test_how_packages_are_listed(shared: Shared, tmp_path: Path) -> None:
    """A requirements file with hashes, resolved by uv, in place of the pylock.toml."""
    found = builds.build(
        "python", shared.applications["python"], shared.inputs, tmp_path, "--requirements", "requirements.txt"
    )
    committed = builds.golden()["images"]["python"]
    assert builds.blobs(found) == builds.blobs(committed)
    assert found["digest"] == committed["digest"]


@pytest.mark.spec("DIGEST-1")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda place: (place / "a.txt").write_bytes(b"A\n"), id="a byte"),
        pytest.param(lambda place: (place / "a.txt").rename(place / "aa.txt"), id="a name"),
        pytest.param(lambda place: (place / "a.txt").chmod(0o755), id="an execute bit"),
        pytest.param(lambda place: (place / "empty").rmdir(), id="a folder"),
        pytest.param(
            lambda place: ((place / "bin/link").unlink(), (place / "bin/link").symlink_to("./tool")), id="a link"
        ),
    ],
)
def test_what_is_an_input(change: Callable[[Path], object], shared: Shared, tmp_path: Path) -> None:
    """The other side of the promise: a test of equality that could not fail would prove nothing."""
    place = tmp_path / "app"
    fixture.write(fixture.application("directory"), place)
    change(place)
    found = builds.build("directory", place, shared.inputs, tmp_path / "out", platforms=("linux/amd64",))
    committed = builds.golden()["images"]["directory"]["images"]["linux/amd64"]
    layer, was = found["images"][""]["layers"][0], committed["layers"][0]
    assert all(layer[name] != was[name] for name in ("key", "diffId", "digest"))
    assert found["digest"] != committed["manifest"]
