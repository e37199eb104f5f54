"""Starts on small tables: what pairs under runc cannot show, and the words that are said."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import pytest

from ociassemble.audit.prove import Finding, prove
from ociassemble.audit.table import Account, Table, account_of
from ociassemble.image.contents import Contents, read_contents
from ociassemble.oci.platform import Platform
from ociassemble.testing.images import Content, File, Folder, Hardlink, Link, layer, program, whiteout
from tests.debian_archive import elf
from tests.hostile.test_elf import made

STATIC = elf(kind=2)
NODE: dict[str, Content] = {"nodejs/bin/node": program(STATIC)}
LIB = "usr/local/lib/python3.13"
PYTHON: dict[str, Content] = {
    "usr/local/bin/python3.13": program(STATIC),
    f"{LIB}/os.py": "",
    f"{LIB}/site-packages/gunicorn/__main__.py": "",
    f"{LIB}/site-packages/gunicorn/__init__.py": "",
    f"{LIB}/site-packages/uvicorn/__init__.py": "",
    f"{LIB}/site-packages/uvicorn/__main__.py": "",
}


def table(*layers: Mapping[str, Content], base: int = 1) -> Table:
    return Table([read_contents(layer(files)) for files in layers], base)


def findings(made: Table, *command: str, platform: str = "linux/amd64", **more: Any) -> list[Finding]:
    execution = {"Cmd": list(command), "User": "65532", "WorkingDir": "/app", **more}
    return list(prove(made, execution, Platform.parse(platform)))


def codes(made: Table, *command: str, **more: Any) -> list[str]:
    return [item.code.removeprefix("prove.") for item in findings(made, *command, **more) if item.severity == "error"]


# --- the table -----------------------------------------------------------------------------------------------


@pytest.mark.spec("PROVE-5")
def test_layers_lie_on_top_of_each_other() -> None:
    below = {"usr/bin/a": program(STATIC), "usr/bin/b": program(STATIC), "bin": Link("usr/bin"), "d/x": program(STATIC)}
    above = {"bin/a": File(STATIC, 0o644), whiteout("usr/bin/b"): "", "bin/c": program(STATIC), "e": Hardlink("bin/c")}
    found = table(below, above)

    assert codes(found, "/usr/bin/a") == ["not-executable"], "a file goes through a link to where it really is"
    assert codes(found, "/usr/bin/b") == ["program-missing"]
    assert codes(found, "/bin/c") == codes(found, "/e") == codes(found, "/d/x") == []
    assert (found.brought("usr/bin/c"), found.brought("d/x"), found.brought("nothing")) == (True, False, False)


@pytest.mark.spec("PROVE-3")
@pytest.mark.parametrize("command", ["/proc/self/exe", "/dev/fd/3", "/sys/x"])
def test_what_a_runtime_mounts_is_unknown(command: str) -> None:
    assert codes(table({}), command) == []


@pytest.mark.spec("PROVE-3")
def test_a_program_of_the_base_that_cannot_be_read_is_not_judged() -> None:
    strange: dict[str, Content] = {"a": program(b"\x7fELF"), "b": program("no line"), "c": program(b"\x7fELF\x02\x01")}
    assert [codes(table(strange), f"/{name}") for name in strange] == [[], [], []]
    assert [codes(table(strange, base=0), f"/{name}") for name in strange] == [["format"]] * 3


ACCOUNTS: dict[str, Content] = {
    "etc/passwd": "root:x:0:0\nworker:x:1001:100::/:\n1234:x:7:8\nodd\nbig:x:99999999999999999999:x\n",
    "etc/group": "root:x:0:\nteam:x:50:other,worker\nmore:x:51:worker\n77:x:78:\nodd\n",
}


@pytest.mark.spec("PROVE-4")
@pytest.mark.parametrize(
    ("user", "uid", "groups"),
    [
        ("", 0, {0}), ("root", 0, {0}), ("0", 0, {0}), ("worker", 1001, {100, 50, 51}), ("1001", 1001, {100, 50, 51}),
        ("worker:team", 1001, {50}), ("worker:9", 1001, {9}), ("65532", 65532, {0}), ("65532:65532", 65532, {65532}),
        ("1234", 7, {8}), ("1:77", 1, {78}),
    ],
)  # fmt: skip
def test_accounts(user: str, uid: int, groups: set[int]) -> None:
    assert account_of(user, table(ACCOUNTS)) == Account(uid, frozenset(groups))


@pytest.mark.spec("PROVE-4")
@pytest.mark.parametrize("user", ["nobody", "worker:nobody", "9" * 5000 + ":x", "odd"])
def test_accounts_that_are_nowhere(user: str) -> None:
    assert codes(table({**ACCOUNTS, "a": program(STATIC)}), "/a", User=user) == ["user"]


# --- programs ------------------------------------------------------------------------------------------------


@pytest.mark.spec("PROVE-9")
@pytest.mark.parametrize(
    ("platform", "shape", "found"),
    [
        ("linux/amd64", {"machine": 62}, []),
        ("linux/arm64", {"machine": 62}, ["platform"]),
        ("linux/arm64", {"machine": 183}, []),
        ("linux/ppc64le", {"machine": 21}, []),
        ("linux/ppc64le", {"machine": 21, "little": False}, ["platform"]),
        ("linux/s390x", {"machine": 22, "little": False}, []),
        ("linux/arm/v7", {"machine": 40, "wide": False}, []),
        ("linux/amd64", {"machine": 62, "wide": False}, ["platform"]),
        ("linux/amd64", {"machine": 3, "wide": False}, []),
        ("linux/386", {"machine": 62}, ["platform"]),
        ("linux/riscv64", {"machine": 9999}, ["platform"]),
    ],
)
def test_machines(platform: str, shape: dict[str, Any], found: list[str]) -> None:
    assert codes(table({}, {"a": program(made(kind=2, **shape))}), "/a", platform=platform) == found


@pytest.mark.spec("PROVE-9")
def test_a_program_of_half_the_width_is_a_warning() -> None:
    (found,) = findings(table({}, {"a": program(made(kind=2, machine=3, wide=False))}), "/a")
    assert (found.code, found.severity) == ("prove.narrow", "warning")


def armhf(soft: bool) -> bytes:
    return made(kind=3, machine=40, wide=False, flags=0x5000200 if soft else 0x5000400)


@pytest.mark.spec("PROVE-10", "PROVE-11")
@pytest.mark.parametrize(("soft", "found"), [(False, []), (True, ["library-missing"])])
def test_arm_libraries_of_the_other_float_abi_are_passed_over(soft: bool, found: list[str]) -> None:
    at = 52 + 3 * 32
    strings = b"\0libx.so\0/ld.so\0"
    size = at + len(strings) + 24
    segments = [(1, 0, 0, size), (2, at + len(strings), at + len(strings), 24), (3, at + 9, at + 9, 7)]
    head = made(kind=3, machine=40, wide=False, flags=0x5000400, segments=segments)[: 52 + 3 * 32]
    dynamic = struct.pack("<iIiIiI", 1, 1, 5, at, 0, 0)
    needy = head + strings + dynamic
    image = table({"ld.so": program(armhf(False)), "lib/libx.so": armhf(soft)}, {"a": program(needy)})

    assert codes(image, "/a", platform="linux/arm/v7") == found


@pytest.mark.spec("PROVE-14")
def test_with_a_cache_of_an_unknown_format_what_is_missing_is_a_warning() -> None:
    at = 64 + 3 * 56
    strings = b"\0libx.so\0/ld.so\0"
    size = at + len(strings) + 48
    segments = [(1, 0, 0, size), (2, at + len(strings), at + len(strings), 48), (3, at + 9, at + 9, 7)]
    needy = made(segments=segments)[:at] + strings + struct.pack("<qQqQqQ", 1, 1, 5, at, 0, 0)
    loader: dict[str, Content] = {"ld.so": program(made())}

    def severities(*layers: Mapping[str, Content]) -> list[tuple[str, str]]:
        return [(item.code, item.severity) for item in findings(table(*layers, {"a": program(needy)}), "/a")]

    assert severities(loader) == [("prove.library-missing", "error")]
    assert severities({**loader, "etc/ld.so.cache": "another format"}) == [("prove.library-missing", "warning")]


@pytest.mark.spec("PROVE-10")
@pytest.mark.parametrize(
    ("base", "said"),
    [
        ({}, "no C library"),
        ({"lib/ld-musl-x86_64.so.1": program(STATIC)}, "musl"),
    ],
)
def test_a_missing_loader_is_told_with_what_to_do(base: dict[str, Content], said: str) -> None:
    at = 64 + 56
    path = b"/lib64/ld-linux-x86-64.so.2\0"
    data = made(segments=[(3, at, at, len(path))])[:at] + path
    (found,) = findings(table(base, {"server": program(data)}), "/server")

    assert found.code == "prove.loader-missing"
    assert "`/server` needs the loader `/lib64/ld-linux-x86-64.so.2` (glibc), and the image has " in found.message
    assert said in found.message
    assert "--base distroless/base" in found.hint
    assert ("CGO_ENABLED=0" in found.hint) == (not base)


@pytest.mark.spec("PROVE-7")
def test_shells_and_npm_have_hints_of_their_own() -> None:
    image = table(NODE, {"run.sh": program("#!/bin/bash\n")})
    assert "no shell" in findings(image, "bash", "-c", "x")[0].hint
    assert "no shell" in findings(image, "/run.sh")[0].hint
    assert "node server.js" in findings(image, "npm", "start")[0].hint


# --- Python --------------------------------------------------------------------------------------------------

GUNICORN = ("/usr/local/bin/python3.13", "-m", "gunicorn", "--worker-tmp-dir", "/dev/shm", "--no-control-socket")
UVICORN = "import os, uvicorn; uvicorn.main(['shop.web:app', '--host', '0.0.0.0'])"


@pytest.mark.spec("PROVE-16")
@pytest.mark.parametrize(
    "command",
    [
        (*GUNICORN, "shop.web:app"),
        (*GUNICORN, "-b", "localhost:8000", "--log-level", "debug", "shop.web:create_app('x')"),
        ("/usr/local/bin/python3.13", "-m", "uvicorn", "--reload", "shop.web:app", "--port", "80"),
        ("/usr/local/bin/python3.13", "-c", UVICORN),
        ("/usr/local/bin/gunicorn", "shop.web:app"),
    ],
    ids=["gunicorn", "with options", "uvicorn", "uvicorn's main", "console script"],
)
def test_applications_that_servers_are_to_serve(command: tuple[str, ...]) -> None:
    script: dict[str, Content] = {"usr/local/bin/gunicorn": program("#!/usr/local/bin/python3.13\n")}
    there = table(PYTHON, {**script, "app/shop/web.py": ""})
    gone = table(PYTHON, {**script, "app/shop/wep.py": ""})

    assert codes(there, *command) == []
    (found,) = [item for item in findings(gone, *command) if item.severity == "error"]
    assert found.code == "prove.module-missing"
    assert "shop.web" in found.message


@pytest.mark.spec("PROVE-16")
@pytest.mark.parametrize("option", ["--chdir=/srv", "--pythonpath=/srv"])
def test_servers_look_elsewhere_where_they_are_told_to(option: str) -> None:
    image = table(PYTHON, {"srv/web.py": ""})
    assert codes(image, *GUNICORN, "web:app") == ["module-missing"]
    assert codes(image, *GUNICORN, option, "web:app") == []
    assert codes(image, *GUNICORN, *option.split("="), "web:app") == []


@pytest.mark.spec("PROVE-15")
def test_without_a_standard_library_nothing_is_said() -> None:
    assert codes(table({"usr/bin/python3.13": program(STATIC)}), "/usr/bin/python3.13", "-m", "none") == []
    assert codes(table(PYTHON), "/usr/local/bin/python3.13", "-m", "none", Env=["PYTHONHOME=/x"]) == []
    assert codes(table(PYTHON), "/usr/local/bin/python3.13", "-m", "none") == ["module-missing"]


@pytest.mark.spec("PROVE-15")
@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("import __editable___x_finder; x.install()\n", "warning"),
        ("/srv\n", "error"),
        ("# import\n", "error"),
        ("", "error"),
    ],
)
def test_code_in_path_files_may_add_anything(text: str, severity: str) -> None:
    image = table(PYTHON, {f"{LIB}/site-packages/x.pth": text})
    (found,) = findings(image, "/usr/local/bin/python3.13", "-m", "none")
    assert (found.code, found.severity) == ("prove.module-missing", severity)


@pytest.mark.spec("PROVE-15")
def test_debians_python_looks_into_dist_packages() -> None:
    base: dict[str, Content] = {
        "usr/bin/python3.13": program(STATIC),
        "usr/lib/python3.13/os.py": "",
        "var/lib/dpkg/status.d/x": "",
        "usr/lib/python3/dist-packages/theirs.py": "",
    }
    ours: dict[str, Content] = {
        "usr/local/lib/python3.13/dist-packages/ours.py": "",
        "usr/local/lib/python3.13/site-packages/lost.py": "",
    }
    image = table(base, ours)
    assert [codes(image, "/usr/bin/python3.13", "-m", name) for name in ("ours", "theirs", "lost")] == [
        [], [], ["module-missing"],
    ]  # fmt: skip


# --- Node ----------------------------------------------------------------------------------------------------

EXPRESS: dict[str, Content] = {
    "app/package.json": '{"main": "./lib/server"}',
    "app/lib/server.js": "x()",
    "app/other/index.mjs": "x()",
    "app/secret.js": File("x()", 0o600),
    "app/bad/package.json": "[",
    "app/node_modules/pm/bin.js": "x()",
}


@pytest.mark.spec("PROVE-17")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["lib/server.js"], []),
        (["lib/server"], []),
        (["."], []),
        (["/app"], []),
        (["other"], []),
        (["--enable-source-maps", "-r", "dotenv/config", "--max-old-space-size=200", "./other/"], []),
        (["--", "lib/server.js", "none.js"], []),
        (["-e", "x()"], []),
        (["--unheard-of", "none.js"], []),
        (["none.js"], ["script-missing"]),
        (["bad"], ["script-missing"]),
        (["--import", "x", "none.js"], []),
        (["secret.js"], ["script-missing"]),
    ],
)
def test_the_main_module_of_node(words: list[str], found: list[str]) -> None:
    assert codes(table(NODE, EXPRESS), "/nodejs/bin/node", *words) == found


@pytest.mark.spec("PROVE-18")
@pytest.mark.parametrize(
    ("source", "word", "stop", "noted"),
    [
        ("listen()", "lib/server.js", "", True),
        ("process.on('SIGTERM', () => end())", "lib/server.js", "", False),
        ("listen()", "lib/server.js", "SIGINT", True),
        ("listen()", "lib/server.js", "SIGKILL", False),
        ("listen()", "node_modules/pm/bin.js", "", False),
    ],
)
def test_node_as_the_first_process(source: str, word: str, stop: str, noted: bool) -> None:
    image = table(NODE, {**EXPRESS, "app/lib/server.js": source})
    found = findings(image, "/nodejs/bin/node", word, StopSignal=stop)
    assert [(item.code, item.severity) for item in found] == ([("prove.signals", "info")] if noted else [])


# --- records -------------------------------------------------------------------------------------------------


@pytest.mark.spec("PROVE-1")
def test_what_a_layer_holds_comes_back_from_its_record() -> None:
    strange: dict[str, Content] = {
        **PYTHON, **EXPRESS, "\udcff\udc80": "x", "l": Link("\udcfe"), "h": Hardlink("l"), "etc/passwd": "root:x:0:0\n",
        "s": program(b"#!/bin/\xff\n"), "cut": program(b"\x7fELF"), "d": Folder(0o1777, 1, 2), whiteout("x"): "",
        "lib.so": elf("libx.so", ["liby.so"]),
    }  # fmt: skip
    found = read_contents(layer(strange))
    assert Contents.load(found.dump()) == found
    assert sum(item.facts is not None for item in found.members) > 5


# --- what may be right after all is no error ------------------------------------------------------------------


def severities(made: Table, *command: str, **more: Any) -> list[tuple[str, str]]:
    return [(item.code.removeprefix("prove."), item.severity) for item in findings(made, *command, **more)]


@pytest.mark.spec("PROVE-3")
def test_what_a_volume_brings_is_not_known() -> None:
    layers = [read_contents(layer({**NODE, **PYTHON, "data/mine.js": ""}))]
    filled = Table(layers, 1, volumes=("/data", "/srv/plugins/"))
    for command in (["/data/start"], ["node", "/srv/plugins/a.js"], ["python3.13", "/data/main.py"], ["start"]):
        more = {"Env": ["PATH=/nodejs/bin:/usr/local/bin:/data"]}
        assert "error" not in [item[1] for item in severities(filled, *command, **more)] or command == ["start"]
        assert "error" in [item[1] for item in severities(table({**NODE, **PYTHON}), *command, **more)]
    assert codes(filled, "/database/start") == codes(filled, "/srv/start") == ["program-missing"]
    assert codes(filled, "/data/mine.js") == ["not-executable"], "what the image has there is what a volume begins with"


@pytest.mark.spec("PROVE-4")
def test_accounts_that_cannot_be_read_are_not_known() -> None:
    elsewhere = {"a": program(STATIC), "etc/passwd": Link("/nix/store/x-passwd"), "nix/store/x-passwd": "me:x:7:7:::"}
    large = {"a": program(STATIC), "etc/passwd": "other:x:1:1:::\n" * 6000}
    for files in (elsewhere, large):
        assert codes(table(files), "/a", User="me") == []
        assert codes(table(files), "/a", User="65532") == []
    assert codes(table({"a": program(STATIC), "etc/passwd": "root:x:0:0:::"}), "/a", User="me") == ["user"]
    assert codes(table({"a": program(STATIC), "etc/passwd": "", "etc/group": ""}), "/a", User="1:me") == ["user"]


@pytest.mark.spec("PROVE-8")
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("-S python3.13 -u", []),
        ("-S none -u", ["interpreter-missing"]),
        ("none", ["interpreter-missing"]),
        ('-S "python3.13" -u', []),
        ("-S ${INTERPRETER} -u", []),
        ("-S PATH=/opt/bin none", []),
        ("-S -i none", []),
        ("-vS none", []),
        ("--split-string=none -u", []),
    ],
)
def test_words_of_env(line: str, found: list[str]) -> None:
    files: dict[str, Content] = {**PYTHON, "usr/bin/env": program(STATIC), "app/x": program(f"#!/usr/bin/env {line}\n")}
    assert codes(table(files), "/app/x") == found


@pytest.mark.spec("PROVE-17")
@pytest.mark.parametrize(
    ("words", "severity"),
    [
        ("none.js", ["error"]),
        ("--enable-source-maps none.js", ["error"]),
        ("--report-dir /tmp app.js", []),
        ("--disable-warning DEP0025 app.js", []),
        ("--trace-event-categories v8 app.js", []),
        ("--trace-event-categories v8 none.js", ["error"]),
        ("-r ./hook.js none", ["warning"]),
        ("--import=tsx none", ["warning"]),
    ],
)
def test_words_of_node(words: str, severity: list[str]) -> None:
    made = table(NODE, {"app/app.js": "process.on('SIGTERM')"})
    found = findings(made, "/nodejs/bin/node", *words.split())
    assert [item.severity for item in found if item.code != "prove.signals"] == severity
    hooked = findings(made, "/nodejs/bin/node", "./none", Env=["NODE_OPTIONS=--max-old-space-size=99 -r ./.pnp.cjs"])
    assert [item.severity for item in hooked] == ["warning"]


@pytest.mark.spec("PROVE-15", "PROVE-16")
@pytest.mark.parametrize(
    ("words", "files", "env", "severity"),
    [
        (["-m", "none"], {}, [], "error"),
        (["-m", "none"], {"app/lib.zip": "PK"}, ["PYTHONPATH=/app/lib.zip"], "warning"),
        (["-m", "none"], {}, ["PYTHONPATH=/mnt/code"], "warning"),
        (["-m", "none"], {"app/src/other.py": ""}, ["PYTHONPATH=src"], "error"),
        (["-m", "none"], {"app/sitecustomize.py": ""}, [], "warning"),
        (["-c", "import sys; sys.path.insert(0, 'x'); import none"], {}, [], "warning"),
        (["-c", "import os; os.chdir('/x'); import none"], {}, [], "warning"),
        (["-c", "import os.path, none"], {f"{LIB}/posixpath.py": ""}, [], "error"),
        (["-m", "gunicorn", "none:app"], {}, [], "error"),
        (["-m", "gunicorn", "none:app"], {"app/gunicorn.conf.py": "chdir = 'src'"}, [], "warning"),
        (["-m", "gunicorn", "-c", "x.py", "none:app"], {}, [], "warning"),
        (["-m", "gunicorn", "none:app"], {}, ["GUNICORN_CMD_ARGS=--chdir src"], "warning"),
        (["-m", "uvicorn", "none:app"], {}, ["UVICORN_APP_DIR=src"], "warning"),
    ],
)
def test_where_python_may_find_more(words: list[str], files: dict[str, Content], env: list[str], severity: str) -> None:
    made = table(PYTHON, {"app/signals.py": "import signal; signal.signal", **files})
    found = findings(made, "/usr/local/bin/python3.13", *words, Env=env)
    assert [item.severity for item in found if item.code == "prove.module-missing"] == [severity]
