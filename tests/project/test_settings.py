"""Settings: where they are read from, every key and type, flags on top, and what a lock records of them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import Error, ProjectError, UsageError
from ociassemble.project import keys, settings
from ociassemble.project.settings import (
    CommandError,
    NodeSettings,
    PythonSettings,
    SecretsSettings,
    SettingError,
    Settings,
)

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "specs" / "schema" / "settings.schema.json").read_text(encoding="utf-8")
)
EVERYTHING = """
name = "app"
base = "distroless/python3"
kind = "python"
tags = ["registry.example/app:1"]
platforms = ["linux/amd64", "linux/arm64"]
env = { MODE = "production", LANG = false }
labels = { "org.example.team" = "core" }
annotations = { a = "b" }
user = "1000:1000"
workdir = "/srv"
entrypoint = "python -m app"
cmd = ["--level", "3"]
ports = [8080, "53/udp", "443"]
volumes = ["/data"]
stop-signal = "SIGINT"
add = ["ca.pem:/etc/ca.pem,chmod=0644"]
wheels = ["dist/a-1-py3-none-any.whl", "/abs/b.whl"]
ignorefile = "build/ignore"
base-source = "debian"
bases = { "distroless/python3" = "mirror.example/python3" }
compression = "zstd:3"
layers = "per-package"
debian-mirror = "https://mirror.example/"
node-mirror = "https://mirror.example/node"
strict-references = true

[node]
workspace = "packages/api"
omit-optional = true
prebuilt = true

[python]
extras = ["web"]
groups = ["prod"]
index-url = "https://registry.example/simple"
extra-index-urls = ["https://registry.example/other"]
find-links = ["wheels", "https://registry.example/flat"]
requirements = "requirements/prod.txt"
site = "/opt/site"
package = "api"

[secrets]
allow = ["0123456789abcdef"]
"""


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        (root / name.replace("_", ".")).write_text(text)
    return root


def own(root: Path, text: str) -> Settings:
    return settings.load(write(root, ociassemble_toml=text))


@pytest.mark.spec("PACK-40")
def test_the_schema_in_the_specs_is_the_code() -> None:
    assert keys.schema() == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.spec("PACK-40")
def test_every_key_is_a_field_and_every_field_a_key() -> None:
    assert [key.field for key in keys.KEYS.values()] == [
        field for field in Settings._fields if field != "source"
    ]  # fmt: skip
    assert tuple(key.field for key in keys.PYTHON_KEYS.values()) == PythonSettings._fields


@pytest.mark.spec("PACK-40", "PACK-43")
def test_everything(tmp_path: Path) -> None:
    assert own(tmp_path, EVERYTHING) == Settings(
        name="app",
        base="distroless/python3",
        kind="python",
        tags=("registry.example/app:1",),
        platforms=("linux/amd64", "linux/arm64"),
        env={"MODE": "production", "LANG": None},
        labels={"org.example.team": "core"},
        annotations={"a": "b"},
        user="1000:1000",
        workdir="/srv",
        entrypoint=("python", "-m", "app"),
        cmd=("--level", "3"),
        ports=("8080/tcp", "53/udp", "443/tcp"),
        volumes=("/data",),
        stop_signal="SIGINT",
        add=("ca.pem:/etc/ca.pem,chmod=0644",),
        wheels=(tmp_path / "dist/a-1-py3-none-any.whl", Path("/abs/b.whl")),
        ignorefile=tmp_path / "build/ignore",
        base_source="debian",
        bases={"distroless/python3": "mirror.example/python3"},
        compression="zstd:3",
        layers="per-package",
        debian_mirror="https://mirror.example/",
        node_mirror="https://mirror.example/node",
        secrets=SecretsSettings(allow=("0123456789abcdef",)),
        strict_references=True,
        node=NodeSettings(workspace="packages/api", omit_optional=True, prebuilt=True),
        python=PythonSettings(
            extras=("web",),
            groups=("prod",),
            index_url="https://registry.example/simple",
            extra_index_urls=("https://registry.example/other",),
            find_links=(str(tmp_path / "wheels"), "https://registry.example/flat"),
            requirements="requirements/prod.txt",
            site="/opt/site",
            package="api",
        ),
        source="ociassemble.toml",
    )


@pytest.mark.spec("PACK-40")
def test_three_places_and_none(tmp_path: Path) -> None:
    assert settings.load(tmp_path) == Settings() == settings.load(tmp_path / "missing")
    write(tmp_path, pyproject_toml='[project]\nname = "x"\n[tool.other]\na = 1\n')
    assert settings.load(tmp_path) == Settings()
    write(tmp_path, pyproject_toml='[tool.ociassemble]\nname = "a"\n')
    assert settings.load(tmp_path) == Settings(name="a", source="pyproject.toml")
    write(tmp_path, package_json='{"ociassemble": {"name": "b", "env": {"A": null}}}')
    with pytest.raises(SettingError, match=r"`pyproject.toml` and `package.json`"):
        settings.load(tmp_path)
    (tmp_path / "pyproject.toml").unlink()
    assert settings.load(tmp_path) == Settings(name="b", env={"A": None}, source="package.json")
    write(tmp_path, ociassemble_toml="")
    with pytest.raises(SettingError, match=r"`ociassemble.toml` and `package.json`"):
        settings.load(tmp_path)


def test_files_of_others_that_do_not_name_us_may_be_broken(tmp_path: Path) -> None:
    write(tmp_path, pyproject_toml="[[", package_json="{")
    assert settings.load(tmp_path) == Settings()
    write(tmp_path, pyproject_toml="[tool.ociassemble")
    with pytest.raises(SettingError, match=r"`pyproject.toml` cannot be read"):
        settings.load(tmp_path)


@pytest.mark.spec("PACK-41")
@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('bse = "x"', "there is no setting `bse`", "did you mean `base`?"),
        ('stop_signal = "x"', "there is no setting `stop_signal`", "did you mean `stop-signal`?"),
        ('[python]\nextra = ["x"]', "there is no setting `python.extra`", "did you mean `extras`?"),
        ("zzz = 1", "there is no setting `zzz`", "known are: name, base"),
        ("base = 1", "`base` must be a string, not a number", 'write it in quotes: "1"'),
        ("user = 1000", "`user` must be a string", '"1000"'),
        ("name = true", "`name` must be a string, not a boolean", ""),
        ('tags = "x"', "`tags` must be a list of strings, not a string", '["x"]'),
        ("tags = [1]", "an item of `tags` must be a string", ""),
        ("env = []", "`env` must be a table, not a list", ""),
        ("env = { A = 1 }", "`A` of `env` must be a string", '"1"'),
        ("env = { A = true }", "`A` of `env` must be a string", ""),
        ('env = { "A=B" = "x" }', "`A=B` is not a name", ""),
        ("bases = { a = false }", "`a` of `bases` must be a string", ""),
        ('kind = "pyton"', "`kind`: `pyton` is none of", "did you mean `python`?"),
        ('base-source = "x"', "`base-source`: `x` is none of auto, registry, debian", ""),
        ('compression = "lzma"', "`compression`: `lzma` is not understood", "zstd:3"),
        ("ports = [0]", "is not a port", "65535"),
        ('ports = ["99999"]', "`99999` is not a port", ""),
        ('ports = ["80/sctp", "80/x"]', "`80/x` is not a port", ""),
        ("ports = [true]", "is not a port", ""),
        ("ports = 80", "`ports` must be a list of ports, not a number", "[8080"),
        ("entrypoint = 1", "`entrypoint` must be a list of strings", ""),
        ("python = 1", "`python` must be a table", ""),
        ("strict-references = 1", "`strict-references` must be true or false", ""),
        ("wheels = 1", "`wheels` must be a list of paths", ""),
        ('name = "a\\u0000b"', "`name` holds a NUL", ""),
        ("name = 1979-05-27", "`name` must be a string, not something else", ""),
        ("user = 0x" + "f" * 5000, "`user` must be a string, not a number", ""),
        ("ports = [0x" + "f" * 5000 + "]", "is not a port", ""),
    ],
)
def test_unknown_keys_and_wrong_types(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(SettingError) as caught:
        own(tmp_path, text)
    assert caught.value.code == "usage.setting" and caught.value.exit_code == 2
    assert caught.value.message.startswith("ociassemble.toml: ") and message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("data", [b"a = ", b"\xff", b"a = " + b"[" * 50_000, b'name = "\xe9"', b"x" * (5 << 20)])
def test_hostile_files_are_errors(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ociassemble.toml").write_bytes(data)
    with pytest.raises(Error, match=r"ociassemble\.toml"):
        settings.load(tmp_path)


def test_a_command_that_needs_a_shell(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"ociassemble\.toml: .*needs a shell"):
        own(tmp_path, 'cmd = "a | b"')


def test_settings_from_outside_the_folder_are_refused(tmp_path: Path) -> None:
    write(tmp_path, other_toml='name = "x"')
    (tmp_path / "app").mkdir()
    (tmp_path / "app/ociassemble.toml").symlink_to("../other.toml")
    with pytest.raises(ProjectError, match="leads out"):
        settings.load(tmp_path / "app")


def test_a_byte_order_mark_is_no_setting(tmp_path: Path) -> None:
    (tmp_path / "ociassemble.toml").write_bytes(b'\xef\xbb\xbfname = "x"')
    assert settings.load(tmp_path).name == "x"


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 70000),
    st.sampled_from(["x", "8080/tcp", "auto", "zstd:3", "a b", "a|b"]),
    st.lists(st.one_of(st.sampled_from(["x", "80"]), st.integers(-1, 70000)), max_size=2),
    st.dictionaries(st.sampled_from(["a", "extras", "site"]), st.sampled_from(["x", False, 1, ["y"]]), max_size=2),
)  # fmt: skip


@pytest.mark.spec("PACK-41")
@given(st.dictionaries(st.sampled_from([*keys.KEYS, "unknown"]), VALUES, max_size=3))
def test_the_code_and_the_schema_refuse_the_same(table: dict[str, Any]) -> None:
    try:
        keys.fields(table)
    except CommandError:
        return  # a string that is no command is beyond the schema
    except SettingError:
        accepted = False
    else:
        accepted = True
    ports = table.get("ports")
    if isinstance(ports, list) and any(isinstance(port, str) for port in ports):
        return  # so is the number inside a string
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(table) is accepted


@given(st.binary(max_size=60))
def test_any_bytes_are_settings_or_an_error(data: bytes) -> None:
    for reader in settings._SOURCES.values():
        with contextlib.suppress(ValueError, UsageError):
            reader(data)


@pytest.mark.spec("PACK-42")
def test_flags_win() -> None:
    start = Settings(
        name="a", env={"A": "1", "B": "2"}, tags=("x",), cmd=("c",), strict_references=True,
        python=PythonSettings(extras=("web",), site="/s"),
    )  # fmt: skip
    assert start.override() is not None and start.override() == start
    assert start.override(name=None, tags=(), env={}, python_extras=(), strict_references=None) == start
    changed = start.override(
        name="b", tags=("y", "z"), env={"B": None, "C": "3"}, cmd="d e", entrypoint=(), ports=("80",),
        strict_references=False, python_site="/t", ignorefile=Path("x"), wheels=[Path("w")],
    )  # fmt: skip
    assert changed == Settings(
        name="b", env={"A": "1", "B": None, "C": "3"}, tags=("y", "z"), cmd=("d", "e"), entrypoint=(),
        ports=("80/tcp",), ignorefile=Path("x"), wheels=(Path("w"),), python=PythonSettings(extras=("web",), site="/t"),
    )  # fmt: skip
    assert start.env == {"A": "1", "B": "2"}
    with pytest.raises(SettingError, match="`--kind`: `x` is none of"):
        start.override(kind="x")
    with pytest.raises(SettingError, match="`--env`: `A=B` is not a name"):
        start.override(env={"A=B": "x"})


def test_a_key_that_begins_like_a_table_is_not_of_it() -> None:
    changed = Settings().override(node_mirror="https://mirror.example/node", node_workspace="api")
    assert (changed.node_mirror, changed.node.workspace) == ("https://mirror.example/node", "api")


@pytest.mark.spec("PACK-44")
def test_what_a_lock_records(tmp_path: Path) -> None:
    assert settings.selecting(Settings()) == {}
    recorded = settings.selecting(own(tmp_path, EVERYTHING))
    assert recorded == {
        "layers": "per-package",
        "node": {"workspace": "packages/api", "omit-optional": True, "prebuilt": True},
        "python": {
            "extras": ["web"],
            "groups": ["prod"],
            "requirements": "requirements/prod.txt",
            "site": "/opt/site",
            "package": "api",
        },
    }
    assert "example" not in json.dumps(recorded) and str(tmp_path) not in json.dumps(recorded)
