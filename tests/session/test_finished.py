"""Nothing changed: when a finished build stands for the walk, and that it never does when anything differs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ociassemble
from ociassemble.registry.server import serve
from ociassemble.session import finished
from ociassemble.testing import images
from tests.digests.fixture import wheel
from tests.failure.scene import Scene, python_base, scene_below

UNCHANGED = ": nothing changed"


class Warm(Scene):
    """A project whose result is in the registry, pushed a moment ago."""

    lines: list[str]
    argv: tuple[str, ...]
    before: str  # what stdout said

    def build(self, *more: str, **environment: str) -> str:
        """The digest of a build with the very same words (and `more`)."""
        return self.run(*self.argv, *more, **environment).worked().out.strip().rpartition("@")[2]

    def asked(self) -> list[str]:
        """Method and path of each request since this was last asked."""
        found = [" ".join(match) for line in self.lines for match in re.findall(r"\b([A-Z]+) (/v2/\S*)", line)]
        self.lines.clear()
        return found


@pytest.fixture
def warm(tmp_path: Path) -> Iterator[Warm]:
    with scene_below(tmp_path) as made:
        made.__class__ = Warm
        assert isinstance(made, Warm)
        made.lines = []
        made.registry = serve("127.0.0.1", 0, made.root / "registry", log=made.lines.append)
        made.stack.callback(made.registry.shutdown)
        base = made.registry_base("linux/amd64", "linux/arm64")
        made.files(main__py="print(1)\n", ociassemble__toml="[env]\nA = '1'\n", __dockerignore="pyproject.toml\n")
        made.file("pyproject.toml", '[project]\nname = "one"\n')
        made.file("notes/text", "some text")
        (made.project / "link").symlink_to("main.py")
        host = made.registry.host
        made.argv = ("build", "project", "-b", base, "--platform", "linux/amd64", "-t", f"{host}/app:v1", "--push")
        made.before = made.build()
        made.lines.clear()
        yield made


def told(text: str) -> list[str]:
    """What was told and is not about how things went this time."""
    return [
        line
        for line in text.splitlines()
        if not re.match(r"(hash|upload|inspect|layer|download) |\S+/app:\S+ ?:", line)
    ]


# ------------------------------------------------------------------------------------------------ nothing changed


@pytest.mark.spec("WARM-1", "WARM-2", "WARM-3")
def test_two_questions_and_the_same_words(warm: Warm) -> None:
    whole = warm.run(*warm.argv, "--no-cache").worked()
    warm.lines.clear()
    short = warm.run(*warm.argv).worked()
    assert short.out == whole.out
    assert UNCHANGED in short.err
    assert told(short.err) == told(whole.err)
    assert warm.asked() == ["HEAD /v2/base/manifests/v1", "HEAD /v2/app/manifests/v1"]


@pytest.mark.spec("WARM-2")
def test_a_base_that_the_lock_pins_is_not_asked(warm: Warm) -> None:
    warm.run("lock", "project", *warm.argv[2:6]).worked()
    warm.build()
    warm.lines.clear()
    assert UNCHANGED in warm.run(*warm.argv).worked().err
    assert warm.asked() == ["HEAD /v2/app/manifests/v1"]


@pytest.mark.spec("WARM-3")
def test_a_warning_is_told_every_time(warm: Warm) -> None:
    (warm.project / "dangling").symlink_to("nowhere")
    first = warm.run(*warm.argv).worked()
    second = warm.run(*warm.argv).worked()
    assert UNCHANGED not in first.err
    assert UNCHANGED in second.err
    assert "warning: the symlink `dangling` points to `nowhere`, which is not packed" in first.err
    assert told(first.err) == told(second.err)
    quiet = warm.run(*warm.argv, "-q").worked()
    assert quiet.err == "warning: the symlink `dangling` points to `nowhere`, which is not packed\n"


@pytest.mark.spec("WARM-1")
def test_every_name_is_asked(warm: Warm) -> None:
    more = ("-t", f"{warm.serve().host}/other:v2")
    first = warm.run(*warm.argv, *more).worked()
    assert UNCHANGED not in first.err, "one of two is not there"
    warm.lines.clear()
    second = warm.run(*warm.argv, *more).worked()
    assert second.out == first.out
    assert second.err.count(UNCHANGED) == 2
    assert "HEAD /v2/other/manifests/v2" in warm.asked()


@pytest.mark.spec("WARM-4")
def test_files_that_name_the_result(warm: Warm) -> None:
    written = []
    for _ in range(2):
        done = warm.run(*warm.argv, "--image-refs", "outputs/refs", "--digest-file", "outputs/digest").worked()
        written.append((warm.outputs.joinpath("refs").read_text(), warm.outputs.joinpath("digest").read_text()))
    assert UNCHANGED in done.err
    assert written[0] == written[1] == (done.out, warm.before + "\n")


@pytest.mark.spec("WARM-4")
@pytest.mark.parametrize(
    "more",
    [["--format", "json"], ["-v"], ["--iidfile", "outputs/id"], ["--metadata-file", "outputs/meta"], ["--no-cache"]],
    ids=lambda more: more[0],
)
def test_who_asks_for_more_gets_the_whole_walk(warm: Warm, more: list[str]) -> None:
    done = warm.run(*warm.argv, *more).worked()
    assert UNCHANGED not in done.err
    assert warm.before in done.out


@pytest.mark.spec("WARM-5")
@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("ociassemble.toml", '[build]\nrun = [["true"]]\n', []),
        ("main.py", "print(1)\n", ["--source-date-epoch", "now"]),
        ("main.py", "print(1)\n", ["-o", "oci:outputs/too"]),
    ],
    ids=["host steps", "the clock", "another place"],
)
def test_what_no_record_stands_for(warm: Warm, name: str, content: str, more: list[str]) -> None:
    warm.file(name, content)
    for _ in range(2):
        assert UNCHANGED not in warm.run(*warm.argv, *more).worked().err


@pytest.mark.spec("WARM-5")
def test_a_mirror_is_not_believed_about_the_result(warm: Warm) -> None:
    host = warm.serve().host
    for _ in range(2):
        done = warm.run(*warm.argv, "--registry-mirror", f"{host}={host}/mirrored").worked()
        assert UNCHANGED not in done.err


# ------------------------------------------------------------------------------------------------ anything changed


def same_size_same_time(warm: Warm) -> None:
    path = warm.project / "notes" / "text"
    before = path.stat()
    path.write_bytes(b"SOME TEXT")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def mode(warm: Warm) -> None:
    (warm.project / "notes" / "text").chmod(0o755)


def new_file(warm: Warm) -> None:
    warm.file("notes/more", "")


def new_folder(warm: Warm) -> None:
    (warm.project / "empty").mkdir()


def removed(warm: Warm) -> None:
    (warm.project / "notes" / "text").unlink()


def renamed(warm: Warm) -> None:
    (warm.project / "notes" / "text").rename(warm.project / "notes" / "texts")


def link(warm: Warm) -> None:
    (warm.project / "link").unlink()
    (warm.project / "link").symlink_to("notes")


def ignored(warm: Warm) -> None:
    warm.file(".dockerignore", "pyproject.toml\nnotes\n")


def read_though_not_packed(warm: Warm) -> None:
    warm.file("pyproject.toml", '[project]\nname = "one"\ndescription = "Now it says what it is"\n')


def there_though_not_packed(warm: Warm) -> None:
    warm.file(".dockerignore", "pyproject.toml\nrequirements.txt\n")
    warm.build()
    assert UNCHANGED in warm.run(*warm.argv).worked().err
    warm.file("requirements.txt", "")


def settings(warm: Warm) -> None:
    warm.file("ociassemble.toml", "[env]\nA = '2'\n")


def base_moved(warm: Warm) -> None:
    images.push(images.index([python_base("linux/amd64", size=7), python_base("linux/arm64")]), warm.argv[3])


def version(warm: Warm) -> None:
    warm.stack.enter_context(pytest.MonkeyPatch.context()).setattr(ociassemble, "__version__", "99.0")


def code(warm: Warm) -> None:
    folder = warm.root / "code"
    folder.mkdir()
    (folder / "changed.py").touch()
    path = [*ociassemble.__path__, str(folder)]
    warm.stack.enter_context(pytest.MonkeyPatch.context()).setattr(ociassemble, "__path__", path)


def locked(warm: Warm) -> None:
    warm.run("lock", "project", *warm.argv[2:6]).worked()


@pytest.mark.spec("WARM-6")
@pytest.mark.parametrize(
    "change",
    [
        same_size_same_time, mode, new_file, new_folder, removed, renamed, link, ignored, read_though_not_packed,
        there_though_not_packed, settings, base_moved, version, code, locked,
    ],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_what_changed_is_built(warm: Warm, change: Callable[[Warm], None]) -> None:
    assert UNCHANGED in warm.run(*warm.argv).worked().err
    change(warm)
    done = warm.run(*warm.argv).worked()
    assert UNCHANGED not in done.err
    assert done.out.strip().rpartition("@")[2] == warm.build("--no-cache")


@pytest.mark.spec("WARM-6")
@pytest.mark.parametrize(
    "more",
    [
        ["-e", "B=2"], ["--platform", "linux/arm64"], ["--compression", "zstd"], ["--compression", "gzip:9"],
        ["--label", "a=b"], ["--annotation", "a=b"], ["--user", "1000"], ["--add", "main.py:/etc/"], ["--no-lock"],
        ["--source-date-epoch", "5"], ["--annotate", "none"], ["--kind", "directory", "--cmd", "/app/main.py"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_asked_differently_is_built(warm: Warm, more: list[str]) -> None:
    (warm.project / "main.py").write_text("#!/usr/bin/python3\n")
    (warm.project / "main.py").chmod(0o755)
    warm.build()
    assert UNCHANGED in warm.run(*warm.argv).worked().err
    done = warm.run(*warm.argv, *more).worked()
    assert UNCHANGED not in done.err
    found = done.out.strip().rpartition("@")[2]
    assert found == warm.build(*more, "--no-cache")
    assert UNCHANGED in warm.run(*warm.argv, *more).worked().err, "and now it is known, too"


@pytest.mark.spec("WARM-6")
def test_the_environment(warm: Warm) -> None:
    assert UNCHANGED not in warm.run(*warm.argv, SOURCE_DATE_EPOCH="5").worked().err
    assert UNCHANGED not in warm.run(*warm.argv, OCIASSEMBLE_ENV="B=2").worked().err
    assert warm.build() == warm.before


@pytest.mark.spec("WARM-6")
def test_a_wheel_of_the_same_name(warm: Warm) -> None:
    made = wheel("demo", "py3-none-any", {"demo.py": b"x = 1\n"})
    path = warm.root / made.filename
    path.write_bytes(made.data)
    more = ("--wheel", made.filename)
    first = warm.build(*more)
    assert UNCHANGED in warm.run(*warm.argv, *more).worked().err
    path.write_bytes(wheel("demo", "py3-none-any", {"demo.py": b"x = 2\n"}).data)
    done = warm.run(*warm.argv, *more).worked()
    assert UNCHANGED not in done.err
    assert first not in done.out


@pytest.mark.spec("WARM-5")
def test_a_wheel_that_is_named_twice_hides_no_package_of_an_index(warm: Warm) -> None:
    own, wanted = (wheel(name, "py3-none-any", {f"{name}.py": b"x = 1\n"}) for name in ("own", "wanted"))
    (warm.root / own.filename).write_bytes(own.data)
    warm.wheels((wanted.filename, wanted.data))
    warm.file("requirements.txt", "wanted\n")
    more = ("--wheel", own.filename, "--wheel", f"./{own.filename}")
    warm.build(*more)
    assert UNCHANGED not in warm.run(*warm.argv, *more).worked().err


@pytest.mark.spec("WARM-6")
def test_a_lock_that_is_exchanged_while_it_is_read_stands_in_no_record(
    warm: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm.run("lock", "project", *warm.argv[2:6]).worked()
    lock = warm.project / "ociassemble.lock"
    first = lock.read_bytes()
    other = re.sub(rb'"created": "[^"]*"', b'"created": "2001-02-03T04:05:06Z"', first)
    assert other != first
    real = finished.inputs

    def exchanged(*given: Any) -> Any:
        try:
            return real(*given)
        finally:
            lock.write_bytes(other)

    monkeypatch.setattr(finished, "inputs", exchanged)
    wrong = warm.build()
    monkeypatch.undo()
    lock.write_bytes(first)
    assert warm.build() != wrong


@pytest.mark.spec("WARM-6")
def test_what_add_brings_from_elsewhere(warm: Warm) -> None:
    (warm.root / "given").write_text("one")
    more = ("--add", f"{warm.root}/given:/etc/given")
    first = warm.build(*more)
    assert UNCHANGED in warm.run(*warm.argv, *more).worked().err
    (warm.root / "given").write_text("two")
    assert warm.build(*more) != first


# ------------------------------------------------------------------------------------------------ names that moved


@pytest.mark.spec("WARM-7")
def test_a_tag_that_somebody_else_moved(warm: Warm) -> None:
    images.push(python_base(), f"{warm.serve().host}/app:v1")
    done = warm.run(*warm.argv).worked()
    assert UNCHANGED not in done.err
    assert warm.before in done.out
    assert warm.tags()["app/_tags/v1"].strip() == warm.before


@pytest.mark.spec("WARM-7")
def test_a_tag_that_is_gone(warm: Warm) -> None:
    (warm.root / "registry" / "repositories" / "app" / "_tags" / "v1").unlink()
    done = warm.run(*warm.argv).worked()
    assert UNCHANGED not in done.err
    assert warm.tags()["app/_tags/v1"].strip() == warm.before


@pytest.mark.spec("WARM-7")
def test_a_registry_that_cannot_be_asked(warm: Warm) -> None:
    warm.serve().shutdown()
    done = warm.run(*warm.argv)
    assert done.status != 0
    assert UNCHANGED not in done.err


# ------------------------------------------------------------------------------------------------ the record


@pytest.mark.spec("WARM-8")
@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: raw[:-1],
        lambda raw: raw.replace(b"sha256:", b"sha256:0", 1),
        lambda raw: bytes([raw[0] ^ 1]) + raw[1:],
        lambda raw: raw.replace(b'"notes"', b'"noted"', 1),
        lambda raw: b"[]",
        lambda raw: b"[" * 100_000,
    ],
    ids=["empty", "cut", "digest", "flipped", "key", "list", "deep"],
)
def test_a_damaged_record_says_nothing(warm: Warm, damage: Callable[[bytes], bytes]) -> None:
    (path,) = (warm.store / "records" / "finished").iterdir()
    path.chmod(0o600)
    path.write_bytes(damage(path.read_bytes()))
    done = warm.run(*warm.argv).worked()
    assert UNCHANGED not in done.err
    assert warm.before in done.out
    assert UNCHANGED in warm.run(*warm.argv).worked().err, "it is written anew"


@pytest.mark.spec("WARM-8")
def test_a_build_that_failed_is_not_recorded(warm: Warm) -> None:
    warm.file("new", "x")
    warm.serve().shutdown()
    assert warm.run(*warm.argv).status != 0
    assert len(list((warm.store / "records" / "finished").iterdir())) == 1


@pytest.mark.spec("WARM-8")
def test_nothing_of_the_host_is_in_the_record(warm: Warm) -> None:
    warm.build("-e", "TOKEN=of-the-command-line", OCIASSEMBLE_LABEL="secret=of-the-environment")
    for path in (warm.store / "records" / "finished").iterdir():
        text = path.read_text()
        assert "of-the-command-line" not in text
        assert "of-the-environment" not in text
        assert "sha256:" in text, json.dumps(text)
