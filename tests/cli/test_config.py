"""Every option that shapes the config, from the command line to what is in the image."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ociassemble.cli.build import build
from ociassemble.project import keys
from tests.failure.scene import Scene

PYPROJECT = '[project]\nname = "demo"\nversion = "1.2"\ndescription = "Demo"\nlicense = "MIT"\n'


def built(scene: Scene, *argv: str, **environment: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """(config, manifest of linux/amd64, index or {}) of a build; all of it is validated."""
    scene.run("build", "project", "-q", "-o", "oci:outputs/image:v1", *argv, **environment).worked()
    scene.run("validate", "oci:outputs/image:v1").worked()
    root = json.loads(scene.run("manifest", "oci:outputs/image:v1").out)
    manifest = json.loads(scene.run("manifest", "oci:outputs/image:v1", "--platform", "linux/amd64").out)
    config = json.loads(scene.run("config", "oci:outputs/image:v1", "--platform", "linux/amd64").out)
    return config["config"], manifest, root if "manifests" in root else {}


@pytest.mark.spec("MERGE-3", "MERGE-4", "MERGE-5", "MERGE-6", "MERGE-8")
@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["-e", "A=1", "--env", "B=x=y", "-e", "C="], {"Env": ["PATH=...", "A=1", "B=x=y", "C="]}),
        (["-e", "PATH-"], {"Env": None}),
        (["-e", "A=1", "-e", "A=2"], {"Env": ["PATH=...", "A=2"]}),
        (["-u", "1000:1000"], {"User": "1000:1000"}),
        (["--user", ""], {"User": None}),
        (["-w", "/srv"], {"WorkingDir": "/srv"}),
        (["--entrypoint", '["/x", "a b"]'], {"Entrypoint": ["/x", "a b"], "Cmd": None}),
        (["--expose", "8080", "--expose", "53/udp"], {"ExposedPorts": {"53/udp": {}, "8080/tcp": {}}}),
        (["--expose", "8080", "--expose", "8080-"], {"ExposedPorts": None}),
        (["--volume", "/data", "--volume", "/b"], {"Volumes": {"/b": {}, "/data": {}}}),
        (["--volume", "/data", "--volume", "/data-"], {"Volumes": None}),
        (["--stop-signal", "SIGINT"], {"StopSignal": "SIGINT"}),
        (["--stop-signal", "SIGRTMIN+3"], {"StopSignal": "SIGRTMIN+3"}),
        (["-l", "a=1", "--label", "b.c=2"], {"Labels": {"a": "1", "b.c": "2"}}),
        (["-l", "a=1", "-l", "a-"], {"Labels": None}),
        (
            ["--healthcheck-cmd", "/x -q", "--healthcheck-interval", "30s", "--healthcheck-timeout", "1m30s",
             "--healthcheck-start-period", "500ms", "--healthcheck-start-interval", "1s", "--healthcheck-retries", "2"],
            {"Healthcheck": {"Test": ["CMD", "/x", "-q"], "Interval": 30 * 10**9, "Timeout": 90 * 10**9,
                             "StartPeriod": 5 * 10**8, "StartInterval": 10**9, "Retries": 2}},
        ),
        (["--healthcheck-cmd", '["/x", "a b"]'], {"Healthcheck": {"Test": ["CMD", "/x", "a b"]}}),
        (["--healthcheck", "none"], {"Healthcheck": {"Test": ["NONE"]}}),
    ],
    ids=lambda item: " ".join(item) if isinstance(item, list) else "",
)  # fmt: skip
def test_the_config(scene: Scene, argv: list[str], expected: dict[str, Any]) -> None:
    scene.file("x", b"#!/usr/bin/python3.13\n").chmod(0o755)
    argv = [word.replace("/x", "/app/x") for word in argv]
    config, _, _ = built(scene, *argv)
    expected = json.loads(json.dumps(expected).replace('"/x"', '"/app/x"'))

    for key, value in expected.items():
        found = config.get(key)
        if key == "Env" and found:
            found = ["PATH=..." if item.startswith("PATH=") else item for item in found]
        assert found == value


@pytest.mark.spec("CLI-11", "MERGE-5", "MERGE-8", "MERGE-9", "MERGE-10")
@pytest.mark.parametrize(
    ("argv", "words", "hint"),
    [
        (["-e", "HOME"], "`--env HOME` is not of the form KEY=VALUE", '`--env HOME="$HOME"`'),
        (["-e", "=x"], "`--env =x` is not of the form KEY=VALUE", "`KEY-`"),
        (["--expose", "http"], "`http` is not a port", "1 to 65535"),
        (["--expose", "70000-"], "`70000-` is not a port", "1 to 65535"),
        (["--volume", "data"], "the volume `data` is not an absolute path", None),
        (["--stop-signal", "sig int"], "`sig int` is not understood", "SIGINT"),
        (["--healthcheck-cmd", "curl x || exit 1"], "`|` needs a shell", "JSON array"),
        (["--healthcheck-interval", "30s"], "neither the base nor you say", "--healthcheck-cmd"),
        (["--healthcheck-cmd", "/x", "--healthcheck-interval", "30"], "`30` is not a duration", "`30s`"),
        (["--healthcheck-cmd", "/x", "--healthcheck", "none"], "neither a command nor times", "leave away"),
        (["--healthcheck-cmd", "/x", "--healthcheck-retries", "-1"], "must be a number", None),
        (["-a", "manifest-descriptor:x=1"], "annotations of `manifest-descriptor` are not written", "index:KEY"),
        (["-a", "a b=1"], "`a b` is not a key", "KEY=VALUE"),
        (["--annotate", "gti"], "`gti` is none of", "did you mean `git`?"),
        (["--annotate", "git,none"], "`none` stands alone", None),
        (["--kind", "pyton"], "`pyton` is none of", "did you mean `python`?"),
        (["--metadata-file", "-"], "`-` is no name for a file", "--format json"),
        (["--iidfile", "x", "--digest-file", "x"], "`x` would be written twice", "each"),
    ],
    ids=lambda item: " ".join(item) if isinstance(item, list) else "",
)  # fmt: skip
def test_mistakes(scene: Scene, argv: list[str], words: str, hint: str | None) -> None:
    scene.run("build", "project", "-q", *argv).failed(2, words, hint=hint)


@pytest.mark.spec("MERGE-10", "MERGE-11", "MERGE-12")
def test_annotations_of_manifest_and_index(scene: Scene) -> None:
    scene.file("pyproject.toml", PYPROJECT)
    both = ("--platform", "linux/amd64,linux/arm64")
    argv = ("-a", "x=1", "-a", "index:y=2", "-a", "index,manifest:z=3", "-a", "org.opencontainers.image.version-")
    config, manifest, index = built(scene, *both, *argv)
    said = {f"org.opencontainers.image.{key}": value for key, value in
            {"title": "demo", "description": "Demo", "licenses": "MIT"}.items()}  # fmt: skip

    base = {key: value for key, value in manifest["annotations"].items() if ".base." in key}
    assert manifest["annotations"] == {**base, **said, "x": "1", "z": "3"}
    assert index["annotations"] == {**said, "y": "2", "z": "3"}
    assert "Labels" not in config


@pytest.mark.spec("MERGE-11")
def test_none_unasked(scene: Scene) -> None:
    scene.file("pyproject.toml", PYPROJECT)
    _, manifest, _ = built(scene, "--annotate", "none")

    assert [key for key in manifest["annotations"] if ".base." not in key] == []


@pytest.mark.spec("MERGE-11")
def test_a_new_version_alone_is_no_new_image_id(scene: Scene) -> None:
    scene.file("pyproject.toml", PYPROJECT)
    scene.file(".dockerignore", "pyproject.toml\n")
    before = built(scene)[1]
    scene.file("pyproject.toml", PYPROJECT.replace("1.2", "1.3"))
    after = built(scene)[1]

    assert after["config"] == before["config"]
    assert after["annotations"] != before["annotations"]


@pytest.mark.spec("MERGE-10")
def test_an_index_annotation_of_a_single_image_is_told(scene: Scene) -> None:
    done = scene.run("build", "project", "-q", "-o", scene.layout, "-a", "index:y=2").worked()

    assert "warning: linux/amd64: left out: index:y" in done.err


# --- settings and options say the same -----------------------------------------------------------------------

# Options that say where a result goes, or how it is made this time: not what the image is.
OF_THIS_RUN = {
    "app", "push", "load", "runtime", "output", "image-refs", "digest-file", "iidfile", "metadata-file", "format",
    "dry-run", "locked", "no-lock", "no-cache", "lockfile", "pull", "help", "allow-secret", "gate",
}  # fmt: skip
# How an option is called in the settings, where it is called otherwise.
NAMES = {
    "tag": "tags", "platform": "platforms", "extra": "python.extras", "group": "python.groups", "wheel": "wheels",
    "requirements": "python.requirements", "expose": "ports", "volume": "volumes", "label": "labels",
    "annotation": "annotations", "healthcheck": "healthcheck.disable", "healthcheck-cmd": "healthcheck.cmd",
    "healthcheck-interval": "healthcheck.interval", "healthcheck-timeout": "healthcheck.timeout",
    "healthcheck-start-period": "healthcheck.start-period", "healthcheck-retries": "healthcheck.retries",
    "healthcheck-start-interval": "healthcheck.start-interval", "ca-cert": "ca-certs",
}  # fmt: skip
GLOBAL = {
    "offline", "cache-dir", "authfile", "insecure-registry", "insecure-credentials", "ca-file", "registry-mirror",
    "trust-realm", "progress", "quiet", "verbose", "jobs", "debug",
}  # fmt: skip


@pytest.mark.spec("CLI-10")
def test_every_option_that_shapes_the_image_is_a_setting() -> None:
    options = {max(param.opts, key=len).lstrip("-") for param in build.params}
    known = set(keys.KEYS) | {f"{table}.{name}" for table, found in keys.TABLES.items() for name in found}
    shaping = {NAMES.get(name, name) for name in options - OF_THIS_RUN - GLOBAL}

    assert shaping - known == set()


@pytest.mark.spec("CLI-10")
@pytest.mark.parametrize(
    ("settings", "argv"),
    [
        ('env = { A = "1", PATH = false }', ["-e", "A=1", "-e", "PATH-"]),
        ("ports = [8080, \"53/udp\"]", ["--expose", "8080", "--expose", "53/udp"]),
        ('volumes = ["/data"]', ["--volume", "/data"]),
        ('user = ""', ["--user", ""]),
        ('stop-signal = "SIGINT"', ["--stop-signal", "SIGINT"]),
        ('labels = { a = "1" }', ["-l", "a=1"]),
        ('annotations = { "index,manifest:a" = "1" }', ["-a", "index,manifest:a=1"]),
        ('annotate = ["none"]', ["--annotate", "none"]),
        ('healthcheck = { cmd = "/app/main.py", interval = "30s" }',
         ["--healthcheck-cmd", "/app/main.py", "--healthcheck-interval", "30s"]),
        ("healthcheck = { disable = true }", ["--healthcheck", "none"]),
        ("source-date-epoch = 86400", ["--source-date-epoch", "86400"]),
    ],
)  # fmt: skip
def test_a_setting_is_its_option(scene: Scene, settings: str, argv: list[str]) -> None:
    own = (scene.project / "ociassemble.toml").read_text()
    plain = ("build", "project", "-q", "-o", "oci:outputs/a:v1", "--platform", "linux/amd64,linux/arm64")
    scene.file("pyproject.toml", PYPROJECT)
    without = scene.run(*plain).worked().out
    by_option = scene.run(*plain, *argv).worked().out
    scene.file("ociassemble.toml", own + settings + "\n")

    assert scene.run(*plain).worked().out == by_option != without


@pytest.mark.spec("CLI-10")
def test_an_option_wins_over_its_variable_and_that_over_the_setting(scene: Scene) -> None:
    own = (scene.project / "ociassemble.toml").read_text()
    scene.file("ociassemble.toml", own + 'user = "1"\nsource-date-epoch = 10\n')

    assert built(scene)[0]["User"] == "1"
    assert built(scene, OCIASSEMBLE_USER="2")[0]["User"] == "2"
    assert built(scene, "-u", "3", OCIASSEMBLE_USER="2")[0]["User"] == "3"
    created = [
        json.loads(scene.run("inspect", "oci:outputs/image:v1", "--format", "json").out)["created"]
        for argv, environment in (
            ([], {}), ([], {"SOURCE_DATE_EPOCH": "20"}), (["--source-date-epoch", "30"], {"SOURCE_DATE_EPOCH": "20"}),
        )
        if built(scene, *argv, **environment)
    ]  # fmt: skip
    assert created == ["1970-01-01T00:00:10Z", "1970-01-01T00:00:20Z", "1970-01-01T00:00:30Z"]


@pytest.mark.spec("CLI-10", "CLI-14")
def test_names_of_the_result_may_be_in_the_settings(scene: Scene) -> None:
    own = (scene.project / "ociassemble.toml").read_text()
    host = scene.serve().host
    scene.file("ociassemble.toml", own + f'tags = ["{host}/team/app:v1"]\n')

    assert scene.run("build", "project", "-q").worked().out.startswith(f"{host}/team/app@sha256:")
    assert scene.tags() == {}
    assert scene.run("build", "project", "-q", "--push").worked().out.startswith(f"{host}/team/app@sha256:")
    assert list(scene.tags()) == ["team/app/_tags/v1"]


@pytest.mark.spec("CLI-10")
@pytest.mark.parametrize(
    ("file", "text", "words", "hint"),
    [
        (
            "ociassemble.toml",
            "[healthcheck]\ncmnd = 1",
            "ociassemble.toml: there is no setting `healthcheck.cmnd`",
            "`cmd`",
        ),
        ("ociassemble.toml", "[healthcheck]\ninterval = 30", "`healthcheck.interval` must be a duration", '"30s"'),
        ("pyproject.toml", "[tool.ociassemble]\nlabel = {}", "pyproject.toml: there is no setting `label`", "`labels`"),
        ("package.json", '{"ociassemble": {"env": {"A": "\\ud800"}}}', "package.json: `A` of `env` holds half", None),
        ("package.json", '{"ociassemble": {"annotate": "git"}}', "package.json: `annotate` must be a list", '["git"]'),
    ],
)
def test_settings_that_are_wrong_name_file_and_key(
    scene: Scene, file: str, text: str, words: str, hint: str | None
) -> None:
    (scene.project / "ociassemble.toml").unlink()
    scene.file(file, text)

    scene.run("build", "project", "-q").failed(2, words, hint=hint)
