"""How Node applications start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ociassemble.errors import Error
from ociassemble.kinds.node.errors import NodeStartError, NoNodeError
from ociassemble.kinds.node.kind import Node
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import ApplicationPlan
from ociassemble.project.settings import NodeSettings, Settings
from tests.kinds.node import samples
from tests.spec_tables import cases

BASES = {
    "distroless": samples.distroless(),
    "official": samples.official(),
    "old": samples.distroless(version="22.17.1"),
}


def plan(
    folder: Path, manifest: dict[str, Any], files: str = "", facts: BaseFacts | None = None, **settings: Any
) -> ApplicationPlan:
    """`files` are names; after `=` stands a line of content in which `_` is a space."""
    content: dict[str, Any] = {"package.json": manifest}
    for word in files.split():
        name, _, text = word.partition("=")
        content[name] = text.replace("_", " ").replace(":", ": ", 1)
    facts = facts or samples.distroless()
    text = ""
    if manifest.get("dependencies") or manifest.get("optionalDependencies"):
        entries = {f"node_modules/{name}": bins for name, bins in manifest["dependencies"].items()}
        manifest["dependencies"] = dict.fromkeys(manifest["dependencies"], "^1.0.0")
        text = samples.lock(entries, {"dependencies": manifest["dependencies"]})
        content["package-lock.json"] = text
    tree = samples.project(folder, content)
    packages = samples.packages(text, facts) if text else ()
    return Node().plan(tree, Settings(**settings), facts, packages)


def words(cell: str, facts: BaseFacts) -> tuple[str, ...] | None:
    assert facts.node is not None
    if cell == "-":
        return None
    return tuple(facts.node.interpreter if word == "N" else word for word in json.loads(cell))


@pytest.mark.spec("NODE-24", "NODE-25", "NODE-26", "NODE-27", "NODE-28")
@pytest.mark.parametrize("case", cases("node-kind.md", "start"), ids=str)
def test_start(case: dict[str, str], tmp_path: Path) -> None:
    flags = {} if case["flags"] == "-" else {key: tuple(value) for key, value in json.loads(case["flags"]).items()}
    facts, manifest = BASES[case["base"]], json.loads(case["package.json"])
    files = "" if case["files"] == "-" else case["files"]
    if case["entrypoint"] == "error":
        with pytest.raises(NodeStartError) as caught:
            plan(tmp_path, manifest, files, facts, **flags)
        assert case["cmd"] in caught.value.message
        assert caught.value.hint
        return
    config = plan(tmp_path, manifest, files, facts, **flags).config
    assert config.entrypoint == words(case["entrypoint"], facts)
    assert config.cmd == words(case["cmd"], facts)
    assert config.workdir == "/app"


@pytest.mark.spec("NODE-26")
@pytest.mark.parametrize("case", cases("node-kind.md", "rewrites"), ids=lambda case: case["start"])
def test_what_to_write_instead(case: dict[str, str], tmp_path: Path) -> None:
    manifest = {
        "dependencies": {"next": {"bin": {"next": "dist/bin/next"}}},
        "scripts": {"start": case["start"], "serve": "node server.js", "web": "next start", "loop": "npm run loop"},
    }
    with pytest.raises(NodeStartError) as caught:
        plan(tmp_path, manifest, "app.js server.js")
    assert case["hint"] in str(caught.value.hint).replace("`", "")
    assert "package.json: scripts.start" in caught.value.message
    assert list(caught.value.details) == [case["start"]]


@pytest.mark.parametrize("start", ["npm run loop", "npm run other", "npx", "npm exec", "npx --yes", "yarn", "npm run"])
def test_a_rewrite_always_ends(start: str, tmp_path: Path) -> None:
    scripts = {"start": start, "loop": "npm run other", "other": "npm run loop"}
    with pytest.raises(NodeStartError) as caught:
        plan(tmp_path, {"scripts": scripts}, "app.js")
    assert caught.value.hint


@pytest.mark.spec("NODE-26", "NODE-29")
def test_the_environment_of_a_start_command(tmp_path: Path) -> None:
    scripts = {"start": "env DEBUG=app:* TITLE='two words' node app.js"}
    config = plan(tmp_path, {"scripts": scripts}, "app.js").config
    assert config.env == {"NODE_ENV": "production", "DEBUG": "app:*", "TITLE": "two words"}
    config = plan(tmp_path, {"scripts": {"start": "NODE_ENV=staging node app.js"}}, "app.js").config
    assert config.env == {"NODE_ENV": "staging"}


@pytest.mark.spec("NODE-29")
def test_a_base_may_say_what_it_is_for(tmp_path: Path) -> None:
    facts = samples.distroless()._replace(env={"NODE_ENV": "test"})
    assert plan(tmp_path, {}, "app.js", facts).config.env == {}


@pytest.mark.spec("NODE-30")
@pytest.mark.parametrize("framework", ["express", "fastify", "koa", "@hapi/hapi", "next", "@nestjs/core"])
def test_the_port_of_a_web_framework(framework: str, tmp_path: Path) -> None:
    found = plan(tmp_path, {"dependencies": {framework: {}}}, "app.js")
    assert (found.config.env["PORT"], found.config.ports) == ("8080", ("8080/tcp",))
    assert any("PORT=8080" in reason.decision for reason in found.reasons)


@pytest.mark.spec("NODE-30")
@pytest.mark.parametrize(
    ("start", "env", "settings"),
    [
        ("PORT=3000 node app.js", {}, {}),
        ("node app.js --port=3000", {}, {}),
        ("node app.js -p 3000", {}, {}),
        ("node app.js", {"PORT": "80"}, {}),
        ("node app.js", {}, {"env": {"PORT": "80"}}),
        ("node app.js", {}, {"env": {"PORT": None}}),
        ("node app.js", {}, {"ports": ("3000/tcp",)}),
        ("node app.js", {}, {"entrypoint": ("/bin/x",)}),
    ],
)
def test_whoever_says_anything_about_the_port_decides(
    start: str, env: dict[str, str], settings: dict[str, Any], tmp_path: Path
) -> None:
    facts = samples.distroless()._replace(env=env)
    config = plan(
        tmp_path, {"dependencies": {"express": {}}, "scripts": {"start": start}}, "app.js", facts, **settings
    ).config
    assert config.env.get("PORT") in (None, "3000") and config.ports == ()


@pytest.mark.spec("NODE-30")
def test_other_applications_have_no_port(tmp_path: Path) -> None:
    config = plan(tmp_path, {"dependencies": {"ms": {}}}, "app.js").config
    assert "PORT" not in config.env and config.ports == ()


@pytest.mark.spec("NODE-27")
def test_why_a_file_is_not_there(tmp_path: Path) -> None:
    manifest = {"scripts": {"start": "node dist/main.js", "build": "tsc -p ."}}
    with pytest.raises(NodeStartError) as caught:
        plan(tmp_path / "a", manifest, "src/main.ts")
    assert "`npm run build` (`tsc -p .`)" in str(caught.value.hint)
    with pytest.raises(NodeStartError) as caught:
        plan(tmp_path / "b", manifest, "dist/main.js .dockerignore=dist")
    assert "bring it back with a line `!dist`" in str(caught.value.hint)
    with pytest.raises(NodeStartError) as caught:
        plan(tmp_path / "c", {"scripts": {"start": "node ../outside.js"}})
    assert caught.value.hint


def test_a_file_of_the_base_is_taken_as_it_is(tmp_path: Path) -> None:
    config = plan(tmp_path, {"scripts": {"start": "node /opt/agent.js"}}).config
    assert config.cmd == ("/opt/agent.js",)
    config = plan(tmp_path, {"scripts": {"start": "node /app/x.js"}}, "x.js").config
    assert config.cmd == ("/app/x.js",)


@pytest.mark.spec("NODE-24")
def test_what_could_be_meant_is_listed(tmp_path: Path) -> None:
    with pytest.raises(NodeStartError) as caught:
        plan(tmp_path, {"scripts": {"dev": "node --watch one.js"}}, "one.js two.mjs jest.config.js a.test.js")
    shown = "\n".join(caught.value.details)
    assert "node one.js" in shown and "node two.mjs" in shown and "npm run dev" in shown
    assert "config" not in shown and "test" not in shown


@pytest.mark.spec("NODE-24")
def test_two_processes_and_no_web(tmp_path: Path) -> None:
    tree = samples.project(tmp_path, {"package.json": {}, "Procfile": "clock: node a.js\nworker: node b.js\n"})
    with pytest.raises(NodeStartError, match="has no `web` process") as caught:
        Node().plan(tree, Settings(), samples.distroless(), ())
    assert len(caught.value.details) == 2


def test_a_base_without_node(tmp_path: Path) -> None:
    facts = samples.distroless()._replace(node=None)
    with pytest.raises(NoNodeError, match="has no Node") as caught:
        plan(tmp_path, {}, "app.js", facts)
    assert "distroless/nodejs" in str(caught.value.hint)


@pytest.mark.spec("NODE-12")
def test_a_workspace_is_started_in_its_folder(tmp_path: Path) -> None:
    files = {
        "package.json": {"workspaces": ["apps/*"], "scripts": {"start": "node root.js"}},
        "apps/api/package.json": {"name": "@shop/api", "scripts": {"start": "node server.js"}},
        "apps/api/server.js": "",
        "package-lock.json": samples.lock(
            {"node_modules/@shop/api": {"link": True, "resolved": "apps/api"}, "apps/api": {"name": "@shop/api"}},
            {"workspaces": ["apps/*"]},
        ),
    }
    tree = samples.project(tmp_path, files)
    for name in ("@shop/api", "apps/api", "./apps/api/"):
        settings = Settings(node=NodeSettings(workspace=name))
        config = Node().plan(tree, settings, samples.distroless(), ()).config
        assert (config.cmd, config.workdir) == (("server.js",), "/app/apps/api")
    settings = Settings(node=NodeSettings(workspace="apps/api"), workdir="/srv")
    config = Node().plan(tree, settings, samples.distroless(), ()).config
    assert (config.cmd, config.workdir) == (("apps/api/server.js",), "/srv")
    with pytest.raises(Error, match="no workspace `web`") as caught:
        Node().plan(tree, Settings(node=NodeSettings(workspace="web")), samples.distroless(), ())
    assert "@shop/api" in str(caught.value.hint)
