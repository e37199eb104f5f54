"""`--ca-cert` under runc: a server with a company's certificate is refused without it, and trusted with it.

Python's own client and requests on a base with this host's Python; node's `fetch` on Debian's packages.
"""

from __future__ import annotations

import http.server
import importlib.util
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ociassemble.image.image import open_image
from ociassemble.testing.images import File, image, lay_out, layer
from ociassemble.transports.layout import LayoutSource
from tests.certificates import authority, server
from tests.interop.commands import Commands, once, shared
from tests.interop.containers import Unpacked, usable
from tests.interop.small_bases import of_this_host
from tests.interop.test_node_bases import NOWHERE, PASSED

pytestmark = pytest.mark.interop

COMPANY, OTHERS = authority("Company Root"), authority("Others Root")
CRT = "etc/ssl/certs/ca-certificates.crt"
ASK = """
import sys, urllib.request, requests
def said(ask):
    try:
        return ask()
    except Exception as error:
        return "refused" if "CERTIFICATE_VERIFY_FAILED" in str(error) else repr(error)
print(said(lambda: urllib.request.urlopen(sys.argv[1]).read().decode()))
print(said(lambda: requests.get(sys.argv[1]).text))
"""
FETCH = """
fetch(process.argv[2]).then(answer => answer.text()).then(console.log)
  .catch(error => console.log(error.cause.code.includes('VERIFY') || error.cause.code.includes('CERT')
    ? 'refused' : String(error.cause)));
"""


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust us hangs up: that is what the tests are about."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on loopback whose certificate the company signed."""
    usable()
    place = tmp_path_factory.mktemp("server") / "server.pem"
    place.write_bytes(server(COMPANY).pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place)
    with Quiet(("127.0.0.1", 0), Hello) as serving:
        serving.socket = context.wrap_socket(serving.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{serving.server_address[1]}/"
        serving.shutdown()
        thread.join()


def pem(folder: Path, name: str, root: Any = COMPANY) -> Path:
    path = folder / name
    path.write_text(ssl.DER_cert_to_PEM_cert(root.der))
    return path


def python_application(folder: Path) -> Path:
    """A client with requests beside it, as installed here."""
    folder.mkdir()
    (folder / "main.py").write_text(ASK)
    for name in ("requests", "urllib3", "idna", "certifi", "charset_normalizer"):
        found = importlib.util.find_spec(name)
        assert found is not None and found.origin is not None
        shutil.copytree(Path(found.origin).parent, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    return folder


@pytest.mark.spec("PACK-81", "PACK-82", "PACK-83")
def test_python_and_requests(url: str, tmp_path: Path) -> None:
    made = of_this_host()
    bundle = ssl.DER_cert_to_PEM_cert(OTHERS.der)
    base = image([*made.layers, layer({CRT: File(bundle.encode(), 0o444)})], platform=str(made.platform),
                 execution=dict(made.config.execution))  # fmt: skip
    place = lay_out(base, tmp_path / "base", "t")
    app = python_application(tmp_path / "app")
    ociassemble = Commands(tmp_path)
    build = ("build", app, "--base", place, "--platform", str(made.platform), "--no-lock", "-u", "65532", "--kind",
             "python")  # fmt: skip
    company = pem(tmp_path, "company.pem")

    ociassemble(*build, "-o", f"oci:{tmp_path}/image:without")
    said = ociassemble(*build, "--ca-cert", company, "-o", f"oci:{tmp_path}/image:with").err

    assert f"SSL_CERT_FILE=/{CRT}" in said and f"REQUESTS_CA_BUNDLE=/{CRT}" in said and "warning" not in said
    answers = {}
    for tag in ("without", "with"):
        tree = Unpacked(tmp_path / "image", tag, tmp_path / tag)
        done = tree.start("main.py", url)
        answers[tag] = done.stdout.splitlines() or done.stderr
        if tag == "with":
            assert (tree.root / CRT).read_text() == bundle + company.read_text()
            assert (tree.root / CRT).stat().st_mode & 0o777 == 0o444
            own = tree.root / "usr/local/share/ca-certificates/company.crt"
            assert own.read_text() == company.read_text()
            if shutil.which("openssl"):
                subprocess.run(["openssl", "verify", "-CAfile", tree.root / CRT, own], check=True, capture_output=True)
        shutil.rmtree(tmp_path / tag)
    assert answers == {"without": ["refused"] * 2, "with": ["hello"] * 2}


@pytest.mark.spec("PACK-84")
def test_the_layer_is_made_once_and_read_from_the_store(tmp_path: Path) -> None:
    """Neither the application nor its packages are in it; a bundle that the store has lost is read again."""
    usable()
    base = image([layer({CRT: ssl.DER_cert_to_PEM_cert(OTHERS.der), "bin/serve": File(b"x", 0o755)})])
    place, company = lay_out(base, tmp_path / "base", "t"), pem(tmp_path, "company.crt")
    ociassemble = Commands(tmp_path)

    def built(number: int) -> list[str]:
        app = tmp_path / f"app{number}"
        app.mkdir()
        (app / "data").write_text(str(number))
        ociassemble("build", app, "--base", place, "--platform", "linux/amd64", "--cmd", "/bin/serve",
                    "--ca-cert", company, "-o", f"oci:{tmp_path}/image:{number}")  # fmt: skip
        made = open_image(LayoutSource(tmp_path / "image", str(number)).read())
        return [str(item.descriptor.digest) for item in made.layers]

    first, second = built(1), built(2)
    assert len(first) == 3 and first[:2] == second[:2] and first[2] != second[2]
    shutil.rmtree(tmp_path / "cache/store/records/layers")
    for blob in (tmp_path / "cache/store/blobs/sha256").rglob("*"):
        if blob.is_file():
            blob.unlink()
    assert built(3)[:2] == first[:2]


@pytest.fixture
def node_base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Commands, Callable[[], str]]:
    """Debian's packages with Node; assembled once a run, for the tests of Node bases too."""
    folder = shared(tmp_path_factory, "node-bases")
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    folder.mkdir(exist_ok=True)
    commands = Commands(folder, OCIASSEMBLE_NODE_MIRROR=NOWHERE, **passed)

    def find() -> str:
        with once(folder / "nodejs24") as wanted:
            if wanted():
                place = f"oci:{folder}/layout:nodejs24"
                commands("base", "build", "distroless/nodejs24", "-o", place, "--platform", "linux/amd64")
        return f"oci:{folder}/layout:nodejs24"

    return commands, find


@pytest.mark.packages
@pytest.mark.spec("PACK-83")
def test_nodes_fetch(url: str, tmp_path: Path, node_base: tuple[Commands, Callable[[], str]]) -> None:
    ociassemble, base = node_base
    app = tmp_path / "app"
    app.mkdir()
    (app / "main.js").write_text(FETCH)
    build = ("build", app, "--base", base(), "--platform", "linux/amd64", "--kind", "directory",
             "--cmd", json.dumps(["main.js"]))  # fmt: skip
    company, others = pem(tmp_path, "company.pem"), pem(tmp_path, "others.pem", OTHERS)
    ociassemble(*build, "--ca-cert", company, "--ca-cert", others, "-o", f"oci:{tmp_path}/image:two")
    said = ociassemble(*build, "--ca-cert", company, "-o", f"oci:{tmp_path}/image:one").err
    own = "/usr/local/share/ca-certificates/company.crt"
    assert f"NODE_EXTRA_CA_CERTS={own} (node trusts" in said and "SSL_CERT_FILE=" not in said

    tree = Unpacked(tmp_path / "image", "two", tmp_path / "two")
    bundle = (tree.root / CRT).read_text()
    assert bundle.count("BEGIN CERTIFICATE") > 100 and bundle.endswith(company.read_text() + others.read_text())
    assert (tree.root / CRT).stat().st_mode & 0o777 == 0o555
    for value, answer in ((tree.config.env["NODE_EXTRA_CA_CERTS"], "hello"), (own, "hello"), ("", "refused")):
        done = tree.start("main.js", url, env={"NODE_EXTRA_CA_CERTS": value})
        assert (done.stdout.strip() or done.stderr, value) == (answer, value)
    assert tree.config.env["NODE_EXTRA_CA_CERTS"] == f"/{CRT}"
    shutil.rmtree(tmp_path / "two")
