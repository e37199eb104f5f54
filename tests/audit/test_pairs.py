"""Verdicts held against reality: each start command that must be refused has a twin that must pass.

Everything is one image: programs compiled here, and the configs of the pairs. `prove` says from the layers what runc
then shows: the broken ones do not start, their twins do.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ociassemble.formats import ldcache
from ociassemble.testing.images import Content, File, Folder, Link, layer, program
from tests.audit.started import Compiler, Containers, Image
from tests.interop.containers import usable

pytestmark = pytest.mark.interop

HELLO = '#include <stdio.h>\nint main(void) { puts("started"); return 0; }\n'
CALLS = '#include <stdio.h>\nint value(void);\nint main(void) { puts(value() ? "started" : "no"); return 0; }\n'
VALUE = "int value(void) { return 1; }\n"
INNER = "int inner(void) { return 1; }\n"
OUTER = "int inner(void);\nint value(void) { return inner(); }\n"
LOADER = "lib64/ld-linux-x86-64.so.2"
LIBC = "lib/x86_64-linux-gnu/libc.so.6"
PASSWD = "root:x:0:0::/root:/x\nworker:x:1001:1001::/:/x\nother:x:1002:1002::/:/x\n"
GROUP = "root:x:0:\nteam:x:1234:worker\n"


class Pair(NamedTuple):
    """A config that must be refused with the finding `code`, and the twin that must pass."""

    name: str
    code: str
    broken: Mapping[str, Any]
    twin: Mapping[str, Any]


def cmd(*words: str, **more: Any) -> dict[str, Any]:
    """A config; `user`, `folder` and `env` as in the image spec."""
    names = {"user": "User", "folder": "WorkingDir", "env": "Env"}
    return {"Cmd": list(words), "User": "65532", **{names[name]: value for name, value in more.items()}}


PAIRS = (
    Pair("no file", "program-missing", cmd("/c/none"), cmd("/c/static")),
    Pair("no execute bit", "not-executable", cmd("/c/plain"), cmd("/c/static")),
    Pair("another's", "not-executable", cmd("/c/roots"), cmd("/c/own")),
    Pair("root may", "not-executable", cmd("/c/own", user="1"), cmd("/c/own", user="0")),
    Pair("root needs a bit", "not-executable", cmd("/c/plain", user="0"), cmd("/c/roots", user="0")),
    Pair("group by number", "not-executable", cmd("/c/team"), cmd("/c/team", user="65532:1234")),
    Pair("group by membership", "not-executable", cmd("/c/team", user="other"), cmd("/c/team", user="worker")),
    Pair("a group stated is the only one", "not-executable", cmd("/c/team", user="worker:1"),
         cmd("/c/team", user="worker:team")),
    Pair("membership of a number", "not-executable", cmd("/c/team", user="1002"), cmd("/c/team", user="1001")),
    Pair("no such user", "user", cmd("/c/static", user="nobody"), cmd("/c/static", user="worker")),
    Pair("no such group", "user", cmd("/c/static", user="worker:none"), cmd("/c/static", user="worker:team")),
    Pair("closed folder", "folder-closed", cmd("/c/closed/static"), cmd("/c/open/static")),
    Pair("closed folder behind a link", "folder-closed", cmd("/c/into-closed"), cmd("/c/into-open")),
    Pair("PATH", "program-missing", cmd("static", env=["PATH=/usr/bin:/bin"]), cmd("static", env=["PATH=/bin:/c"])),
    Pair("PATH passes over", "not-executable", cmd("plain", env=["PATH=/c"]), cmd("plain", env=["PATH=/c:/c/open"])),
    Pair("relative", "program-missing", cmd("./static"), cmd("./static", folder="/c")),
    Pair("dots", "program-missing", cmd("/c/open/../../static"), cmd("/c/open/../../c/static")),
    Pair("dangling link", "program-missing", cmd("/c/dangling"), cmd("/c/linked")),
    Pair("links in a circle", "program-missing", cmd("/c/circle"), cmd("/c/chain")),
    Pair("below a file", "program-missing", cmd("/c/static/x"), cmd("/usrmerged/static")),
    Pair("a folder", "not-executable", cmd("/c/open"), cmd("/c/open/static")),
    Pair("relative, below a closed folder", "folder-closed", cmd("/c/closed/in/static", folder="/c/closed/in"),
         cmd("./static", folder="/c/closed/in")),
    Pair("relative, in a closed folder", "folder-closed", cmd("./static", folder="/c/closed"),
         cmd("/c/static", folder="/c/closed")),
    Pair("working directory is a file", "workdir", cmd("/c/static", folder="/c/plain"),
         cmd("/c/static", folder="/c/not-there-yet")),
    Pair("no #!", "format", cmd("/c/no-line"), cmd("/c/script")),
    Pair("empty", "format", cmd("/c/empty"), cmd("/c/script")),
    Pair("#! without an interpreter", "format", cmd("/c/nameless"), cmd("/c/spaced")),
    Pair("interpreter missing", "interpreter-missing", cmd("/c/sh-script"), cmd("/c/script")),
    Pair("interpreter not executable", "not-executable", cmd("/c/by-plain"), cmd("/c/script")),
    Pair("CRLF", "carriage-return", cmd("/c/crlf"), cmd("/c/script")),
    Pair("CRLF after an argument is the argument's", "carriage-return", cmd("/c/crlf"), cmd("/c/crlf-argument")),
    Pair("script of a script", "interpreter-missing", cmd("/c/second-missing"), cmd("/c/second")),
    Pair("#! too long", "format", cmd("/c/long-line"), cmd("/c/script")),
    Pair("env is missing", "interpreter-missing", cmd("/c/usr-bin-env"), cmd("/c/with-env", env=["PATH=/c"])),
    Pair("env finds nothing", "interpreter-missing", cmd("/c/with-env", env=["PATH=/bin"]),
         cmd("/c/with-env", env=["PATH=/c"])),
    Pair("sh -c without a shell", "program-missing", cmd("sh", "-c", "echo started"),
         cmd("sh", "-c", "echo started", env=["PATH=/c/shell"])),
    Pair("loader missing", "loader-missing", cmd("/c/no-loader"), cmd("/c/dynamic")),
    Pair("static needs none", "loader-missing", cmd("/c/no-loader"), cmd("/c/static")),
    Pair("static-pie needs none", "loader-missing", cmd("/c/no-loader"), cmd("/c/static-pie")),
    Pair("loader not executable", "not-executable", cmd("/c/plain-loader"), cmd("/c/dynamic")),
    Pair("musl", "loader-missing", cmd("/c/musl-missing"), cmd("/c/musl")),
    Pair("musl, static", "loader-missing", cmd("/c/musl-missing"), cmd("/c/musl-static")),
    Pair("musl's libraries", "library-missing", cmd("/c/musl-calls"),
         cmd("/c/musl-calls", env=["LD_LIBRARY_PATH=/c/musl-lib"])),
    Pair("another machine", "platform", cmd("/c/arm64"), cmd("/c/static")),
    Pair("an object file", "format", cmd("/c/object"), cmd("/c/static")),
    Pair("a library as a program", "format", cmd("/c/library"), cmd("/c/dynamic")),
    Pair("cut off", "format", cmd("/c/cut"), cmd("/c/static")),
    Pair("library missing", "library-missing", cmd("/c/calls"), cmd("/c/calls-origin")),
    Pair("LD_LIBRARY_PATH", "library-missing", cmd("/c/calls"), cmd("/c/calls", env=["LD_LIBRARY_PATH=/x:/c/lib"])),
    Pair("LD_LIBRARY_PATH, relative", "library-missing", cmd("/c/calls", env=["LD_LIBRARY_PATH=lib"]),
         cmd("/c/calls", env=["LD_LIBRARY_PATH=lib"], folder="/c")),
    Pair("RUNPATH is not for others' needs", "library-missing", cmd("/c/deep-runpath"), cmd("/c/deep-rpath")),
    Pair("the loader's cache", "library-missing", cmd("/c/uncached"), cmd("/c/cached")),
    Pair("a library unreadable", "library-missing", cmd("/c/calls", env=["LD_LIBRARY_PATH=/c/unreadable"]),
         cmd("/c/calls", env=["LD_LIBRARY_PATH=/c/unreadable"], user="0")),
    Pair("a library for another machine", "library-missing", cmd("/c/calls", env=["LD_LIBRARY_PATH=/c/foreign"]),
         cmd("/c/calls", env=["LD_LIBRARY_PATH=/c/foreign:/c/lib"])),
    Pair("a library by its path", "library-missing", cmd("/c/by-path-missing"), cmd("/c/by-path")),
    Pair("a version that is not there", "version-missing", cmd("/c/versions", env=["LD_LIBRARY_PATH=/c/old"]),
         cmd("/c/versions", env=["LD_LIBRARY_PATH=/c/new"])),
    Pair("a version of the C library", "version-missing", cmd("/c/newer-libc"), cmd("/c/dynamic")),
    Pair("no versions at all", "version-missing", cmd("/c/versions", env=["LD_LIBRARY_PATH=/c/old"]),
         cmd("/c/versions", env=["LD_LIBRARY_PATH=/c/unversioned"])),
)  # fmt: skip


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    usable()
    return Image(_layers(Compiler(tmp_path_factory.mktemp("compiled") / "c")), 1)


@pytest.fixture(scope="module")
def containers(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    folder = tmp_path_factory.mktemp("started")
    yield Containers(image, folder / "all")
    shutil.rmtree(folder)


def _layers(gcc: Compiler) -> list[Any]:
    library = gcc("lib/libvalue.so", VALUE, "-shared", "-fPIC", "-Wl,-soname,libvalue.so")
    static = gcc("static", HELLO, "-static")
    dynamic = gcc("dynamic", HELLO)
    files = {
        **_accounts(static),
        **_scripts(),
        **_libraries(gcc, library, dynamic),
        **_musl(gcc),
        "c/static": program(static),
        "c/static-pie": program(gcc("static-pie", HELLO, "-static-pie", "-fPIE")),
        "c/dynamic": program(dynamic),
        "c/arm64": program(static[:18] + struct.pack("<H", 183) + static[20:]),
        "c/object": program(gcc("object", HELLO, "-c")),
        "c/library": program(library),
        "c/cut": program(static[: len(static) // 3]),
        "c/no-loader": program(gcc("no-loader", HELLO, "-Wl,--dynamic-linker=/none/ld.so")),
        "c/plain-loader": program(gcc("plain-loader", HELLO, "-Wl,--dynamic-linker=/c/plain-ld.so")),
        "c/plain-ld.so": File(Path("/", LOADER).read_bytes(), 0o644),
    }
    flags = ldcache.FLAGS["amd64"]
    cache = ldcache.encode([ldcache.Library("libcached.so", "/opt/cached/libcached.so", flags)])
    base: dict[str, Content] = {
        "etc/passwd": PASSWD,
        "etc/group": GROUP,
        "etc/ld.so.cache": cache,
        "lib": Link("usr/lib"),
        "lib64": Link("usr/lib64"),
        f"usr/{LIBC}": program(Path("/", LIBC).read_bytes()),
        f"usr/{LOADER}": program(Path("/", LOADER).read_bytes()),
        "usr/bin": Folder(),
        "c/busybox": program(Path(_busybox()).read_bytes()),
        "c/shell/sh": Link("../busybox"),
        "c/env": Link("busybox"),
    }
    return [layer(base), layer(files)]


def _busybox() -> str:
    from tests.peers import require

    return require("busybox").path


def _accounts(static: bytes) -> dict[str, Content]:
    return {
        "c/plain": File(static, 0o644),
        "c/roots": File(static, 0o700),
        "c/own": File(static, 0o700, 65532, 65532),
        "c/team": File(static, 0o750, 0, 1234),
        "c/closed": Folder(0o700),
        "c/closed/static": program(static),
        "c/closed/in/static": program(static),
        "c/open": Folder(0o711),
        "c/open/static": program(static),
        "c/open/plain": program(static),
        "c/into-closed": Link("closed/static"),
        "c/into-open": Link("/c/open/static"),
        "c/dangling": Link("nowhere"),
        "c/linked": Link("../c/./open//static"),
        "c/circle": Link("circle"),
        "c/chain": Link("linked"),
        "usrmerged": Link("c"),
    }


def _scripts() -> dict[str, Content]:
    run = "echo started\n"
    texts = {
        "no-line": run,
        "script": f"#!/c/busybox sh\n{run}",
        "spaced": f"#! \t /c/busybox  sh \n{run}",
        "nameless": f"#! \n{run}",
        "sh-script": f"#!/bin/sh\n{run}",
        "by-plain": f"#!/c/plain\n{run}",
        "crlf": "#!/c/shell/sh\r\necho started\r\n",
        # The carriage return is part of the argument; busybox would not know the applet `sh\r`.
        "crlf-argument": "#!/c/echo started\r\n",
        "second": "#!/c/printing\n",
        "printing": "#!/c/busybox cat\nstarted\n",
        "second-missing": "#!/c/sh-script\n",
        "long-line": f"#!/c/{'x' * 300}\n{run}",
        "usr-bin-env": f"#!/usr/bin/env busybox\n{run}",
        "with-env": "#!/c/env printing\n",
        "empty": "",
    }
    return {**{f"c/{name}": program(text) for name, text in texts.items()}, "c/echo": Link("busybox")}


def _libraries(gcc: Compiler, library: bytes, dynamic: bytes) -> dict[str, Content]:
    find = ("-Llib", "-lvalue")
    gcc("deep/libinner.so", INNER, "-shared", "-fPIC")
    outer = gcc("deep/libouter.so", OUTER, "-shared", "-fPIC", "-Ldeep", "-linner")
    deep = ("-Ldeep", "-louter", "-Wl,-rpath-link,deep", "-Wl,-rpath,$ORIGIN/deep")
    cached = ("-Lcached", "-lcached")
    gcc("cached/libcached.so", VALUE, "-shared", "-fPIC", "-Wl,-soname,libcached.so")
    gcc("cached/libuncached.so", VALUE, "-shared", "-fPIC", "-Wl,-soname,libuncached.so")
    versions = gcc.folder / "versions"
    versions.write_text("ONE { global: value; };\nTWO { global: newer; } ONE;\n")
    both = "int value(void) { return 1; }\nint newer(void) { return 1; }\n"
    named = ("-shared", "-fPIC", "-Wl,-soname,libversions.so")
    new = gcc("new/libversions.so", both, *named, f"-Wl,--version-script={versions}")
    versions.write_text("ONE { global: value; newer; };\n")
    old = gcc("old/libversions.so", both, *named, f"-Wl,--version-script={versions}")
    # It needs versions itself, so that it has a table of them, with none of its own.
    talks = both.replace("{ return 1; }", '{ puts(""); return 1; }', 1)
    unversioned = gcc("un/libversions.so", talks, *named)
    gcc("pathed.so", VALUE, "-shared", "-fPIC", "-Wl,-soname,/c/pathed.so")
    gcc("unpathed.so", VALUE, "-shared", "-fPIC", "-Wl,-soname,/c/unpathed.so")
    return {
        "c/calls": program(gcc("calls", CALLS, *find)),
        "c/calls-origin": program(gcc("calls-origin", CALLS, *find, "-Wl,-rpath,$ORIGIN/lib")),
        "c/lib/libvalue.so": library,
        "c/unreadable/libvalue.so": File(library, 0o600),
        "c/foreign/libvalue.so": library[:18] + struct.pack("<H", 183) + library[20:],
        "c/deep-runpath": program(gcc("deep-runpath", CALLS, *deep, "-Wl,--enable-new-dtags")),
        "c/deep-rpath": program(gcc("deep-rpath", CALLS, *deep, "-Wl,--disable-new-dtags")),
        "c/deep/libouter.so": outer,
        "c/deep/libinner.so": (gcc.folder / "deep/libinner.so").read_bytes(),
        "c/cached": program(gcc("cached-program", CALLS, *cached)),
        "c/uncached": program(gcc("uncached-program", CALLS, "-Lcached", "-luncached")),
        "opt/cached/libcached.so": (gcc.folder / "cached/libcached.so").read_bytes(),
        "opt/cached/libuncached.so": (gcc.folder / "cached/libuncached.so").read_bytes(),
        "c/versions": program(gcc("versions-program", CALLS.replace("value", "newer"), "-Lnew", "-lversions")),
        "c/new/libversions.so": new,
        "c/old/libversions.so": old,
        "c/unversioned/libversions.so": unversioned,
        "c/newer-libc": program(dynamic.replace(b"GLIBC_2.34\0", b"GLIBC_2.99\0")),
        "c/by-path": program(gcc("by-path", CALLS, "pathed.so")),
        "c/by-path-missing": program(gcc("by-path-missing", CALLS, "unpathed.so")),
        "c/pathed.so": (gcc.folder / "pathed.so").read_bytes(),
    }


def _musl(gcc: Compiler) -> dict[str, Content]:
    own = ("-Wl,--dynamic-linker=/c/ld-musl-x86_64.so.1",)
    library = gcc("musl-lib/libvalue.so", VALUE, "-shared", "-fPIC", compiler="musl-gcc")
    loader = Path("/lib/ld-musl-x86_64.so.1")
    return {
        "c/musl-missing": program(gcc("musl-missing", HELLO, compiler="musl-gcc")),
        "c/musl": program(gcc("musl", HELLO, *own, compiler="musl-gcc")),
        "c/musl-static": program(gcc("musl-static", HELLO, "-static", compiler="musl-gcc")),
        "c/musl-calls": program(gcc("musl-calls", CALLS, *own, "-Lmusl-lib", "-lvalue", compiler="musl-gcc")),
        "c/musl-lib/libvalue.so": library,
        "c/ld-musl-x86_64.so.1": program(loader.read_bytes()),
    }


@pytest.mark.spec("PROVE-4", "PROVE-5", "PROVE-6", "PROVE-7", "PROVE-8", "PROVE-10", "PROVE-11", "PROVE-12", "PROVE-13")
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_verdict_and_reality(pair: Pair, image: Image, containers: Containers) -> None:
    refused = [item for item in image.findings(pair.broken) if item.severity == "error"]
    assert [item.code for item in refused] == [f"prove.{pair.code}"], refused
    really = containers.start(pair.broken)
    assert really.status != 0, f"started after all: {refused}"
    assert "started" not in really.output

    passed = [item for item in image.findings(pair.twin) if item.severity == "error"]
    assert passed == []
    really = containers.start(pair.twin)
    assert really.status == 0, really
    assert "started" in really.output
