"""A web server with nothing but the standard library: no dependencies, so the image has no dependency layer."""

import json
import os
import platform
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from signal import SIGINT, SIGTERM, signal


class Handler(BaseHTTPRequestHandler):
    server_version = "plain"

    def do_GET(self) -> None:
        if self.path not in ("/", "/health"):
            self.send_error(404)
            return
        answer = {"status": "ok", "uid": os.getuid(), "python": platform.python_version()}
        body = (json.dumps(answer) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def stop(*_: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    # Process 1 has no default reaction to SIGTERM: without this the runtime waits, and then kills it.
    for number in (SIGINT, SIGTERM):
        signal(number, stop)
    port = int(os.environ.get("PORT", "8080"))
    print(f"listening on port {port}", flush=True)
    with ThreadingHTTPServer(("0.0.0.0", port), Handler) as server:
        server.serve_forever()
