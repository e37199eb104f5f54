"""A Python package index on loopback over a folder of wheels: with hashes, and metadata beside each file."""

from __future__ import annotations

import hashlib
import html
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfileobj


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class Index:
    """Serves `folder/*.whl` at `url`. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name: path for path in sorted(folder.glob("*.whl"))}
        self._pages: dict[str, bytes] = {}
        self._metadata: dict[str, bytes] = {}
        for name, path in self._files.items():
            with zipfile.ZipFile(path) as archive:
                inside = next(entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA"))
                self._metadata[name + ".metadata"] = archive.read(inside)
        for name in self._files:
            self._pages.setdefault(normalised(name.partition("-")[0]), b"")
        for project in self._pages:
            links = [self._link(name) for name in self._files if normalised(name.partition("-")[0]) == project]
            self._pages[project] = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                index._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/simple/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _link(self, name: str) -> str:
        with self._files[name].open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        metadata = hashlib.sha256(self._metadata[name + ".metadata"]).hexdigest()
        return (
            f'<a href="/files/{html.escape(name)}#sha256={digest}" data-core-metadata="sha256={metadata}" '
            f'data-dist-info-metadata="sha256={metadata}">{html.escape(name)}</a><br>'
        )

    def _answer(self, to: BaseHTTPRequestHandler) -> None:
        kind, _, name = to.path.split("?")[0].strip("/").partition("/")
        page = self._pages.get(name) if kind == "simple" else self._metadata.get(name) if kind == "files" else None
        file = self._files.get(name) if kind == "files" else None
        if page is None and file is None:
            to.send_error(404)
            return
        to.send_response(200)
        to.send_header("Content-Type", "text/html" if kind == "simple" else "application/octet-stream")
        to.send_header("Content-Length", str(len(page) if page is not None else file.stat().st_size if file else 0))
        to.end_headers()
        if page is not None:
            to.wfile.write(page)
        elif file is not None:
            with file.open("rb") as content:
                copyfileobj(content, to.wfile, 1 << 20)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
