"""The plan of a Python application: layers, places, local packages (PY-16 to PY-22)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ociassemble.errors import Error, ProjectError, UsageError
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.kinds.python.errors import NeedsBuildError, NoPythonError, NoWheelError, PythonVersionError
from ociassemble.kinds.python.kind import Python
from ociassemble.plan.plan import ApplicationPlan, FilesSource, TextSource, WheelSource
from ociassemble.project.settings import PythonSettings, Settings
from tests.kinds.python import samples

MIB = 1 << 20
SITE = "/usr/local/lib/python3.13/dist-packages"


def plan(
    tmp_path: Path, files: dict[str, str | bytes], packages: tuple[LockedPackage, ...] = (), **settings: Any
) -> ApplicationPlan:
    facts = settings.pop("facts", samples.distroless())
    tree = samples.project(tmp_path, {"main.py": "", **files})
    return Python().plan(tree, Settings(**settings), facts, packages)


def titles(made: ApplicationPlan) -> list[str]:
    return [layer.title for layer in made.layers]


def texts(made: ApplicationPlan) -> dict[str, str]:
    return {source.path: source.text for source in made.layers[-1].sources if isinstance(source, TextSource)}


def placed(made: ApplicationPlan) -> list[str]:
    return [item.path for source in made.layers[-1].sources if isinstance(source, FilesSource) for item in source.items]


@pytest.mark.spec("PY-16")
def test_big_wheels_alone_small_ones_together_the_application_last(tmp_path: Path) -> None:
    packages = (
        samples.package("zlib-thing", size=MIB),
        samples.package("click", size=MIB - 1),
        samples.package("numpy", size=20 * MIB),
        samples.package("attrs"),
    )
    made = plan(tmp_path, {}, packages)
    assert titles(made) == ["numpy", "zlib-thing", "dependencies", "application"]
    assert [layer.role for layer in made.layers] == ["dependency"] * 3 + ["application"]
    shared = [source.artifact.filename for source in made.layers[2].sources if isinstance(source, WheelSource)]
    assert shared == ["attrs-1.0-py3-none-any.whl", "click-1.0-py3-none-any.whl"]
    assert titles(plan(tmp_path, {}, packages, layers="single")) == ["dependencies", "application"]
    assert titles(plan(tmp_path, {}, packages, layers="per-package")) == [
        *("attrs", "click", "numpy", "zlib-thing"),
        "application",
    ]


@pytest.mark.spec("PY-16")
def test_only_the_twenty_biggest_are_alone(tmp_path: Path) -> None:
    packages = tuple(samples.package(f"p{number:02}", size=MIB + number) for number in range(25))
    made = plan(tmp_path, {}, packages[::-1])
    assert titles(made) == [*(f"p{number:02}" for number in range(5, 25)), "dependencies", "application"]


@pytest.mark.spec("PY-17")
def test_wheels_go_to_the_bases_own_site_directory(tmp_path: Path) -> None:
    packages = samples.packages("click")
    (source,) = plan(tmp_path, {}, packages, facts=samples.slim()).layers[0].sources
    assert isinstance(source, WheelSource)
    assert tuple(source.scheme) == (
        "/usr/local/lib/python3.12/site-packages",
        "/usr/local",
        "/usr/local/bin/python3.12",
        "3.12",
    )
    (source,) = plan(tmp_path, {}, packages, python=PythonSettings(site="/opt/site")).layers[0].sources
    assert isinstance(source, WheelSource) and source.scheme.site == "/opt/site"
    for wrong in ("site", "/a/../b", "/a/"):
        with pytest.raises(UsageError, match="absolute path"):
            plan(tmp_path, {}, packages, python=PythonSettings(site=wrong))
    with pytest.raises(NoPythonError):
        plan(tmp_path, {}, facts=samples.distroless()._replace(python=None))


@pytest.mark.spec("PY-18")
def test_the_application_is_at_its_working_directory(tmp_path: Path) -> None:
    made = plan(tmp_path, {"lib/a.py": ""})
    assert made.config.workdir == "/app"
    assert placed(made) == ["/app/lib", "/app/lib/a.py", "/app/main.py"]
    assert placed(plan(tmp_path, {}, workdir="/srv/shop/"))[0] == "/srv/shop/lib"
    for wrong in ("/", "//", "/a/..", "app"):
        with pytest.raises(UsageError, match=r"cannot be put|is not an absolute path"):
            plan(tmp_path, {}, workdir=wrong)


@pytest.mark.spec("PY-15", "PY-18")
def test_a_wheel_of_the_users_own(tmp_path: Path) -> None:
    wheel = samples.package("shop", tag="cp313-cp313-linux_x86_64")
    path = tmp_path / "dist" / wheel.artifact.filename
    project = '[project]\nname = "shop"\nversion = "1"\n[build-system]\nrequires = ["cython"]\n'
    made = plan(tmp_path, {f"dist/{path.name}": b"zip", "pyproject.toml": project}, (wheel,), wheels=(path,))
    assert not any(item.endswith(".whl") for item in placed(made))
    assert texts(made) == {}  # installed, so not reached as source
    assert ("shop is the wheel you built", f"--wheel {path.name}") in made.reasons
    with pytest.raises(NoWheelError, match="the wheel you passed"):
        plan(tmp_path, {}, (wheel,), wheels=(path,), facts=samples.slim())
    with pytest.raises(NoWheelError, match="the locked wheel"):
        plan(tmp_path, {}, (wheel,), facts=samples.slim())
    with pytest.raises(ProjectError, match="twice"):
        plan(tmp_path, {}, (wheel, samples.package("shop", "2.0")))


PACKAGED = '[project]\nname = "My.Shop"\nversion = "1.0.0rc1"\n[build-system]\nrequires = ["hatchling"]\n'


@pytest.mark.spec("PY-20", "PY-21")
def test_a_src_layout_is_importable_and_has_metadata(tmp_path: Path) -> None:
    points = (
        '[project.scripts]\nshop = "shop.cli:main"\n[project.entry-points."shop.plugins"]\ncsv = "shop.csv:Plugin"\n'
    )
    made = plan(tmp_path, {"pyproject.toml": PACKAGED + points, "src/shop/__init__.py": "", "src/shop/cli.py": ""})
    folder = f"{SITE}/my_shop-1.0.0rc1.dist-info"
    assert texts(made) == {
        f"{SITE}/ociassemble.pth": "/app/src\n",
        f"{folder}/INSTALLER": "ociassemble\n",
        f"{folder}/METADATA": "Metadata-Version: 2.1\nName: My.Shop\nVersion: 1.0.0rc1\n",
        f"{folder}/entry_points.txt": "[console_scripts]\nshop = shop.cli:main\n\n"
        "[shop.plugins]\ncsv = shop.csv:Plugin\n",
    }


@pytest.mark.spec("PY-20")
@pytest.mark.parametrize(
    ("extra", "files", "line"),
    [
        ("", ["shop/__init__.py"], "/app\n"),
        ("", ["src/shop/__init__.py"], "/app/src\n"),
        ("", ["src/__init__.py"], "/app\n"),
        ('[tool.setuptools.packages.find]\nwhere = ["lib"]\n', ["lib/shop.py"], "/app/lib\n"),
        ('[tool.setuptools.package-dir]\n"" = "lib"\n', ["lib/shop.py"], "/app/lib\n"),
        ('[tool.setuptools.package-dir]\nshop = "lib/shop"\n', ["lib/shop/__init__.py"], "/app/lib\n"),
        ('[tool.hatch.build.targets.wheel]\npackages = ["source/shop"]\n', ["source/shop/a.py"], "/app/source\n"),
        ('[tool.hatch.build.targets.wheel]\nsources = ["a", "b"]\n', ["a/x.py", "b/y.py"], "/app/a\n/app/b\n"),
        ('[[tool.poetry.packages]]\ninclude = "shop"\nfrom = "lib"\n', ["lib/shop.py"], "/app/lib\n"),
        ('[tool.pdm.build]\npackage-dir = "lib"\n', ["lib/shop.py"], "/app/lib\n"),
        ('[tool.uv.build-backend]\nmodule-root = ""\n', ["shop/__init__.py", "src/x.py"], "/app\n"),
        ('[tool.hatch.build.targets.wheel]\npackages = ["../../etc/shop"]\n', ["shop/__init__.py"], "/app\n"),
    ],
)
def test_where_modules_are(extra: str, files: list[str], line: str, tmp_path: Path) -> None:
    made = plan(tmp_path, {"pyproject.toml": PACKAGED + extra, **dict.fromkeys(files, "")})
    assert texts(made)[f"{SITE}/ociassemble.pth"] == line


def test_a_folder_of_modules_cannot_smuggle_a_line_into_the_path_file(tmp_path: Path) -> None:
    extra = '[tool.setuptools.packages.find]\nwhere = ["a\\nimport os"]\n'
    with pytest.raises(ProjectError, match="control characters"):
        plan(tmp_path, {"pyproject.toml": PACKAGED + extra, "a\nimport os/x.py": ""})


@pytest.mark.spec("PY-20")
def test_a_project_that_is_not_packaged_needs_no_path_file(tmp_path: Path) -> None:
    assert texts(plan(tmp_path, {"pyproject.toml": '[project]\nname = "x"\nversion = "1"\n', "shop.py": ""})) == {}
    made = plan(tmp_path, {"requirements.txt": "./libs/core\n", "libs/core/core.py": "", **core("core")})
    assert texts(made)[f"{SITE}/ociassemble.pth"] == "/app/libs/core\n"
    assert f"{SITE}/core-1.dist-info/METADATA" in texts(made)


def core(name: str) -> dict[str, str | bytes]:
    return {f"libs/{name}/pyproject.toml": f'[project]\nname = "{name}"\nversion = "1"\n'}


@pytest.mark.spec("PY-21")
@pytest.mark.parametrize(
    ("extra", "files", "version"),
    [
        ('[tool.hatch.version]\npath = "shop/__init__.py"\n', {"shop/__init__.py": '__version__ = "2.1"\n'}, "2.1"),
        ('[tool.setuptools.dynamic]\nversion = { attr = "shop.VER" }\n', {"shop.py": 'VER: str = "3"\n'}, "3"),
        ('[tool.setuptools.dynamic]\nversion = { attr = "shop.VER" }\n', {"src/shop/__init__.py": 'VER = "4"\n'}, "4"),
        ('[tool.hatch.version]\npath = "../x.py"\n', {}, ""),
        ('[tool.hatch.version]\npath = "x.py"\n', {"x.py": "__version__ = compute()\n"}, ""),
        ('[tool.hatch.version]\nsource = "vcs"\n', {}, ""),
    ],
)
def test_dynamic_versions_are_found_or_left_out(
    extra: str, files: dict[str, str], version: str, tmp_path: Path
) -> None:
    head = '[project]\nname = "shop"\ndynamic = ["version"]\n[build-system]\nrequires = ["x"]\n'
    made = plan(tmp_path, {"pyproject.toml": head + extra, **files})
    folders = {path.rpartition("/")[0] for path in texts(made) if path.endswith("METADATA")}
    assert folders == ({f"{SITE}/shop-{version}.dist-info"} if version else set())


BUILD = '[project]\nname = "shop"\nversion = "1"\n[build-system]\nrequires = [%s]\nbuild-backend = "%s"\n'
HATCH = BUILD % ('"hatchling", "hatch-vcs"', "hatchling.build")
SETUPTOOLS = BUILD % ('"setuptools", "setuptools-scm"', "setuptools.build_meta")
VCS = '[tool.hatch.build.hooks.vcs]\nversion-file = "shop/_version.py"\n'
SCM = '[tool.setuptools_scm]\nversion_file = "shop/_version.py"\n'


@pytest.mark.spec("PY-22")
@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"pyproject.toml": BUILD % ('"maturin>=1"', "maturin")}, "maturin compiles code"),
        ({"pyproject.toml": BUILD % ('"x"', "mesonpy")}, "meson-python compiles code"),
        ({"pyproject.toml": BUILD % ('"x"', "scikit_build_core.build")}, "scikit-build-core compiles"),
        ({"pyproject.toml": BUILD % ('"setuptools", "Cython>=3"', "setuptools.build_meta")}, "needs cython"),
        ({"pyproject.toml": SETUPTOOLS + "[tool.setuptools]\next-modules = [{name = 'x'}]\n"}, "extension modules"),
        ({"setup.py": "from setuptools import setup\nsetup(ext_modules=[1])\n"}, "names ext_modules"),
        ({"setup.py": "import setuptools\nsetuptools.setup(cffi_modules=x)\n"}, "names cffi_modules"),
        ({"setup.py": "setup(\n"}, "cannot be parsed"),
        ({"pyproject.toml": HATCH, "shop/fast.pyx": ""}, "compiled by Cython"),
        ({"pyproject.toml": HATCH + "[tool.hatch.build.hooks.custom]\n"}, "build hook `custom`"),
        ({"pyproject.toml": HATCH + '[tool.poetry]\nbuild = "build.py"\n'}, "runs a script"),
        (
            {"pyproject.toml": HATCH + VCS, "shop/__init__.py": "from ._version import version\n"},
            "only its build writes",
        ),
        ({"pyproject.toml": HATCH + VCS, "shop/__init__.py": "from . import _version\n"}, "only its build writes"),
        ({"pyproject.toml": SETUPTOOLS + SCM, "shop/a.py": "import shop._version as v\n"}, "only its build writes"),
        ({"pyproject.toml": SETUPTOOLS + '[tool.setuptools.package-dir]\nshop = "lib"\n'}, "another name"),
        ({"pyproject.toml": HATCH + '[tool.hatch.build.targets.wheel.sources]\n"a" = "b"\n'}, "another name"),
    ],
)
def test_what_copying_cannot_give(files: dict[str, str | bytes], why: str, tmp_path: Path) -> None:
    with pytest.raises(NeedsBuildError, match=why) as caught:
        plan(tmp_path, files, cmd=("main.py",)) if "setup.py" not in files else plan(
            tmp_path, {**files, "requirements.txt": ""}, cmd=("main.py",)
        )
    assert "--wheel" in (caught.value.hint or "")


@pytest.mark.spec("PY-22")
@pytest.mark.parametrize(
    "files",
    [
        {"setup.py": "from setuptools import setup\nsetup(ext_modules=[], packages=find())\n", "requirements.txt": ""},
        {
            "pyproject.toml": HATCH + VCS,
            "shop/__init__.py": "try:\n    from ._version import v\nexcept ImportError: v = 0\n",
        },
        {"pyproject.toml": HATCH + VCS, "shop/__init__.py": ""},
        {"pyproject.toml": HATCH + VCS, "shop/__init__.py": "from ._version import v\n", "shop/_version.py": "v = 1\n"},
        {"pyproject.toml": HATCH + "[tool.hatch.build.hooks.custom]\nenable-by-default = false\n"},
        {"pyproject.toml": '[project]\nname = "x"\nversion = "1"\n', "fast.pyx": ""},
    ],
)
def test_what_copying_gives_as_well(files: dict[str, str | bytes], tmp_path: Path) -> None:
    assert plan(tmp_path, files).config.cmd == ("main.py",)


@pytest.mark.spec("PY-14")
def test_the_projects_own_requires_python(tmp_path: Path) -> None:
    with pytest.raises(PythonVersionError, match=r"shop requires Python >=3\.14; the base has Python 3\.13\.5"):
        plan(tmp_path, {"pyproject.toml": '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.14"\n'})


@pytest.mark.parametrize(
    "text",
    [
        '[project]\nname = "a/b"\n',
        '[project]\nname = "x\\ny"\n',
        "project = 3\ntool = 4\nbuild-system = 5\n",
        '[project]\nname = "x"\nversion = 3\nrequires-python = 4\nscripts = 5\n',
        '[project]\nname = "x"\n[project.scripts]\na = "not a script"\n',
        '[project]\nname = "x"\n[project.scripts]\na = "x:y; import os"\n',
        '[project]\nname = "x"\nversion = "1"\n[project.entry-points]\n"a]\\n[b" = { "c\\nd" = "e" }\n[build-system]\n',
        "[build-system]\nrequires = [3, {}]\n[tool.poetry]\npackages = 3\n",
        '[build-system]\n[tool.poetry]\npackages = [3, {from = 4}]\n[tool.hatch.version]\npath = ["x"]\n',
        '[tool.uv.workspace]\nmembers = ["[", "**", 3]\n[tool.uv.sources]\na = 3\nb = [4]\n'
        '[project]\ndependencies = ["a", "b"]\n',
    ],
)
def test_hostile_manifests_are_errors_of_ours_or_harmless(text: str, tmp_path: Path) -> None:
    try:
        made = plan(tmp_path, {"pyproject.toml": text})
    except Error as error:
        assert error.message
    else:
        assert all("\n[b" not in source for source in texts(made).values())


def test_recognition_names_its_evidence(tmp_path: Path) -> None:
    kind = Python()
    assert kind.recognise(samples.project(tmp_path / "a", {"index.html": "", "tool.py": ""})) is None
    for number, name in enumerate(("requirements.txt", "pylock.toml", "main.py", "manage.py", "poetry.lock")):
        found = kind.recognise(samples.project(tmp_path / str(number), {name: "", "wsgi.py": ""}))
        assert found is not None and found[:2] == ("python", name)
