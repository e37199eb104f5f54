"""Really starting images: one image is unpacked once, and started with any number of configs, by runc.

What `User` and `WorkingDir` mean is umoci's and runc's business here, as it is a runtime's in real life. Root keeps the
one capability that runtimes leave it and that decides about files.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ociassemble.audit.prove import Finding, prove
from ociassemble.audit.table import Table
from ociassemble.image.contents import read_contents
from ociassemble.image.image import Layer
from ociassemble.oci.platform import Platform
from ociassemble.testing import images
from tests.peers import Peer, require


class Started(NamedTuple):
    """How it went: the exit status (None for one that never came to be a process), and all it printed."""

    status: int | None
    output: str


class Image:
    """Layers of which the first `base` are the base's."""

    def __init__(self, layers: Sequence[Layer], base: int, platform: str = "linux/amd64") -> None:
        self.layers, self.platform = tuple(layers), platform
        self._table = Table([read_contents(layer) for layer in layers], base)

    def findings(self, execution: Mapping[str, Any]) -> tuple[Finding, ...]:
        """What `prove` says about starting it."""
        return prove(self._table, execution, Platform.parse(self.platform))


class Containers:
    """Starts an image, which is unpacked below `folder`."""

    def __init__(self, image: Image, folder: Path) -> None:
        self._image, self._folder = image, folder
        self._layout = folder / "layout"
        self._number = 0
        self._known: dict[str, Started] = {}
        folder.mkdir(parents=True)
        self._lay_out({}, "plain")
        require("umoci")("unpack", "--image", f"{self._layout}:plain", folder / "bundle")
        self.root = folder / "bundle" / "rootfs"
        self._runc = require("runc", "--root", str(folder / "state"))

    def _lay_out(self, execution: Mapping[str, Any], tag: str) -> None:
        images.lay_out(
            images.image(self._image.layers, platform=self._image.platform, execution=execution), self._layout, tag
        )

    def bundle(self, execution: Mapping[str, Any]) -> tuple[Path, str] | str:
        """A bundle that starts the image with this config, and its name; what umoci says where it refuses."""
        self._number += 1
        name = f"proof-{os.getpid()}-{self._number}"
        self._lay_out(execution, name)
        bundle = self._folder / name
        bundle.mkdir()
        config = bundle / "config.json"
        done = require("umoci")(
            "raw", "runtime-config", "--image", f"{self._layout}:{name}", "--rootfs", self.root, config, check=False
        )
        if done.returncode:
            return done.stderr
        spec = json.loads(config.read_bytes())
        spec["root"] = {"path": str(self.root), "readonly": True}
        process, linux = spec["process"], spec["linux"]
        process["terminal"] = False
        kept = ["CAP_DAC_OVERRIDE"] if process["user"].get("uid", 0) == 0 else []
        process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), kept)
        process.pop("rlimits", None)
        linux.pop("resources", None)
        linux["namespaces"] = [item for item in linux["namespaces"] if item["type"] != "network"]
        spec["mounts"] = [item for item in spec["mounts"] if not item["destination"].startswith("/sys")]
        config.write_text(json.dumps(spec))
        return bundle, name

    def start(self, execution: Mapping[str, Any]) -> Started:
        """Start it and wait for its end; the same config is started once."""
        key = json.dumps(execution, sort_keys=True)
        if key not in self._known:
            self._known[key] = self._start(execution)
        return self._known[key]

    def _start(self, execution: Mapping[str, Any]) -> Started:
        made = self.bundle(execution)
        if isinstance(made, str):
            return Started(None, made)
        done = self._runc("run", "--bundle", made[0], made[1], check=False, timeout=60)
        refused = "runc run failed" in done.stderr
        return Started(None if refused else done.returncode, done.stdout + done.stderr)

    def ends_on(self, signal: str, execution: Mapping[str, Any]) -> bool:
        """Whether it ends when it is sent `signal`, once it has printed `ready`."""
        made = self.bundle(execution)
        assert not isinstance(made, str), made
        bundle, name = made
        process = subprocess.Popen(
            [self._runc.path, *self._runc.first, "run", "--bundle", str(bundle), name],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            self._runc("kill", name, signal)
            try:
                process.wait(1.0)
            except subprocess.TimeoutExpired:
                return False
            return True
        finally:
            if process.poll() is None:
                self._runc("kill", name, "KILL", check=False)
            process.wait(20)
            process.stdout.close()


class Compiler:
    """gcc and musl-gcc, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._programs: dict[str, Peer] = {name: require(name) for name in ("gcc", "musl-gcc")}

    def __call__(self, name: str, source: str, *flags: str, compiler: str = "gcc") -> bytes:
        """The file that is compiled from `source` (C), under `name` in the folder."""
        path = self.folder / f"{name}.c"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        self._programs[compiler]("-w", "-O0", path, "-o", self.folder / name, *flags, cwd=self.folder)
        return (self.folder / name).read_bytes()
