"""Images in containers, for tests: unpacked by umoci once, then any number of commands by runc, each on its own.

What a process may do is what `ociassemble run` lets it do (`runtime.runc.container_spec`): the image's user, no
capabilities, a tmpfs on /tmp, a read-only root unless a test says otherwise.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from ociassemble.oci.config import ImageConfig
from ociassemble.runtime.runc import container_spec
from tests.peers import require
from tests.runtime.layouts import request_of

_NUMBERS = itertools.count()


def usable() -> None:
    """Skip where no container can be started."""
    for program in ("runc", "umoci"):
        require(program)
    if os.geteuid() != 0:
        pytest.skip("runc needs root here")
    unshare = require("unshare")("--mount", "--pid", "--fork", "true", check=False)
    if unshare.returncode != 0:
        pytest.skip(f"no namespaces here: {unshare.stderr.strip()}")


class Unpacked:
    """The image `tag` of a layout, below `folder` (which must not be there)."""

    def __init__(self, layout: Path, tag: str, folder: Path) -> None:
        self._request = request_of(layout, tag)
        self._bundle = folder / "bundle"
        folder.mkdir(parents=True)
        require("umoci")("unpack", "--image", f"{layout}:{tag}", self._bundle)
        self._runc = require("runc", "--root", str(folder / "state"))
        self._spec = json.loads((self._bundle / "config.json").read_bytes())

    @property
    def root(self) -> Path:
        return self._bundle / "rootfs"

    @property
    def config(self) -> ImageConfig:
        return self._request.config

    def run(
        self, *command: str, read_only: bool = True, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; both of its streams are UTF-8."""
        spec = container_spec(self._spec, self._request, env or {}, from_host=[])
        spec["process"]["args"] = list(command)
        spec["root"] = {"path": str(self.root), "readonly": read_only}
        name = f"test-{os.getpid()}-{next(_NUMBERS)}"
        bundle = self._bundle.parent / name
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(spec))
        return self._runc("run", "--bundle", bundle, name, check=False)

    def start(self, *args: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run the image's own entrypoint with these arguments."""
        return self.run(*self.config.entrypoint, *args, **options)  # type: ignore[arg-type]
