"""How an application starts: the table of specs/behaviour/python-kind.md, and what it cannot say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ociassemble.errors import ProjectError
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.kinds.python.errors import StartCommandError
from ociassemble.kinds.python.kind import Python
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import ApplicationPlan
from ociassemble.project.settings import PythonSettings, Settings
from tests.kinds.python import samples
from tests.spec_tables import cases

CONTENTS = {case["name"]: case["content"].replace("\\n", "\n") for case in cases("python-kind.md", "contents")}
CONTENTS["empty"] = ""
BASES = {"distroless": samples.distroless(), "slim": samples.slim()}


def plan(
    tmp_path: Path,
    files: dict[str, str | bytes],
    packages: tuple[LockedPackage, ...] = (),
    facts: BaseFacts | None = None,
    **settings: Any,
) -> ApplicationPlan:
    tree = samples.project(tmp_path, files)
    return Python().plan(tree, Settings(**settings), facts or samples.distroless(), packages)


def words(cell: str, facts: BaseFacts) -> tuple[str, ...] | None:
    """A cell of the table with its abbreviations written out."""
    if cell == "-":
        return None
    assert facts.python is not None
    raw = json.loads(cell.replace(",G,", ',"--worker-tmp-dir","/dev/shm",'))
    result = []
    for word in raw:
        if word.startswith("U("):
            word = (
                f"import os, uvicorn; uvicorn.main(['{word[2:-1]}', '--host', '0.0.0.0', "
                "'--port', os.environ.get('PORT', '8080')])"
            )
        result.append(facts.python.interpreter if word == "P" else word)
    return tuple(result)


@pytest.mark.spec("PY-23", "PY-24", "PY-25", "PY-26", "PY-27", "PY-28", "PY-29")
@pytest.mark.parametrize("case", cases("python-kind.md", "start"), ids=str)
def test_start(case: dict[str, str], tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {}
    for item in case["files"].split():
        name, _, content = item.partition("=")
        files[name] = CONTENTS[content]
    flags = {} if case["flags"] == "-" else {key: tuple(value) for key, value in json.loads(case["flags"]).items()}
    packages = () if case["packages"] == "-" else samples.packages(*case["packages"].split())
    facts = BASES[case["base"]]
    if case["entrypoint"] == "error":
        with pytest.raises(ProjectError) as caught:
            plan(tmp_path, files, packages, facts, **flags)
        assert case["cmd"] in caught.value.message
        assert caught.value.hint
        return
    config = plan(tmp_path, files, packages, facts, **flags).config
    assert config.entrypoint == words(case["entrypoint"], facts)
    assert config.cmd == words(case["cmd"], facts)
    for word in config.cmd or ():
        if word.startswith("import "):
            compile(word, "cmd", "exec")


FLASK: dict[str, str | bytes] = {"app.py": CONTENTS["flask"]}


@pytest.mark.spec("PY-30")
@pytest.mark.parametrize(
    ("settings", "base_env", "env", "ports"),
    [
        ({}, {}, {"PORT": "8080"}, ("8080/tcp",)),
        ({"env": {"PORT": "9000"}}, {}, {}, ("9000/tcp",)),
        ({}, {"PORT": "7000"}, {}, ("7000/tcp",)),
        ({"env": {"PORT": "9000"}}, {"PORT": "7000"}, {}, ("9000/tcp",)),
        ({"env": {"PORT": None}}, {}, {}, ()),
        ({"env": {"PORT": "many"}}, {}, {}, ()),
    ],
)
def test_the_port(
    settings: dict[str, Any], base_env: dict[str, str], env: dict[str, str], ports: tuple[str, ...], tmp_path: Path
) -> None:

    facts = samples.distroless()._replace(env=base_env)
    config = plan(tmp_path, FLASK, samples.packages("flask", "gunicorn"), facts, **settings).config
    assert (dict(config.env), config.ports) == (env, ports)


def test_what_is_no_web_server_gets_no_port(tmp_path: Path) -> None:
    config = plan(tmp_path, {"main.py": "print(1)\n"}).config
    assert (dict(config.env), config.ports, config.workdir) == ({}, (), "/app")


@pytest.mark.spec("PY-31")
@pytest.mark.parametrize(("version", "quiet"), [("20.1.0", False), ("25.0.3", False), ("25.1.0", True), ("27.0", True)])
def test_gunicorn_writes_nowhere_but_into_memory(version: str, quiet: bool, tmp_path: Path) -> None:
    packages = (samples.package("flask"), samples.package("gunicorn", version))
    cmd = plan(tmp_path, FLASK, packages).config.cmd or ()
    assert "--worker-tmp-dir" in cmd and ("--no-control-socket" in cmd) is quiet


@pytest.mark.spec("PY-27")
@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("gunicorn app:app --bind 0.0.0.0:$PORT -w 2", "write: `gunicorn app:app -w 2`"),
        ("gunicorn -b :${PORT} app:app", "write: `gunicorn app:app`"),
        ("uvicorn main:app --port $PORT", "let the server be recognised"),
        ("python manage.py migrate && gunicorn app:app", "leave one program"),
        ("python a.py | tee log", "without variables, pipes"),
        ("DEBUG=1 python a.py", "without variables, pipes"),
    ],
)
def test_lines_for_a_shell_come_with_a_way_out(line: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(StartCommandError) as caught:
        plan(tmp_path, {"Procfile": f"web: {line}\n", "a.py": ""})
    assert hint in (caught.value.hint or "")
    assert caught.value.details[0] == f"web: {line}"


def test_the_error_lists_what_could_be_meant(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "hello.py": "",
        "other.py": "",
        "setup.py": "",
        "requirements.txt": "",
        "a/__main__.py": "",
        "b/__main__.py": "",
    }
    with pytest.raises(StartCommandError) as caught:
        plan(tmp_path, files)
    assert caught.value.details == (
        "could be: `python -m a`",
        "could be: `python -m b`",
        "could be: `python hello.py`",
        "could be: `python other.py`",
    )
    assert '--cmd "python hello.py"' in (caught.value.hint or "")


def test_every_decision_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    files = {**FLASK, "requirements.txt": "flask\n", "pdm.lock": ""}
    reasons = plan(tmp_path / "app", files, samples.packages("flask", "gunicorn")).reasons
    assert [tuple(reason) for reason in reasons] == [
        ("dependencies from requirements.txt", "found requirements.txt"),
        ("warning: pdm.lock not used", "requirements.txt goes before"),
        ("starts Flask with gunicorn", "app.py line 2: app = Flask(...)"),
        ("PORT=8080, exposed", "a web server that listens on $PORT"),
    ]


@pytest.mark.spec("PY-28")
@pytest.mark.parametrize(
    "text", ["from flask import Flask\napp = Flask(\n", "import flask\n" + "(" * 3000, "import flask\0"]
)
def test_a_file_that_cannot_be_parsed_is_not_guessed(text: str, tmp_path: Path) -> None:
    with pytest.raises(StartCommandError, match=r"`app\.py` cannot be parsed") as caught:
        plan(tmp_path, {"app.py": text}, samples.packages("flask", "gunicorn"))
    assert "--cmd" in (caught.value.hint or "")
    assert plan(tmp_path, {"app.py": text}, cmd=("app.py",)).config.cmd == ("app.py",)


@pytest.mark.spec("PY-28")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import flask\nif True:\n    app = flask.Flask('x')\n", "app:app"),
        ("try:\n    from flask import Flask\nfinally:\n    pass\napplication = Flask('x')\n", "app:application"),
        ("from flask import Flask\nother = Flask('a')\napp = Flask('b')\n", "app:app"),
        ("from flask import Flask\ndef create_app(name):\n    return Flask(name)\n", None),
        ("def create_app():\n    from flask import Flask\n    return Flask('x')\n", "app:create_app()"),
        ("from flask import Flask\ndef create_app():\n    return Flask('x')\napp = create_app()\n", "app:app"),
        ("from flask import Flask\nclass A:\n    app = Flask('x')\n", None),
        ("from flask import Flask\ndef f():\n    app = Flask('x')\n", None),
        ("from shop import Flask\napp = Flask('x')\n", None),
        ("Flask = dict\napp = Flask()\n", None),
        ("from flask import Flask\na = b = Flask('x')\n", None),  # equally good: ambiguous
    ],
)
def test_application_objects(text: str, found: str | None, tmp_path: Path) -> None:
    packages = samples.packages("flask", "gunicorn")
    if found is None and "a = b" in text:
        with pytest.raises(StartCommandError, match="more than one"):
            plan(tmp_path, {"app.py": text}, packages)
        return
    cmd = plan(tmp_path, {"app.py": text}, packages).config.cmd or ()
    assert cmd[-1] == (found or "app.py")


@pytest.mark.spec("PY-19")
def test_the_member_that_is_named_is_the_one_that_starts(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "uv.lock": (
            'version = 1\n[[package]]\nname = "api"\nsource = { editable = "services/api" }\n'
            '[[package]]\nname = "app"\nsource = { virtual = "." }\n'
        ),
        "pyproject.toml": '[project]\nname = "app"\nversion = "1"\n',
        "main.py": "",
        "services/api/pyproject.toml": '[project]\nname = "api"\nversion = "1"\n',
        "services/api/api_main.py": CONTENTS["fastapi"],
    }
    made = plan(tmp_path, files, samples.packages("fastapi", "uvicorn"), python=PythonSettings(package="api"))
    assert "'api_main:app'" in (made.config.cmd or ("", ""))[1]
    files["services/api/app.py"] = ""
    files["services/api/api_main.py"] = ""
    made = plan(tmp_path, files, python=PythonSettings(package="api"))
    assert made.config.cmd == ("services/api/app.py",)
