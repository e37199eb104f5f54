"""What holds for every kind of application (ociassemble/kinds/protocol.py), whatever it packs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ociassemble.kinds.protocol import ApplicationKind, Resolution, ResolveRequest, WorkdirError
from ociassemble.kinds.registry import kinds as all_kinds
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import NodeFacts
from ociassemble.plan.plan import ApplicationPlan, LayerPlan, artifacts_of, document, places_of
from ociassemble.project import reading
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree
from tests.kinds.binary.programs import program
from tests.kinds.python import samples

# A folder that each kind claims, whose code ends the process when anybody imports it.
BOMB = "import os\nos._exit(77)\n"
# A base with an interpreter for each.
BASE = samples.distroless()._replace(node=NodeFacts(interpreter="/nodejs/bin/node", version="24.11.1"))
NODE_BOMB = "process.exit(77)\n"
FOLDERS: dict[str, dict[str, str | bytes]] = {
    "python": {
        "main.py": BOMB,
        "requirements.txt": "demo==1.0\n",
        "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\n[build-system]\nrequires = ["hatchling"]\n',
        "setup.py": BOMB,
        "src/shop/__init__.py": BOMB,
    },
    "node": {
        "package.json": '{"name": "shop", "dependencies": {"demo": "^1.0.0"}, "scripts": {"start": "node server.js"}}',
        "package-lock.json": """{
            "name": "shop", "lockfileVersion": 3, "packages": {
                "": {"name": "shop", "dependencies": {"demo": "^1.0.0"}},
                "node_modules/demo": {"version": "1.0.0", "integrity": "sha512-AAAA", "bin": {"demo": "cli.js"}}}}""",
        "server.js": NODE_BOMB,
        "lib/index.js": NODE_BOMB,
    },
    "binary": {"server": program("amd64"), "static/style.css": "p {}", "run.py": BOMB},
    "directory": {"index.html": "<p>", "assets/style.css": "p {}", "run.py": BOMB},
}
LOCK = """lock-version = "1.0"
created-by = "test"
[[packages]]
name = "demo"
version = "1.0"
wheels = [{ url = "https://registry.example/demo-1.0-py3-none-any.whl", size = 3, hashes = { sha256 = "%s" } }]
""" % ("a" * 64)

kinds = pytest.mark.parametrize("kind", all_kinds(), ids=lambda kind: kind.name)


def folder(kind: ApplicationKind, root: Path) -> ProjectTree:
    return samples.project(root, FOLDERS[kind.name])


def resolution(project: ProjectTree, request: ResolveRequest) -> Resolution:
    if request.ecosystem == "python":
        return Resolution("pylock", LOCK)
    artifact = ArtifactRef(Digest.of(b"demo"), 3, "demo-1.0.0.tgz")
    return Resolution(request.form, project.text(request.primary), {"sha512-AAAA": artifact})


def planned(kind: ApplicationKind, project: ProjectTree, settings: Settings | None = None) -> ApplicationPlan:
    settings, facts = settings or Settings(), BASE
    request = kind.request(project, settings, facts)
    packages = () if request is None else kind.select(request, resolution(project, request), facts)
    return kind.plan(project, settings, facts, packages)


def as_json(plan: ApplicationPlan) -> str:
    return json.dumps([document(plan.config), *(document(layer) for layer in plan.layers)], sort_keys=True)


def state(root: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(root.rglob("*"))
    }


def test_every_kind_has_a_folder_here() -> None:
    assert {kind.name for kind in all_kinds()} == set(FOLDERS)


@kinds
def test_it_recognises_its_folder_and_says_why(kind: ApplicationKind, tmp_path: Path) -> None:
    project = folder(kind, tmp_path)
    found = kind.recognise(project)
    assert found is not None and found.kind == kind.name and found.evidence
    assert kind.default_base(project, Settings(), (Platform.parse("linux/amd64"),)).name.startswith("distroless/")


@kinds
def test_its_request_names_files_that_are_there(kind: ApplicationKind, tmp_path: Path) -> None:
    project = folder(kind, tmp_path)
    request = kind.request(project, Settings(), None)
    if request is None:
        return
    assert isinstance(request, ResolveRequest) and request.primary in request.inputs
    assert len(set(request.inputs)) == len(request.inputs)
    assert all(project.has(path) and not path.startswith(("/", "..")) for path in request.inputs)
    with_facts = kind.request(project, Settings(), BASE)
    assert with_facts is not None and with_facts.inputs == request.inputs


@kinds
def test_planning_writes_nothing_runs_nothing_and_imports_nothing(kind: ApplicationKind, tmp_path: Path) -> None:
    project = folder(kind, tmp_path)
    before, working_directory = state(tmp_path), Path.cwd()
    planned(kind, project)
    assert state(tmp_path) == before and Path.cwd() == working_directory


@kinds
def test_equal_folders_have_equal_plans_wherever_they_are(
    kind: ApplicationKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "a", tmp_path / "elsewhere" / "b"
    one = as_json(planned(kind, folder(kind, first)))
    folder(kind, second)
    for path in second.rglob("*"):
        os.utime(path, (1, 1))
    monkeypatch.setenv("TZ", "Pacific/Chatham")
    monkeypatch.setenv("PORT", "1234")
    monkeypatch.chdir(second)
    assert as_json(planned(kind, reading.read(second))) == one
    assert str(tmp_path) not in one


@kinds
def test_the_application_is_the_last_layer_and_holds_the_folder(kind: ApplicationKind, tmp_path: Path) -> None:
    project = folder(kind, tmp_path)
    plan = planned(kind, project, Settings(workdir="/srv/x"))
    *dependencies, last = plan.layers
    assert last.role == "application" and plan.config.workdir == "/srv/x"
    assert document(planned(kind, project, Settings(workdir="//srv/./x/"))) == document(plan)
    for wrong in ("srv", "/srv/../x", "/srv\nx"):
        with pytest.raises(WorkdirError):
            planned(kind, project, Settings(workdir=wrong))
    assert all(layer.role == "dependency" and artifacts_of(layer) for layer in dependencies)
    assert all(isinstance(layer, LayerPlan) and layer.title and layer.sources for layer in plan.layers)
    assert {f"/srv/x/{file.path}" for file in project.files} <= set(places_of(last))
    for layer in plan.layers:
        assert all(place.startswith("/") for place in places_of(layer))


@kinds
def test_reasons_are_for_people(kind: ApplicationKind, tmp_path: Path) -> None:
    for reason in planned(kind, folder(kind, tmp_path)).reasons:
        assert reason.decision and reason.evidence and "\n" not in reason.decision + reason.evidence


@kinds
def test_a_stated_command_wins(kind: ApplicationKind, tmp_path: Path) -> None:
    stated = Settings(entrypoint=("/bin/thing",), cmd=("--now",))
    config = planned(kind, folder(kind, tmp_path), stated).config
    assert (config.entrypoint, config.cmd) == (("/bin/thing",), ("--now",))


@kinds
def test_an_empty_folder_is_no_traceback(kind: ApplicationKind, tmp_path: Path) -> None:
    from ociassemble.errors import Error

    try:
        plan = planned(kind, reading.read(tmp_path))
    except Error as error:
        assert error.hint
    else:
        assert plan.layers
