"""From a folder and its lock to layers: what is asked for, what goes where, what is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ociassemble.errors import Error, UsageError
from ociassemble.kinds.node.errors import (
    DisagreeError,
    LockMissingError,
    ManifestError,
    NodeVersionError,
    PackageLockError,
)
from ociassemble.kinds.node.kind import Node
from ociassemble.kinds.protocol import Resolution
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import ApplicationPlan, FilesSource, LinkSource, NpmSource
from ociassemble.project import reading
from ociassemble.project.settings import NodeSettings, Settings
from tests.kinds.node import samples

LOCKS = Path(__file__).parent / "locks"
SMALL, LARGE = 1000, 2 << 20


def plan(
    folder: Path, packages: dict[str, Any], *, large: str = "", cut: str | None = None, **more: Any
) -> ApplicationPlan:
    """An application with these packages, of which those in `large` are big."""
    dependencies = {name.removeprefix("node_modules/"): "^1.0.0" for name in packages if name.count("node_mod") == 1}
    text = samples.lock(packages, {"dependencies": dependencies})
    project = samples.project(
        folder, {"package.json": {"dependencies": dependencies}, "package-lock.json": text, "app.js": "", **more}
    )
    found = samples.packages(text, samples.distroless())
    sized = tuple(
        item._replace(
            artifact=item.artifact._replace(size=LARGE if item.name.endswith(tuple(large.split())) else SMALL)
        )
        if large
        else item
        for item in found
    )
    return Node().plan(project, Settings(layers=cut), samples.distroless(), sized)


def sources(found: ApplicationPlan, title: str) -> list[str]:
    """Places of the packages and links in a layer."""
    (layer,) = [layer for layer in found.layers if layer.title == title]
    return [item.path.removeprefix("/app/") for item in layer.sources if isinstance(item, NpmSource | LinkSource)]


# --- what is asked for ---------------------------------------------------------------------------------------


@pytest.mark.spec("NODE-1", "NODE-3")
def test_the_request() -> None:
    request = Node().request(reading.read(LOCKS / "workspaces"), Settings(), None)
    assert request is not None
    assert (request.ecosystem, request.form, request.primary) == ("npm", "package-lock", "package-lock.json")
    assert request.groups == ("optional",)
    assert request.inputs == (
        "package-lock.json",
        "package.json",
        "apps/api/package.json",
        "packages/cli/package.json",
        "packages/shared/package.json",
        "tools/local/package.json",
    )


@pytest.mark.spec("NODE-1")
def test_the_shrinkwrap_counts_first(tmp_path: Path) -> None:
    files = {"package.json": {}, "package-lock.json": "broken", "npm-shrinkwrap.json": samples.lock({})}
    request = Node().request(samples.project(tmp_path, files), Settings(), None)
    assert request is not None and request.primary == "npm-shrinkwrap.json"


@pytest.mark.spec("NODE-1")
def test_nothing_to_install_needs_no_lock(tmp_path: Path) -> None:
    project = samples.project(tmp_path, {"package.json": {"devDependencies": {"x": "1"}}, "app.js": ""})
    assert Node().request(project, Settings(), None) is None
    found = Node().plan(project, Settings(), samples.distroless(), ())
    assert [layer.title for layer in found.layers] == ["application"]
    assert "no dependencies" in [reason.decision for reason in found.reasons]


@pytest.mark.spec("NODE-1", "NODE-2")
@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        ({}, "there is no `package-lock.json`", "npm install --package-lock-only"),
        ({"yarn.lock": "__metadata:\n"}, "`yarn.lock` is one of Yarn 2", "`prebuilt = true`"),
        ({"bun.lock": ""}, "there is only `bun.lock`", "Bun's lock is not read"),
        ({"node_modules/a/index.js": ""}, "there is no `package-lock.json`", "`prebuilt = true`"),
    ],
)
def test_dependencies_without_a_lock(files: dict[str, Any], message: str, hint: str, tmp_path: Path) -> None:
    project = samples.project(tmp_path, {"package.json": {"dependencies": {"a": "1"}}, "app.js": "", **files})
    with pytest.raises(LockMissingError, match=message) as caught:
        Node().request(project, Settings(), None)
    assert hint in str(caught.value.hint)


@pytest.mark.spec("NODE-1")
@pytest.mark.parametrize("text", ["", "{", "[]", "\0", "[" * 50_000, "1" * 5000])
def test_a_broken_package_json(text: str, tmp_path: Path) -> None:
    project = samples.project(tmp_path, {"package.json": text})
    assert Node().recognise(project) is not None
    with pytest.raises(ManifestError):
        Node().request(project, Settings(), None)
    with pytest.raises(ManifestError):
        Node().default_base(project, Settings(), ())


def test_odd_values_in_package_json_count_as_not_there(tmp_path: Path) -> None:
    odd = {
        "name": [],
        "main": 3,
        "scripts": [],
        "dependencies": [1],
        "workspaces": {"x": 1},
        "engines": [],
        "bin": {"": 1},
    }
    project = samples.project(tmp_path, {"package.json": odd, "app.js": ""})
    assert Node().request(project, Settings(), None) is None
    assert Node().plan(project, Settings(), samples.distroless(), ()).config.cmd == ("app.js",)


@pytest.mark.spec("NODE-7", "NODE-8", "NODE-14")
def test_what_is_selected(tmp_path: Path) -> None:
    packages = {"node_modules/a": {}, "node_modules/b": {"optional": True}, "node_modules/c": {"dev": True}}
    root = {"dependencies": {"a": "1"}, "optionalDependencies": {"b": "1"}}
    files = {"package.json": root, "package-lock.json": samples.lock(packages, root)}
    project = samples.project(tmp_path, files)
    artifacts = {samples.integrity(place): ArtifactRef(Digest.of(place.encode()), 1, "x.tgz") for place in packages}
    for settings, expected in (
        (Settings(), ["node_modules/a", "node_modules/b"]),
        (Settings(node=NodeSettings(omit_optional=True)), ["node_modules/a"]),
    ):
        request = Node().request(project, settings, None)
        assert request is not None
        resolution = Resolution(request.form, project.text(request.primary), artifacts)
        found = Node().select(request, resolution, samples.distroless())
        assert [item.name for item in found] == expected
        assert found[0].artifact.digest == Digest.of(b"node_modules/a")
        with pytest.raises(PackageLockError, match="was not fetched"):
            Node().select(request, resolution._replace(artifacts={}), samples.distroless())


# --- whether package.json and lock agree ---------------------------------------------------------------------


@pytest.mark.spec("NODE-13")
@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"dependencies": {"a": "^1.0.0", "b": "1"}}, "`b` in dependencies, package-lock.json does not"),
        ({"dependencies": {}}, "package-lock.json has `a` in dependencies, package.json does not"),
        ({"dependencies": {"a": "^2.0.0"}}, r"wants `a` \^2.0.0, package-lock.json was made for \^1.0.0"),
        ({"dependencies": {"a": "latest"}}, "wants `a` latest"),
        ({"dependencies": {"a": "npm:b@1"}}, "wants `a` npm:b@1"),
        ({"optionalDependencies": {"a": "^1.0.0"}}, "`a` in optionalDependencies"),
        ({"dependencies": {"a": "^1.0.0"}, "peerDependencies": {"p": "1"}}, "`p` in peerDependencies"),
        ({"dependencies": {"a": "^1.0.0"}, "workspaces": ["x"]}, "x: a workspace the lock does not know"),
    ],
)
def test_disagreements(wanted: dict[str, Any], message: str, tmp_path: Path) -> None:
    text = samples.lock({"node_modules/a": {"version": "1.5.0"}}, {"dependencies": {"a": "^1.0.0"}})
    files = {"package.json": wanted, "package-lock.json": text, "x/package.json": {"name": "x"}}
    with pytest.raises(DisagreeError) as caught:
        Node().request(samples.project(tmp_path, files), Settings(), None)
    assert re.search(message, "\n".join(caught.value.details))
    assert "npm install --package-lock-only" in str(caught.value.hint)


@pytest.mark.spec("NODE-13")
@pytest.mark.parametrize(
    "wanted",
    [
        {"dependencies": {"a": "^1.0.0"}},
        {"dependencies": {"a": ">=1.2 <2"}},
        {"dependencies": {"a": "1.5.0"}, "devDependencies": {"other": "1"}},
    ],
)
def test_no_disagreements(wanted: dict[str, Any], tmp_path: Path) -> None:
    root = {"dependencies": {"a": "^1.0.0"}, "devDependencies": {"d": "1"}}
    text = samples.lock({"node_modules/a": {"version": "1.5.0"}}, root)
    project = samples.project(tmp_path, {"package.json": wanted, "package-lock.json": text})
    assert Node().request(project, Settings(), None) is not None


def test_a_lock_for_other_packages_is_noticed(tmp_path: Path) -> None:
    root = {"dependencies": {"a": "1"}}
    text = samples.lock({"node_modules/a": {}}, root)
    project = samples.project(tmp_path, {"package.json": root, "package-lock.json": text, "app.js": ""})
    with pytest.raises(PackageLockError, match="other packages for this base") as caught:
        Node().plan(project, Settings(), samples.distroless(), ())
    assert list(caught.value.details) == ["node_modules/a"] and "ociassemble lock" in str(caught.value.hint)


# --- layers --------------------------------------------------------------------------------------------------


@pytest.mark.spec("NODE-18")
def test_big_packages_are_alone_and_small_ones_share(tmp_path: Path) -> None:
    packages = {f"node_modules/{name}": {"bin": {name: "cli.js"}} for name in ("@s/big", "a", "b")}
    packages["node_modules/a/node_modules/big"] = {}
    found = plan(tmp_path, packages, large="big")
    assert [layer.title for layer in found.layers] == [
        "@s/big",
        "node_modules/a/node_modules/big",
        "dependencies",
        "application",
    ]
    assert sources(found, "@s/big") == ["node_modules/@s/big"]
    assert sources(found, "dependencies") == [
        *("node_modules/a", "node_modules/b"),
        *("node_modules/.bin/a", "node_modules/.bin/b", "node_modules/.bin/big"),
    ]
    assert [layer.role for layer in found.layers] == ["dependency"] * 3 + ["application"]


@pytest.mark.spec("NODE-18")
def test_other_cuts(tmp_path: Path) -> None:
    packages = {f"node_modules/p{number:03}": {} for number in range(120)}
    packages["node_modules/p000"] = {"bin": "x.js"}
    single = plan(tmp_path / "a", packages, large="0 1 2 3 4 5 6 7 8 9", cut="single")
    assert [layer.title for layer in single.layers] == ["dependencies", "application"]
    auto = plan(tmp_path / "b", packages, large="0 1 2 3 4 5 6 7 8 9")
    assert len(auto.layers) == 22
    each = plan(tmp_path / "c", packages, cut="per-package")
    assert len(each.layers) == 102 and each.layers[0].title == "p000"
    few = plan(tmp_path / "d", {"node_modules/a": {"bin": "x.js"}}, cut="per-package")
    assert [layer.title for layer in few.layers] == ["a", "application"]
    # A link without a layer of small packages is in the application's.
    assert sources(few, "application") == ["node_modules/.bin/a"]


@pytest.mark.spec("NODE-17")
def test_commands_are_links_and_executable(tmp_path: Path) -> None:
    packages = {
        "node_modules/@s/tool": {"bin": {"tool": "./bin/tool.js", "other": "x.js"}},
        "node_modules/b": {"bin": {"tool": "b.js"}},
        "node_modules/b/node_modules/c": {"bin": {"tool": "c.js"}},
    }
    found = plan(tmp_path, packages)
    (layer,) = [layer for layer in found.layers if layer.title == "dependencies"]
    links = {item.path: item.target for item in layer.sources if isinstance(item, LinkSource)}
    assert links == {
        "/app/node_modules/.bin/tool": "../@s/tool/bin/tool.js",
        "/app/node_modules/.bin/other": "../@s/tool/x.js",
        "/app/node_modules/b/node_modules/.bin/tool": "../c/c.js",
    }
    programs = {item.path: item.executables for item in layer.sources if isinstance(item, NpmSource)}
    assert programs == {
        "/app/node_modules/@s/tool": ("bin/tool.js", "x.js"),
        "/app/node_modules/b": (),  # it lost its only command
        "/app/node_modules/b/node_modules/c": ("c.js",),
    }


@pytest.mark.spec("NODE-12", "NODE-17", "NODE-19")
def test_workspaces_are_linked(tmp_path: Path) -> None:
    project = reading.read(LOCKS / "workspaces")
    packages = samples.packages(project.text("package-lock.json"), samples.distroless())
    found = Node().plan(project, Settings(cmd=("apps/api/server.js",)), samples.distroless(), packages)
    application = found.layers[-1]
    links = {item.path: item.target for item in application.sources if isinstance(item, LinkSource)}
    assert links["/app/node_modules/@shop/shared"] == "../../packages/shared"
    assert links["/app/node_modules/shop-cli"] == "../packages/cli"
    assert links["/app/node_modules/local-tool"] == "../tools/local"
    (files,) = [item for item in application.sources if isinstance(item, FilesSource)]
    modes = {item.path: item.mode for item in files.items}
    # What a command leads to is executable, as npm makes it.
    assert modes["/app/packages/cli/bin/shop.js"] == modes["/app/tools/local/tool.js"] == 0o755
    assert modes["/app/apps/api/server.js"] == 0o644
    (small,) = [layer for layer in found.layers if layer.title == "dependencies"]
    commands = {item.path: item.target for item in small.sources if isinstance(item, LinkSource)}
    assert commands["/app/node_modules/.bin/shop"] == "../shop-cli/bin/shop.js"


@pytest.mark.spec("NODE-19")
def test_no_link_leads_to_what_is_not_packed(tmp_path: Path) -> None:
    files = {
        "package.json": {"workspaces": ["packages/*"]},
        "package-lock.json": samples.lock(
            {"node_modules/x": {"link": True, "resolved": "packages/x"}, "packages/x": {"version": "1.0.0"}},
            {"workspaces": ["packages/*"]},
        ),
        "packages/x/package.json": {"name": "x", "bin": "x.js"},
        "packages/x/x.js": "",
        "app.js": "",
        ".dockerignore": "packages\n",
    }
    found = Node().plan(samples.project(tmp_path, files), Settings(), samples.distroless(), ())
    assert sources(found, "application") == []
    assert any("packages/x" in reason.decision for reason in found.reasons)


@pytest.mark.spec("NODE-2")
def test_node_modules_of_the_project(tmp_path: Path) -> None:
    files = {"package.json": {}, "app.js": "", "node_modules/a/index.js": "", "packages/x/node_modules/b/index.js": ""}
    locked = samples.project(tmp_path / "a", {**files, "package-lock.json": samples.lock({})})
    assert not [file.path for file in locked.files if "node_modules" in file.path]
    assert any("node_modules" in notice and "lock" in notice for notice in locked.notices())
    unlocked = samples.project(tmp_path / "b", files)
    with pytest.raises(LockMissingError):
        Node().plan(unlocked, Settings(), samples.distroless(), ())
    found = Node().plan(unlocked, Settings(node=NodeSettings(prebuilt=True)), samples.distroless(), ())
    (layer,) = found.layers
    (source,) = layer.sources
    assert isinstance(source, FilesSource)
    assert "/app/node_modules/a/index.js" in {item.path for item in source.items}
    assert found.reasons[0].evidence == "node.prebuilt"


@pytest.mark.spec("NODE-2")
def test_prebuilt_beside_a_lock(tmp_path: Path) -> None:
    prebuilt = Settings(node=NodeSettings(prebuilt=True))
    files = {"package.json": {"devDependencies": {"a": "1"}}, "app.js": "", "node_modules/a/index.js": ""}
    files["package-lock.json"] = "not even read"
    with pytest.raises(LockMissingError) as caught:
        Node().request(samples.project(tmp_path / "a", files), prebuilt, None)
    assert "`!node_modules`" in str(caught.value.hint)
    kept = samples.project(tmp_path / "b", {**files, ".dockerignore": "!node_modules\n"})
    assert Node().request(kept, prebuilt, None) is None
    found = Node().plan(kept, prebuilt, samples.distroless(), ())
    assert any("only development needs: a" in reason.decision for reason in found.reasons)


@pytest.mark.parametrize("workdir", ["relative", "/", "//", "/a\nb"])
def test_working_directories_that_are_none(workdir: str, tmp_path: Path) -> None:
    project = samples.project(tmp_path, {"package.json": {}, "app.js": ""})
    with pytest.raises(UsageError):
        Node().plan(project, Settings(workdir=workdir), samples.distroless(), ())


# --- the base ------------------------------------------------------------------------------------------------


@pytest.mark.spec("NODE-21")
@pytest.mark.parametrize(
    ("engines", "base"),
    [
        (None, "distroless/nodejs"),
        (">=20", "distroless/nodejs"),
        ("^24", "distroless/nodejs"),
        ("^22 || ^24", "distroless/nodejs"),
        ("22.x", "distroless/nodejs22"),
        ("<23", "distroless/nodejs22"),
        (">=25", "distroless/nodejs26"),
        ("^22 || ^26", "distroless/nodejs26"),
        ("^20", "distroless/nodejs"),
        ("nonsense", "distroless/nodejs"),
    ],
)
def test_the_base(engines: str | None, base: str, tmp_path: Path) -> None:
    project = samples.project(tmp_path, {"package.json": {"engines": {"node": engines}} if engines else {}})
    found = Node().default_base(project, Settings(), ())
    assert found.name == base
    assert bool(found.evidence) == (base != "distroless/nodejs")


@pytest.mark.spec("NODE-21")
def test_the_lines_are_those_that_names_know() -> None:
    from ociassemble.base.names import known
    from ociassemble.kinds.node.kind import LINES

    names = dict(known())
    assert names["distroless/nodejs"] == names[f"distroless/nodejs{LINES[0]}"]
    lines = {name.removeprefix("distroless/nodejs") for name in names if name.startswith("distroless/nodejs")}
    assert lines - {""} == set(LINES)


@pytest.mark.spec("NODE-22")
def test_the_bases_node_must_fit(tmp_path: Path) -> None:
    project = samples.project(tmp_path, {"package.json": {"engines": {"node": "^22"}}, "app.js": ""})
    with pytest.raises(NodeVersionError, match=r"wants Node \^22; the base has 24.11.1") as caught:
        Node().plan(project, Settings(), samples.distroless(), ())
    assert "distroless/nodejs22" in str(caught.value.hint)
    assert Node().plan(project, Settings(), samples.distroless(version="22.20.0"), ()).layers
    assert Node().plan(project, Settings(), samples.distroless(version=""), ()).layers
    prerelease = samples.project(tmp_path / "b", {"package.json": {"engines": {"node": ">=22"}}, "app.js": ""})
    assert Node().plan(prerelease, Settings(), samples.distroless(version="25.0.0-rc.1"), ()).layers


@pytest.mark.spec("NODE-22")
def test_what_packages_want_is_a_warning(tmp_path: Path) -> None:
    found = plan(tmp_path, {f"node_modules/{name}": {"engines": {"node": ">=99"}} for name in "abcde"})
    (warning,) = [reason.decision for reason in found.reasons if reason.decision.startswith("warning: ")]
    assert "a@1.0.0 wants >=99" in warning and "and 2 more" in warning


def test_several_kinds_are_asked_about(tmp_path: Path) -> None:
    from ociassemble.kinds.registry import choose

    project = samples.project(tmp_path, {"package.json": {}, "requirements.txt": "flask\n"})
    with pytest.raises(Error, match="several kinds") as caught:
        choose(project, "auto")
    assert "--kind" in str(caught.value.hint)
    assert choose(project, "node")[0].name == "node"
