"""Host steps: run where the settings say so, told, ended cleanly; what they make is packed."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from ociassemble import _run
from ociassemble.progress import Note, Progress
from ociassemble.session import host_steps
from ociassemble.session.host_steps import HostStepError
from ociassemble.testing import images
from tests.examples.test_examples import node_base
from tests.failure.scene import scene_below, wait_for
from tests.interop.commands import Commands

PYTHON = sys.executable


def ran(folder: Path, *commands: list[str], **environment: str) -> list[str]:
    """What is told while `commands` run."""
    told: list[str] = []

    def sink(event: object) -> None:
        if isinstance(event, Note):
            told.append(event.text)

    variables = {"PATH": os.environ["PATH"], **environment}
    host_steps.run(commands, folder=folder, environment=variables, progress=Progress(sink))
    return told


@pytest.mark.spec("BUILD-2", "BUILD-3")
def test_each_is_told_before_it_runs_and_its_lines_as_they_come(tmp_path: Path) -> None:
    script = "import os, sys; print(os.getcwd()); print('bad', file=sys.stderr); open('made', 'w')"

    told = ran(tmp_path, [PYTHON, "-c", script], ["ls"])

    assert told[0].startswith("running: ") and told[0].endswith("([build] run)")
    assert set(told[1:3]) == {f"  {tmp_path.resolve()}", "  bad"}
    assert told[3:] == ["running: ls ([build] run)", "  made"]


@pytest.mark.spec("BUILD-3")
def test_the_environment_is_the_users_without_ours(tmp_path: Path) -> None:
    told = ran(tmp_path, ["env"], OCIASSEMBLE_AUTHFILE="/secret", NPM_TOKEN="theirs")

    assert "  NPM_TOKEN=theirs" in told
    assert not [line for line in told if "OCIASSEMBLE" in line]


@pytest.mark.spec("BUILD-3")
def test_there_is_no_input_to_wait_for(tmp_path: Path) -> None:
    assert ran(tmp_path, ["cat"]) == ["running: cat ([build] run)"]


@pytest.mark.spec("BUILD-4")
def test_a_failing_step_ends_the_build_with_its_last_lines(tmp_path: Path) -> None:
    script = "import sys\nfor n in range(100): print('line', n)\nsys.exit(7)"

    with pytest.raises(HostStepError, match="failed with status 7") as caught:
        ran(tmp_path, [PYTHON, "-c", script], ["touch", "later"])

    assert caught.value.details[-1] == "line 99"
    assert len(caught.value.details) == 20
    assert caught.value.exit_code == 10
    assert not (tmp_path / "later").exists()


@pytest.mark.spec("BUILD-4")
def test_a_step_ended_by_a_signal_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(HostStepError, match="ended by signal 9"):
        ran(tmp_path, ["sh", "-c", "kill -9 $$"])
    with pytest.raises(HostStepError, match=r"`no-such-tool build`.*not installed or not on PATH"):
        ran(tmp_path, ["no-such-tool", "build"])
    (tmp_path / "step").write_text("not executable")
    with pytest.raises(HostStepError, match="could not be run"):
        ran(tmp_path, ["./step"])


def gone(number: int) -> bool:
    """Whether a process is no more, or waits to be collected."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


@pytest.mark.spec("BUILD-5")
def test_what_a_step_leaves_running_is_ended(tmp_path: Path) -> None:
    """It holds the step's output open: whoever reads to its end would wait for an hour."""
    status = _run.follow(["sh", "-c", "sleep 3600 & echo $! > number"], line=lambda _: None, folder=tmp_path)

    assert status == 0
    wait_for(lambda: gone(int((tmp_path / "number").read_text())), "the process to end")


@pytest.mark.spec("BUILD-5")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_the_whole_group(tmp_path: Path, number: signal.Signals) -> None:
    """npm does not hand on what it is told: the group is told."""
    with scene_below(tmp_path) as scene:
        base = scene.base()
        scene.files(main__py="")
        scene.file("ociassemble.toml", b'cmd = "main.py"\n[build]\nrun = ["sh step.sh"]\n')
        scene.file("step.sh", b"sleep 3600 & echo $! > inner; echo $$ > outer; wait\n")
        project = scene.project

        child = scene.start("build", "project", "-b", base, "-o", scene.layout)
        wait_for(lambda: (project / "outer").exists() and (project / "outer").read_text().strip(), "the step to run")
        done = child.signalled(number, 20)

        assert done.status == 128 + number
        for name in ("inner", "outer"):
            wait_for(lambda name=name: gone(int((project / name).read_text())), f"the {name} process to end")
        assert done.out == ""


@pytest.mark.spec("BUILD-5")
def test_one_that_does_not_want_to_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run, "_GRACE", 0.2)
    number = tmp_path / "number"

    def interrupt() -> None:
        while not (number.exists() and number.read_text().strip()):
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        _run.follow(
            ["sh", "-c", "trap '' TERM INT; echo $$ > number; while :; do sleep 1; done"],
            line=lambda _: None,
            folder=tmp_path,
        )
    thread.join()

    assert gone(int(number.read_text()))


# --- whole builds ------------------------------------------------------------------------------------------------

BUILD = """mkdir -p dist
sed 's/: string//' src/server.ts > dist/server.js
echo '{}' > dist/server.js.map
"""
SERVER = 'const port: string = process.env.PORT || "8080";\nrequire("http").createServer().listen(port);\n'


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small TypeScript application whose compiler is a script of its own."""
    monkeypatch.chdir(tmp_path)
    images.lay_out(images.index([node_base("linux/amd64")]), tmp_path / "base", "v1")
    folder = tmp_path / "shop"
    (folder / "src").mkdir(parents=True)
    manifest = {"name": "shop", "version": "1.0.0", "main": "dist/server.js", "scripts": {"build": "sh build.sh"}}
    (folder / "package.json").write_text(json.dumps(manifest))
    (folder / "build.sh").write_text(BUILD)
    (folder / "src/server.ts").write_text(SERVER)
    (folder / ".dockerignore").write_text("dist\nsrc\nbuild.sh\n")
    stated = 'base = "oci:base:v1"\nplatforms = ["linux/amd64"]\n'
    build = 'run = ["sh build.sh"]\ninclude = ["dist/**"]\nexclude = ["**/*.map"]\n'
    (folder / "ociassemble.toml").write_text(f"{stated}[build]\n{build}")
    return folder


@pytest.mark.spec("BUILD-2", "BUILD-3", "BUILD-7", "PACK-90")
def test_typescript_from_its_source_to_an_image(shop: Path, tmp_path: Path) -> None:
    ociassemble = Commands(tmp_path)

    ended = ociassemble("build", shop, "-o", f"oci:{tmp_path / 'image'}:v1")
    again = ociassemble("build", shop, "-o", f"oci:{tmp_path / 'image'}:v1")

    assert ended.err.startswith("running: sh build.sh ([build] run)\n")
    assert "starts `node dist/server.js` (package.json: main)" in ended.err
    assert ended.lines == [ended.out.strip()] == again.lines  # the result, and nothing of npm's
    text = ociassemble("plan", shop).out
    assert "/app/dist/server.js" in text and ".map" not in text and "server.ts" not in text


@pytest.mark.packages
@pytest.mark.spec("BUILD-2")
def test_as_npm_runs_it(shop: Path, tmp_path: Path) -> None:
    settings = shop / "ociassemble.toml"
    settings.write_text(settings.read_text().replace("sh build.sh", "npm run build"))

    ended = Commands(tmp_path, npm_config_update_notifier="false")("build", shop, "-o", "oci:image:v1")

    assert "\n  > sh build.sh\n" in ended.err
    assert "starts `node dist/server.js` (package.json: main)" in ended.err


@pytest.mark.spec("BUILD-6")
@pytest.mark.parametrize("argv", [("plan",), ("build", "--dry-run"), ("--offline", "build")], ids=" ".join)
def test_where_nothing_is_run_that_is_told(shop: Path, tmp_path: Path, argv: tuple[str, ...]) -> None:
    ociassemble = Commands(tmp_path)
    (shop / "dist").mkdir()
    (shop / "dist/server.js").write_text("// of yesterday")

    ended = ociassemble(*argv, shop)

    assert "warning: not run: sh build.sh ([build] run; " in ended.err
    assert (shop / "dist/server.js").read_text() == "// of yesterday"


@pytest.mark.spec("BUILD-2")
def test_a_lock_is_of_what_the_steps_made(shop: Path, tmp_path: Path) -> None:
    ociassemble = Commands(tmp_path)

    locked = ociassemble("lock", shop, "--no-base")

    assert "running: sh build.sh" in locked.err
    assert (shop / "ociassemble.lock").is_file()
    ociassemble("build", shop, "--locked", "-o", f"oci:{tmp_path / 'image'}:v1")


@pytest.mark.spec("BUILD-7")
def test_without_the_step_the_hint_names_it(shop: Path, tmp_path: Path) -> None:
    settings = shop / "ociassemble.toml"
    settings.write_text(settings.read_text().partition("[build]")[0])

    ended = Commands(tmp_path)("build", shop, status=3)

    assert "`dist/server.js` is not there" in ended.err
    assert 'let it be run: `run = ["npm run build"]` in [build]' in ended.err


@pytest.mark.spec("BUILD-7", "PACK-91")
def test_the_guard_looks_at_what_is_made(shop: Path, tmp_path: Path) -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\\n" + "A" * 64 + "\\n-----END RSA PRIVATE KEY-----\\n"
    with (shop / "build.sh").open("a") as script:
        script.write(f"printf -- '{key}' > dist/id_rsa\n")

    ended = Commands(tmp_path)("build", shop, status=8)

    assert "dist/id_rsa" in ended.err


@pytest.mark.spec("BUILD-1")
@pytest.mark.parametrize("command", ["npm ci && npm run build", "echo $HOME", "make | tee log", "A=1 make"])
def test_no_shell_runs_them(shop: Path, tmp_path: Path, command: str) -> None:
    (shop / "ociassemble.toml").write_text(f"[build]\nrun = ['{command}']\n")

    ended = Commands(tmp_path)("build", shop, "-b", f"oci:{tmp_path / 'base'}:v1", status=2)

    assert f"`{command}` cannot be split into words without a shell" in ended.err
    assert '["sh", "-c", "..."]' in ended.err
    assert not (shop / "dist").exists()
