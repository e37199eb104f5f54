"""`--load`: which engine of this host takes the image, and handing it over (specs/behaviour/run-and-load.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from ociassemble import _files
from ociassemble.content.blob import Blob
from ociassemble.errors import Error, ToolError, UsageError
from ociassemble.image.image import Image, Node, open_image, select_platform
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.progress import Progress
from ociassemble.runtime.load_engines import Cli, Containerd, Engine, Kind, LoadRefusedError

Find = Callable[[str], str | None]

NAMES = ("docker", "podman", "nerdctl", "containerd", "k3s", "kind")


class NoEngineError(ToolError):
    """No engine of this host can take an image."""

    code = "tool.no-engine"


class Chosen(NamedTuple):
    """An engine that works, what it said of itself, and why those before it were not taken."""

    engine: Engine
    version: str
    passed_over: tuple[str, ...]

    def __str__(self) -> str:
        not_those = f" (not {'; '.join(self.passed_over)})" if self.passed_over else ""
        return f"{self.engine.name} {self.version}{not_those}"


def choose(find: Find, variables: Mapping[str, str], home: Path, asked: str = "") -> Chosen:
    """The first engine of `NAMES` that answers, or the one that was `asked` for (`containerd:NS`, `kind:CLUSTER`)."""
    name, colon, more = asked.partition(":")
    if (asked and name not in NAMES) or (colon and (name not in ("containerd", "kind") or not more)):
        raise UsageError(
            f"`--runtime {asked}` is none that takes images",
            hint=f"one of {', '.join(NAMES)}; `containerd:NAMESPACE`, `kind:CLUSTER`",
        )
    refused: list[str] = []
    for candidate in (name,) if name else NAMES:
        try:
            engine = _engine(candidate, more, find, variables, home)
            return Chosen(engine, engine.version().splitlines()[0][:200], tuple(refused))
        except Error as error:
            refused.append(f"{candidate}: {error.message}")
    raise NoEngineError(
        f"`{asked}` cannot take the image" if asked else "no engine of this host can take the image",
        details=refused,
        hint="start one of them, or write an archive for one elsewhere: `-o docker-archive:FILE`",
    )


def _engine(name: str, more: str, find: Find, variables: Mapping[str, str], home: Path) -> Engine:
    if name == "docker":
        from ociassemble.runtime.docker import DockerApi, endpoint

        return DockerApi(endpoint(variables, home))
    program = find({"containerd": "ctr"}.get(name, name))
    if program is None:
        raise ToolError(f"{'`ctr` ' if name == 'containerd' else ''}not installed")
    if name == "containerd":
        socket = variables.get("CONTAINERD_ADDRESS") or "/run/containerd/containerd.sock"
        namespace = more or variables.get("CONTAINERD_NAMESPACE") or "default"
        return Containerd(name, program, namespace, "--address", socket, socket=socket)
    if name == "k3s":
        return Containerd(name, program, "k8s.io", "ctr")
    if name == "kind":
        return Kind(program, more or variables.get("KIND_CLUSTER_NAME") or "kind")
    return Cli(name, program)


class Archive(Protocol):
    """A destination that writes a docker archive (`transports.archive`)."""

    def expect(self, node: Node) -> None: ...
    def put_blob(self, blob: Blob) -> str: ...
    def put_manifest(self, descriptor: Descriptor, raw: bytes) -> None: ...
    def publish(self, descriptor: Descriptor, raw: bytes) -> None: ...
    def withdraw(self) -> None: ...


class EngineDestination:
    """An engine as a place of images: everything goes into an archive first, which is loaded as the last step.

    `names` is what the image will be called there, at least one. Of an index the image for `platform` is loaded:
    an engine runs one.
    """

    def __init__(
        self,
        chosen: Chosen,
        names: Sequence[Reference],
        archive: Callable[[Path], Archive],
        platform: Platform,
        progress: Progress,
    ) -> None:
        self._chosen = chosen
        self._names = tuple(names)
        self._make = archive
        self._platform = platform
        self._progress = progress
        self._folder: _files.TemporaryDirectory | None = None
        self._archive: Archive | None = None
        self._image: Image | None = None
        self._wanted: frozenset[Digest] = frozenset()
        self.name = f"{chosen.engine.name}: {names[0]}"

    def offer(self, blob: Blob) -> None:
        pass  # nothing is far away

    def expect(self, node: Node) -> None:
        self.withdraw()
        child = select_platform(node, self._platform, str(self._names[0]))
        self._image = open_image(child)
        if node.is_index:
            self._progress.info(f"{self._chosen.engine.name}: the image for {self._image.platform} is loaded")
        elif not self._image.platform.matches(self._platform):
            self._progress.warn(f"the image is for {self._image.platform}, this host is {self._platform}")
        self._wanted = frozenset(blob.descriptor.digest for blob in child.blobs) | {child.descriptor.digest}
        self._folder = _files.TemporaryDirectory(_files.temporary_folder(), prefix="ociassemble-load-")
        self._archive = self._make(self._path)
        self._archive.expect(child)

    def put_blob(self, blob: Blob) -> str:
        assert self._archive is not None
        return self._archive.put_blob(blob) if blob.descriptor.digest in self._wanted else "left out"

    def put_manifest(self, descriptor: Descriptor, raw: bytes) -> None:
        assert self._archive is not None
        if descriptor.digest in self._wanted:
            self._archive.put_manifest(descriptor, raw)

    def publish(self, descriptor: Descriptor, raw: bytes) -> None:
        assert self._archive is not None and self._image is not None
        image, engine = self._image, self._chosen.engine
        self._archive.publish(image.descriptor.bare(), image.manifest.raw)
        engine.load(self._path)
        self.verify(self._names[0])
        self.withdraw()

    def verify(self, name: Reference) -> None:
        """Ask the engine whether it has this very image under `name`."""
        assert self._image is not None
        ours = {str(self._image.digest), str(self._image.manifest.config.digest)}
        theirs = self._chosen.engine.digests(name)
        if theirs is not None and not theirs & ours:
            raise LoadRefusedError(
                f"{self._chosen.engine.name} does not have the image as `{name}` after it was loaded",
                details=[f"it has: {', '.join(sorted(theirs)) or 'nothing'}", f"loaded: {self._image.digest}"],
            )

    def withdraw(self) -> None:
        if self._archive is not None:
            self._archive.withdraw()
        if self._folder is not None:
            self._folder.remove()
        self._archive, self._folder = None, None

    def result(self, descriptor: Descriptor) -> str:
        return self.result_as(self._names[0])

    def result_as(self, name: Reference) -> str:
        """The line for one of the names."""
        assert self._image is not None
        return f"{name}@{self._image.digest}"

    @property
    def _path(self) -> Path:
        assert self._folder is not None
        return self._folder.path / "image.tar"


class AlsoNamed:
    """A further name of what another destination has loaded: one line of the result, and nothing to do but look."""

    def __init__(self, loaded: EngineDestination, name: Reference) -> None:
        self._loaded = loaded
        self._reference = name
        self.name = f"{loaded.name.partition(':')[0]}: {name}"

    def offer(self, blob: Blob) -> None:
        pass  # nothing is far away

    def expect(self, node: Node) -> None:
        pass

    def put_blob(self, blob: Blob) -> str:
        return "exists"

    def put_manifest(self, descriptor: Descriptor, raw: bytes) -> None:
        pass

    def publish(self, descriptor: Descriptor, raw: bytes) -> None:
        self._loaded.verify(self._reference)

    def withdraw(self) -> None:
        pass

    def result(self, descriptor: Descriptor) -> str:
        return self._loaded.result_as(self._reference)
