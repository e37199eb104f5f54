"""What documents of specs/cli/ stand on. `<!-- setup: base registry -->` names functions of this module, in order."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from ociassemble.oci.platform import Platform
from ociassemble.registry.server import serve
from ociassemble.testing import images
from tests.failure.index import Index
from tests.failure.scene import python_base
from tests.kinds.binary.programs import program
from tests.peers import start_docker_registry
from tests.ports import free_port
from tests.sources.wheels import wheel

_MARK = re.compile(r"<!--\s*setup:\s*(.+?)\s*-->")


class Setup:
    """`environment` is added to that of every command; `names` are those in the document and what they stand for."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.environment: dict[str, str] = {}
        self.names: dict[str, str] = {}

    def real(self, text: str) -> str:
        """`text` of the document as it is run here."""
        for name, real in self.names.items():
            text = text.replace(name, real)
        return text

    def written(self, text: str) -> str:
        """What was printed here as the document has it."""
        for name, real in self.names.items():
            text = text.replace(real, name)
        return text


def prepare(document: str, folder: Path, stack: ExitStack) -> Setup:
    """Everything that the marks of a document ask for; ends with `stack`."""
    setup = Setup(folder, stack)
    for mark in _MARK.finditer(document):
        for word in mark[1].split():
            SETUPS[word](setup)
    return setup


def base(setup: Setup) -> None:
    """`oci:base:v1`: a small Debian 13 with Python 3.13 for linux/amd64 and linux/arm64."""
    made = [python_base(platform) for platform in ("linux/amd64", "linux/arm64")]
    images.lay_out(images.index(made), setup.folder / "base", "v1")


def registry(setup: Setup) -> None:
    """A registry at 127.0.0.1:5000."""
    server = setup.stack.enter_context(serve("127.0.0.1", 0, setup.folder / "registry"))
    setup.names["127.0.0.1:5000"] = server.host


def index(setup: Setup) -> None:
    """A package index with `alpha` 1.0 and `beta` 1.0, which needs it."""
    made = setup.stack.enter_context(Index([wheel("alpha", "1.0"), wheel("beta", "1.0", requires=["alpha"])]))
    setup.environment |= {"UV_DEFAULT_INDEX": made.simple, "UV_CACHE_DIR": str(setup.folder / "uv")}


def busybox(setup: Setup) -> None:
    """`oci:busybox:v1`: a static busybox for this host's platform, with links for `cat`, `id` and `touch`."""
    program = Path("/bin/busybox")
    if not program.is_file():
        pytest.skip("busybox-static is not installed (`make test` installs it where apt and root are there)")
    links = {f"bin/{name}": images.Link("busybox") for name in ("cat", "id", "sh", "touch")}
    layer = images.layer({"bin/busybox": images.program(program.read_bytes()), **links, "tmp": images.Folder(0o1777)})
    machine = Platform.parse(os.uname().machine)
    made = images.image([layer], platform=str(machine), execution={"User": "65532:65532", "Env": ["PATH=/bin"]})
    images.lay_out(made, setup.folder / "busybox", "v1")


def programs(setup: Setup) -> None:
    """`server`, a static program for linux/amd64, and `shop/bin/` with one for each of two platforms."""
    for path, architecture in (("server", "amd64"), ("shop/bin/shop-linux-amd64", "amd64"),
                               ("shop/bin/shop-linux-arm64", "arm64")):  # fmt: skip
        (setup.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (setup.folder / path).write_bytes(program(architecture))
    (setup.folder / "server.exe").write_bytes(b"MZ")


def bases(setup: Setup) -> None:
    """The store of tests/interop/test_node_bases.py: what `distroless/...` stands for is assembled once a run."""
    run = setup.folder.parent.parent if "PYTEST_XDIST_WORKER" in os.environ else setup.folder.parent
    setup.environment["OCIASSEMBLE_CACHE_DIR"] = str(run / "node-bases" / "cache")


def express(setup: Setup) -> None:
    """`shop`: the files of examples/express, without a lock of ours."""
    left_out = shutil.ignore_patterns("ociassemble.lock", "README.md")
    shutil.copytree(Path(__file__).parent.parent / "examples" / "express", setup.folder / "shop", ignore=left_out)


def ports(setup: Setup) -> None:
    """Free ports in place of localhost:5000 and 8080; none that the system gives to others meanwhile."""
    for name in ("localhost:5000", "8080"):
        setup.names[name] = name.replace(name.rpartition(":")[2], str(free_port()))


def private(setup: Setup) -> None:
    """A registry that wants a password in place of registry.example: that of `me` is `sesame`."""
    users = setup.folder / ".htpasswd"
    users.write_text("me:$2b$04$1RQFUqKfi.SwXk4bwcfqfeB7epEB.bd2WhLl2InlRWy2YRr.w3SzW\n")
    auth = f"auth:\n  htpasswd:\n    realm: test\n    path: {users}\n"
    server = start_docker_registry(setup.folder / ".private", extra=auth)
    setup.stack.callback(server.stop)
    setup.names["registry.example"] = server.host


SETUPS: dict[str, Callable[[Setup], None]] = {
    "base": base,
    "registry": registry,
    "index": index,
    "busybox": busybox,
    "programs": programs,
    "bases": bases,
    "express": express,
    "ports": ports,
    "private": private,
}
