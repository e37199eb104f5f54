"""Every example is complete, its lock answers what is asked, and its README can be typed in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from ociassemble.cli import root
from ociassemble.cli.request import request
from ociassemble.lock.application import fresh_lock, read_lock, recognise
from ociassemble.oci.platform import Platform
from ociassemble.progress import Progress
from ociassemble.project import reading, settings
from ociassemble.registry.server import serve
from ociassemble.testing import images
from tests.interop.commands import Commands
from tests.interop.products import PLATFORMS, base

REPOSITORY = Path(__file__).parent.parent.parent
EXAMPLES = REPOSITORY / "examples"
# Applications; `ci` has templates, with tests of their own.
FOLDERS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name not in ("__pycache__", "ci"))
UNBUILT = {"binary"}  # no program is committed, and before there is one there is nothing to lock
LOCKED = [name for name in FOLDERS if (EXAMPLES / name / "ociassemble.lock").exists()]
OTHERS = {"curl", "uv"}  # programs that a README may ask for besides our own

_URL = re.compile(r"https?://(?:[^/\s@]*@)?([^/\s\"'`)>:]+)")
_HERE = {"registry.example", "127.0.0.1", "localhost"}


def files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and ".venv" not in path.parts:
            yield path


def test_there_are_examples() -> None:
    assert {"python-flask", "python-fastapi", "python-plain", "express", "directory"} <= set(FOLDERS)


@pytest.mark.parametrize("name", FOLDERS)
def test_it_is_complete(name: str) -> None:
    text = (EXAMPLES / name / "README.md").read_text()

    assert text.startswith("# ")
    assert any(words[:2] == ["ociassemble", "build"] for words in commands(text))
    assert (name in LOCKED) is (name not in UNBUILT)


@pytest.mark.parametrize("name", LOCKED)
def test_its_lock_is_fresh(name: str) -> None:
    """Whatever changes what is asked (an input, a setting, a platform) needs a new lock with it."""
    folder = EXAMPLES / name
    lock = read_lock(folder / "ociassemble.lock")
    assert lock is not None
    stated = settings.load(folder)
    platforms = tuple(map(Platform.parse, lock.asked.platforms))
    application = recognise(reading.read(folder), stated, platforms, Progress())

    assert fresh_lock(application, folder / "ociassemble.lock", locked=True, ci=True, progress=Progress()) == lock
    assert sorted(lock.platforms) == list(PLATFORMS)
    # Debian's mirrors drop old versions, so an example's lock leaves the base open.
    assert {item.base for item in lock.platforms.values()} == {None}
    assert (folder / "ociassemble.lock").read_bytes() == lock.dump()


def node_base(platform: str) -> images.Image:
    """A Debian 13 with Node 24 as far as its facts go."""
    triplet = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[platform.partition("/")[2]]
    files: images.Entries = {
        "etc/os-release": 'ID="debian"\nVERSION_ID="13"\n',
        f"usr/lib/{triplet}/libc.so.6": images.program(),
        "var/lib/dpkg/status.d/libc6": "Package: libc6\nVersion: 2.41-12\n",
        "nodejs/bin/node": images.program(),
    }
    execution = {"Entrypoint": ["/nodejs/bin/node"], "User": "65532", "Env": ["NODE_VERSION=24.11.1"]}
    return images.image([images.layer(files)], platform=platform, execution=execution)


@pytest.mark.parametrize("name", LOCKED)
def test_it_is_planned_with_its_lock(name: str, tmp_path: Path) -> None:
    """On a base with the facts it was locked for, asking neither a resolver nor an index."""
    ociassemble = Commands(tmp_path, UV_NO_INDEX="1", PIP_NO_INDEX="1", npm_config_registry="")
    with serve("127.0.0.1", 0, tmp_path / "registry") as registry:
        python3 = images.index([base(platform) for platform in PLATFORMS])
        images.push(python3, f"{registry.host}/distroless/python3-debian13:nonroot")
        nodejs = images.index([node_base(platform) for platform in PLATFORMS])
        images.push(nodejs, f"{registry.host}/distroless/nodejs24-debian13:nonroot")
        release = images.layer({"etc/os-release": 'ID="debian"\nVERSION_ID="13"\n'})
        static = images.index([images.image([release], platform=platform, execution={}) for platform in PLATFORMS])
        images.push(static, f"{registry.host}/distroless/static-debian13:nonroot")
        mirror = ("--registry-mirror", f"gcr.io={registry.host}")
        planned = ociassemble(
            "build", EXAMPLES / name, "--locked", "--dry-run", *mirror, "--platform", ",".join(PLATFORMS)
        )

    assert planned.err.count("would have the layer `application`") == len(PLATFORMS)
    assert "stale" not in planned.err
    artifacts = set(re.findall(r'"sha256": "([0-9a-f]{64})"', (EXAMPLES / name / "ociassemble.lock").read_text()))
    assert not artifacts & {path.name for path in (tmp_path / "cache").rglob("*")}


@pytest.mark.parametrize("name", FOLDERS)
def test_it_names_no_host_of_a_registry(name: str) -> None:
    """Also in uv.lock: files are found by their hash, on the index the user has configured."""
    found = {
        (path.relative_to(EXAMPLES).as_posix(), host)
        for path in files(EXAMPLES / name)
        for host in _URL.findall(path.read_bytes().decode("utf-8", "replace"))
        if host.partition("{")[0] not in _HERE
    }

    assert not found


# --- READMEs -------------------------------------------------------------------------------------------------


def commands(text: str) -> list[list[str]]:
    """The commands in the code blocks of a document, fenced or indented, as words; a Dockerfile is none."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    fenced, other, found = False, False, []
    for line in lines:
        if line.startswith("```"):
            fenced, other = not fenced, line == "```dockerfile"
        elif (fenced and not other) or line.startswith("    "):
            words = shlex.split(line.strip().removeprefix("$ "), comments=True)
            if words:
                found.append(words)
    return found


def parsed(words: list[str]) -> dict[str, Any]:
    """The values of a command line of ours; raises where it would not be accepted. Nothing is run."""
    context = root.make_context("ociassemble", words[1:])
    command: click.Command = root
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, found.make_context(name, rest, parent=context)
    if "app" in context.params:
        request(context.params)
    return context.params


@pytest.mark.parametrize("name", FOLDERS)
def test_its_readme_can_be_typed_in(name: str) -> None:
    for words in commands((EXAMPLES / name / "README.md").read_text()):
        assert words[0] in {"ociassemble", *OTHERS}, words
        if words[0] == "ociassemble":
            application = parsed(words).get("app")
            assert application is None or (REPOSITORY / application).is_dir(), words


@pytest.mark.parametrize(
    "line",
    [
        "ociassemble biuld x",
        "ociassemble build x --bsae y",
        "ociassemble build . --cmd '[1'",
        "ociassemble build . -e A",
    ],
)
def test_a_mistake_would_be_seen(line: str) -> None:
    from ociassemble.errors import UsageError

    with pytest.raises((click.UsageError, UsageError)):
        parsed(shlex.split(line))
