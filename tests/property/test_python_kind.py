"""The Python kind's readers are total: whatever is written, they answer or raise our error."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.errors import Error
from ociassemble.kinds.protocol import Resolution, ResolveRequest
from ociassemble.kinds.python import requirements, select
from ociassemble.kinds.python.kind import Python
from ociassemble.project import tree
from ociassemble.project.settings import Settings
from tests.kinds.python import samples

WORDS = st.sampled_from(
    [
        *("flask", "==", "1.0", "-r", "-c", "-e", "--hash=sha256:", "--hash", "a" * 64, "\\\n", "\n", " ", "#", ";"),
        *(
            "[x]",
            "@",
            "git+https://",
            "https://registry.example/",
            "x-1-py3-none-any.whl",
            ".",
            "..",
            "/",
            "${X}",
            "-f",
        ),
        *("other.txt", "requirements.txt", "--no-binary", ":all:", "'", '"', "\ufeff", "~", "\\", "%2e", "\0"),
    ]
)
LINES = st.lists(WORDS | st.text(max_size=5), max_size=30).map("".join)


def folder(root: str, files: dict[str, str]) -> tree.ProjectTree:
    return samples.project(Path(root), {name: text.encode(errors="replace") for name, text in files.items()})


@given(LINES, LINES)
def test_requirements_are_read_or_refused(first: str, second: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        project = folder(root, {"requirements.txt": first, "other.txt": second})
        try:
            found = requirements.read(project, "requirements.txt")
        except Error:
            return
        assert all(project.has(path) for path in (*found.files, *found.wheels))
        assert all(path != ".." and not path.startswith(("/", "../")) for path in found.local)
        assert all(len(sha256) == 64 for _, pins in found.hashes for sha256 in pins)


KEYS = st.sampled_from(
    [
        *("name", "version", "wheels", "url", "path", "hashes", "sha256", "marker", "archive", "directory", "sdist"),
        *("project", "tool", "uv", "sources", "workspace", "members", "build-system", "requires", "scripts", "hatch"),
        *("build", "targets", "hooks", "poetry", "packages", "setuptools", "package-dir", "dynamic", "dependencies"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["x", "1.0", "../x", "x-1.0-py3-none-any.whl", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {toml(item)}' for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool) or value is None:
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f'"{value}"'


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=6), max_size=3))
def test_locks_are_selected_or_refused(packages: list[dict[str, object]]) -> None:
    text = f'lock-version = "1.0"\ncreated-by = "x"\npackages = {toml(packages)}\n'
    request = ResolveRequest("python", "pylock", "pylock.toml", ("pylock.toml",))
    try:
        found = select.select(request, Resolution("pylock", text), samples.distroless())
    except Error:
        return
    assert all(item.artifact.filename.endswith(".whl") and "/" not in item.artifact.filename for item in found)


@settings(max_examples=40)
@given(st.dictionaries(KEYS, VALUES, max_size=5), LINES)
def test_projects_are_planned_or_refused(manifest: dict[str, object], source: str) -> None:
    text = "".join(f'"{key}" = {toml(value)}\n' for key, value in manifest.items())
    with tempfile.TemporaryDirectory() as root:
        project = folder(root, {"pyproject.toml": text, "app.py": "import flask\n" + source, "Procfile": source})
        for kind_settings in (Settings(), Settings(cmd=("app.py",))):
            try:
                Python().request(project, kind_settings, samples.distroless())
                Python().plan(project, kind_settings, samples.distroless(), samples.packages("flask", "gunicorn"))
            except Error as error:
                assert error.message
