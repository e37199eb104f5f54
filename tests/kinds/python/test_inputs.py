"""Which file says what is needed: the table of specs/behaviour/python-kind.md, and what it cannot say."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.errors import Error, ProjectError
from ociassemble.kinds.protocol import ResolveRequest
from ociassemble.kinds.python import inputs
from ociassemble.kinds.python.kind import Python
from ociassemble.project.settings import PythonSettings, Settings
from tests.kinds.python import samples
from tests.spec_tables import cases

PYPROJECT = '[project]\nname = "app"\nversion = "1"\ndependencies = ["flask"]\n'
UV_LOCK = """version = 1
[[package]]
name = "app"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "flask" }]
[[package]]
name = "flask"
version = "3.1.3"
source = { registry = "https://registry.example/simple" }
"""
PYLOCK = """lock-version = "1.0"
created-by = "test"
[[packages]]
name = "flask"
version = "3.1.3"
wheels = [{ url = "https://registry.example/flask-3.1.3-py3-none-any.whl", hashes = { sha256 = "%s" } }]
""" % ("0" * 64)
CONTENT = {
    "pylock.toml": PYLOCK,
    "pylock.prod.toml": PYLOCK,
    "uv.lock": UV_LOCK,
    "poetry.lock": '[[package]]\nname = "flask"\nversion = "3.1.3"\n',
    "requirements.txt": "flask==3.1.3\n",
    "requirements/prod.txt": "flask==3.1.3\n",
    "pyproject.toml": PYPROJECT,
    "pyproject.toml=tools": "[tool.ruff]\nline-length = 100\n",
    "requirements.txt=empty": "# nothing\n",
}


def request(tmp_path: Path, files: dict[str, str | bytes], **python: object) -> ResolveRequest | None:
    settings = Settings(python=PythonSettings(**python))  # type: ignore[arg-type]
    return Python().request(samples.project(tmp_path, files), settings, samples.distroless())


@pytest.mark.spec("PY-1", "PY-2", "PY-3", "PY-4")
@pytest.mark.parametrize("case", cases("python-kind.md", "input"), ids=lambda case: case["files"])
def test_the_input_is_chosen(case: dict[str, str], tmp_path: Path) -> None:
    names = case["files"].split()
    tree = samples.project(tmp_path, {name.partition("=")[0]: CONTENT.get(name, "x = 1\n") for name in names})
    settings = Settings(python=PythonSettings(requirements=None if case["setting"] == "-" else case["setting"]))
    if case["form"] == "error":
        with pytest.raises(ProjectError) as caught:
            Python().request(tree, settings, samples.distroless())
        assert case["primary"] in f"{caught.value.message} {caught.value.hint}"
        return
    found = Python().request(tree, settings, samples.distroless())
    if case["form"] == "none":
        assert found is None
        return
    assert found is not None
    assert (found.form, found.primary) == (case["form"], case["primary"])
    assert found.inputs[0] == found.primary
    assert found.python == "3.13"
    warnings = [reason.decision for reason in inputs.choose(tree, settings).reasons if "warning" in reason.decision]
    assert warnings == ([] if case["not used"] == "-" else [f"warning: {case['not used']} not used"])


@pytest.mark.spec("PY-5")
def test_every_file_a_requirements_file_reaches_is_an_input(tmp_path: Path) -> None:
    found = request(
        tmp_path,
        {
            "requirements.txt": "-r requirements/base.txt\n-c requirements/limits.txt\n",
            "requirements/base.txt": "-r common.txt\nflask\n",
            "requirements/common.txt": "click\n",
            "requirements/limits.txt": "-r common.txt\nclick<9\n",
        },
    )
    assert found is not None
    assert found.inputs == (
        "requirements.txt",
        "requirements/base.txt",
        "requirements/common.txt",
        "requirements/limits.txt",
    )


def test_a_workspace_lists_the_manifests_of_its_members(tmp_path: Path) -> None:
    member = '[project]\nname = "core"\nversion = "1"\ndependencies = ["click"]\n'
    workspace = (
        '[project]\nname = "app"\nversion = "1"\ndependencies = ["core"]\n'
        '[tool.uv.workspace]\nmembers = ["packages/*"]\nexclude = ["packages/old"]\n'
        "[tool.uv.sources]\ncore = { workspace = true }\n"
    )
    files: dict[str, str | bytes] = {
        "pyproject.toml": workspace,
        "packages/core/pyproject.toml": member,
        "packages/other/pyproject.toml": member.replace("core", "other"),
        "packages/old/pyproject.toml": member.replace("core", "old"),
        "packages/core/sub/pyproject.toml": member.replace("core", "sub"),
    }
    found = request(tmp_path, files)
    assert found is not None
    assert found.inputs == ("pyproject.toml", "packages/core/pyproject.toml", "packages/other/pyproject.toml")


UV_WORKSPACE = """version = 1
[[package]]
name = "api"
source = { editable = "packages/api" }
dependencies = [{ name = "core" }, { name = "click" }]
[[package]]
name = "app"
source = { virtual = "." }
[[package]]
name = "click"
version = "8"
source = { registry = "https://registry.example/simple" }
[[package]]
name = "core"
source = { editable = "packages/core" }
[[package]]
name = "jobs"
source = { editable = "packages/jobs" }
"""


def test_a_workspace_member_reaches_only_what_it_needs(tmp_path: Path) -> None:
    tree = samples.project(
        tmp_path,
        {
            "uv.lock": UV_WORKSPACE,
            "pyproject.toml": '[project]\nname = "app"\nversion = "1"\n',
            **{
                f"packages/{name}/pyproject.toml": f'[project]\nname = "{name}"\nversion = "1"\n'
                for name in ("api", "core", "jobs")
            },
        },
    )
    chosen = inputs.choose(tree, Settings(python=PythonSettings(package="API")))
    assert set(chosen.local) == {"packages/api", "packages/core"}
    assert not chosen.empty
    assert "packages/jobs/pyproject.toml" in chosen.files  # uv reads every member's manifest
    assert inputs.choose(tree, Settings()).empty
    with pytest.raises(ProjectError, match="no workspace member") as caught:
        inputs.choose(tree, Settings(python=PythonSettings(package="apis")))
    assert "api, app, core, jobs" in (caught.value.hint or "")


OUTGROWN = {
    "poetry.lock": '[[package]]\nname = "Core-Lib"\nversion = "1"\nsource = {type = "directory", url = "core"}\n',
    "uv.lock": """version = 1
[[package]]
name = "app"
source = { virtual = "." }
dependencies = [{ name = "core-lib" }]
[[package]]
name = "core-lib"
source = { editable = "core" }
""",
}


@pytest.mark.spec("LOCK-20", "LOCK-30")
@pytest.mark.parametrize("lock", OUTGROWN)
def test_a_lock_without_packages_may_be_older_than_the_project(lock: str, tmp_path: Path) -> None:
    """It is no input where nothing is asked for; else it is, or what was added would be left out unseen."""
    own = '[project]\nname = "app"\nversion = "1"\ndependencies = [{}]\n'
    core = '[project]\nname = "core_lib"\nversion = "1"\n'
    for number, (mine, theirs, asks) in enumerate(
        (
            ("", "", False),
            ('"Core.Lib>=1"', "", False),
            ('"Core.Lib>=1", "six"', "", True),
            ('"core-lib"', 'dependencies = ["six>1"]\n', True),
        )
    ):
        files = {lock: OUTGROWN[lock], "pyproject.toml": own.format(mine), "core/pyproject.toml": core + theirs}
        found = request(tmp_path / str(number), dict(files))
        assert (found is not None) is asks, (mine, theirs)
    old = "[tool.poetry.dependencies]\npython = '^3.11'\n{}"
    for text, asks in (("", False), ("six = '*'\n", True)):
        files = {"poetry.lock": "package = []\n", "pyproject.toml": old.format(text)}
        assert (request(tmp_path / f"old{asks}", dict(files)) is not None) is asks


@pytest.mark.spec("PY-15")
def test_names_of_own_wheels_are_provided(tmp_path: Path) -> None:
    tree = samples.project(tmp_path, {"requirements.txt": "flask\n"})
    settings = Settings(wheels=(tmp_path / "My_Pkg-1.0-py3-none-any.whl",))
    found = Python().request(tree, settings, None)
    assert found is not None and found.provided == ("my-pkg",)
    for wrong in (("x.whl",), ("a-1-py3-none-any.whl", "a-2-py3-none-any.whl")):
        with pytest.raises(ProjectError, match=r"wheel"):
            Python().request(tree, Settings(wheels=tuple(tmp_path / name for name in wrong)), None)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"pyproject.toml": "[project"}, "not TOML"),
        ({"pyproject.toml": "a = " + "[" * 5000}, "nested too deeply|not TOML"),
        ({"pyproject.toml": '[project]\nname = ["x"]\ndependencies = ["a"]'}, ""),
        ({"uv.lock": "version = ", "pyproject.toml": PYPROJECT}, "not TOML"),
        ({"uv.lock": "package = 3", "pyproject.toml": PYPROJECT}, ""),
        ({"uv.lock": "[[package]]\nname = 3\nsource = 4", "pyproject.toml": PYPROJECT}, ""),
        ({"uv.lock": '[[package]]\nname="x"\nsource={editable="../x"}', "pyproject.toml": PYPROJECT}, "outside"),
        ({"pylock.toml": "x = 1"}, "not a valid pylock"),
        ({"pylock.toml": PYLOCK.replace('"1.0"', '"7.0"')}, "not supported"),
        ({"pylock.toml": PYLOCK.replace("url", "path").replace("https://registry.example/", "../")}, "outside"),
        ({"requirements.txt": b"\xff\xfef\x00"}, "not UTF-8"),
        ({"pyproject.toml": '[project]\nname = "x"\ndynamic = ["dependencies"]'}, "build backend"),
        ({"pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.11"'}, "poetry"),
        ({"requirements.txt": "-e ./lib\n", "lib/setup.py": "x"}, r"no \[project\]"),
        (
            {"requirements.txt": "-e ./lib\n", "lib/pyproject.toml": '[project]\nname="lib"\ndynamic=["version"]'},
            "version",
        ),
    ],
)
def test_broken_inputs_are_errors_of_ours(files: dict[str, str | bytes], says: str, tmp_path: Path) -> None:
    if not says:
        try:
            request(tmp_path, files)
        except Error:
            return
    else:
        with pytest.raises(ProjectError, match=says):
            request(tmp_path, files)


def test_extras_need_a_form_that_has_them(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no extras"):
        request(tmp_path, {"requirements.txt": "flask\n"}, extras=("x",))
    found = request(tmp_path / "other", {"pyproject.toml": PYPROJECT}, extras=("b", "a"), groups=("g",))
    assert found is not None and (found.extras, found.groups) == (("a", "b"), ("g",))
    with pytest.raises(ProjectError, match="no file lists"):
        request(tmp_path / "none", {"main.py": ""}, groups=("g",))
