"""`ociassemble lock` from the command line: what it asks for, what it tells, and what a fresh lock spares."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from ociassemble.lock.poetry import content_hash
from ociassemble.oci.digest import Digest
from ociassemble.registry.server import RegistryServer, serve
from ociassemble.testing import images
from ociassemble.testing.images import Content, program
from tests.debian_archive import elf
from tests.interop.commands import Commands
from tests.layer.wheel_builder import wheel
from tests.net.scripted import ScriptedServer

REPORT = json.loads((Path(__file__).parents[2] / "specs/schema/report.schema.json").read_text("utf-8"))
LOCK_REPORT = jsonschema.Draft202012Validator({"$ref": "#/$defs/lock", "$defs": REPORT["$defs"]})
ASKED = ("--platform", "linux/amd64")


def base(marker: str = "") -> images.Image:
    """A base with a Python that would start: the proof has something to prove."""
    files: dict[str, Content] = {
        "etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
        "usr/bin/python3.13": program(elf(kind=2)),
        "usr/lib/python3.13/os.py": marker,
        "usr/lib/x86_64-linux-gnu/libc.so.6": program(),
        "var/lib/dpkg/status.d/libc6": "Package: libc6\nVersion: 2.41-12\n",
    }
    return images.image([images.layer(files)], execution={"Entrypoint": ["/usr/bin/python3.13"], "User": "65532"})


class Bed:
    """An application, a folder of wheels, and a registry with a base."""

    def __init__(self, root: Path, registry: RegistryServer, log: list[str]) -> None:
        self.root, self.registry, self.log = root, registry, log
        self.app, self.wheels = root / "app", root / "wheels"
        self.app.mkdir()
        self.wheels.mkdir()
        self.base = f"{registry.host}/base:1"
        self.settings = {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(self.wheels)}
        self.run = Commands(root, **self.settings)
        self.asked = ("--base", self.base, *ASKED)
        self.lock = self.app / "ociassemble.lock"

    def wheel(self, name: str, version: str) -> None:
        info = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        files = {f"{name}/__init__.py": version.encode(), f"{info}/METADATA": metadata}
        (self.wheels / f"{name}-{version}-py3-none-any.whl").write_bytes(wheel(files, info=info))

    def elsewhere(self, **environment: str) -> Commands:
        """Another machine: nothing in its store."""
        self.log.clear()
        folder = self.root / f"runner{len(list(self.root.glob('runner*')))}"
        return Commands(folder, **{**self.settings, **environment})


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    log: list[str] = []
    with serve("127.0.0.1", 0, tmp_path / "registry", log=log.append) as registry:
        made = Bed(tmp_path, registry, log)
        images.push(base(), made.base)
        made.wheel("alpha", "1.0")
        made.wheel("beta", "1.0")
        (made.app / "requirements.txt").write_text("alpha\nbeta\n")
        (made.app / "main.py").write_text("import alpha, signal\n")
        yield made


@pytest.mark.spec("LOCK-26")
def test_locking_again_tells_what_moved(bed: Bed) -> None:
    assert "->" not in bed.run("lock", bed.app, *bed.asked).err
    assert "->" not in bed.run("lock", bed.app, *bed.asked).err
    bed.wheel("alpha", "2.0")
    bed.wheel("beta", "2.0")
    kept = json.loads(bed.lock.read_bytes())["platforms"]["linux/amd64"]["base"]["digest"]
    images.push(base("# moved"), bed.base)

    told = bed.run("lock", bed.app, *bed.asked).err.splitlines()
    moved = json.loads(bed.lock.read_bytes())["platforms"]["linux/amd64"]["base"]["digest"]
    assert f"base {kept[7:19]} -> {moved[7:19]}" in told
    assert not any("1.0 -> 2.0" in line for line in told), "versions stay unless they are let go"

    one = bed.run("lock", bed.app, *bed.asked, "--upgrade", "Alpha")
    assert "alpha 1.0 -> 2.0" in one.err.splitlines() and "beta 1.0" not in one.err
    assert any(line.startswith("layer `") and " changes (" in line for line in one.err.splitlines())

    found = bed.run("lock", bed.app, *bed.asked, "--upgrade", "--format", "json").json
    LOCK_REPORT.validate(found)
    packages = found["platforms"]["linux/amd64"]["moved"]["packages"]
    assert packages == [{"name": "beta", "from": "1.0", "to": "2.0", "origin": None}]
    found = bed.run("lock", bed.app, *bed.asked, "--format", "json").json
    LOCK_REPORT.validate(found)
    assert not found["changed"] and "moved" not in found["platforms"]["linux/amd64"]


@pytest.mark.spec("LOCK-24")
def test_check_asks_nobody(bed: Bed) -> None:
    missing = bed.run("lock", bed.app, *bed.asked, "--check", status=8)
    assert "there is no `ociassemble.lock`" in missing.err
    bed.run("lock", bed.app, *bed.asked)
    before = bed.lock.read_bytes()
    bed.wheel("alpha", "2.0")
    images.push(base("# moved"), bed.base)
    bed.registry.shutdown()
    with ScriptedServer() as index:
        closed = bed.elsewhere(
            UV_INDEX_URL=f"http://{index.host}/simple", PATH="/nowhere", UV_NO_INDEX="", UV_FIND_LINKS=""
        )
        assert "2 packages, fresh" in closed("lock", bed.app, *bed.asked, "--check").err
        assert "2 packages, fresh" in closed("lock", bed.app, "--base", bed.base, "--check").err
        found = closed("lock", bed.app, *bed.asked, "--check", "--format", "json").json
        LOCK_REPORT.validate(found)
        assert found["changed"] is False
        (bed.app / "requirements.txt").write_text("alpha\n")
        stale = closed(
            "lock", bed.app, "--base", "other", "--platform", "linux/arm64", "--check", "--no-base", status=8
        )
        assert index.requests == []
    for text in ("base is `other`", "`linux/arm64` is asked for", "`requirements.txt` changed", "`--no-base`, and the"):
        assert text in stale.err
    assert bed.lock.read_bytes() == before


@pytest.mark.spec("LOCK-24")
def test_check_with_upgrade_tells_what_would_move(bed: Bed) -> None:
    bed.run("lock", bed.app, *bed.asked)
    before = bed.lock.read_bytes()
    bed.run("lock", bed.app, *bed.asked, "--check", "--upgrade")
    bed.wheel("beta", "2.0")
    told = bed.run("lock", bed.app, *bed.asked, "--check", "--upgrade", status=8).err

    assert "would change" in told and "beta 1.0 -> 2.0" in told and "--upgrade" in told.partition("hint:")[2]
    told = bed.run("lock", bed.app, *bed.asked, "--check", "--upgrade", "beta", status=8).err
    assert "`ociassemble lock --upgrade beta`" in told
    assert bed.lock.read_bytes() == before


def test_what_contradicts_itself_is_said(bed: Bed) -> None:
    bed.run("lock", bed.app, *bed.asked)
    for words in (["--check"], ["--no-base"], ["--upgrade"], ["--upgrade", "alpha"]):
        done = bed.run("lock", bed.app, *bed.asked, "--missing", *words, status=2)
        assert f"`--missing` and `{words[0]}` ask for different things" in done.err and done.out == ""
    both = bed.run("build", bed.app, *bed.asked, "--locked", "--no-lock", status=2)
    assert "`--locked` and `--no-lock` contradict each other" in both.err
    for words in (["--cache-repo", "x y"], ["--cache-from", "oci:"], ["--cache-repo", "registry.example/x:v1"]):
        done = bed.run("build", bed.app, *bed.asked, *words, "-o", f"oci:{bed.root}/out", status=2)
        assert not (bed.root / "out").exists(), done.err


@pytest.mark.spec("LOCK-25")
def test_an_upgrade_of_nothing(bed: Bed) -> None:
    bed.run("lock", bed.app, *bed.asked)
    wrong = bed.run("lock", bed.app, *bed.asked, "--upgrade", "alpa", "--upgrade", "zzz", status=2).err
    assert "`--upgrade alpa`" in wrong and "nor `zzz`" in wrong and "did you mean `alpha`?" in wrong

    folder = bed.run("lock", bed.app, *bed.asked, "--upgrade", bed.app, status=2).err
    assert f"`ociassemble lock {bed.app} --upgrade`" in folder
    before = bed.lock.read_bytes()
    bed.lock.unlink()
    none = bed.run("lock", bed.app, *bed.asked, "--upgrade", "alpha", status=2).err
    assert "there is no `ociassemble.lock` yet" in none and "`lock APP --upgrade`" in none
    assert not bed.lock.exists()
    bed.lock.write_bytes(before)

    (bed.app / "requirements.txt").unlink()
    text = bed.wheels / "alpha-1.0-py3-none-any.whl"
    digest = Digest.of(text.read_bytes()).hex
    (bed.app / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "alpha"\nversion = "1.0"\n'
        f'[[packages.wheels]]\nname = "{text.name}"\nurl = "https://mirror.example/{text.name}"\n'
        f'size = {text.stat().st_size}\nhashes = {{sha256 = "{digest}"}}\n'
    )
    bed.run("lock", bed.app, *bed.asked)
    asked = len(bed.log)
    other = bed.run("lock", bed.app, *bed.asked, "--upgrade", "alpha", status=2).err
    assert "`pylock.toml` decides the versions" in other
    assert "base image" not in other and len(bed.log) == asked  # refused before anything is resolved
    assert "`pylock.toml` decides the versions" in bed.run("lock", bed.app, *bed.asked, "--upgrade").err


@pytest.mark.spec("LOCK-21")
@pytest.mark.spec("LOCK-23")
def test_a_fresh_lock_asks_no_resolver_and_no_index_and_reads_no_layer_of_the_base(bed: Bed) -> None:
    """A new runner: what it fetches are documents, and what it must build; the base's layers are not read."""
    bed.run("lock", bed.app, *bed.asked)
    first = bed.run("build", bed.app, *bed.asked, "--locked", "-t", f"{bed.registry.host}/app:1", "--push").out
    layers = json.loads(bed.lock.read_bytes())["platforms"]["linux/amd64"]["base"]["layers"]
    with ScriptedServer() as index:
        # No uv on PATH, no index that answers: the wheels are found by their hash in the folder.
        runner = bed.elsewhere(PATH="/nowhere", UV_INDEX_URL=f"http://{index.host}/simple", UV_NO_INDEX="")
        again = runner("build", bed.app, *bed.asked, "--locked", "-t", f"{bed.registry.host}/app:2", "--push").out
        assert index.requests == []
    assert again.partition("@")[2] == first.partition("@")[2]
    fetched = [line for line in bed.log if "GET" in line and any(item["digest"] in line for item in layers)]
    assert layers and fetched == []

    (bed.app / "more.py").write_text("1\n")
    runner = bed.elsewhere(PATH="/nowhere")
    runner("build", bed.app, *bed.asked, "--locked", "-t", f"{bed.registry.host}/app:3", "--push")
    fetched = [line for line in bed.log if "GET" in line and any(item["digest"] in line for item in layers)]
    assert fetched == []


@pytest.mark.spec("LOCK-19")
def test_without_a_network_it_is_told_how_to_bring_what_is_missing(bed: Bed) -> None:
    bed.run("lock", bed.app, *bed.asked)
    for path in bed.wheels.iterdir():
        path.unlink()
    runner = bed.elsewhere(PATH="/nowhere", UV_INDEX_URL="http://127.0.0.1:1/simple", UV_NO_INDEX="")
    said = runner("build", bed.app, *bed.asked, "--locked", "-o", f"oci:{bed.root}/out", status=6).err
    assert "alpha-1.0-py3-none-any.whl" in said
    assert "`--offline` lists all that is missing, and `ociassemble lock --missing` with `ociassemble bundle" in said


POETRY_LOCK = """# This file is automatically @generated by Poetry 2.3.2 and should not be changed by hand.
[[package]]
name = "alpha"
version = "1.0"
groups = ["main"]
files = [{{file = "alpha-1.0-py3-none-any.whl", hash = "{hash}"}}]
[metadata]
lock-version = "2.1"
python-versions = ">=3.11"
content-hash = "{content}"
"""
UV_LOCK = """version = 1
requires-python = ">=3.11"
[[package]]
name = "alpha"
version = "1.0"
source = {{ registry = "../wheels" }}
wheels = [{{ path = "alpha-1.0-py3-none-any.whl", hash = "{hash}" }}]
[[package]]
name = "shop"
version = "1"
source = {{ virtual = "." }}
dependencies = [{{ name = "alpha" }}]
[package.metadata]
requires-dist = [{{ name = "alpha" }}]
"""


@pytest.mark.spec("LOCK-20", "LOCK-30")
@pytest.mark.parametrize(("name", "text"), [("poetry.lock", POETRY_LOCK), ("uv.lock", UV_LOCK)])
def test_where_the_tools_own_lock_is_stale_its_command_comes_first(bed: Bed, name: str, text: str) -> None:
    asked = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["alpha"]\n'
    (bed.app / "requirements.txt").unlink()
    (bed.app / "pyproject.toml").write_text(asked)
    digest = str(Digest.of((bed.wheels / "alpha-1.0-py3-none-any.whl").read_bytes()))
    (bed.app / name).write_text(text.format(hash=digest, content=content_hash(tomllib.loads(asked))))
    bed.run("lock", bed.app, *bed.asked)
    bed.run("lock", bed.app, *bed.asked, "--check")

    (bed.app / "pyproject.toml").write_text(asked.replace('"alpha"', '"alpha>0"'))

    hint = f"hint: run `{name.removesuffix('.lock')} lock`, then `ociassemble lock` and commit the result"
    for words in (["lock", bed.app, "--check"], ["build", bed.app, "--locked"]):
        done = bed.run(*words, *bed.asked, status=8)
        assert "`pyproject.toml` changed since it was locked" in done.err
        assert f"`{name}` was not made of the pyproject.toml beside it" in done.err
        assert hint in done.err

    (bed.app / "pyproject.toml").write_text(asked + "\n# a remark\n")
    for words in (["lock", bed.app, "--check"], ["build", bed.app, "--locked"]):
        assert "hint: run `ociassemble lock` and commit the result" in bed.run(*words, *bed.asked, status=8).err
