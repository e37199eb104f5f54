"""The walls of the house (specs/behaviour/architecture.md): who may import whom, and how long a module may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ociassemble"

# Floors, lowest first. A room imports itself and lower floors only; `errors`, `progress` by all.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "progress", "_files", "_run", "_pool"),
    ("oci",),
    ("formats", "content"),
    ("image", "plan", "project", "net"),
    ("layer", "registry", "sources"),
    ("transports", "runtime", "kinds", "attest", "audit"),
    ("base", "lock"),
    ("session", "build", "operations", "kube", "fleet"),
    ("cli", "testing", "__main__"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# On the top floors the order within the floor is part of the design: session <- build <- operations.
WITHIN = {("build", "session"), ("operations", "session"), ("operations", "build"), ("__main__", "cli")}

# A third-party or standard module, and the only places that may import it.
ONLY_IN = {
    "requests": ("net/",),
    "urllib3": ("net/",),
    "oras": ("registry/artifacts.py",),
    "cryptography": ("attest/",),
    "click": ("cli/",),
    "rich": ("cli/",),
    "zlib": ("content/compress.py",),
    "zlib_ng": ("content/compress.py",),
    "gzip": ("content/compress.py",),
    "bz2": ("content/compress.py",),
    "lzma": ("content/compress.py",),
    "zstandard": ("content/compress.py",),
    "subprocess": ("_run.py",),
    "uv": (),
}
# Rooms without I/O: none of these may be imported there.
PURE = ("oci/", "formats/", "plan/", "image/assemble.py", "image/edit.py", "image/validate.py", "kinds/")
IO_MODULES = frozenset(
    {"os", "socket", "http", "urllib", "requests", "subprocess", "tempfile", "shutil", "pathlib", "glob", "fcntl"}
)
IO_ROOMS = frozenset({"_files", "_run", "net", "content.directory"})
KINDS_MAY_IMPORT = frozenset({"kinds", "plan", "project", "oci", "formats", "errors", "progress"})
ENVIRONMENT = ("session/environment.py", "cli/", "__main__.py")
WRITES = ("_files.py",)

# Modules over 500 lines: none. The list may only shrink.
TOO_LONG: dict[str, int] = {}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module `path` imports, absolute, with the line; imports for type checkers alone are not followed."""
    tree = ast.parse(path.read_bytes())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}:{node.lineno}: relative import"
            module = node.module or ""
            yield module, node.lineno
            if module == "ociassemble" or module.startswith("ociassemble."):
                for alias in node.names:
                    yield f"{module}.{alias.name}", node.lineno


def own(module: str) -> str:
    """The room of one of our modules, "" for others."""
    parts = module.split(".")
    return parts[1] if parts[0] == "ociassemble" and len(parts) > 1 else ""


@pytest.mark.parametrize("path", modules(), ids=name)
def test_a_room_imports_itself_and_lower_floors_only(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        return
    assert here in FLOOR, f"{name(path)} is in no room of the design"
    for module, line in imports(path):
        there = own(module)
        if not there or there == here or there not in FLOOR:
            continue
        allowed = FLOOR[there] < FLOOR[here] or (here, there) in WITHIN or there in ("errors", "progress")
        if FLOOR[here] == 0:
            allowed = there == "errors"
        assert allowed, f"{name(path)}:{line} imports {module}: {there} is not below {here}"


@pytest.mark.parametrize("path", modules(), ids=name)
def test_third_parties_have_one_door(path: Path) -> None:
    for module, line in imports(path):
        doors = ONLY_IN.get(module.split(".")[0])
        if doors is not None:
            assert name(path).startswith(doors or ("-",)), f"{name(path)}:{line} imports {module}; only {doors} may"


@pytest.mark.parametrize("path", [p for p in modules() if name(p).startswith(PURE)], ids=name)
def test_pure_rooms_do_no_io(path: Path) -> None:
    for module, line in imports(path):
        assert module.split(".")[0] not in IO_MODULES, f"{name(path)}:{line} imports {module}, which does I/O"
        inner = module.removeprefix("ociassemble.")
        assert own(module) not in IO_ROOMS and inner not in IO_ROOMS, f"{name(path)}:{line} imports {module}"
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print", "input"), f"{name(path)}:{node.lineno} calls {node.func.id}()"


@pytest.mark.parametrize("path", [p for p in modules() if name(p).startswith("kinds/")], ids=name)
def test_kinds_return_values_and_siblings_are_strangers(path: Path) -> None:
    parts = path.relative_to(PACKAGE).parts
    sibling = parts[1].removesuffix(".py")
    for module, line in imports(path):
        there = own(module)
        if there:
            assert there in KINDS_MAY_IMPORT, f"{name(path)}:{line} imports {module}"
        if there == "kinds" and module.count(".") >= 2 and sibling != "registry":
            other = module.split(".")[2]
            allowed = other in (sibling, "protocol") or sibling == "__init__"
            assert allowed, f"{name(path)}:{line} imports its sibling {module}"


def test_only_the_top_floors_know_the_session() -> None:
    for path in modules():
        if room(path) in ("session", "build", "operations", "kube", "fleet", "cli", "__main__"):
            continue
        for module, line in imports(path):
            assert own(module) != "session", f"{name(path)}:{line} imports {module}"


@pytest.mark.parametrize("path", modules(), ids=name)
def test_library_code_never_prints_exits_or_reads_the_environment(path: Path) -> None:
    if name(path).startswith(ENVIRONMENT):
        return
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            spelled = f"{node.value.id}.{node.attr}"
            assert spelled not in ("os.environ", "os.getenv", "sys.exit", "sys.stdout", "sys.stderr"), (
                f"{name(path)}:{node.lineno} uses {spelled}"
            )
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "exit"), f"{name(path)}:{node.lineno} calls {node.func.id}()"


@pytest.mark.parametrize("path", modules(), ids=name)
def test_files_are_written_through_one_door(path: Path) -> None:
    if name(path) in WRITES:
        return
    doors = {"rename", "unlink", "replace_file", "write_bytes", "write_text", "mkdir", "rmdir", "symlink_to", "touch"}
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute):
            assert node.func.attr not in doors, f"{name(path)}:{node.lineno} calls .{node.func.attr}(); see _files.py"
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if called == "open":
            modes = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            for mode in modes:
                assert not (set(mode) & set("wax+") and len(mode) <= 3), (
                    f"{name(path)}:{node.lineno} opens for {mode!r}"
                )


@pytest.mark.parametrize("path", modules(), ids=name)
def test_modules_stay_short(path: Path) -> None:
    lines = len(path.read_bytes().splitlines())
    limit = 120 if name(path) == "build.py" else TOO_LONG.get(name(path), 500)
    assert lines <= limit, f"{name(path)} has {lines} lines; the limit is {limit}"


def test_no_empty_rooms() -> None:
    for folder in sorted(path for path in PACKAGE.rglob("*") if path.is_dir() and path.name != "__pycache__"):
        if not any(folder.rglob("*.py")):
            continue
        code = [path for path in folder.rglob("*.py") if path.name != "__init__.py"]
        init = folder / "__init__.py"
        assert code or len(init.read_text().splitlines()) > 5, f"{folder.name}/ is empty"
