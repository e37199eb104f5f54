"""A start is quick because little is imported: what `--version`, `--help` and a wrong word may load."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

import ociassemble
from ociassemble.cli.verbs import ALIASES, VERBS
from ociassemble.registry.server import serve
from ociassemble.testing import images

# Each of these costs as much as a whole start, or more.
HEAVY = frozenset(
    {"requests", "urllib3", "oras", "cryptography", "zstandard", "rich", "asyncio", "packaging", "elftools", "zlib_ng"}
)
# Nor does a start need these.
NOT_AT_START = HEAVY | {"jsonschema", "http.client", "ssl", "tarfile", "zipfile", "tomllib"}


def loaded(code: str) -> set[str]:
    """The modules in `sys.modules` after `code` ran in a fresh interpreter."""
    # -S: what the environment's own .pth files import is not ours.
    script = f"import sys\nsys.path[:0] = {sys.path!r}\n{code}\nimport json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_command_line_loads_nothing_heavy() -> None:
    found = loaded("import ociassemble.cli") & NOT_AT_START

    assert not found


def test_help_imports_no_verb() -> None:
    modules = loaded("import ociassemble.cli\nassert ociassemble.cli.main(['--help']) == 0")

    assert not modules & NOT_AT_START
    assert not {f"ociassemble.cli.{verb.module}" for verb in VERBS.values()} & modules


def test_the_facade_loads_nothing() -> None:
    modules = loaded("import ociassemble")

    assert not modules & (NOT_AT_START | {"click", "ociassemble.cli"})


def test_version_does_not_import_click() -> None:
    modules = loaded("import ociassemble.__main__ as m\nsys.argv = ['ociassemble', '--version']\nm.main()")

    assert "click" not in modules
    assert "ociassemble.cli" not in modules


def test_version() -> None:
    argv = [sys.executable, "-m", "ociassemble", "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)

    assert done.stdout == f"ociassemble {ociassemble.__version__}\n"
    assert done.stderr == ""


def test_the_entry_point() -> None:
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="ociassemble")

    assert entry.value == "ociassemble.__main__:main"
    assert callable(entry.load())


@pytest.mark.parametrize("name", sorted(VERBS))
def test_every_verb_of_the_table_is_there_and_explains_itself(name: str) -> None:
    argv = [sys.executable, "-m", "ociassemble", name, "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: ociassemble {name} ")
    assert VERBS[name].help.endswith(".")
    assert len(VERBS[name].help) <= 70


@pytest.mark.parametrize("name", sorted(VERBS))
def test_no_verb_loads_something_heavy_before_it_works(name: str) -> None:
    verb = VERBS[name]
    found = loaded(f"import ociassemble.cli.{verb.module}") & HEAVY

    assert not found


def test_an_alias_is_no_verb_of_its_own() -> None:
    assert not set(ALIASES) & set(VERBS)


def built(folder: Path) -> set[str]:
    """The modules of a process that built `folder`/app, a Node application, into the store."""
    argv = ["build", f"{folder}/app", "-b", f"oci:{folder}/base:v1", "--platform", "linux/amd64", "-t", "localhost/a:1"]
    argv += ["--cache-dir", f"{folder}/cache", "-q"]
    return loaded(f"import ociassemble.cli\nassert ociassemble.cli.main({argv!r}) == 0")


def node_base() -> images.Image:
    """A base with Node."""
    files: images.Entries = {"etc/os-release": 'ID="debian"\n', "nodejs/bin/node": images.program()}
    execution = {"Entrypoint": ["/nodejs/bin/node"], "User": "65532", "Env": ["NODE_VERSION=24.11.1"]}
    return images.image([images.layer(files)], platform="linux/amd64", execution=execution)


@pytest.fixture
def built_before(tmp_path: Path) -> Path:
    """A folder with a Node application that was built a moment ago."""
    images.lay_out(node_base(), tmp_path / "base", "v1")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "package.json").write_text('{"name": "a", "scripts": {"start": "node app.js"}}')
    (tmp_path / "app" / "app.js").write_text("// one\n")
    built(tmp_path)
    return tmp_path


# What a build of a Node application into the store has no use for once its packages and its base are there.
UNUSED = (
    "ociassemble.base.debian",
    "ociassemble.kinds.binary.find",
    "ociassemble.kinds.binary.kind",
    "ociassemble.kinds.python.kind",
    "ociassemble.runtime",
    "ociassemble.sources",
)


def test_a_build_loads_one_kind_and_nothing_that_asks_servers(built_before: Path) -> None:
    (built_before / "app" / "app.js").write_text("// two\n")

    modules = built(built_before)

    assert "ociassemble.kinds.node.kind" in modules
    assert not [name for name in sorted(modules) if name.startswith(UNUSED)]
    assert not modules & (HEAVY - {"zlib_ng"}) | modules & {"tomllib", "importlib.metadata"}


def test_a_build_that_changes_nothing_reads_what_it_knows(built_before: Path) -> None:
    modules = built(built_before)

    proofs = {"ociassemble.audit", "ociassemble.audit.prove", "ociassemble.audit.verdict"}
    assert {name for name in modules if name.startswith("ociassemble.audit")} == proofs
    assert not modules & {"ociassemble.image.contents", "ociassemble.image.sample"}
    assert "ociassemble.formats.elf" not in modules


# ------------------------------------------------------------------------------------------------ a warm push, counted

# Each of our modules costs a start a third of a millisecond, a dataclass a whole one.
MODULES, DATACLASSES = 105, 20


@pytest.mark.spec("WARM-1")
def test_a_push_that_changes_nothing_loads_little(built_before: Path) -> None:
    server = serve("127.0.0.1", 0, built_before / "registry")
    try:
        images.push(node_base(), f"{server.host}/base:v1")
        argv = ["build", f"{built_before}/app", "-b", f"{server.host}/base:v1", "--platform", "linux/amd64"]
        argv += ["-t", f"{server.host}/app:v1", "--push", "--cache-dir", f"{built_before}/cache"]
        said = subprocess.run([sys.executable, "-m", "ociassemble", *argv], capture_output=True, text=True, check=True)
        code = f"""
import ociassemble.cli, sys
assert ociassemble.cli.main({argv!r}) == 0
ours = [module for name, module in sys.modules.items() if name.split(".")[0] == "ociassemble"]
classes = {{value for module in ours for value in vars(module).values() if isinstance(value, type)}}
for found in classes:
    if "__dataclass_fields__" in vars(found) and found.__module__.startswith("ociassemble"):
        sys.modules[f"dataclass {{found.__module__}}.{{found.__qualname__}}"] = sys
"""
        modules = loaded(code)
    finally:
        server.shutdown()
    ours = {name for name in modules if name.split(".")[0] == "ociassemble"}
    classes = {name for name in modules if name.startswith("dataclass ")}

    assert said.stdout.startswith(f"{server.host}/app@sha256:")
    assert not ours & {"ociassemble.build", "ociassemble.session.steps", "ociassemble.layer.build"}, "the whole walk"
    assert len(ours) <= MODULES, sorted(ours)
    assert len(classes) <= DATACLASSES, sorted(classes)
    assert not modules & (HEAVY - {"requests", "urllib3", "zlib_ng"})
