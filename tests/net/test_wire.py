"""The wire against a server that misbehaves on purpose."""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ociassemble.errors import Error, NetworkError, OfflineError, UnreachableError
from ociassemble.net import response as response_module
from ociassemble.net.errors import AnswerError, CutError, ProxyError, RedirectError, TimedOutError, TlsError
from ociassemble.net.url import BadUrlError
from ociassemble.net.wire import Body, Wire
from tests.net.scripted import Answer, ScriptedServer

CANARY = "canary-5b1f0c"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def wire(slept: list[float]) -> Wire:
    return Wire(sleep=slept.append, jitter=lambda: 0.0, user_agent="ua/1")


def read(wire: Wire, url: str, **more: object) -> bytes:
    with wire.request("GET", url, **more) as response:  # type: ignore[arg-type]
        assert response.status == 200
        return response.read(1 << 20)


def test_a_body_comes_as_it_was_sent(server: ScriptedServer, wire: Wire) -> None:
    squeezed = b"\x1f\x8b\x08 not really gzip"
    server.on("GET", "/x", Answer(body=squeezed, headers=(("Content-Encoding", "gzip"),)))
    assert read(wire, f"{server.url}/x") == squeezed
    sent = server.requests[0].headers
    assert (sent["accept-encoding"], sent["user-agent"]) == ("identity", "ua/1")
    assert "authorization" not in sent


def test_paths_are_sent_as_they_are_written(server: ScriptedServer, wire: Wire) -> None:
    server.on("GET", ".*", Answer(body=b"x"))
    path = "/a%2Fb/%7E?sig=a%2Fb%7E&empty=&empty=&x=%20#"
    read(wire, server.url + path)  # requests alone would make `~` of %7E, which breaks signatures
    assert server.asked("GET") == [path.rstrip("#")]


def test_netrc_and_the_environment_are_not_read(
    server: ScriptedServer, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(os.environ["HOME"], ".netrc").write_text(f"machine 127.0.0.1 login me password {CANARY}\n")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    server.on("GET", "/", Answer())
    read(wire, f"{server.url}/")
    assert "authorization" not in server.requests[0].headers


def test_cookies_are_not_kept(server: ScriptedServer, wire: Wire) -> None:
    server.on("GET", "/", Answer(headers=(("Set-Cookie", "a=b; Path=/"),)))
    read(wire, f"{server.url}/")
    read(wire, f"{server.url}/")
    assert all("cookie" not in request.headers for request in server.requests)


def test_userinfo_of_a_url_becomes_a_header_and_stays_out_of_errors(server: ScriptedServer, wire: Wire) -> None:
    server.on("GET", "/ok", Answer())
    read(wire, f"http://me:{CANARY}%40@{server.host}/ok")
    assert server.requests[0].headers["authorization"].startswith("Basic ")
    with wire.request("GET", f"http://me:{CANARY}@{server.host}/no?sig={CANARY}") as response:
        assert CANARY not in str(wire.fail(response))


# --- unreachable, and what is not -----------------------------------------------------------------------------


def test_refused_is_unreachable_at_once(wire: Wire, slept: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(UnreachableError, match="refused"):
        wire.request("GET", f"http://127.0.0.1:{port}/")
    assert slept == []


def test_no_name_is_unreachable(wire: Wire, slept: list[float]) -> None:
    with pytest.raises(UnreachableError, match="name cannot be resolved"):
        wire.request("GET", "https://registry.example/v2/")
    assert slept == []


def test_unroutable_is_unreachable(wire: Wire) -> None:
    with pytest.raises(UnreachableError, match="unreachable"):
        wire.request("GET", "http://192.0.2.1/")


def test_no_connection_in_time_is_unreachable() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        try:
            with pytest.raises(UnreachableError, match="in time"):
                Wire(connect_timeout=0.3).request("GET", f"http://127.0.0.1:{full.getsockname()[1]}/")
        finally:
            for client in waiting:
                client.close()


def test_a_host_that_answered_before_is_asked_again(server: ScriptedServer, wire: Wire, slept: list[float]) -> None:
    server.on("GET", "/", Answer(headers=(("Connection", "close"),)))
    read(wire, f"{server.url}/")
    server.shutdown()
    server.server_close()
    with pytest.raises(UnreachableError):
        wire.request("GET", f"{server.url}/")
    assert slept == [0.25, 0.5, 1.0, 2.0]


def test_a_tls_failure_is_an_answer(server: ScriptedServer, wire: Wire) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(10)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(TlsError) as caught:
            wire.request("GET", f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert not isinstance(caught.value, UnreachableError)
    assert "--insecure-registry" in (caught.value.hint or "")


def test_a_proxy_that_refuses_is_named(server: ScriptedServer) -> None:
    server.on("CONNECT", ".*", Answer(503))
    wire = Wire(proxies={"https": f"http://{server.host}"}, sleep=lambda seconds: None)
    with pytest.raises(ProxyError, match="proxy"):
        wire.request("GET", "https://registry.example/")
    assert server.requests[0].method == "CONNECT"


def test_a_plain_request_goes_through_the_proxy_without_leaking(server: ScriptedServer) -> None:
    server.on("GET", "http://mirror.example/x", Answer(body=b"via"))
    wire = Wire(proxies={"http": f"http://u:{CANARY}@{server.host}"})
    assert read(wire, "http://mirror.example/x") == b"via"
    assert "proxy-authorization" in server.requests[0].headers
    assert "authorization" not in server.requests[0].headers


# --- retries --------------------------------------------------------------------------------------------------


def test_overload_is_waited_for(server: ScriptedServer, wire: Wire, slept: list[float]) -> None:
    server.on("GET", "/", Answer(503), Answer(502), Answer(cut=-1), Answer(body=b"there"))
    assert read(wire, f"{server.url}/") == b"there"
    assert slept == [0.25, 0.5, 1.0]


def test_a_kept_connection_that_the_server_closed_costs_no_wait(
    server: ScriptedServer, wire: Wire, slept: list[float]
) -> None:
    server.on("GET", "/", Answer(cut=-1), Answer(body=b"there"))
    assert read(wire, f"{server.url}/") == b"there"
    assert slept == []


def test_retry_after_is_honoured(server: ScriptedServer, slept: list[float]) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    wire = Wire(sleep=sleep, clock=lambda: now[0], jitter=lambda: 0.0)
    server.on("GET", "/", Answer(429, headers=(("Retry-After", "7"),)), Answer())
    read(wire, f"{server.url}/")
    assert slept == [7.0]


def test_a_wait_of_hours_is_told_instead(server: ScriptedServer, wire: Wire, slept: list[float]) -> None:
    server.on("GET", "/", Answer(429, headers=(("Retry-After", "21600"),)))
    with wire.request("GET", f"{server.url}/") as response:
        error = wire.fail(response)
    assert (error.code, slept) == ("network.rate-limited", [])
    assert "21600 s" in str(error)


def test_what_may_not_be_repeated_is_not(server: ScriptedServer, wire: Wire) -> None:
    server.on("POST", "/", Answer(503))
    with wire.request("POST", f"{server.url}/") as response:
        assert response.status == 503
    server.on("POST", "/", Answer(cut=-1))
    with pytest.raises(CutError):
        wire.request("POST", f"{server.url}/")
    assert server.asked() == ["POST /", "POST /"]


def test_it_gives_up(server: ScriptedServer, wire: Wire) -> None:
    server.on("GET", "/", Answer(cut=-1, reset=True))
    with pytest.raises(CutError, match="broke off"):
        wire.request("GET", f"{server.url}/")
    assert len(server.requests) == 5


def test_no_answer_in_time(server: ScriptedServer) -> None:
    server.on("GET", "/", Answer(delay=1.0))
    with pytest.raises(TimedOutError) as caught:
        Wire(answer_timeout=0.2).request("GET", f"{server.url}/")
    assert not isinstance(caught.value, UnreachableError)


def test_a_trickle_is_a_stall(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_module, "WINDOW", 0.2)
    server.on("GET", "/", Answer(body=b"x" * 400, drip=0.01))
    with pytest.raises(TimedOutError, match="stalls"):
        read(Wire(), f"{server.url}/")


# --- bodies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [Answer(body=b"x" * 2000), Answer(body=b"x", length=2000, cut=1), Answer(body=b"x" * 900, endless=True)],
    ids=["long", "announced", "endless"],
)
def test_a_body_is_bounded(server: ScriptedServer, wire: Wire, answer: Answer) -> None:
    server.on("GET", "/", answer)
    with pytest.raises(AnswerError), wire.request("GET", f"{server.url}/") as response:
        response.read(1000)


@pytest.mark.parametrize("cut", [0, 1, 1999])
def test_a_short_body_is_a_cut(server: ScriptedServer, wire: Wire, cut: int) -> None:
    server.on("GET", "/", Answer(body=b"x" * 2000, cut=cut))
    with pytest.raises(CutError), wire.request("GET", f"{server.url}/") as response:
        response.read(1 << 20)


def test_endless_headers_are_bounded(wire: Wire) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(5):
                connection, _address = listener.accept()
                with connection:
                    connection.recv(4096)
                    try:
                        connection.sendall(b"HTTP/1.1 200 OK\r\n")
                        for _ in range(100_000):
                            connection.sendall(b"X-A: b\r\n" * 50)
                    except OSError:
                        pass

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(NetworkError):
            wire.request("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/")


def test_a_body_is_streamed_with_its_length(server: ScriptedServer, wire: Wire) -> None:
    server.on("PUT", "/", Answer(201))
    sent: list[int] = []
    data = os.urandom(3 << 20)
    with wire.request("PUT", f"{server.url}/", body=Body(len(data), lambda: io.BytesIO(data), sent.append)) as response:
        assert response.status == 201
    assert server.requests[0].body == data
    assert "transfer-encoding" not in server.requests[0].headers
    assert sum(sent) == len(data)
    assert len(sent) > 3


def test_an_empty_streamed_body_has_a_length(server: ScriptedServer, wire: Wire) -> None:
    server.on("PUT", "/", Answer(201))
    wire.request("PUT", f"{server.url}/", body=Body(0, lambda: io.BytesIO(b""))).close()
    assert server.requests[0].headers["content-length"] == "0"
    assert "transfer-encoding" not in server.requests[0].headers


def test_an_error_of_the_body_comes_through(server: ScriptedServer, wire: Wire) -> None:
    def broken() -> io.BytesIO:
        raise Error("the file changed")

    with pytest.raises(Error, match="the file changed"):
        wire.request("PUT", f"{server.url}/", body=Body(10, broken))


def test_an_early_refusal_is_seen(server: ScriptedServer, wire: Wire) -> None:
    # The server answers and hangs up without reading: the status must still be what the caller gets.
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 20):
                pass
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with wire.request("PUT", url, body=Body(4 << 20, lambda: io.BytesIO(bytes(4 << 20)))) as response:
            assert response.status == 413
        thread.join()


# --- redirects: credentials never cross an origin -------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_elsewhere_takes_no_secrets_along(
    server: ScriptedServer, other: ScriptedServer, wire: Wire, status: int
) -> None:
    server.on("GET", "/a", Answer(status, headers=(("Location", f"{other.url}/b?sig=%2F"),)))
    other.on("GET", r"/b\?sig=%2F", Answer(body=b"there"))
    headers = {"Authorization": f"Bearer {CANARY}", "X-Token": CANARY, "Accept": "a/b", "Range": "bytes=0-"}
    with wire.request("GET", f"{server.url}/a", headers=headers) as response:
        assert response.read(100) == b"there"
        assert response.redirected
    got = other.requests[0].headers
    assert CANARY not in str(got)
    assert (got["accept"], got["range"]) == ("a/b", "bytes=0-")


def test_secrets_do_not_come_back_after_a_detour(server: ScriptedServer, other: ScriptedServer, wire: Wire) -> None:
    server.on("GET", "/a", Answer(302, headers=(("Location", f"{other.url}/b"),)))
    other.on("GET", "/b", Answer(302, headers=(("Location", f"{server.url}/c"),)))
    server.on("GET", "/c", Answer())
    read(wire, f"{server.url}/a", headers={"Authorization": CANARY})
    assert "authorization" not in server.requests[1].headers


def test_within_the_origin_they_stay(server: ScriptedServer, wire: Wire) -> None:
    server.on("GET", "/a", Answer(302, headers=(("Location", "b"),)))
    server.on("GET", "/b", Answer())
    with wire.request("GET", f"{server.url}/a", headers={"Authorization": CANARY}) as response:
        assert not response.redirected
    assert server.requests[1].headers["authorization"] == CANARY


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("ftp://mirror.example/", "not a URL"),
        ("file:///etc/passwd", "not a URL"),
        ("http://u:p@127.0.0.1/", "credentials"),
        ("http://169.254.169.254/latest", "secrets"),
        ("http://[fd00:ec2::254]/", "secrets"),
        ("http://[::ffff:169.254.169.254]/", "secrets"),
        ("http://0.0.0.0/", "secrets"),
        ("http://[::g]/", "not a URL"),
    ],
)
def test_redirects_that_are_not_followed(server: ScriptedServer, wire: Wire, location: str, why: str) -> None:
    server.on("GET", "/", Answer(302, headers=(("Location", location),)))
    with pytest.raises(RedirectError, match=why):
        wire.request("GET", f"{server.url}/")
    assert len(server.requests) == 1


def test_a_loop_ends(server: ScriptedServer, wire: Wire) -> None:
    server.on("GET", "/", Answer(302, headers=(("Location", "/"),)))
    with pytest.raises(RedirectError, match="more than 5"):
        wire.request("GET", f"{server.url}/")
    assert len(server.requests) == 6


def test_the_body_of_a_redirect_is_not_read(server: ScriptedServer, wire: Wire) -> None:
    server.on("GET", "/", Answer(302, b"x" * 65536, (("Location", "/b"),), endless=True))
    server.on("GET", "/b", Answer(body=b"there"))
    assert read(wire, f"{server.url}/") == b"there"


def test_a_put_is_sent_on_within_its_origin_only(server: ScriptedServer, other: ScriptedServer, wire: Wire) -> None:
    server.on("PUT", "/a", Answer(307, headers=(("Location", "/b"),)))
    server.on("PUT", "/b", Answer(201))
    wire.request("PUT", f"{server.url}/a", body=Body(3, lambda: io.BytesIO(b"abc"))).close()
    assert [request.body for request in server.requests] == [b"abc", b"abc"]
    server.on("PUT", "/a", Answer(307, headers=(("Location", f"{other.url}/b"),)))
    with pytest.raises(RedirectError, match="another host"):
        wire.request("PUT", f"{server.url}/a", body=b"abc")
    server.on("PUT", "/a", Answer(302, headers=(("Location", "/b"),)))
    with pytest.raises(RedirectError, match="into GET"):
        wire.request("PUT", f"{server.url}/a", body=b"abc")
    assert other.requests == []


# --- offline, schemes -----------------------------------------------------------------------------------------


def test_offline_opens_no_socket(server: ScriptedServer) -> None:
    with pytest.raises(OfflineError):
        Wire(offline=True).request("GET", f"{server.url}/")
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://mirror.example/x",
        "/x",
        "http://",
        "http://h:99999/",
        "http://a b/",
        "http://\u00e9/",
    ],
)
def test_other_schemes_and_broken_urls_are_refused(wire: Wire, url: str) -> None:
    with pytest.raises(BadUrlError):
        wire.request("GET", url)


def test_threads_share_one_wire(server: ScriptedServer, wire: Wire) -> None:
    server.on("GET", "/.*", lambda request: Answer(body=request.path.encode()))
    results: dict[int, bytes] = {}

    def work(number: int) -> None:
        for _ in range(5):
            results[number] = read(wire, f"{server.url}/{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: f"/{number}".encode() for number in range(8)}
