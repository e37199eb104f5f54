"""What is killed, and what must be true afterwards: each scenario is one command on a scene that is always the same."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.failure.index import Index, pinned
from tests.failure.scene import Scene, noise, tree
from tests.layer.wheel_builder import wheel
from tests.reliability.zygote import Fault, Outcome, Zygote

_PROBE = re.compile(r"[a-z0-9_]{8}")
_EMPTY = hashlib.sha256().hexdigest()
STATES = ("cache", "outputs", "registry", "project")  # folders below a scene's root that a command may change


class Scenario(NamedTuple):
    """A command, and what is run before it, once, to make what it changes."""

    name: str
    argv: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    forget: Callable[[Scene], None] = lambda scene: None  # what the scene's cache loses before the command
    works_after: tuple[tuple[str, ...], ...] = ()  # what must work after the command, however it ended
    says_the_same: bool = True  # when it is run again
    wheels: tuple[tuple[str, int], ...] = (("alpha", 1_300_000), ("beta", 9_000))  # of the project, with their sizes
    apart: bool = False  # layers are written by processes, however little there is to write


def _no_cache(scene: Scene) -> None:
    shutil.rmtree(scene.cache)


BUILD = ("build", "project", "-b", "oci:base:v1", "--locked", "--source-date-epoch", "0")
IMAGE = "localhost/kept:v1"
INSPECT = ("inspect", f"local:{IMAGE}")

SCENARIOS = (
    Scenario("build into the local store", (*BUILD, "-t", "localhost/new:v1"), forget=_no_cache),
    Scenario(
        "build in processes",
        (*BUILD, "-t", "localhost/new:v1"),
        forget=_no_cache,
        wheels=(("alpha", 1_300_000), ("beta", 9_000), ("gamma", 1_300_000)),
        apart=True,
    ),
    Scenario("build and push", (*BUILD, "-t", "HOST/new:v1", "--push"), forget=_no_cache),
    Scenario(
        "push over an older image",
        (*BUILD, "-e", "A=2", "-t", "HOST/new:v1", "--push"),
        before=((*BUILD, "-t", "HOST/new:v1", "--push"),),
    ),
    Scenario(
        "build into a layout",
        (*BUILD, "-e", "A=2", "-o", "oci:outputs/image:v1"),
        before=((*BUILD, "-o", "oci:outputs/image:v1"),),
    ),
    Scenario(
        "build an archive",
        (*BUILD, "-e", "A=2", "-o", "oci-archive:outputs/image.tar:v1"),
        before=((*BUILD, "-o", "oci-archive:outputs/image.tar:v1"),),
    ),
    Scenario("lock", ("lock", "project", "-b", "oci:base:v1", "--upgrade"), forget=_no_cache),
    Scenario(
        "gc",
        ("cache", "prune", "--older-than", "0s"),
        before=((*BUILD, "-t", IMAGE), (*BUILD, "-e", "A=3", "-o", "oci:outputs/image:v1")),
        works_after=(INSPECT,),
        says_the_same=False,  # it tells what it freed
    ),
    Scenario("bundle save", ("bundle", "save", "project", "-b", "oci:base:v1", "-o", "outputs/app.bundle")),
    Scenario(
        "bundle load",
        ("bundle", "load", "outputs/app.bundle"),
        before=(("bundle", "save", "project", "-b", "oci:base:v1", "-o", "outputs/app.bundle"),),
        forget=_no_cache,
        works_after=(),
    ),
)


def _wheel(name: str, files: dict[str, bytes]) -> tuple[str, bytes]:
    """A wheel with a module and these files. One of more than 1 MiB has a layer of its own."""
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    content = {f"{name}/__init__.py": b"x = 1\n", **files, f"{info}/METADATA": metadata}
    return f"{name}-1.0-py3-none-any.whl", wheel(content, info=info)


def project(scene: Scene, **sizes: int) -> tuple[Index, list[tuple[str, bytes]]]:
    """An application that needs a wheel of each of these sizes (bytes), pinned; the index that has them, and they."""
    wheels = [_wheel(name, {f"{name}/data": noise(size)}) for name, size in sizes.items()]
    index = scene.wheels(*wheels)
    scene.files(requirements__txt=pinned(*wheels), main__py=f"import {', '.join(sizes)}\n", notes__txt="n" * 5000)
    scene.file("ociassemble.toml", f'[python]\nindex-url = "{index.simple}"\n')
    return index, wheels


class Stage:
    """A scene on which a scenario can be run again and again from the same beginning."""

    def __init__(self, scene: Scene, zygote: Zygote, scenario: Scenario) -> None:
        self.scene, self.zygote, self.scenario = scene, zygote, scenario
        project(scene, **dict(scenario.wheels))
        self.host = scene.serve().host
        scene.base()
        scene.environment["OCIASSEMBLE_PROGRESS"] = "quiet"
        self.good("lock", "project", "-b", "oci:base:v1", "--platform", "linux/amd64")
        for argv in scenario.before:
            self.good(*argv)
        scenario.forget(scene)
        self._keep()

    def good(self, *argv: str) -> Outcome:
        """A command that must work."""
        done = self.run(Fault(), *argv)
        assert done.status == 0, f"{' '.join(argv)}: [exit {done.status}]\n{done.err}"
        return done

    def run(self, fault: Fault, *argv: str) -> Outcome:
        """A command with a fault; without words the scenario's own."""
        words = [word.replace("HOST", self.host) for word in argv or self.scenario.argv]
        scene, apart = self.scene, self.scenario.apart
        return self.zygote.run(words, environment=scene.environment, folder=scene.root, fault=fault, apart=apart)

    # --- the same beginning ---

    def _keep(self) -> None:
        for name in STATES:
            if (self.scene.root / name).exists():
                shutil.copytree(self.scene.root / name, self.scene.root / "kept" / name, symlinks=True)

    def reset(self) -> None:
        """Everything as it was before the scenario's command."""
        for name in STATES:
            shutil.rmtree(self.scene.root / name, ignore_errors=True)
            if (self.scene.root / "kept" / name).exists():
                shutil.copytree(self.scene.root / "kept" / name, self.scene.root / name, symlinks=True)

    def seen(self) -> dict[str, str]:
        """What others see: outputs, names and the project by path. Blobs in a layout are seen through its index."""
        found = {f"project/{path}": what for path, what in tree(self.scene.project).items()}
        found |= {f"names/{path}": what for path, what in tree(self.scene.store / "refs").items() if path != "."}
        found |= {f"tags/{path}": what for path, what in self.scene.tags().items()}
        for path, what in tree(self.scene.outputs).items():
            hidden = any(part.startswith(".") for part in Path(path).parts)
            if not hidden and "/blobs" not in f"/{path}" and not what.startswith("d"):
                found[f"outputs/{path}"] = what
        return found

    def check_layouts(self) -> None:
        """Whatever a layout's index names is there, and is what its digest says."""
        for index in self.scene.outputs.rglob("index.json"):
            stack = list(json.loads(index.read_bytes())["manifests"])
            while stack:
                algorithm, _, name = stack.pop()["digest"].partition(":")
                stack += _named(index.parent / "blobs" / algorithm / name, name)

    def check_store(self) -> None:
        """Every blob that the store would hand out is what its name says; nothing else is where blobs are."""
        for path in (self.scene.store / "blobs").rglob("*"):
            if path.is_file():
                assert hashlib.new(path.parent.name, path.read_bytes()).hexdigest() == path.name, f"a bad blob: {path}"

    def check_swept(self) -> None:
        """Nothing is left of processes that are no more, but what a download can go on with."""
        partial = self.scene.store / "partial"
        left = [path.name for path in partial.iterdir() if path.suffix != ".part"] if partial.is_dir() else []
        assert not left, f"left in the store: {left}"
        # Python looks for a temporary folder by writing an empty file there; a kill may fall between that and its end.
        seen = tree(self.scene.temporary)
        ours = [path for path, what in seen.items() if path != "." and not (_PROBE.fullmatch(path) and _EMPTY in what)]
        assert not ours, f"left in TMPDIR: {seen}"
        hidden = list(self.scene.outputs.rglob(".new-*"))
        assert not hidden, f"left in outputs: {hidden}"


def _named(path: Path, digest: str) -> list[dict[str, str]]:
    data = path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == digest, f"bad: {path}"
    if not data.startswith(b"{"):
        return []
    document = json.loads(data)
    found = [*document.get("manifests", ()), *document.get("layers", ())]
    config = document.get("config")
    return [*found, config] if isinstance(config, dict) and "digest" in config else found
