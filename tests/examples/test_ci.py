"""The templates for CI systems fit the systems' own schemas, and every command in them is one of ours."""

from __future__ import annotations

import copy
import importlib.resources
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from tests.examples.tekton_task import SCHEMA
from tests.examples.test_examples import parsed

FOLDER = Path(__file__).parent.parent.parent / "examples" / "ci"
_EXPRESSION = re.compile(r"\$\{\{.*?\}\}|\$\([A-Za-z.]+\)|\$\w+")


def load(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((FOLDER / name).read_text())


def published(name: str) -> Any:
    """A schema that SchemaStore publishes, as `check-jsonschema` brings it along."""
    place = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{name}.json"
    return json.loads(place.read_text())


SCHEMAS = {
    "github-actions.yml": lambda: published("github-workflows"),
    "gitlab-ci.yml": lambda: published("gitlab-ci"),
    "tekton-task.yaml": lambda: SCHEMA,
}


def check(document: Any, schema: Mapping[str, Any]) -> None:
    jsonschema.validators.validator_for(schema)(schema).validate(document)


@pytest.mark.parametrize("name", SCHEMAS)
def test_it_fits_the_schema(name: str) -> None:
    check(load(name), SCHEMAS[name]())


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("github-actions.yml", ("jobs", "image", "steps", 0, "usse"), "x"),
        ("github-actions.yml", ("jobs", "image", "runs_on"), "x"),
        ("gitlab-ci.yml", ("push-image", "script"), 5),
        ("gitlab-ci.yml", ("push-image", "artifacts", "path"), ["x"]),
        ("tekton-task.yaml", ("spec", "steps", 0, "arg"), "x"),
        ("tekton-task.yaml", ("spec", "params", 0, "type"), "text"),
    ],
)
def test_the_schema_would_see_a_mistake(name: str, path: tuple[Any, ...], value: Any) -> None:
    document = copy.deepcopy(load(name))
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value

    with pytest.raises(jsonschema.ValidationError):
        check(document, SCHEMAS[name]())


def lines(name: str) -> Iterator[str]:
    """Every shell line of a template."""
    document = load(name)
    if name == "github-actions.yml":
        for job in document["jobs"].values():
            yield from (step["run"] for step in job["steps"] if "run" in step)
    elif name == "gitlab-ci.yml":
        yield from document["push-image"]["script"]
    else:
        for step in document["spec"]["steps"]:
            yield shlex.join(["ociassemble", *step["args"]])


@pytest.mark.parametrize("name", SCHEMAS)
def test_its_commands_are_ours(name: str) -> None:
    found = []
    for line in lines(name):
        words = shlex.split(_EXPRESSION.sub("x", line))
        if "ociassemble" in words:
            found.append(words[words.index("ociassemble") :])

    assert any(words[1] == "build" and "--push" in words and "--locked" in words for words in found)
    for words in found:
        parsed(words)
