"""What a lock vouches for is not read, and the answer is the same as if it had been (LOCK-23)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, BinaryIO

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.audit import locked, verdict
from ociassemble.audit.prove import Finding, prove
from ociassemble.audit.table import Table
from ociassemble.content.memory import MemoryStore
from ociassemble.image.contents import Contents, read_contents
from ociassemble.image.image import Image, Layer
from ociassemble.oci.platform import Platform
from ociassemble.plan.locked import Verdict
from ociassemble.plan.started import Started
from ociassemble.testing.images import Content, File, Link, image, layer, program
from tests.debian_archive import elf
from tests.plan.lock_examples import SCHEMA

AMD64 = Platform.parse("linux/amd64")
STATIC = elf(kind=2)
SITE = "usr/local/lib/python3.13/dist-packages"
BASE: dict[str, Content] = {
    "etc/passwd": "root:x:0:0::/:\nnonroot:x:65532:65532::/home/nonroot:\n",
    "usr/bin/python3.13": program(STATIC),
    "usr/bin/python3": Link("python3.13"),
    "nodejs/bin/node": program(STATIC),
    "usr/lib/python3.13/os.py": "",
    "usr/lib/python3.13/json/__init__.py": "",
    "usr/lib/python3.13/json/__main__.py": "",
    "var/lib/dpkg/status.d/libc6": "Package: libc6\n",
}
WHEELS: dict[str, Content] = {
    f"{SITE}/gunicorn/__init__.py": "",
    f"{SITE}/gunicorn/__main__.py": "",
    f"{SITE}/single.py": "",
    f"{SITE}/served/app.py": "",
    "usr/local/bin/gunicorn": program("#!/usr/bin/python3.13\nimport gunicorn\n"),
}
MODULES: dict[str, Content] = {
    "app/node_modules/express/index.js": "",
    "app/node_modules/next/bin/next": "",
    "app/x": "",
}
# How applications start, with what has to be theirs, and whether the lock can vouch for it.
STARTS: dict[str, tuple[dict[str, Any], dict[str, Content], dict[str, Content], bool]] = {
    "a script": ({"Cmd": ["/usr/bin/python3.13", "main.py"]}, WHEELS, {"app/main.py": "print()"}, True),
    "a module of ours": ({"Cmd": ["/usr/bin/python3.13", "-m", "shop"]}, WHEELS, {"app/shop.py": "print()"}, True),
    "a server": (
        {"Cmd": ["/usr/bin/python3.13", "-m", "gunicorn", "shop:app"]},
        WHEELS,
        {"app/shop/__init__.py": "app = 1"},
        True,
    ),
    "a server of a dependency": (
        {"Cmd": ["/usr/bin/python3.13", "-m", "gunicorn", "served.app:app"]},
        WHEELS,
        {"app/settings.toml": "x = 1"},
        True,
    ),
    "a console script": ({"Cmd": ["/usr/local/bin/gunicorn", "shop:app"]}, WHEELS, {"app/shop.py": "app = 1"}, True),
    "by PATH": ({"Cmd": ["python3", "main.py"], "Env": ["PATH=/usr/bin"]}, WHEELS, {"app/main.py": "1"}, True),
    "of the standard library": ({"Cmd": ["/usr/bin/python3", "-m", "json"]}, {}, {"app/x": "1"}, True),
    "a text": ({"Cmd": ["/usr/bin/python3", "-c", "import single, shop"]}, WHEELS, {"app/shop.py": "1"}, True),
    "node": ({"Cmd": ["/nodejs/bin/node", "server.js"]}, MODULES, {"app/server.js": "1"}, True),
    "node of a dependency": (
        {"Cmd": ["/nodejs/bin/node", "node_modules/next/bin/next", "start"]},
        MODULES,
        {"app/pages/index.js": "1"},
        True,
    ),
    "a program of ours": ({"Cmd": ["/app/server"], "User": "nonroot"}, {}, {"app/server": program(STATIC)}, True),
    "a script of ours": (
        {"Cmd": ["/app/run"]},
        WHEELS,
        {"app/run": program("#!/usr/bin/python3.13\nprint()\n")},
        False,
    ),
    "by a PATH of ours": (
        {"Cmd": ["python3", "main.py"], "Env": ["PATH=/app/bin:/usr/bin"]},
        WHEELS,
        {"app/main.py": "1"},
        False,
    ),
    "at the root": ({"Cmd": ["/usr/bin/python3", "/main.py"], "WorkingDir": "/"}, WHEELS, {"main.py": "1"}, False),
}


def execution_of(name: str) -> dict[str, Any]:
    return {"User": "65532", "WorkingDir": "/app", **STARTS[name][0]}


def contents(files: Mapping[str, Content]) -> Contents:
    return read_contents(layer(files))


def whole(base: Contents, dependency: Contents, own: Contents) -> Table:
    return Table([base, dependency, own], 1, 1)


class Case:
    """One way of starting, as it was locked."""

    def __init__(self, name: str) -> None:
        _, dependency, own, self.vouched = STARTS[name]
        self.execution = execution_of(name)
        self.base, self.dependency, self.own = contents(BASE), contents(dependency), contents(own)
        self.found = prove(whole(self.base, self.dependency, self.own), self.execution, AMD64)
        self.started = locked.started(whole(self.base, self.dependency, self.own), self.execution, AMD64)
        self.known = [item for item in self.found if item.lasting]

    def fast(self, own: Contents, **changes: Any) -> tuple[Finding, ...] | None:
        assert self.started is not None
        return locked.proved(self.started, [own], self.known, {**self.execution, **changes}, AMD64)

    def slow(self, own: Contents, **changes: Any) -> tuple[Finding, ...]:
        execution = {**self.execution, **changes}
        table = Table([self.base, self.dependency, own], 1, 1, tuple(execution.get("Volumes") or ()))
        return prove(table, execution, AMD64, self.known)


@pytest.fixture(scope="module")
def case() -> Callable[[str], Case]:
    known: dict[str, Case] = {}
    return lambda name: known.setdefault(name, Case(name))


@pytest.mark.spec("LOCK-23")
@pytest.mark.parametrize("name", STARTS)
def test_the_answer_is_that_of_the_whole_proof(name: str, case: Callable[[str], Case]) -> None:
    one = case(name)
    assert not [item for item in one.found if item.severity == "error"], one.found
    assert (one.started is not None) == one.vouched
    if one.started is not None:
        assert one.fast(one.own) == one.slow(one.own) == one.found


@pytest.mark.spec("LOCK-23")
@pytest.mark.parametrize("name", [name for name, item in STARTS.items() if item[3]])
def test_it_survives_the_lock_file(name: str, case: Callable[[str], Case]) -> None:
    told = case(name).started
    assert told is not None
    document = json.loads(json.dumps(told.document()))
    schema = {"$ref": "#/$defs/started", "$defs": SCHEMA.schema["$defs"]}
    jsonschema.Draft202012Validator(schema).validate(document)
    assert Started.read(document, "x") == told
    assert sum(len(item) for item in told.files) < 600


MORE: list[dict[str, Content]] = [
    {"app/gunicorn.py": ""},
    {"app/json/__init__.py": ""},
    {"app/shop.py": "import signal; signal.signal(1, 2)"},
    {"app/shop/other.py": ""},
    {"app/main.py": File(b"print()", 0o600, 7, 7)},
    {"app/main.py": Link("/usr/lib/python3.13/os.py")},
    {"app/main.py": Link("real.py"), "app/real.py": "1"},
    {"app/server.js": Link("server.mjs")},
    {"app/server": program("no program")},
    {"app/server": program(elf(kind=2, machine=183))},
    {"app/native.so": elf("native.so", ["libnone.so"])},
    {"etc/passwd": "root:x:0:0::/:\n"},
    {"usr/bin/python3.13": "damaged"},
    {"app/node_modules/next/bin/next": Link("/nowhere")},
    {"app/node_modules/more/index.js": ""},
    {"app/.wh.x": ""},
    {"app/.wh.node_modules": ""},
    {"opt/y": ""},
    {},
]
CONFIGS: list[dict[str, Any]] = [
    {},
    {"User": "0"},
    {"User": "nobody"},
    {"WorkingDir": "/srv"},
    {"WorkingDir": "/app/"},
    {"StopSignal": "SIGINT"},
    {"Env": ["A=b"]},
    {"Env": ["PATH=/opt/bin"]},
    {"Env": ["PYTHONPATH=/app/lib"]},
    {"Env": ["PYTHONHOME=/x"]},
    {"Env": ["PYTHONSAFEPATH=1"]},
    {"Env": ["LD_LIBRARY_PATH=/app"]},
    {"Volumes": {"/app": {}}},
]


@pytest.mark.spec("LOCK-23")
@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from([name for name, item in STARTS.items() if item[3]]),
    more=st.lists(st.sampled_from(MORE), max_size=2),
    less=st.booleans(),
    changes=st.sampled_from(CONFIGS),
)
def test_nothing_else_is_ever_said(
    name: str, more: list[dict[str, Content]], less: bool, changes: dict[str, Any], case: Callable[[str], Case]
) -> None:
    """Other files and another config: either the whole proof is asked for, or it would say the same."""
    files: dict[str, Content] = {} if less else dict(STARTS[name][2])
    for one in more:
        files |= one
    own = contents(files)
    found = case(name).fast(own, **changes)

    assert found is None or found == case(name).slow(own, **changes)


@pytest.mark.spec("LOCK-23")
@pytest.mark.parametrize("changes", [{}, {"Env": ["LOG_LEVEL=debug"]}, {"StopSignal": "SIGINT"}])
def test_what_changes_every_day_needs_no_other_layer(changes: dict[str, Any], case: Callable[[str], Case]) -> None:
    for name, item in STARTS.items():
        if item[3] and "PATH" not in str(item[0]):
            assert (
                case(name).fast(contents({**item[2], "app/more.py": "2", "app/data/x.json": "{}"}), **changes)
                is not None
            )


@pytest.mark.spec("LOCK-23")
def test_no_blob_of_base_and_dependencies_is_opened() -> None:
    """Through the door that a build takes, with a store that has nothing."""

    def shut(one: Layer) -> Layer:
        def source() -> BinaryIO:
            raise AssertionError("opened")

        return replace(one, blob=replace(one.blob, source=source))

    execution = execution_of("a server")
    base = image([layer(BASE)])
    dependency, own, other = layer(WHEELS), layer({"app/shop.py": "a = 1"}), layer({"app/other.py": "a = 1"})
    told = verdict.started(base, [dependency, own], execution, MemoryStore(), 1, dependencies=1)
    said = Verdict(base.digest, (dependency.diff_id,), tuple(execution["Cmd"]), (), told)
    closed: Image = replace(base, layers=tuple(map(shut, base.layers)))

    def proved(mine: Layer, locked: Verdict | None) -> tuple[Finding, ...]:
        layers = [shut(dependency), mine]
        return verdict.proved(closed, layers, execution, MemoryStore(), True, 1, dependencies=1, locked=locked)

    assert proved(own, said) == verdict.proved(
        base, [dependency, own], execution, MemoryStore(), True, 1, dependencies=1
    )
    for mine, one in ((own, None), (own, said._replace(started=None)), (other, said)):
        with pytest.raises(AssertionError, match="opened"):
            proved(mine, one)
