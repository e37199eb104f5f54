"""What a rebuild asks a registry for, and sends it: counted, because seconds depend on who else uses the machine."""

from __future__ import annotations

import collections
import re
from pathlib import Path

from ociassemble.cli import main
from ociassemble.registry.server import serve
from ociassemble.testing import images


def test_a_rebuild_sends_what_changed_and_asks_once_for_each_blob(tmp_path: Path) -> None:
    lines: list[str] = []
    server = serve("127.0.0.1", 0, tmp_path / "registry", log=lines.append)
    try:
        host = server.host
        files: images.Entries = {"etc/os-release": 'ID="debian"\n', "nodejs/bin/node": images.program()}
        execution = {"Entrypoint": ["/nodejs/bin/node"], "User": "65532", "Env": ["NODE_VERSION=24.11.1"]}
        layers = [images.layer(files), images.layer({"etc/second": "x"}), images.layer({"etc/third": "x"})]
        images.push(images.image(layers, platform="linux/amd64", execution=execution), f"{host}/base:v1")
        app = tmp_path / "app"
        app.mkdir()
        (app / "package.json").write_text('{"name": "a", "scripts": {"start": "node app.js"}}')
        argv = ["build", str(app), "-b", f"{host}/base:v1", "--platform", "linux/amd64", "-t", f"{host}/app:v1"]
        argv += ["--push", "--cache-dir", str(tmp_path / "cache"), "-q"]
        for text in ("// one\n", "// two\n"):
            (app / "app.js").write_text(text)
            lines.clear()
            assert main(argv) == 0
    finally:
        server.shutdown()

    asked = collections.Counter(re.findall(r"\b(GET|HEAD|POST|PUT|PATCH) /v2/", "\n".join(lines)))
    # The base's tag by GET, the result's by HEAD: what that reaches is there. Of the application's layer and the config
    # it is asked whether they are; each is uploaded in one request after the one that opens it. The manifest, by tag.
    assert asked == {"GET": 1, "HEAD": 3, "POST": 2, "PUT": 3}, "\n".join(lines)
