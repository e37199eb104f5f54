"""`--format json` and the files of a result: each document has the form that specs/schema/report.schema.json says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.failure.scene import Scene

SCHEMA = json.loads((Path(__file__).parents[2] / "specs" / "schema" / "report.schema.json").read_text("utf-8"))


def holds(text: str, name: str) -> Any:
    """The document in `text`, of the form of the schema's definition `name`."""
    document = json.loads(text)
    schema = {**SCHEMA, "$ref": f"#/$defs/{name}"}
    jsonschema.Draft202012Validator(schema).validate(document)
    return document


@pytest.mark.spec("CLI-8")
def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.spec("CLI-8")
def test_what_verbs_say(scene: Scene) -> None:
    host = scene.serve().host
    both = ("--platform", "linux/amd64,linux/arm64")

    def said(name: str, *argv: str) -> Any:
        return holds(scene.run(*argv, "-q", "--format", "json").worked().out, name)

    made = said("build", "build", "project", "-t", f"{host}/app:v1", "-t", "localhost/app:v2", *both)
    assert [item["name"] for item in made["destinations"]] == [
        f"{name}@{made['digest']}" for name in (f"{host}/app", "localhost/app")
    ]
    assert said("plan", "plan", "project")["kind"] == "python"
    assert said("plan", "build", "project", "--dry-run") == said("plan", "plan", "project")
    assert said("lock", "lock", "project")["changed"] is True
    assert said("lock", "lock", "project") == {**said("lock", "lock", "project"), "changed": False}
    assert said("copy", "push", f"{host}/app:v1")["destinations"][0]["name"] == f"{host}/app@{made['digest']}"
    assert said("copy", "pull", f"{host}/app:v1")["digest"] == made["digest"]
    assert said("copy", "copy", f"{host}/app:v1", "oci:outputs/x:v1")["mediaType"].endswith("index.v1+json")
    assert said("ls", "ls")["images"][0]["digest"] == made["digest"]
    assert said("ls", "ls", f"{host}/app") == {"name": f"{host}/app", "tags": ["v1"]}
    assert said("validate", "validate", "oci:outputs/x:v1")["findings"] == []
    assert said("base-list", "base", "list")["bases"]
    shown = said("inspect", "inspect", "oci:outputs/x:v1")
    assert [item["platform"] for item in shown["images"]] == ["linux/amd64", "linux/arm64"]
    assert said("inspect", "inspect", "oci:outputs/x:v1", "--platform", "linux/arm64")["platform"] == "linux/arm64"


@pytest.mark.spec("CLI-8")
def test_findings_are_a_report_and_a_status(scene: Scene) -> None:
    scene.built()
    config = json.loads(scene.run("manifest", scene.layout).out)["config"]["digest"].removeprefix("sha256:")
    (scene.outputs / "image" / "blobs" / "sha256" / config).write_bytes(b"{}")
    done = scene.run("validate", scene.layout, "-q", "--format", "json")

    assert done.status == 7
    assert holds(done.out, "validate")["findings"]


@pytest.mark.spec("CLI-9")
@pytest.mark.parametrize("platforms", ["linux/amd64", "linux/amd64,linux/arm64"])
def test_files_of_the_result(scene: Scene, platforms: str) -> None:
    names = {"--image-refs": "refs", "--digest-file": "digest", "--iidfile": "iid", "--metadata-file": "metadata.json"}
    files = [word for flag, name in names.items() for word in (flag, f"outputs/{name}")]
    tags = ("-t", "app:v1", "-t", "registry.example/app:v2")
    done = scene.run("build", "project", "-q", *tags, *files, "--platform", platforms).worked()
    found = {name: (scene.outputs / name).read_text() for name in names.values()}
    metadata = holds(found["metadata.json"], "metadata")
    digest = done.out.splitlines()[0].partition("@")[2]

    assert found["refs"] == done.out
    assert found["digest"] == digest + "\n"
    assert metadata["containerimage.digest"] == metadata["containerimage.descriptor"]["digest"] == digest
    assert metadata["image.name"] == "docker.io/library/app:v1,registry.example/app:v2"
    assert found["iid"].strip() == (digest if "," in platforms else metadata["containerimage.config.digest"])
    assert ("containerimage.config.digest" in metadata) == ("," not in platforms)
    layers = [layer for image in metadata["dev.ociassemble.build"]["images"] for layer in image["layers"]]
    assert {layer["why"] for layer in layers} == {"1 file of the project"}
    assert {(scene.outputs / name).stat().st_mode & 0o777 for name in names.values()} == {0o644}


@pytest.mark.spec("CLI-9")
def test_a_build_that_fails_writes_none_of_them(scene: Scene) -> None:
    scene.file("main.py", "print(2)\n")
    before = sorted(scene.outputs.iterdir())
    scene.run(
        "build", "project", "-q", "-b", "oci:base:v9", "--digest-file", "outputs/d", "--iidfile", "outputs/i"
    ).failed(4, "is not in the layout", hint=None)
    scene.run("build", "project", "-q", "--digest-file", "outputs/d", "--iidfile", "outputs/none/i").failed(
        11, "no such folder", hint="make the folder"
    )

    assert sorted(scene.outputs.iterdir()) == before


@pytest.mark.spec("CLI-15")
def test_verbose_says_what_became_of_each_part(scene: Scene) -> None:
    done = scene.run("build", "project", "-v", "-o", scene.layout).worked()
    layer = json.loads(scene.run("manifest", scene.layout).out)["layers"][-1]["digest"]

    assert f"linux/amd64: layer `application` {layer}" in done.err
    assert f"oci:outputs/image:v1: {layer}" in done.err.replace(str(scene.outputs), "outputs")
    assert layer not in scene.run("build", "project", "-o", scene.layout).worked().err


@pytest.mark.spec("CLI-14")
def test_every_image_of_an_index_is_shown(scene: Scene) -> None:
    lines = scene.run("inspect", "oci:base:v1").worked().out.splitlines()
    shown = [line.split()[0] for line in lines if line.startswith("  linux/")]

    assert shown == ["linux/amd64", "linux/arm64"]


@pytest.mark.spec("CLI-14")
def test_a_host_is_no_repository(scene: Scene) -> None:
    host = scene.serve().host
    for text in (host, "registry.example", "localhost"):
        scene.run("ls", text).failed(2, f"`{text}` is a registry, and no repository in it", hint=f"ls {text}/NAME")
