"""Node bases assembled from the real archives: what is in them, and that Node runs, as users would have it run.

The home of Node's releases is not asked (a closed port stands for it), so Node comes from the npm package. The
expectations are those of distroless's own structure tests for its Node images.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ociassemble.base.debian import recipe as recipes
from ociassemble.oci.platform import Platform
from ociassemble.plan.release import Release
from tests.interop.commands import Commands, once, shared
from tests.interop.containers import Unpacked, usable
from tests.interop.products import document_at, entries
from tests.peers import Peer

pytestmark = [pytest.mark.packages, pytest.mark.interop]

NOWHERE = "http://127.0.0.1:1"
PASSED = (
    "NPM_CONFIG_USERCONFIG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
)
LATER = [pytest.param(line, marks=pytest.mark.long) for line in ("22", "26")]
SERVER = """
const http = require('http'), fs = require('fs');
const server = http.createServer((request, response) => response.end('hello ' + request.url));
server.listen(0, '127.0.0.1', () => http.get(`http://127.0.0.1:${server.address().port}/there`, answer => {
  let text = '';
  answer.on('data', part => text += part).on('end', () => {
    let root = 'written';
    try { fs.writeFileSync('/x', '') } catch (error) { root = error.code }
    fs.writeFileSync('/tmp/x', '');
    console.log(JSON.stringify([text, process.getuid(), process.cwd(), root, process.execPath]));
    server.close();
  });
}));
"""


class Bases(NamedTuple):
    """`layout` has what was asked for so far, each by the name of its recipe and its architecture."""

    layout: Path
    commands: Commands

    def build(self, name: str, *options: str, tag: str, **environment: str) -> str:
        """Assemble `distroless/NAME` by the command that users have; its digest."""
        place = f"oci:{self.layout}:{tag}"
        done = self.commands("base", "build", f"distroless/{name}", "-o", place, *options, **environment)
        return done.out.rpartition("@")[2].strip()


@pytest.fixture
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """One cache for the whole run: Debian's packages are fetched once, and so is each Node."""
    folder = shared(tmp_path_factory, "node-bases")
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    folder.mkdir(exist_ok=True)
    return Bases(folder / "layout", Commands(folder, OCIASSEMBLE_NODE_MIRROR=NOWHERE, **passed))


@pytest.fixture
def node(bases: Bases, trees: Callable[[Path, str], Unpacked]) -> Callable[[str], Unpacked]:
    """The base of a line for this machine, unpacked."""

    def find(line: str) -> Unpacked:
        usable()
        name = f"nodejs{line}"
        with once(bases.layout.parent / name) as wanted:
            if wanted():
                bases.build(name, "--platform", "linux/amd64", tag=name)
        return trees(bases.layout, name)

    return find


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path, str], Unpacked]]:
    """Images of a layout, each unpacked once, and gone at the end."""
    folder, known = tmp_path_factory.mktemp("unpacked"), dict[str, Unpacked]()

    def find(layout: Path, tag: str) -> Unpacked:
        if tag not in known:
            known[tag] = Unpacked(layout, tag, folder / tag)
        return known[tag]

    yield find
    shutil.rmtree(folder)


def release(line: str, platform: str = "linux/amd64") -> Release:
    (found,) = recipes.load().releases(f"nodejs{line}", Platform.parse(platform))
    return found


@pytest.mark.spec("DEBIAN-IMAGE-6", "DEBIAN-ARCHIVE-1")
@pytest.mark.parametrize("line", ["24", *LATER])
def test_what_is_in_it(line: str, node: Callable[[str], Unpacked], bases: Bases) -> None:
    made = node(line)
    folder = made.root / "nodejs"
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*")}

    assert set(found) == {"LICENSE", "bin", "bin/node"}
    for item in release(line).files:
        path = found[item.inside]
        assert path.stat().st_mode & 0o7777 == item.mode
        assert hashlib.sha256(path.read_bytes()).hexdigest() == item.digest.hex
    for path in ("bin/sh", "usr/bin/python3", "busybox", "etc/passwd-"):
        assert not os.path.lexists(made.root / path)
    assert made.config.entrypoint == ("/nodejs/bin/node",)
    manifest = document_at(bases.layout, entries(bases.layout)[f"nodejs{line}"])
    assert manifest["annotations"]["com.google.distroless.nodejs.version"] == release(line).version
    assert sum(layer["size"] for layer in manifest["layers"]) < 60_000_000


@pytest.mark.parametrize("line", ["24", *LATER])
def test_its_version(line: str, node: Callable[[str], Unpacked]) -> None:
    done = node(line).start("--version")

    assert (done.stdout, done.stderr) == (f"v{release(line).version}\n", "")


@pytest.mark.parametrize("line", ["24", *LATER])
def test_a_server_as_nonroot_on_a_read_only_root(line: str, node: Callable[[str], Unpacked]) -> None:
    done = node(line).start("-e", SERVER)

    assert done.stderr == ""
    assert json.loads(done.stdout) == ["hello /there", 65532, "/home/nonroot", "EROFS", "/nodejs/bin/node"]


def test_text_time_zones_and_authorities(node: Callable[[str], Unpacked]) -> None:
    script = (
        "const day = new Date(Date.UTC(2026, 0, 2, 12));"
        "console.log(day.toLocaleString('de-DE', {timeZone: 'Europe/Berlin', month: 'long', hour: 'numeric'}));"
        "console.log(require('tls').getCACertificates('system').length > 100, process.env.SSL_CERT_FILE);"
        "console.log(require('child_process').spawnSync('sh').error.code, require('os').userInfo().username)"
    )
    done = node("24").start("-e", script, env={"TZ": "Europe/Berlin"})

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "Januar um 13 Uhr", "true /etc/ssl/certs/ca-certificates.crt", "ENOENT nonroot",
    ]  # fmt: skip


@pytest.mark.spec("DEBIAN-ARCHIVE-3")
def test_it_says_where_node_is_from_and_others_read_it(
    bases: Bases, node: Callable[[str], Unpacked], skopeo: Peer
) -> None:
    node("24")
    image = json.loads(skopeo("inspect", "--config", f"oci:{bases.layout}:nodejs24").stdout)

    assert image["config"]["Entrypoint"] == ["/nodejs/bin/node"]
    assert image["config"]["User"] == "65532"
    assert len(image["rootfs"]["diff_ids"]) == 5
    # The archive is in the store, so nobody is asked again, whatever the mirror.
    again = bases.build("nodejs24:root", "--platform", "linux/amd64", tag="again")
    layers = [document_at(bases.layout, digest)["layers"] for digest in (again, entries(bases.layout)["nodejs24"])]
    assert layers[0] == layers[1]


@pytest.mark.long
@pytest.mark.spec("DEBIAN-ARCHIVE-2", "DEBIAN-IMAGE-4")
def test_one_digest_however_often_it_is_made(bases: Bases, node: Callable[[str], Unpacked], tmp_path: Path) -> None:
    node("24")
    digest = bases.build("nodejs24", "--platform", "linux/amd64", tag="new", OCIASSEMBLE_CACHE_DIR=str(tmp_path / "c"))

    assert digest == entries(bases.layout)["nodejs24"]


@pytest.mark.long
@pytest.mark.parametrize("line", ["22", "24", "26"])
def test_arm64(line: str, bases: Bases, trees: Callable[[Path, str], Unpacked]) -> None:
    usable()
    name = f"nodejs{line}-arm64"
    bases.build(f"nodejs{line}", "--platform", "linux/arm64", tag=name)
    root = trees(bases.layout, name).root
    (wanted,) = [item for item in release(line, "linux/arm64").files if item.inside == "bin/node"]

    assert hashlib.sha256((root / "nodejs/bin/node").read_bytes()).hexdigest() == wanted.digest.hex
    emulator = shutil.which("qemu-aarch64-static")
    if emulator is not None:
        run = Peer(emulator, ("-L", str(root)))
        assert run(root / "nodejs/bin/node", "--version").stdout == f"v{release(line, 'linux/arm64').version}\n"


@pytest.mark.spec("DEBIAN-ARCHIVE-4")
def test_a_lock_pins_node_and_is_built_without_a_network(
    bases: Bases, node: Callable[[str], Unpacked], trees: Callable[[Path, str], Unpacked], tmp_path: Path
) -> None:
    node("24")
    (tmp_path / "main.js").write_text("console.log('from', process.version, process.cwd())")
    (tmp_path / "ociassemble.toml").write_text(
        'base = "distroless/nodejs24"\nbase-source = "debian"\nkind = "directory"\ncmd = ["main.js"]\n'
        'platforms = ["linux/amd64"]\n'
    )
    bases.commands("lock", tmp_path)
    locked = json.loads((tmp_path / "ociassemble.lock").read_bytes())["platforms"]["linux/amd64"]
    bases.commands("--offline", "build", tmp_path, "--locked", "-o", f"oci:{bases.layout}:app")

    assert [Release.read(item, "x") for item in locked["base"]["releases"]] == [release("24")]
    assert (locked["facts"]["node"], locked["facts"]["node-version"]) == ("24", release("24").version)
    done = trees(bases.layout, "app").start(*trees(bases.layout, "app").config.cmd)
    assert (done.stdout, done.stderr) == (f"from v{release('24').version} /app\n", "")
