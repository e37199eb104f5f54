"""Where a host could get in unseen: encodings, limits, Python's own tables, and a list of who may ask for them."""

from __future__ import annotations

import ast
import functools
import os
from pathlib import Path

import pytest

from tests.digests import builds, fixture
from tests.digests.conftest import Shared
from tests.digests.test_one_digest import ASCII

PACKAGE = builds.REPOSITORY / "ociassemble"
UTF8 = {"LC_ALL": "C.UTF-8"}
ONE = fixture.PLATFORMS[:1]
TEXTS = ("-l", "note=\u00e4\u65e5", "-e", "X=\u00fc", "-a", "k=\u00e9", "--workdir", "/\u00e4pp")


# --- encodings -----------------------------------------------------------------------------------------------


@pytest.mark.spec("DIGEST-2")
def test_texts_of_the_command_line_in_any_locale(shared: Shared, tmp_path: Path) -> None:
    place = shared.applications["directory"]

    def build(name: str, environment: dict[str, str], *flags: str) -> dict[str, object]:
        return builds.build(
            "directory", place, shared.inputs, tmp_path / name, *flags, environment=environment, platforms=ONE
        )

    expected = build("a", UTF8, *TEXTS)
    assert build("b", ASCII, *TEXTS) == expected
    by_name = {"OCIASSEMBLE_LABEL": TEXTS[1], "OCIASSEMBLE_ENV": TEXTS[3], "OCIASSEMBLE_ANNOTATION": TEXTS[5]}
    assert build("c", {**ASCII, **by_name}, *TEXTS[6:]) == expected


@pytest.mark.parametrize("environment", [UTF8, ASCII], ids=["UTF-8", "ASCII"])
def test_texts_that_are_not_utf_8_are_refused(environment: dict[str, str], shared: Shared, tmp_path: Path) -> None:
    done = builds.run(
        ["build", str(shared.applications["directory"]), "--base", f"oci:{shared.inputs.base}", "--cmd", '["/x"]',
         "--cache-dir", str(tmp_path / "cache"), "--label", os.fsdecode(b"note=\xff")],
        shared.inputs, tmp_path, environment=environment, fails=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert r"`note=\xff` is not UTF-8" in done.stderr


def test_results_with_names_that_the_locale_cannot_spell(shared: Shared, tmp_path: Path) -> None:
    place = shared.applications["directory"]
    arguments = [
        "build", str(place), "--base", f"oci:{shared.inputs.base}", "--cmd", '["/x"]', "--platform", "linux/amd64",
        "--cache-dir", str(tmp_path / "c\u00e4che"), "--output", "oci:\u00f6ut", "--workdir", "/\u00e4pp",
    ]  # fmt: skip
    said = [
        builds.run([*arguments, *more], shared.inputs, tmp_path, environment=environment).stdout
        for more in ((), ("--format", "json"))
        for environment in (UTF8, ASCII)
    ]
    assert said[0] == said[1] and said[0].startswith("oci:\u00f6ut:latest@sha256:")
    # The second run found the layer, which is all that differs.
    assert said[2].replace('"cached": false', '"cached": true').count("\u00f6ut") == said[3].count("\u00f6ut") == 1
    plan = ["plan", str(place), "--base", f"oci:{shared.inputs.base}", *TEXTS, "--cache-dir", str(tmp_path / "cache")]
    plans = [builds.run(plan, shared.inputs, tmp_path, environment=environment).stdout for environment in (UTF8, ASCII)]
    assert plans[0] == plans[1] and "\u65e5" in plans[0]


# --- users ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("DIGEST-2")
def test_a_user_without_a_home(shared: Shared, tmp_path: Path) -> None:
    """As containers of build services have them: a number that no database knows, and no HOME."""
    python = tmp_path / "python"
    # HOME is not there, and the database of users says nothing.
    python.write_text(
        "import os, pwd, runpy, sys\ndel os.environ['HOME']\n"
        "def nobody(*_): raise KeyError\npwd.getpwuid = nobody\n"
        "sys.argv[0] = 'ociassemble'\nrunpy.run_module('ociassemble', run_name='__main__', alter_sys=True)\n"
    )
    command = (*builds.COMMAND[:1], str(python))
    place = shared.applications["directory"]
    found = builds.build("directory", place, shared.inputs, tmp_path / "out", command=command)
    builds.check(found, builds.golden()["images"]["directory"], "no home")


def test_more_packages_than_files_may_be_open(shared: Shared, tmp_path: Path) -> None:
    """macOS starts programs with 256; all wheels of a layer are open while it is written."""
    wheels, place = tmp_path / "wheels", tmp_path / "app"
    many = [fixture.wheel(f"package{n}", "py3-none-any", {f"package{n}.py": b"N = %d\n" % n}) for n in range(60)]
    wheels.mkdir()
    for wheel in many:
        (wheels / wheel.filename).write_bytes(wheel.data)
    fixture.write((fixture.File("main.py"), fixture.File("pylock.toml", fixture.pylock(many))), place)
    inputs = builds.Inputs(shared.inputs.base, wheels)
    limited = ("sh", "-c", 'ulimit -S -n 40 && exec "$@"', "sh", *builds.COMMAND)

    found = [
        builds.build("python", place, inputs, tmp_path / name, platforms=ONE, command=command)
        for name, command in (("free", builds.COMMAND), ("limited", limited))
    ]
    assert found[0] == found[1]


# --- the Python that runs us ---------------------------------------------------------------------------------

# No Python knows this syntax; an older one than the application is written for stands before such a file, too.
NEWER = b"def f(x) -> 1 ?? 2: ...\n"
PYPROJECT = b"""[project]
name = "demo"
dynamic = ["version"]
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[tool.hatch.version]
path = "demo/__init__.py"
"""


def _planned(shared: Shared, folder: Path, files: dict[str, bytes], *flags: str, **host: str) -> tuple[int, str, str]:
    """Exit status, plan and error for an application of these files."""
    place = folder / "app"
    if not place.exists():
        fixture.write(tuple(fixture.File(name, data) for name, data in files.items()), place)
    done = builds.run(
        ["plan", str(place), "--base", f"oci:{shared.inputs.base}", "--platform", *ONE, "--kind", "python",
         "--cache-dir", str(folder / "cache"), *flags],
        shared.inputs, folder, environment=host, fails=True,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr.partition("error: ")[2]


@pytest.mark.spec("DIGEST-2")
def test_a_version_is_found_beside_newer_syntax(shared: Shared, tmp_path: Path) -> None:
    module = b"__version__: str = '1.2'  # said here\n" + NEWER
    files = {"pyproject.toml": PYPROJECT, "demo/__init__.py": module, "main.py": b"import demo\n"}
    status, plan, said = _planned(shared, tmp_path, files, "--cmd", "python main.py")
    assert status == 0, said
    assert "demo-1.2.dist-info/METADATA" in plan


@pytest.mark.spec("DIGEST-2")
def test_newer_syntax_is_never_taken_for_no_application(shared: Shared, tmp_path: Path) -> None:
    """`wsgi.py` mentions no framework; where it can be parsed, it is what starts."""
    factory = b"import flask\n\ndef create_app():\n    return flask.Flask(__name__)\n"
    files = {"web.py": factory, "wsgi.py": b"from web import create_app\n\napp = create_app()\n" + NEWER}
    status, _, said = _planned(shared, tmp_path, files)
    assert status == 3
    assert "`wsgi.py` cannot be parsed (line 4), so how the application starts is unknown" in said


@pytest.mark.spec("DIGEST-2")
def test_warnings_about_the_source_change_nothing(shared: Shared, tmp_path: Path) -> None:
    """An invalid escape is a warning, and with `PYTHONWARNINGS=error` it would be a syntax error."""
    module = b'import flask\n\nPATTERN = "\\d"\napp = flask.Flask(__name__)\n'
    lenient, strict = (
        _planned(shared, tmp_path, {"main.py": module}, PYTHONWARNINGS=filters) for filters in ("default", "error")
    )
    assert lenient[2].startswith("Flask was found")
    assert lenient == strict


# --- who may ask ---------------------------------------------------------------------------------------------

# The rooms in which bytes of an image are decided. Others fetch, push, run and show.
ROOMS = (
    "oci",
    "formats",
    "content",
    "image",
    "plan",
    "project",
    "layer",
    "kinds",
    "base",
    "lock",
    "session",
    "build.py",
)

# What tells about the host or the moment, and which room may use it for what.
ASKED = {
    ("session", "time.time"): "--source-date-epoch now, and the lock's own time",
    ("base", "time.time"): "whether a suite is still valid",
    ("content", "time.time"): "when something of the store was last used, for `cache prune`",
    ("content", "time.time_ns"): "the name of what `cache prune` set aside",
    ("session", "sys.version"): "whether a finished build was made by this Python; nothing that is made holds it",
    ("session", "os.uname"): "the platform where none is named: told, and recorded",
    ("session", "os.getuid"): "where podman keeps credentials",
    ("content", "os.geteuid"): "whether a folder of the store is ours",
    ("layer", "os.getpid"): "whose child a process is that writes layers",
    ("layer", "sys.platform"): "whether processes write layers, or threads: the same bytes (LAYER-36)",
    ("lock", "os.walk"): "what pnpm or Yarn laid down; sorted before it is packed",
}
_ASKING = {
    "time": {"time", "time_ns", "localtime", "gmtime", "strftime", "tzname", "timezone"},
    "datetime": {"now", "today", "utcnow"},
    "os": {
        "uname", "getuid", "geteuid", "getgid", "getlogin", "getpid", "cpu_count", "sched_getaffinity", "umask",
        "getenv", "environ", "urandom", "listdir", "walk", "nice", "ctermid",
    },
    "socket": {"gethostname", "getfqdn"},
    "sys": {"version", "version_info", "platform", "byteorder", "maxsize", "hash_info", "flags"},
}  # fmt: skip
MODULES = {"locale", "random", "uuid", "platform", "getpass", "sysconfig", "site", "secrets", "calendar", "zoneinfo"}
# Python's tables of Unicode are those of its version: they may refuse or show, and decide no byte of what is made.
OF_UNICODE = {
    ("base", "isidentifier"): "names in os-release, which are ASCII",
    ("formats", "normalize"): "refusing archives with names that look alike",
    ("formats", "isalpha"): "versions, which are ASCII",
    ("image", "isprintable"): "showing differences of two images",
    ("kinds", "isidentifier"): "names of modules and packages",
    ("kinds", "isprintable"): "refusing folders of modules with control characters",
    ("layer", "isidentifier"): "refusing entry points",
    ("lock", "isprintable"): "messages",
    ("oci", "isprintable"): "refusing references, which are ASCII",
    ("project", "casefold"): "warnings about names that look alike",
    ("project", "normalize"): "warnings about names that look alike",
}
_TABLES = {
    "isprintable", "isidentifier", "isalnum", "isalpha", "isnumeric", "istitle", "casefold", "swapcase", "title",
    "capitalize", "normalize",
}  # fmt: skip


@functools.cache
def _modules() -> tuple[tuple[str, ast.Module], ...]:
    paths = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
    return tuple((name, ast.parse(path.read_bytes())) for name, path in paths.items() if name.split("/")[0] in ROOMS)


def _room(module: str) -> str:
    return module.partition("/")[0].removesuffix(".py")


@pytest.mark.spec("DIGEST-2")
def test_who_asks_about_the_host_and_why() -> None:
    found = {
        (_room(module), f"{node.value.id}.{node.attr}")
        for module, tree in _modules()
        for node in ast.walk(tree)
        # The frozen environment is where a run's surroundings are read, once.
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        and node.attr in _ASKING.get(node.value.id, ()) and module != "session/environment.py"
    }  # fmt: skip
    assert found <= set(ASKED), "say in this file why it is asked, and that no byte depends on it unseen"


@pytest.mark.spec("DIGEST-2")
def test_modules_that_know_the_host_are_not_imported() -> None:
    found = set()
    for module, tree in _modules():
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            found |= {(module, name) for name in names if name.split(".")[0] in MODULES}
    assert not found


@pytest.mark.spec("DIGEST-2")
def test_pythons_unicode_tables_decide_no_byte() -> None:
    found = {
        (_room(module), node.func.attr)
        for module, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _TABLES
    }
    assert found <= set(OF_UNICODE), "another version of Python has another version of Unicode: is a byte at stake?"


@pytest.mark.spec("DIGEST-2")
def test_sets_are_sorted_before_they_are_walked() -> None:
    """No loop, and nothing that keeps an order, goes over a set that was just made."""
    wrong = []
    for module, tree in _modules():
        for node in ast.walk(tree):
            places: list[ast.expr] = []
            if isinstance(node, ast.For | ast.comprehension):
                places = [node.iter]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("list", "tuple"):
                places = node.args[:1]
            elif isinstance(node, ast.Starred):
                places = [node.value]
            wrong += [f"{module}:{place.lineno}" for place in places if _is_set(place)]
    assert not wrong


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Sub | ast.BitOr | ast.BitAnd) and (_is_set(node.left) or _is_set(node.right))
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset")
    return called or isinstance(node, ast.Set | ast.SetComp)


@pytest.mark.spec("DIGEST-2")
def test_folders_are_listed_where_they_are_sorted() -> None:
    lists = {"scandir", "iterdir", "rglob", "glob"}
    found = {
        (module, node.func.attr)
        for module, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in lists
    }
    assert found <= {
        ("lock/modules_pack.py", "iterdir"),  # sorted there
        ("lock/modules_pack.py", "rglob"),  # asked for the names alone, in no order
        ("project/walk.py", "scandir"),
        ("project/tree.py", "scandir"),
        ("content/directory.py", "iterdir"),
        ("content/place.py", "scandir"),  # whose the store's folders are
        ("content/gc.py", "iterdir"),  # sorted there
        ("content/gc.py", "scandir"),  # what `cache prune` may take, by age
        ("content/leases.py", "iterdir"),  # who uses the store, in no order
        ("session/finished.py", "scandir"),  # of our own code and what is installed; sorted there
    }
