"""Verdicts on Python starts held against reality, with the interpreter that runs these tests as the base's."""

from __future__ import annotations

import shutil
import struct
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ociassemble.testing.images import Content, File, layer, program
from tests.audit.started import Compiler, Containers, Image
from tests.audit.test_pairs import HELLO, VALUE, Pair, cmd
from tests.interop import small_bases
from tests.interop.containers import usable

pytestmark = pytest.mark.interop

MINOR = f"3.{sys.version_info.minor}"
PYTHON = f"/usr/local/bin/python{MINOR}"
SITE = f"usr/local/lib/python{MINOR}/site-packages"
RUN = "print('started')\n"
OPENS = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print('started')"
READY = "import time\nprint('ready', flush=True)\nwhile True: time.sleep(0.1)\n"
HANDLES = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"


def python(*words: str, **more: Any) -> dict[str, Any]:
    return cmd(PYTHON, *words, **{"folder": "/app", **more})


PAIRS = (
    Pair("script", "script-missing", python("none.py"), python("main.py")),
    Pair("script, by the working directory", "script-missing", python("main.py", folder="/"), python("main.py")),
    Pair("script, after options", "script-missing", python("-u", "-X", "dev", "-W", "error", "none.py"),
         python("-uB", "-Xdev", "-W", "error", "main.py")),
    Pair("script unreadable", "script-missing", python("secret.py"), python("secret.py", user="0")),
    Pair("folder", "script-missing", python("package"), python("runnable")),
    Pair("module", "module-missing", python("-m", "none"), python("-m", "main")),
    Pair("module of a package", "module-missing", python("-m", "package.none"), python("-m", "package.inner")),
    Pair("package", "module-missing", python("-m", "package"), python("-m", "runnable")),
    Pair("namespace", "module-missing", python("-m", "space.none"), python("-m", "space.inner")),
    Pair("module of the site directory", "module-missing", python("-S", "-m", "installed"), python("-m", "installed")),
    Pair("isolated", "module-missing", python("-I", "-m", "main"), python("-I", "-m", "installed")),
    Pair("safe path", "module-missing", python("-m", "main", env=["PYTHONSAFEPATH=1"]),
         python("-m", "main", env=["PYTHONSAFEPATH="])),
    Pair("PYTHONPATH", "module-missing", python("-m", "elsewhere"),
         python("-m", "elsewhere", env=["PYTHONPATH=/x:/srv/more"])),
    Pair("PYTHONPATH, ignored", "module-missing", python("-E", "-m", "elsewhere", env=["PYTHONPATH=/srv/more"]),
         python("-m", "elsewhere", env=["PYTHONPATH=/srv/more"])),
    Pair("path file", "module-missing", python("-S", "-m", "pathed"), python("-m", "pathed")),
    Pair("standard library", "module-missing", python("-m", "jsonn.tool"), python("-m", "json.tool", "/app/ok.json")),
    Pair("imports of a text", "module-missing", python("-c", "import sys, os.path; from none import main; main()"),
         python("-c", "import sys, os.path, time; from runnable.code import main; sys.exit(main())")),
    Pair("virtual environment", "module-missing", python("-m", "invenv"),
         cmd("/venv/bin/python", "-m", "invenv", folder="/app")),
    Pair("virtual environment, and nothing else", "module-missing",
         cmd("/venv/bin/python", "-m", "installed", folder="/app"), python("-m", "installed")),
    Pair("script with #!", "interpreter-missing", cmd("/app/lost"), cmd("/app/found")),
)  # fmt: skip


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    usable()
    base = small_bases.of_this_host()
    gcc = Compiler(tmp_path_factory.mktemp("compiled") / "c")
    gcc("libvalue.so", VALUE, "-shared", "-fPIC", "-Wl,-soname,libvalue-of-a-wheel.so")
    gcc("libmusl.so", VALUE, "-shared", "-fPIC", "-Wl,-soname,libc.musl-x86_64.so.1")
    gcc("libhere.so", VALUE, "-shared", "-fPIC", "-Wl,-soname,libhere.so")
    needy = ("-shared", "-fPIC", "-L.", "-Wl,--no-as-needed")
    whole = gcc("whole.so", VALUE, *needy, "-lhere", "-Wl,-rpath,$ORIGIN/../whole.libs")
    (gcc.folder / "versions").write_text("ONE { global: value; };\n")
    named = ("-shared", "-fPIC", "-Wl,-soname,libversions.so")
    gcc("libversions.so", VALUE, *named, "-Wl,--version-script=versions")
    calls = "int value(void);\nint other(void) { return value(); }\n"
    wanting = gcc("wanting.so", calls, "-shared", "-fPIC", "-L.", "-lversions", "-Wl,-rpath,$ORIGIN")
    (gcc.folder / "versions").write_text("TWO { global: value; };\n")
    other = gcc("libversions.so", VALUE, *named, "-Wl,--version-script=versions")
    files: dict[str, Content] = {
        "app/main.py": RUN,
        "app/ready.py": READY,
        "app/secret.py": File(RUN, 0o600),
        "app/package/__init__.py": "",
        "app/package/inner.py": RUN,
        "app/space/inner.py": RUN,
        "app/runnable/__main__.py": RUN,
        "app/runnable/__init__.py": "",
        "app/runnable/code.py": f"def main():\n    {RUN}",
        "app/ok.json": '"started"\n',
        "app/lost": program(f"#!/usr/bin/python{MINOR}\n{RUN}"),
        "app/found": program(f"#!{PYTHON} -I\n{RUN}"),
        "srv/more/elsewhere.py": RUN,
        "srv/pathed/pathed.py": RUN,
        f"{SITE}/installed/__init__.py": "",
        f"{SITE}/installed/__main__.py": RUN,
        f"{SITE}/some.pth": "# a comment\n/srv/pathed\n",
        "venv/pyvenv.cfg": f"home = /usr/local/bin\ninclude-system-site-packages = false\nversion = {MINOR}\n",
        "venv/bin/python": small_bases.Link(PYTHON),
        f"venv/lib/python{MINOR}/site-packages/invenv.py": RUN,
        f"{SITE}/lone/lone.so": gcc("lone.so", VALUE, *needy, "-lvalue"),
        f"{SITE}/whole/whole.so": whole,
        f"{SITE}/whole.libs/libhere.so": (gcc.folder / "libhere.so").read_bytes(),
        f"{SITE}/preloaded/preloaded.so": gcc("preloaded.so", VALUE, *needy, "-lhere"),
        f"{SITE}/wanting/wanting.so": wanting,
        f"{SITE}/wanting/libversions.so": other,
        f"{SITE}/alien/alien.so": gcc("alien.so", VALUE, *needy, "-lmusl"),
        f"{SITE}/foreign/foreign.so": whole[:18] + struct.pack("<H", 21) + whole[20:],
        f"{SITE}/several/prebuilds/linux-ppc64/x.node": whole[:18] + struct.pack("<H", 21) + whole[20:],
        f"{SITE}/several/of.cpython-36m-x86_64-linux-gnu.so": whole,
        f"{SITE}/several/of.abi3.so": whole,
        f"{SITE}/older/old.cpython-36m-x86_64-linux-gnu.so": whole,
        f"{SITE}/programs/tool": program(gcc("tool", HELLO, "-Wl,--dynamic-linker=/none/ld.so")),
        f"{SITE}/programs/fine": program(gcc("fine", HELLO)),
    }
    return Image([*base.layers, layer(files)], len(base.layers), f"linux/{base.platform.architecture}")


@pytest.fixture(scope="module")
def containers(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    folder = tmp_path_factory.mktemp("started")
    yield Containers(image, folder / "all")
    shutil.rmtree(folder)


@pytest.mark.spec("PROVE-15")
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_verdict_and_reality(pair: Pair, image: Image, containers: Containers) -> None:
    refused = [item for item in image.findings(pair.broken) if item.severity == "error"]
    assert [item.code for item in refused] == [f"prove.{pair.code}"], refused
    really = containers.start(pair.broken)
    assert really.status != 0, f"started after all: {refused}"
    assert "started" not in really.output

    assert [item for item in image.findings(pair.twin) if item.severity == "error"] == []
    really = containers.start(pair.twin)
    assert really.status == 0, really
    assert "started" in really.output


# Of a package, the finding about a file of it, and whether that file can be opened in reality.
LIBRARIES = (
    ("lone", "library-missing", "libvalue-of-a-wheel.so", "lone/lone.so"),
    ("wanting", "version-missing", "ONE of `libversions.so`", "wanting/wanting.so"),
    ("alien", "libc", "built for musl", "alien/alien.so"),
    ("foreign", "platform", "for ppc64le", "foreign/foreign.so"),
    ("older", "python", "for Python 3.6,", ""),
    ("programs", "loader-missing", "`/none/ld.so`", ""),
    ("whole", "", "", "whole/whole.so"),
    ("several", "", "", "several/of.abi3.so"),
)


@pytest.mark.spec("PROVE-19")
@pytest.mark.parametrize(("package", "code", "text", "file"), LIBRARIES, ids=[item[0] for item in LIBRARIES])
def test_libraries(package: str, code: str, text: str, file: str, image: Image, containers: Containers) -> None:
    """Warnings, as nobody knows whether they are ever opened; opening them says whether they are right."""
    findings = image.findings(python("main.py"))
    about = [item for item in findings if item.message.startswith(f"of {package}: ")]

    assert [(item.code, item.severity) for item in about] == ([(f"prove.{code}", "warning")] if code else [])
    assert all(text in item.message for item in about)
    if file:
        really = containers.start(python("-c", OPENS, f"/{SITE}/{file}"))
        assert ("started" in really.output) == (not code), really


@pytest.mark.spec("PROVE-19")
def test_a_library_that_is_opened_beforehand_is_no_finding(image: Image, containers: Containers) -> None:
    first = "import ctypes, sys; ctypes.CDLL(sys.argv[2]); "
    alone = python("-c", OPENS, f"/{SITE}/preloaded/preloaded.so")
    after = python("-c", first + OPENS, f"/{SITE}/preloaded/preloaded.so", f"/{SITE}/whole.libs/libhere.so")

    assert not [item for item in image.findings(after) if item.message.startswith("of preloaded: ")]
    assert "cannot open shared object" in containers.start(alone).output
    assert "started" in containers.start(after).output


@pytest.mark.spec("PROVE-18")
@pytest.mark.parametrize(
    ("config", "signal", "noted"),
    [
        (python("ready.py"), "TERM", True),
        (python("-c", HANDLES + READY), "TERM", False),
        ({**python("ready.py"), "StopSignal": "SIGINT"}, "INT", False),
        ({**python("ready.py"), "StopSignal": "SIGKILL"}, "KILL", False),
    ],
    ids=["main.py", "a handler", "SIGINT is Python's own", "SIGKILL is nobody's"],
)
def test_who_ends_when_told(
    config: dict[str, Any], signal: str, noted: bool, image: Image, containers: Containers
) -> None:
    notes = [item for item in image.findings(config) if item.code == "prove.signals"]

    assert [item.severity for item in notes] == (["info"] if noted else [])
    assert containers.ends_on(signal, config) is not noted
