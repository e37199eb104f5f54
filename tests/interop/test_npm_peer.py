"""Odd tarballs beside npm itself: one `npm ci` from a registry on loopback, and our entries of the same tarballs."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from ociassemble.content.spool import Spool
from ociassemble.layer import npm
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import NpmSource
from tests.formats import tar_builder as raw
from tests.layer.npm_tarball import manifest, member
from tests.peers import find
from tests.sources.npm_registry import NpmRegistry, Packed, package_lock

pytestmark = pytest.mark.interop

MODES = (0, 0o100, 0o001, 0o010, 0o400, 0o600, 0o444, 0o644, 0o664, 0o666, 0o700, 0o744, 0o754, 0o755, 0o775, 0o777)
COMMENT = raw.record(b"comment", b"0123456789")
COMMANDS = {"one": "cli.js", "two": "./lib/dos.js"}
# What npm takes without complaint; what it complains about we refuse.
CASES: dict[str, list[bytes]] = {
    "modes": [manifest(), *(member(f"package/{mode:o}", b"x", mode) for mode in MODES)],
    "dot": [member("./package/package.json", b"{}"), member("./package/lib/a", b"x")],
    "beside": [manifest(), member("lonely", b"x"), member("package", b"x")],
    "other-root": [member("x-1.0.0/package.json", b"{}"), member("second/b", b"x")],
    "slashes": [manifest(), member("package//a", b"x"), member("package/./b", b"x")],
    "folders": [manifest(), raw.block(b"package/empty/", type=b"5"),
                raw.block(b"package/e/", type=b"5", mode=b"0000700\0"), member("package/e/a", b"x")],
    "links": [manifest(), raw.block(b"package/s", type=b"2", link=b"/etc/passwd"),
              raw.block(b"package/h", type=b"1", link=b"package/package.json"),
              raw.block(b"package/d", type=b"2", link=b"lib"), member("package/d/a", b"x")],
    "special": [manifest(), raw.block(b"package/fifo", type=b"6"), raw.block(b"package/null", type=b"3")],
    "ignore-both": [manifest(), member("package/.gitignore", b"git"), member("package/.npmignore", b"npm"),
                    member("package/lib/.gitignore", b"lib")],
    "ignore-other-order": [manifest(), member("package/.npmignore", b"npm"), member("package/.gitignore", b"git")],
    "ignore-other-root": [manifest(), member("b/.npmignore", b"npm"), member("package/.gitignore", b"git")],
    "twice": [manifest(), member("package/a", b"first", 0o755), member("package/a", b"second"),
              member("package/b", b"first"), member("package/b", b"second", 0o755), member("other/b", b"third")],
    "case": [manifest(), member("package/README", b"upper"), member("package/readme", b"lower")],
    "latin": [manifest(), member(b"package/caf\xe9", b"x")],
    "backslash": [manifest(), member("package/a\\b", b"x"), member("package/ a \n", b"x")],
    "pax": [manifest(), raw.pax((b"path", b"package/" + b"p" * 150)) + member("short", b"x")],
    "gnu": [manifest(), raw.long(b"package/" + b"g" * 150) + member("short", b"x", magic=raw.GNU)],
    "global": [raw.block(b"pax_global_header", type=b"g", size=len(COMMENT)) + raw.pad(COMMENT), manifest()],
    "dos": [manifest(), member("package/cli.js", b"#!/usr/bin/env node\r\nx\r\n#!a\r\n", 0o600),
            member("package/lib/dos.js", b"#!/usr/bin/env node \xff\r\n\xe9\r\n")],
    "unix": [manifest(), member("package/cli.js", b"#!/usr/bin/env node\nx\r\n", 0o600),
             member("package/lib/dos.js", b"#!" + b"x" * 2045 + b"\r\ny\r\n")],
}  # fmt: skip


def packages() -> list[Packed]:
    made = [Packed(name, "1.0.0", gzip.compress(b"".join(body) + raw.END, mtime=0)) for name, body in CASES.items()]
    endless = gzip.compress(manifest() + member("package/a", b"x"), mtime=0)
    plain = manifest() + member("package/a", b"x") + raw.END
    return [*made, Packed("endless", "1.0.0", endless), Packed("plain", "1.0.0", plain),
            Packed("padded", "1.0.0", made[0].data + bytes(4814))]  # fmt: skip


def on_disk(folder: Path) -> dict[bytes, tuple[int, bytes]]:
    """Files and their permission bits by path; folders must be 0755 and hold something."""
    found: dict[bytes, tuple[int, bytes]] = {}
    top = os.fsencode(folder)
    for here, folders, files in os.walk(top):
        assert folders or files, here
        assert stat.S_IMODE(os.stat(here).st_mode) == 0o755, here  # noqa: PTH116  (a name of bytes)
        for name in files:
            path = os.path.join(here, name)  # noqa: PTH118
            mode = os.lstat(path).st_mode
            assert stat.S_ISREG(mode), path
            with open(path, "rb") as stream:
                found[os.path.relpath(path, top)] = (stat.S_IMODE(mode), stream.read())
    return found


def ours(item: Packed) -> dict[bytes, tuple[int, bytes]]:
    source = NpmSource(ArtifactRef(Digest.of(item.data), len(item.data), "x.tgz"), "/m", tuple(COMMANDS.values()))
    with Spool() as spool:
        entries = npm.entries(io.BytesIO(item.data), source, spool)
        return {os.fsencode(entry.path[2:]): (entry.mode, b"".join(entry.content())) for entry in entries}


@pytest.mark.spec("NPM-1", "NPM-2", "NPM-3", "NPM-4", "NPM-5", "NPM-6", "NPM-7", "NPM-9")
def test_odd_tarballs_are_what_npm_makes_of_them(tmp_path: Path) -> None:
    program = find("npm")
    if program is None:
        pytest.skip("npm is not installed")
    made = packages()
    with NpmRegistry(*made) as registry:
        lock = json.loads(package_lock(*made, resolved=registry.registry))
        for name in ("dos", "unix"):  # under names of their own: of two with one name npm would take one
            commands = {f"{name}-{command}": path for command, path in COMMANDS.items()}
            lock["packages"][f"node_modules/{name}"]["bin"] = commands
        (tmp_path / "package.json").write_text(json.dumps(lock["packages"][""]))
        (tmp_path / "package-lock.json").write_text(json.dumps(lock))
        flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", f"--cache={tmp_path / 'cache'}"]
        done = subprocess.run(
            [program, "ci", *flags, f"--registry={registry.registry}"], cwd=tmp_path, umask=0o022, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr

    for item in made:
        theirs = on_disk(tmp_path / "node_modules" / item.name)
        found = ours(item)
        if item.name not in ("dos", "unix"):  # no file that a command leads to, but in these
            assert not theirs.keys() & {os.fsencode(os.path.normpath(path)) for path in COMMANDS.values()}
        assert found == theirs, item.name
