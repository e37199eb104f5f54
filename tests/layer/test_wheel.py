"""A wheel becomes the files an installer would have made (specs/behaviour/wheel.md)."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from uv import find_uv_bin

from ociassemble.errors import ProjectError, UsageError
from ociassemble.layer.entry import Entry
from ociassemble.layer.wheel import WheelNameError, entries, wheel_name
from ociassemble.plan.plan import PythonScheme
from tests.formats.zip_builder import Member
from tests.layer.wheel_builder import (
    DATA,
    INFO,
    METADATA,
    NAME,
    SCHEME,
    SITE,
    content,
    everything,
    installed,
    row,
    source,
    wheel,
)
from tests.spec_tables import cases

ENTRY_POINTS = f"{INFO}/entry_points.txt"


def new_record(files: dict[str, bytes]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(files[f"{SITE}/{INFO}/RECORD"].decode(), newline="")))


# --- where files go


@pytest.mark.spec("WHEEL-10")
@pytest.mark.parametrize("case", cases("wheel.md", "places"), ids=lambda case: case["member"].strip("`"))
def test_places_and_modes(case: dict[str, str]) -> None:
    member, mode, path, expected = (case[key].strip("`") for key in ("member", "mode in the archive", "path", "mode"))
    found = installed(wheel({member: b"something"}, modes={member: int(mode, 8)}))
    if path == "-":
        assert not any(PurePosixPath(member).name in place for place in found)
        return
    entry = found[path.removeprefix("/")]
    assert (entry.kind, entry.mode, entry.uid, entry.gid) == ("file", int(expected, 8), 0, 0)
    assert content(entry) == b"something" and entry.size == 9


@pytest.mark.spec("WHEEL-10")
def test_entries_are_sorted_files_that_name_their_wheel() -> None:
    found = entries(io.BytesIO(data := wheel({"z.py": b"", "a/b.py": b"1"})), source(data))
    assert [entry.path for entry in found] == sorted(entry.path for entry in found)
    assert {entry.kind for entry in found} == {"file"}
    assert {entry.origin for entry in found} == {f"wheel {NAME}"}
    assert all(len(content(entry)) == entry.size for entry in found)


def test_folders_of_the_archive_are_not_entries() -> None:
    folders = [Member("empty/", method=0, mode=0o040755), Member("pkg/", method=0, mode=0o040700)]
    found = installed(wheel({"pkg/x.py": b""}, more=folders))
    assert [path for path in found if "dist-info" not in path] == [f"{SITE}/pkg/x.py"]


def test_another_scheme() -> None:
    scheme = PythonScheme("/opt/venv/lib/python3.12/site-packages", "/opt/venv", "/opt/venv/bin/python3", "3.12")
    files = {"x.py": b"", f"{DATA}/headers/x.h": b"", ENTRY_POINTS: b"[console_scripts]\nfoo = x:main\n"}
    found = everything(wheel(files), scheme=scheme)
    assert "opt/venv/lib/python3.12/site-packages/x.py" in found
    assert "opt/venv/include/python3.12/foo-bar/x.h" in found
    assert found["opt/venv/bin/foo"].startswith(b"#!/opt/venv/bin/python3\n")
    record = found[f"opt/venv/lib/python3.12/site-packages/{INFO}/RECORD"].decode()
    assert "\n../../../bin/foo,sha256=" in f"\n{record}"


def test_contents_can_be_read_again_and_side_by_side() -> None:
    found = installed(wheel({"a": b"a" * 700_000, "b": bytes(range(256)) * 4000}))
    one, two = found[f"{SITE}/a"], found[f"{SITE}/b"]
    first, second = one.content(), two.content()
    mixed = [next(first), next(second), *first, *second]
    assert sum(map(len, mixed)) == one.size + two.size
    assert content(one) == b"a" * 700_000 == content(one)


def test_big_files_come_in_blocks() -> None:
    found = installed(wheel({"big.so": bytes(32 << 20)}))
    blocks = [len(block) for block in found[f"{SITE}/big.so"].content()]
    assert sum(blocks) == 32 << 20 and max(blocks) <= 1 << 20


# --- commands


@pytest.mark.spec("WHEEL-11")
def test_launchers() -> None:
    text = b"""
# a comment
[console_scripts]
foo = foo_bar.cli:main
foo-sub=foo_bar.cli : Group.run [fast,small]
[gui_scripts]
foo-gui = foo_bar:gui
[other.group]
bad name/../x = not a program at all
"""
    found = installed(wheel({ENTRY_POINTS: text}))
    assert sorted(path for path in found if path.startswith("usr/local/bin/")) == [
        "usr/local/bin/foo",
        "usr/local/bin/foo-gui",
        "usr/local/bin/foo-sub",
    ]
    assert {found[f"usr/local/bin/{name}"].mode for name in ("foo", "foo-gui", "foo-sub")} == {0o755}
    assert content(found["usr/local/bin/foo-sub"]).decode() == (
        "#!/usr/bin/python3.13\nimport sys\n\nfrom foo_bar.cli import Group\n\n"
        'if __name__ == "__main__":\n    sys.exit(Group.run())\n'
    )


@pytest.mark.spec("WHEEL-11")
def test_a_launcher_runs(tmp_path: Path) -> None:
    (tmp_path / "mod.py").write_text(
        "import sys\nclass A:\n    @staticmethod\n    def f():\n        return len(sys.argv)\n"
    )
    found = installed(wheel({ENTRY_POINTS: b"[console_scripts]\nx = mod:A.f\n"}))
    script = tmp_path / "x"
    script.write_bytes(content(found["usr/local/bin/x"]))
    done = subprocess.run(
        [sys.executable, script, "1", "2"], env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=False
    )
    assert done.returncode == 3


@pytest.mark.spec("WHEEL-11")
@pytest.mark.parametrize("theirs", ["foo", "foo.exe", "foo-script.py", "foo-script.pyw", "foo.pya"])
def test_a_builders_own_launcher_gives_way(theirs: str) -> None:
    files = {ENTRY_POINTS: b"[console_scripts]\nfoo = a:b\n", f"{DATA}/scripts/{theirs}": b"#!python\nold", "x.py": b""}
    found = everything(wheel(files))
    assert [path for path in found if path.startswith("usr/local/bin/")] == ["usr/local/bin/foo"]
    assert b"from a import b" in found["usr/local/bin/foo"]
    assert not [line for line in new_record(found) if theirs in line[0] and theirs != "foo"]


@pytest.mark.spec("WHEEL-11")
def test_the_same_command_in_both_groups_is_one() -> None:
    found = installed(wheel({ENTRY_POINTS: b"[console_scripts]\nfoo = a:b\n[gui_scripts]\nfoo = a:b\n"}))
    assert "usr/local/bin/foo" in found


@pytest.mark.spec("WHEEL-12")
@pytest.mark.parametrize("case", cases("wheel.md", "shebangs"), ids=lambda case: case["first line"].strip("`"))
@pytest.mark.parametrize("rest", ["\nprint(1)\n", "\r\nprint(1)\r\n", "", "\n"])
def test_shebangs(case: dict[str, str], rest: str) -> None:
    before, after = case["first line"].strip("`"), case["becomes"].strip("`")
    found = installed(wheel({f"{DATA}/scripts/tool": (before + rest).encode()}))["usr/local/bin/tool"]
    if before == after:
        assert content(found).decode() == before + rest
    else:
        assert content(found).decode() == after + "\n" + rest.replace("\r\n", "\n", 1).removeprefix("\n")
    assert found.mode == 0o755 and found.size == len(content(found))


@pytest.mark.spec("WHEEL-12")
@pytest.mark.parametrize(
    "data", [b"", b"#", b"#!", b"#!pytho", b"#!python", b"#!python\r", b"#!python\0\xff\xfe", b"\x7fELF"]
)
def test_scripts_that_hardly_are(data: bytes) -> None:
    found = content(installed(wheel({f"{DATA}/scripts/tool": data}))["usr/local/bin/tool"])
    assert found.startswith(b"#!/usr/bin/python3.13") if data.startswith(b"#!python") else found == data


@pytest.mark.spec("WHEEL-12")
def test_only_scripts_are_rewritten() -> None:
    found = everything(wheel({"pkg/run.py": b"#!python\n", f"{DATA}/data/bin/x": b"#!python\n"}))
    assert found[f"{SITE}/pkg/run.py"] == found["usr/local/bin/x"] == b"#!python\n"


@pytest.mark.spec("WHEEL-13")
@pytest.mark.parametrize(
    "interpreter", ["python3", "/opt/my python/bin/python3", "/" + "x/" * 62 + "y", "/a\tb", "", "/", "/../x"]
)
def test_interpreters_that_no_shebang_can_name(interpreter: str) -> None:
    scheme = SCHEME._replace(interpreter=interpreter)
    assert installed(wheel({"x.py": b""}), scheme=scheme)  # nothing to run, nothing wrong
    for name, data in ((ENTRY_POINTS, b"[console_scripts]\nfoo = a:b\n"), (f"{DATA}/scripts/foo", b"#!python\n")):
        with pytest.raises(ProjectError) as caught:
            installed(wheel({name: data}), scheme=scheme)
        assert caught.value.code == "project.shebang"


@pytest.mark.spec("WHEEL-13")
def test_the_longest_first_line() -> None:
    scheme = SCHEME._replace(interpreter="/" + "x" * 124)
    files = {ENTRY_POINTS: b"[console_scripts]\nfoo = a:b\n"}
    assert len(everything(wheel(files), scheme=scheme)["usr/local/bin/foo"].split(b"\n")[0]) == 127
    with pytest.raises(ProjectError, match="128 bytes"):
        installed(wheel(files), scheme=scheme._replace(interpreter="/" + "x" * 125))


# --- what is recorded


@pytest.mark.spec("WHEEL-14")
def test_the_new_record_is_of_the_files_there_are() -> None:
    files = {
        "pkg/x.py": b"x = 1\n",
        "pkg/__pycache__/x.cpython-313.pyc": b"bytecode",
        "with,comma.py": b"",
        'with"quote.py': b"",
        f"{DATA}/scripts/tool": b"#!python\nprint(1)\n",
        f"{DATA}/data/share/x": b"data",
        ENTRY_POINTS: b"[console_scripts]\nfoo = a:b\n",
        f"{INFO}/INSTALLER": b"somebody\n",
        f"{INFO}/REQUESTED": b"",
        f"{INFO}/RECORD.jws": b"{}",
    }
    data = wheel(files, without=[f"{INFO}/RECORD.jws"])
    found = everything(data)
    assert found[f"{SITE}/{INFO}/INSTALLER"] == b"ociassemble\n"
    lines = new_record(found)
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)
    by_path = {os.path.normpath(f"{SITE}/{path}"): (told, size) for path, told, size in lines}
    assert set(by_path) == set(found)
    for path, (told, size) in by_path.items():
        if path.endswith(("/RECORD", "/RECORD.jws")):
            assert (told, size) == ("", "")
            continue
        digest = base64.urlsafe_b64encode(hashlib.sha256(found[path]).digest()).rstrip(b"=").decode()
        assert (told, size) == (f"sha256={digest}", str(len(found[path])))
    assert "../../../bin/tool" in [line[0] for line in lines]
    assert found[f"{SITE}/{INFO}/RECORD"].endswith(b"\n") and b"\r" not in found[f"{SITE}/{INFO}/RECORD"]


@pytest.mark.spec("WHEEL-7")
def test_other_strong_hashes_stay_as_they_are() -> None:
    for algorithm in ("sha384", "sha512"):
        data = wheel({"x": b"1"}, without=["x"], rows=[row("x", b"1", algorithm)])
        hashes = {line[0]: line[1] for line in new_record(everything(data))}
        assert hashes["x"].startswith(f"{algorithm}=")


@pytest.mark.spec("WHEEL-7")
@pytest.mark.parametrize(
    "rows",
    [
        ["pkg/,,"],
        ["pkg,,"],
        ["pkg/__pycache__/gone.cpython-313.pyc,sha256=AAAA,3"],
        [row("pkg/x.py", b"1")],
        [f"{INFO}/RECORD.p7s,,"],
        ["", ""],
    ],
    ids=[
        "a folder",
        "a folder without slash",
        "bytecode",
        "a line twice",
        "a signature that is not there",
        "blank lines",
    ],
)
def test_oddities_of_records_that_say_nothing_wrong(rows: list[str]) -> None:
    folder = Member("pkg/", method=0, mode=0o040755)
    assert f"{SITE}/pkg/x.py" in everything(wheel({"pkg/x.py": b"1"}, rows=rows, more=[folder]))


@pytest.mark.spec("WHEEL-7")
def test_records_of_other_dialects() -> None:
    plain = wheel({"a,b": b"1"})
    assert f"{SITE}/a,b" in everything(plain)
    lines = [row(f"{INFO}/WHEEL", b"Wheel-Version: 1.0\n"), row(f"{INFO}/METADATA", METADATA), f"{INFO}/RECORD,,"]
    crlf = wheel({f"{INFO}/WHEEL": b"Wheel-Version: 1.0\n"}, record="\r\n".join([*lines, ""]).encode())
    assert everything(crlf)
    padded = wheel({"x": b"1"}, without=["x"], rows=[row("x", b"1").replace(",1", "=,")])
    assert f"{SITE}/x" in everything(padded)


# --- what the wheel says it is


@pytest.mark.spec("WHEEL-6")
@pytest.mark.parametrize(
    ("name", "info", "metadata"),
    [
        ("Foo.Bar-1.0-py3-none-any.whl", "foo_bar-1.0.dist-info", METADATA),
        ("foo_bar-1.0-py3-none-any.whl", "Foo.Bar-1.0.dist-info", METADATA),
        ("foo_bar-1.0.0-py3-none-any.whl", "foo_bar-1.0.0.dist-info", METADATA.replace(b"1.0\n\n", b"1.0.0\n\n")),
        ("foo_bar-1.0-3-py2.py3-none-any.whl", INFO, METADATA.replace(b"foo-bar", b"FOO__bar")),
        (
            "foo_bar-1.0+cu_12-py3-none-any.whl",
            "foo_bar-1.0+cu.12.dist-info",
            METADATA.replace(b": 1.0\n", b": 1.0+cu-12\n"),
        ),
        (
            "foo_bar-1!1.0rc1-py3-none-any.whl",
            "foo_bar-1!1.0rc1.dist-info",
            METADATA.replace(b": 1.0\n", b": 1!1.0-RC.1\n"),
        ),
    ],
)
def test_spellings_of_one_name_and_version(name: str, info: str, metadata: bytes) -> None:
    found = installed(wheel({f"{info}/METADATA": metadata}, info=info), name)
    assert f"{SITE}/{info}/METADATA" in found


@pytest.mark.spec("WHEEL-6")
def test_metadata_of_old_builders() -> None:
    odd = b"Metadata-Version: 2.1\nname:  foo-bar\nVersion: 1.0\nAuthor: J\xf6\nSummary: a\n  b: c\n\nName: else\n"
    odd = odd.replace(b"\n", b"\r\n")
    assert installed(wheel({f"{INFO}/METADATA": odd, f"{INFO}/WHEEL": b"Wheel-Version: 1.9\r\n\r\n"}))


def test_wheel_names() -> None:
    found = wheel_name("NumPy-2.0.0-1a-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    assert found == (
        "numpy",
        "2.0.0",
        "1a",
        {"cp313-cp313-manylinux_2_17_x86_64", "cp313-cp313-manylinux2014_x86_64"},
    )
    assert wheel_name("a-1-py3-none-any.whl").build == ""
    for bad in (
        "",
        "a.whl",
        "a-1.whl",
        "a-1-py3-none-any.zip",
        "a-x.y-py3-none-any.whl",
        "a-1-b-py3-none-any.whl",
        "a\n-1-py3-none-any.whl",
    ):
        with pytest.raises(WheelNameError) as caught:
            wheel_name(bad)
        assert caught.value.code == "integrity.wheel.name"


def test_the_size_is_that_of_the_archive_whatever_the_plan_knows() -> None:
    data = wheel({"x.py": b"1"})
    plan = source(data)
    for size in (-1, 0, len(data)):
        unsized = plan._replace(artifact=plan.artifact._replace(size=size))
        assert f"{SITE}/x.py" in [entry.path for entry in entries(io.BytesIO(data), unsized)]


def test_schemes_that_leave_the_image_are_refused() -> None:
    for scheme in (SCHEME._replace(site="usr/lib"), SCHEME._replace(site="/a/../b"), SCHEME._replace(prefix="/")):
        with pytest.raises(UsageError):
            installed(wheel(), scheme=scheme)


# --- against other installers, on real wheels

REAL = ("flask", "gunicorn", "numpy", "pydantic-core", "cryptography", "setuptools", "greenlet")


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real wheels, as pip fetches them for this machine."""
    folder = tmp_path_factory.mktemp("wheels")
    argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", str(folder)]
    subprocess.run([*argv, *REAL], check=True, capture_output=True)
    return folder


@pytest.mark.packages
@pytest.mark.spec("WHEEL-10", "WHEEL-11", "WHEEL-14")
@pytest.mark.parametrize("package", REAL)
def test_the_files_are_those_that_uv_installs(package: str, real: Path, tmp_path: Path) -> None:
    (path,) = real.glob(f"{package.replace('-', '_')}-*.whl")
    target = tmp_path / "target"
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(target)], check=True)
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    clean = {item.relative_to(target) for item in target.rglob("*")}
    argv = [uv, "pip", "install", "-q", "--no-deps", "--offline", "--link-mode", "copy", "--python"]
    subprocess.run([*argv, str(target / "bin/python"), str(path)], check=True, capture_output=True)
    scheme = PythonScheme(f"/venv/lib/python{minor}/site-packages", "/venv", "/venv/bin/python", minor)
    with path.open("rb") as stream:
        found = entries(stream, source(path.read_bytes(), path.name, scheme))
        ours = {
            PurePosixPath(entry.path).relative_to("venv"): (entry.mode & 0o111 != 0, content(entry)) for entry in found
        }
    theirs = {
        PurePosixPath(item.relative_to(target)): (item.stat().st_mode & 0o111 != 0, item.read_bytes())
        for item in target.rglob("*")
        if item.is_file() and item.relative_to(target) not in clean and item != target / ".lock"
    }
    # uv puts headers below include/site, as it does in virtual environments only.
    theirs = {PurePosixPath(str(key).replace("include/site/", "include/")): value for key, value in theirs.items()}
    made = {"INSTALLER", "REQUESTED", "RECORD", "uv_cache.json", "direct_url.json"}
    assert {key for key in ours if key.name not in made} == {key for key in theirs if key.name not in made}
    for key, (executable, data) in theirs.items():
        if key.name in made:
            continue
        assert ours[key][0] == executable, key
        if key.parts[0] == "bin" and b"python" in data.split(b"\n")[0]:
            assert ours[key][1].startswith(b"#!/venv/bin/python\n")
        else:
            assert ours[key][1] == data, key


@pytest.mark.packages
@pytest.mark.spec("WHEEL-1")
def test_real_wheels_hold_what_zipfile_sees(real: Path) -> None:
    for path in real.glob("*.whl"):
        with path.open("rb") as stream, zipfile.ZipFile(path) as archive:
            found = entries(stream, source(path.read_bytes(), path.name))
            inside = {entry.path.removeprefix(f"{SITE}/"): entry for entry in found}
            same = 0
            for name in archive.namelist():
                if name in inside and not name.endswith(("/RECORD", "/INSTALLER")):
                    assert content(inside[name]) == archive.read(name)
                    same += 1
            assert same > 0.9 * len([name for name in archive.namelist() if not name.endswith("/")])


@pytest.mark.packages
def test_importlib_finds_the_installed_files(real: Path, tmp_path: Path) -> None:
    """What is recorded leads back to the files, for a package with commands."""
    (path,) = real.glob("gunicorn-*.whl")
    scheme = PythonScheme("/lib/site", "/prefix", "/usr/bin/python3", "3.13")
    with path.open("rb") as stream:
        for entry in entries(stream, source(path.read_bytes(), path.name, scheme)):
            _write(tmp_path, entry)
    program = "import importlib.metadata as m, json; print(json.dumps([str(f.locate()) for f in m.files('gunicorn')]))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'lib/site')!r}); {program}"],
        check=True, capture_output=True,
    )  # fmt: skip
    places = [Path(name) for name in json.loads(done.stdout)]
    assert all(place.resolve().is_file() for place in places)
    assert tmp_path / "prefix/bin/gunicorn" in {place.resolve() for place in places}


def _write(root: Path, entry: Entry) -> None:
    place = root / entry.path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content(entry))
