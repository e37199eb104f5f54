"""Where a failure happens: a project, a cache, outputs, a registry, and `Snapshot`, what all of them hold.

A command runs in this process (`run`, fast) or in one of its own (`spawn`: signals, users, full disks). A failed one
is held against two things: how errors look (ERR-2), and what may be left behind (FAIL-1 to FAIL-6), which is nothing
but verified blobs in the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from ociassemble.cli import main
from ociassemble.content.partial import WORTH
from ociassemble.registry.server import RegistryServer, serve
from ociassemble.testing import images
from ociassemble.testing.images import Folder, Link, program
from tests.failure.index import Index

REPOSITORY = Path(__file__).parent.parent.parent
PLATFORM = "linux/amd64"
BLOB = re.compile(r"[0-9a-f]{64}|[0-9a-f]{128}")
DEADLINE = 60.0  # seconds until a test that waits gives up


# --- what is left behind -------------------------------------------------------------------------------------


def tree(folder: Path) -> dict[str, str]:
    """Every path below `folder` (and itself, as ".") with its mode and the hash of its content."""
    if not folder.exists():
        return {}
    found = {".": _seen(folder)}
    for path in sorted(folder.rglob("*")):
        found[str(path.relative_to(folder))] = _seen(path)
    return found


def _seen(path: Path) -> str:
    status = path.lstat()
    kind = stat.filemode(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return f"{kind} -> {path.readlink()}"
    if stat.S_ISREG(status.st_mode):
        return f"{kind} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return kind


class Snapshot(NamedTuple):
    """All that a command could leave something in. `blobs` may grow, `strays` must be none, all else stays equal."""

    project: dict[str, str]
    outputs: dict[str, str]
    names: dict[str, str]  # of the local store
    tags: dict[str, str]  # of the registry, by name
    temporary: dict[str, str]
    home: dict[str, str]
    blobs: frozenset[str]

    @classmethod
    def of(cls, scene: Scene) -> Snapshot:
        """What there is now; every blob of the store is hashed, everything else in it is an error."""
        return cls(
            project=tree(scene.project),
            outputs=tree(scene.outputs),
            names=tree(scene.store / "refs"),
            tags=scene.tags(),
            temporary=tree(scene.temporary),
            home=tree(scene.home),
            blobs=verified(scene.store),
        )

    @classmethod
    def of_outputs(cls, scene: Scene) -> list[dict[str, str]]:
        """What a user sees of it: for stores that a test has spoilt."""
        return [tree(scene.project), tree(scene.outputs), tree(scene.store / "refs"), scene.tags()]

    def holds(self, scene: Scene) -> Snapshot:
        """Fail unless the scene is as it was, save for verified blobs; returns what there is now."""
        now = Snapshot.of(scene)
        for name in self._fields:
            if name != "blobs":
                then, found = (set(getattr(item, name).items()) for item in (self, now))
                assert then == found, f"{name}: gone {sorted(then - found)}, new {sorted(found - then)}"
        return now


def verified(store: Path) -> frozenset[str]:
    """The digests of a store's blobs; fails for one with other bytes, and for files that do not belong there."""
    found = set()
    for path in store.rglob("*") if store.is_dir() else ():
        if not path.is_file():
            continue
        place = path.relative_to(store).parts
        if place[0] == "blobs":
            assert len(place) == 3, path
            assert BLOB.fullmatch(place[2]), f"a stray file in the store: {path}"
            assert hashlib.new(place[1], path.read_bytes()).hexdigest() == place[2], f"a bad blob: {path}"
            found.add(f"{place[1]}:{place[2]}")
        else:
            known = place[0] in ("records", "refs", "repositories", "leases", "trash") or place == ("lock",)
            # A download that a later run goes on with is no rubbish; what is not worth that is.
            resumable = place[0] == "partial" and path.name.endswith(".part") and path.stat().st_size >= WORTH
            assert known or resumable, f"left behind: {path}"
            assert not path.name.startswith("."), f"left behind: {path}"
    return frozenset(found)


# --- what a command said -------------------------------------------------------------------------------------


class Done(NamedTuple):
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The error as a user sees it, from `error: ` on, without the progress before it."""
        _, mark, text = ("\n" + self.err).rpartition("\nerror: ")
        assert mark, f"no error on stderr:\n{self.err}"
        return "error: " + text.rstrip("\n")

    def failed(self, status: int, *texts: str, hint: str | None = "") -> Done:
        """Fail unless it ended with `status` and an error that holds `texts`.

        `hint` is a part of the hint; None: there is none.
        """
        shown = f"[exit {self.status}]\n{self.err}\n--- stdout\n{self.out}"
        assert self.status == status, shown
        assert self.out == "", shown
        assert "Traceback" not in self.err, shown
        assert "this is a bug" not in self.err, shown
        assert ("\n" + self.err).count("\nerror: ") == 1, shown
        for text in texts:
            assert text in self.error, f"`{text}` is not in:\n{shown}"
        facts, blank, said = self.error.partition("\n\nhint: ")
        assert all(line.startswith("  ") for line in facts.splitlines()[1:]), shown
        assert bool(blank) == (hint is not None), shown
        assert (hint or "") in said, shown
        return self

    def worked(self) -> Done:
        """Fail unless it ended well."""
        assert self.status == 0, f"[exit {self.status}]\n{self.err}"
        return self


# --- the scene -----------------------------------------------------------------------------------------------


class Scene:
    """A folder of its own for each test. Projects, bases and registries are made on request."""

    def __init__(self, root: Path, stack: contextlib.ExitStack) -> None:
        self.root = root
        self.stack = stack
        self.project = root / "project"
        self.outputs = root / "outputs"
        self.cache = root / "cache"
        self.temporary = root / "temporary"
        self.home = root / "home"
        for folder in (self.project, self.outputs, self.temporary, self.home):
            folder.mkdir(parents=True)
        self.registry: RegistryServer | None = None
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
            "UV_CACHE_DIR": str(root / "uv"),
            "XDG_DATA_HOME": str(root / "data"),  # uv's own: it keeps a lock there
            "UV_HTTP_RETRIES": "0",
            "OCIASSEMBLE_CACHE_DIR": str(self.cache),
            "PYTHONPATH": str(REPOSITORY),
        }

    @property
    def store(self) -> Path:
        return self.cache / "store"

    @property
    def layout(self) -> str:
        """Where builds of these tests write to."""
        return f"oci:{self.outputs}/image:v1"

    # --- what is there before ---

    def files(self, **files: str | bytes) -> Path:
        """Files of the project; `__` in a name is a dot."""
        for name, content in files.items():
            self.file(name.replace("__", "."), content)
        return self.project

    def file(self, name: str, content: str | bytes = "") -> Path:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def base(self, *platforms: str, size: int = 1000) -> str:
        """A base with Python in a layout; a layer holds `size` bytes that do not compress. Its name."""
        made = [python_base(platform, size=size) for platform in platforms or (PLATFORM,)]
        images.lay_out(images.index(made) if len(made) > 1 else made[0], self.root / "base", "v1")
        return "oci:base:v1"  # as seen from `root`, where commands run

    def registry_base(self, *platforms: str, size: int = 1000) -> str:
        """The same in the registry."""
        made = [python_base(platform, size=size) for platform in platforms or (PLATFORM,)]
        name = f"{self.serve().host}/base:v1"
        images.push(images.index(made) if len(made) > 1 else made[0], name)
        return name

    def serve(self) -> RegistryServer:
        """The registry of this scene."""
        if self.registry is None:
            self.registry = serve("127.0.0.1", 0, self.root / "registry")
            self.stack.callback(self.registry.shutdown)
        return self.registry

    def wheels(self, *wheels: tuple[str, bytes]) -> Index:
        """The one index of wheels there is."""
        index = self.stack.enter_context(Index(wheels))
        self.environment["UV_DEFAULT_INDEX"] = index.simple
        return index

    def tags(self) -> dict[str, str]:
        """What the registry's tags point at, read from its disk."""
        folder = self.root / "registry" / "repositories"
        found = folder.rglob("_tags/*") if folder.is_dir() else ()
        return {str(path.relative_to(folder)): path.read_text() for path in found}

    def built(self, *argv: str) -> Done:
        """A first build of the project that works, as something to be kept by what fails later."""
        return self.run("build", str(self.project), "-o", self.layout, *argv).worked()

    # --- running ---

    def run(self, *argv: str, **environment: str) -> Done:
        """A command in this process: the same `main`, with this scene's environment."""
        out, err = Stream(), Stream()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        with (
            mock.patch.dict(os.environ, {**self.environment, **environment}, clear=True),
            mock.patch.object(tempfile, "tempdir", str(self.temporary)),
            contextlib.chdir(self.root),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                status = main([str(word) for word in argv])
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        return Done(status, out.text(), err.text())

    def start(
        self,
        *argv: str,
        environment: Mapping[str, str] | None = None,
        before: Callable[[], Any] | None = None,
    ) -> Child:
        """A command in a process of its own, in a session of its own."""
        words = [sys.executable, "-m", "ociassemble", *argv]
        process = subprocess.Popen(
            words,
            cwd=self.root,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=before,
        )
        return Child(process)

    def spawn(self, *argv: str, **options: Any) -> Done:
        """A command in a process of its own, to its end."""
        return self.start(*argv, **options).end()


class Child:
    """A process that was started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def end(self, seconds: float = DEADLINE) -> Done:
        """Wait until it ends; one that does not is killed, and that is a failure."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, err = self.process.communicate()
            raise AssertionError(f"still running after {seconds:g} s:\n{err.decode()}") from None
        return Done(self.process.returncode, out.decode(), err.decode())

    def signalled(self, number: signal.Signals, seconds: float = DEADLINE) -> Done:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.end(seconds)


class Stream(io.TextIOWrapper):
    """A standard stream that keeps what is written."""

    def __init__(self) -> None:
        self._kept = io.BytesIO()
        super().__init__(self._kept, "utf-8", write_through=True)

    def text(self) -> str:
        return self._kept.getvalue().decode()


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Poll until `condition` holds."""
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.01)


# --- bases ---------------------------------------------------------------------------------------------------


def noise(size: int, seed: str = "noise") -> bytes:
    """Bytes that no compressor makes smaller."""
    return hashlib.shake_256(seed.encode()).digest(size)


def python_base(platform: str = PLATFORM, *, size: int = 1000) -> images.Image:
    """Two layers: a Debian with Python 3.13, and `size` bytes of something."""
    triplet = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[platform.split("/")[1]]
    system = images.layer(
        {
            "etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
            "usr/bin/python3.13": program(),
            "usr/bin/python3": Link("python3.13"),
            f"usr/lib/{triplet}/libc.so.6": program(),
            "var/lib/dpkg/status.d/libc6": "Package: libc6\nVersion: 2.41-12\n",
            "lib": Link("usr/lib"),
            "tmp": Folder(0o1777),
        }
    )
    weight = images.layer({"usr/share/weight": noise(size, platform)})
    return images.image(
        [system, weight],
        platform=platform,
        execution={"Entrypoint": ["/usr/bin/python3.13"], "User": "65532", "Env": ["PATH=/usr/bin"]},
    )


@contextlib.contextmanager
def scene_below(root: Path) -> Iterator[Scene]:
    """A scene; what it started is stopped at the end."""
    with contextlib.ExitStack() as stack:
        yield Scene(root, stack)
