"""Where the suite works: one scratch folder, one registry at one address, the applications, and every tool's caches."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import measure
from measure import Failed, Run
from registry import Registry, end
from rivals import FORGET, METHODS, SITE, UV

MACHINE = os.uname().machine
NEEDS = (
    "flask", "gunicorn", "fastapi", "uvicorn", "requests", "numpy", "pandas", "scikit-learn", "sqlalchemy", "boto3",
    "django", "pydantic", "pillow", "lxml",
)  # fmt: skip
FEW = ("flask", "gunicorn")  # for --quick
SOURCE = """\
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return "Hello\\n"
"""
COMMAND = "-m gunicorn --worker-tmp-dir /dev/shm --no-control-socket app:app"  # what ociassemble finds by itself
COMPILE = (
    "uv pip compile -q --generate-hashes --no-annotate --no-header --only-binary :all: --python-version 3.13 "
    "--python-platform $MACHINE-manylinux_2_40 requirements.in -o app/requirements.txt"
)


T = TypeVar("T", bound=contextlib.AbstractContextManager[Any])


class Lab:
    """Everything below `work`; what it starts is stopped by `close`."""

    def __init__(
        self, work: Path, *, quick: bool = False, places: Sequence[Path] = (), only: str | None = None
    ) -> None:
        self.work = work
        self.quick = quick
        self.needs = FEW if quick else NEEDS
        self.missing: dict[str, str] = {}  # method -> why it is left out
        self._only = None if only is None else only.split(",")
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._apps: dict[str, Path] = {}
        self._stack = contextlib.ExitStack()
        self.noted: dict[str, float] = {}  # what actions count on their way, in this scenario
        starter = work / "bin" / "ociassemble"
        starter.parent.mkdir()
        starter.write_text(f'#!/bin/sh\nexec {shlex.join(program())} "$@"\n')
        starter.chmod(0o755)
        unpacked = measure.REPOSITORY / ".make" / "peers" / "usr" / "bin"  # where `make peers` puts crane
        folders = (
            starter.parent,
            Path(sys.executable).parent,
            *places,
            os.environ["PATH"],
            "/usr/sbin",
            "/sbin",
            unpacked,
        )
        self.path = os.pathsep.join(map(str, folders))
        self.registry = Registry(work, self.path)
        self.host = self.registry.host
        home = work / "home"
        home.mkdir()
        (home / "auth.json").write_text("{}")
        self.environment = {
            "PATH": self.path,
            "WORK": str(work),
            "MACHINE": MACHINE,
            "PLATFORM": "linux/" + {"x86_64": "amd64", "aarch64": "arm64"}.get(MACHINE, MACHINE),
            "SITE": SITE,
            "COMMAND": COMMAND,
            "BASE": f"{self.host}/base/python3:v1",
            "OCIASSEMBLE_CACHE_DIR": str(work / "cache"),
            "UV_CACHE_DIR": str(work / "uv-cache"),
            "BUILDAH": f"buildah --root {work}/buildah/root --runroot {work}/buildah/run --storage-driver overlay",
            "BUILDCTL": f"buildctl --addr unix://{work}/buildkit.sock",
            "DOCKER_CONFIG": str(home),  # no logins
            "REGISTRY_AUTH_FILE": str(home / "auth.json"),
            "OTEL_TRACES_EXPORTER": "none",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    # ------------------------------------------------------------------------------------------- programs

    def there(self, name: str) -> bool:
        return shutil.which(name, path=self.path) is not None

    def rivals(self, names: Sequence[str]) -> list[str]:
        """Those of these methods whose programs are here and work; why not is kept in `missing`."""
        for name in names:
            if self._only is not None and name not in self._only:
                self.missing[name] = "not asked for"
            absent = [needed for needed in METHODS[name].programs if not self.there(needed)]
            if absent and name not in self.missing:
                self.missing[name] = f"{', '.join(absent)} not found"
        return [name for name in names if name not in self.missing]

    def shell(self, script: str, folder: Path, **more: str) -> Run:
        """Run a script to its end."""
        command = ["bash", "-euo", "pipefail", "-c", f"unset SOURCE_DATE_EPOCH\n{script}"]
        return measure.run(command, environment={**self.environment, **more}, folder=folder)

    def ours(self, *arguments: str, **more: str) -> Run:
        """Our own program, started as its users start it."""
        return measure.run([*program(), *arguments], environment={**self.environment, **more}, folder=self.work)

    def python(self, statement: str) -> Run:
        """One statement in the interpreter that runs our program."""
        return measure.run([sys.executable, "-c", statement], environment=self.environment, folder=self.work)

    def build(self, folder: Path, repository: str, *flags: str, **more: str) -> Run:
        """`build --locked --push` of `folder`, to the tag v1 of `repository` in this run's registry."""
        return self.ours(*self.build_command(folder, repository), *flags, **more)

    def build_command(self, folder: Path, repository: str) -> list[str]:
        platform, base = self.environment["PLATFORM"], self.environment["BASE"]
        tag = f"{self.host}/{repository}:v1"
        return ["build", str(folder), "--base", base, "--platform", platform, "--locked", "-q", "-t", tag, "--push"]

    # ------------------------------------------------------------------------------------------- what is built

    def prepare(self) -> None:
        """The base, and every rival's copy of it. Debian's mirror is asked."""
        for needed in ("docker-registry", "uv"):
            if not self.there(needed):
                raise Failed(f"{needed} is not installed (bench/README.md says what is needed)")
        say("the base image")
        self.ours("base", "build", "distroless/python3", "--platform", self.environment["PLATFORM"], "-q",
                  "-o", f"oci:{self.work}/base:v1")  # fmt: skip
        self.registry.storage.mkdir()
        self.registry.start(self.registry.port)
        self.ours("copy", "-q", f"oci:{self.work}/base:v1", self.environment["BASE"])
        shutil.copytree(self.registry.storage, self.work / "template")

    def app(self, name: str = "app", *, older: str = "", settings: str = "") -> Path:
        """An application with a lock, its packages in every cache; the Python index is asked.

        With `older`, that requirement is held below the version that `app` has.
        """
        if name in self._apps:
            return self._apps[name]
        say(f"the application `{name}`: requirements, lock, packages")
        folder = self.work / "apps" / name
        (folder / "app").mkdir(parents=True)
        needs = list(self.needs)
        if older:
            needs.append(f"{older}<{self.versions()[older]}")
        (folder / "requirements.in").write_text("\n".join(needs) + "\n")
        (folder / "app" / "app.py").write_text(SOURCE)
        if settings:
            (folder / "app" / "ociassemble.toml").write_text(settings)
        self.shell(COMPILE, folder)
        target = f"uv pip install -q --link-mode copy {UV} --target deps -r app/requirements.txt && rm -r deps"
        self.shell(target, folder)
        self.ours("lock", str(folder / "app"), "-q", "--base", self.environment["BASE"],
                  "--platform", self.environment["PLATFORM"])  # fmt: skip
        self._apps[name] = folder / "app"
        return folder / "app"

    def versions(self) -> dict[str, str]:
        """The packages of the application and their versions."""
        lines = (self.app() / "requirements.txt").read_text().splitlines()
        return dict(line.split()[0].split("==") for line in lines if "==" in line)

    def wheels(self) -> list[Path]:
        """The wheels that the lock names, in our own store."""
        [platform] = self.lock()["platforms"].values()
        blobs = {path.name: path for path in (self.work / "cache").rglob("*") if path.is_file()}
        return [blobs[artifact["sha256"]] for artifact in platform["artifacts"]]

    def wheel_folder(self) -> Path:
        """The same wheels under their names."""
        folder = self.work / "wheels"
        if not folder.exists():
            folder.mkdir()
            [platform] = self.lock()["platforms"].values()
            for artifact, blob in zip(platform["artifacts"], self.wheels(), strict=True):
                (folder / artifact["filename"]).symlink_to(blob)
        return folder

    def forget_layers(self, app: Path) -> None:
        """No layer that the lock of `app` names is in our store any more; wheels and base stay."""
        lock = json.loads((app / "ociassemble.lock").read_text())
        made = {layer["digest"].rpartition(":")[2] for one in lock["platforms"].values() for layer in one["layers"]}
        for path in (self.work / "cache").rglob("*"):
            if path.name in made:
                path.unlink()

    def lock(self) -> Any:
        """The lock of the application, as JSON."""
        return json.loads((self.app() / "ociassemble.lock").read_text())

    def place(self, name: str, app: Path) -> Path:
        """A folder of its own for the method `name`, with a copy of `app` in it; what was there is gone."""
        folder = self.work / "places" / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(app, folder / "app")
        return folder

    def method(self, name: str, step: str, folder: Path) -> Run:
        """A rival's `ready` (not timed), `first` or `again`, into the repository `bench/NAME`."""
        method = METHODS[name]
        if name not in self.missing and name in ("buildah", "buildkit", "buildkit-zstd"):
            self._have_base(method.programs[-1])
        told = {"REPO": f"{self.host}/bench/{name}", "TAG": "v1"}
        if step == "first" and method.ready:
            self.shell(method.ready, folder, **told)
        before = self._daemon_cpu(method.daemon)
        cost = self.shell(method.first if step == "first" else method.again, folder, **told)
        return cost._replace(cpu=cost.cpu + self._daemon_cpu(method.daemon) - before)

    def _have_base(self, program: str) -> None:
        """Once: buildah pulls the base into its store; a BuildKit daemon is started."""
        if program in self._daemons or (program == "buildah" and (self.work / "buildah").exists()):
            return
        if program == "buildah":
            (self.work / "buildah").mkdir()
            pull = "$BUILDAH pull -q --tls-verify=false $BASE"
            try:
                self.shell(pull, self.work)
            except Failed:
                self.environment["BUILDAH"] = self.environment["BUILDAH"].replace("overlay", "vfs")
                self.shell(pull, self.work)
            return
        config, log = self.work / "buildkitd.toml", self.work / "buildkitd.log"
        config.write_text(f'[registry."{self.host}"]\n  http = true\n  insecure = true\n')
        command = [shutil.which(program, path=self.path) or program, "--config", str(config), "--root",
                   str(self.work / "buildkit"), "--addr", f"unix://{self.work}/buildkit.sock",
                   "--containerd-worker=false", "--oci-worker=true"]  # fmt: skip
        with log.open("ab") as output:
            daemon = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **self.environment}
            )
        self._daemons[program] = daemon
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(Failed):
                self.shell("$BUILDCTL debug workers", self.work)
                return
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{program} does not run here: {' '.join(log.read_text()[-300:].split())}")
            time.sleep(0.2)

    def _daemon_cpu(self, name: str) -> float:
        """Seconds of CPU that a daemon and what it waited for have used."""
        process = self._daemons.get(name)
        if process is None:
            return 0.0
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    # ------------------------------------------------------------------------------------------- the end

    def stays(self, server: T) -> T:
        """`server` until the end of the scenario."""
        self._stack.enter_context(server)
        return server

    def tidy(self) -> None:
        """After a scenario: its servers are stopped, its folders removed."""
        self._stack.close()
        self.noted.clear()
        shutil.rmtree(self.work / "places", ignore_errors=True)

    def close(self) -> None:
        """Stop all that was started."""
        self.tidy()
        for process in self._daemons.values():
            end(process)
        self.registry.stop()
        if (self.work / "buildah").exists():
            with contextlib.suppress(Failed):
                self.shell(FORGET, self.work)


def program() -> list[str]:
    """What users start: the installed script, where there is one."""
    installed = Path(sys.executable).parent / "ociassemble"
    return [str(installed)] if installed.exists() else measure.PROGRAM


def change(folder: Path, number: int) -> None:
    """One more line in the application's file."""
    with (folder / "app" / "app.py").open("a") as file:
        file.write(f"# change {number}\n")


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def hidden(text: str) -> str:
    """Text without addresses and folders of this run, to be kept in a file."""
    return re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1", re.sub(r"(?<![\w.])/[\w./-]*/", "", text))
