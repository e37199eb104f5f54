"""The door counts what goes through it, and changes nothing."""

from __future__ import annotations

import http.client
import itertools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from door import Door, Request, Requests
from hypothesis import given
from hypothesis import strategies as st

TALK = (
    b"HEAD /v2/a/blobs/x HTTP/1.1\r\nHost: h\r\n\r\n"
    b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
    b"PUT /u?digest=sha256:1 HTTP/1.1\r\ncontent-length: 11\r\n\r\n0123\r\n\r\n789"
    b"PATCH /u HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"
    b"GET /v2/ HTTP/1.1\r\n\r\n"
)
SAID = [
    Request("HEAD", "/v2/a/blobs/x", 0),
    Request("POST", "/v2/a/blobs/uploads/", 0),
    Request("PUT", "/u?digest=sha256:1", 11),
    Request("PATCH", "/u", 14),
    Request("GET", "/v2/", 0),
]


@given(st.lists(st.integers(0, len(TALK)), max_size=12))
def test_requests_are_read_however_bytes_are_cut(cuts: list[int]) -> None:
    meter = Requests()
    places = [0, *sorted(cuts), len(TALK)]
    for start, end in itertools.pairwise(places):
        meter.feed(TALK[start:end])
    assert meter.done == SAID


def test_a_request_counts_when_it_is_whole() -> None:
    meter = Requests()
    meter.feed(b"PUT /u HTTP/1.1\r\nContent-Length: 3\r\n\r\nab")
    assert meter.done == []
    meter.feed(b"c")
    assert meter.done == [Request("PUT", "/u", 3)]


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(2 * len(body)))
        self.end_headers()
        self.wfile.write(body * 2)

    def log_message(self, *_: object) -> None:
        pass


def test_a_door_counts_both_ways_and_opens_again_at_the_same_port() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = 0
    body = bytes(range(256)) * 4096
    try:
        for _ in range(2):
            with Door(server.server_address[1], port) as door:
                port = door.port
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                connection.request("PUT", "/x", body)
                assert connection.getresponse().read() == body * 2
                assert door.requests == [Request("PUT", "/x", len(body))]
                assert door.bodies == len(body)
                assert len(body) < door.up < len(body) + 1000
                assert 2 * len(body) < door.down < 2 * len(body) + 1000
                assert door.connections == 1
                door.forget()
                connection.request("PUT", "/y", b"ab")
                assert connection.getresponse().read() == b"abab"
                assert door.requests == [Request("PUT", "/y", 2)]
                connection.close()
    finally:
        server.shutdown()
        server.server_close()
