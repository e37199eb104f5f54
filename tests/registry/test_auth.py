"""Tokens: one question each, never at the wrong host, and renewed in time."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from ociassemble.errors import AuthError, NetworkError
from ociassemble.net.wire import Wire
from ociassemble.oci.reference import Reference
from ociassemble.registry.auth import InsecureCredentialsError
from ociassemble.registry.client import RegistryClient
from ociassemble.registry.credentials import Credential, Keychain
from ociassemble.registry.errors import DeniedError, UnauthorizedError
from ociassemble.registry.realm import RealmError
from tests.net.scripted import Answer, Request, ScriptedServer
from tests.registry.chaos import ChaosRegistry, TokenServer, blob_of, demand_bearer

CANARY = "canary-c0ffee"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry() -> Iterator[ChaosRegistry]:
    with ChaosRegistry() as running:
        running.add_image("1")
        yield running


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


def client(clock: Clock, *, host: str = "", credential: Credential | None = None, **more: object) -> RegistryClient:
    keychain = Keychain(explicit={host: credential} if credential else None)
    wire = Wire(sleep=lambda seconds: None)
    return RegistryClient(wire, keychain=keychain, clock=clock, sleep=lambda s: None, **more)  # type: ignore[arg-type]


def password(host: str = "") -> Credential:
    return Credential(source="the test", username="user", password=CANARY)


def image(registry: ScriptedServer, tag: str = "1") -> Reference:
    return Reference.parse(f"{registry.host}/a/b:{tag}")


def leaked(*servers: ScriptedServer) -> bool:
    """Whether a server got to see the password, in the clear or in base64."""
    forms = [CANARY, base64.b64encode(f"user:{CANARY}".encode()).decode()]
    return any(form in f"{request}" for server in servers for request in server.requests for form in forms)


def test_an_anonymous_token_is_asked_for_once(registry: ChaosRegistry, tokens: TokenServer, clock: Clock) -> None:
    demand_bearer(registry, f"{tokens.url}/token?a=b")
    one = client(clock)
    for _ in range(3):
        one.resolve(image(registry))
    assert tokens.asked() == ["GET /token?a=b&scope=repository:a/b:pull"]
    assert "authorization" not in tokens.requests[0].headers


def test_service_and_scope_go_along(registry: ChaosRegistry, tokens: TokenServer, clock: Clock) -> None:
    demand_bearer(registry, f"{tokens.url}/token", scope="repository:a/b:pull repository:c:pull")
    client(clock).resolve(image(registry))
    query = parse_qs(urlsplit(tokens.requests[0].path).query)
    assert query == {"service": ["test"], "scope": ["repository:a/b:pull", "repository:c:pull"]}


def test_a_password_is_sent_to_the_realm_and_not_to_the_registry(
    registry: ChaosRegistry, tokens: TokenServer, clock: Clock
) -> None:
    demand_bearer(registry, f"{tokens.url}/token")
    client(clock, host=registry.host, credential=password()).resolve(image(registry))
    assert leaked(tokens)
    assert not leaked(registry)


def test_many_threads_ask_for_one_token(registry: ChaosRegistry, tokens: TokenServer, clock: Clock) -> None:
    demand_bearer(registry, f"{tokens.url}/token")
    one = client(clock)
    threads = [threading.Thread(target=one.resolve, args=(image(registry),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tokens.given == 1


def test_a_token_is_renewed_before_it_ends(registry: ChaosRegistry, tokens: TokenServer, clock: Clock) -> None:
    demand_bearer(registry, f"{tokens.url}/token")
    one = client(clock)
    one.resolve(image(registry))
    clock.now += 260
    one.resolve(image(registry))
    assert tokens.given == 1
    clock.now += 20  # of 300 seconds, less than 30 are left
    one.resolve(image(registry))
    assert tokens.given == 2
    assert len([request for request in registry.requests if "authorization" not in request.headers]) == 1


def test_a_rejected_token_is_replaced_once(registry: ChaosRegistry, tokens: TokenServer, clock: Clock) -> None:
    demand_bearer(registry, f"{tokens.url}/token", accepts="Bearer token-2")
    one = client(clock)
    with pytest.raises(UnauthorizedError):
        one.resolve(image(registry))  # token-1 is refused, and it was fresh
    one.resolve(image(registry))
    assert tokens.given == 2


def test_an_expired_token_is_renewed_in_the_middle_of_a_push(
    registry: ChaosRegistry, tokens: TokenServer, clock: Clock
) -> None:
    demand_bearer(registry, f"{tokens.url}/token")
    refuse = Answer(401, headers=(("WWW-Authenticate", f'Bearer realm="{tokens.url}/token"'),))
    registry.on("PUT", r".*/uploads/.*", refuse, registry.work)
    data = b"x" * 500_000
    assert client(clock).push_blob(image(registry), blob_of(data)) == "uploaded"
    assert tokens.given == 2
    assert registry.blobs[blob_of(data).descriptor.digest] == data


def test_pull_becomes_push(registry: ChaosRegistry, tokens: TokenServer, clock: Clock) -> None:
    demand_bearer(registry, f"{tokens.url}/token")
    one = client(clock)
    one.resolve(image(registry))
    one.push_blob(image(registry), blob_of(b"new"))
    scopes = [parse_qs(urlsplit(path).query)["scope"] for path in tokens.asked("GET")]
    assert scopes == [["repository:a/b:pull"], ["repository:a/b:pull,push"]]


def test_a_mount_asks_for_both_repositories_the_destination_first(
    registry: ChaosRegistry, tokens: TokenServer, clock: Clock
) -> None:
    demand_bearer(registry, f"{tokens.url}/token")
    registry.on("POST", r".*mount=.*", Answer(202, headers=(("Location", "/v2/a/b/blobs/uploads/9"),)))
    one = client(clock)
    one.push_blob(image(registry), blob_of(b"first"))  # from now on it is known how the registry wants to be asked
    one.push_blob(image(registry), blob_of(b"new"), f"{registry.host}/c/d")
    scopes = [parse_qs(urlsplit(path).query)["scope"] for path in tokens.asked("GET")]
    assert ["repository:a/b:pull,push", "repository:c/d:pull"] in scopes


def test_a_token_server_that_refuses_the_pair_does_not_end_the_push(
    registry: ChaosRegistry, tokens: TokenServer, clock: Clock
) -> None:
    demand_bearer(registry, f"{tokens.url}/token")
    tokens.on("GET", r".*c/d.*", Answer(401))
    done = client(clock).push_blob(image(registry), blob_of(b"new"), f"{registry.host}/c/d")
    assert done == "uploaded"


def test_basic(registry: ChaosRegistry, clock: Clock) -> None:
    expected = password().basic

    def guard(request: Request) -> Answer:
        if request.headers.get("authorization") == expected:
            return registry.work(request)
        return Answer(401, headers=(("WWW-Authenticate", 'Basic realm="x"'),))

    registry.on("*", "/v2/.*", guard)
    one = client(clock, host=registry.host, credential=password())
    one.resolve(image(registry))
    one.resolve(image(registry))
    sent = [request.headers.get("authorization") for request in registry.requests if "manifests" in request.path]
    assert sent == [None, expected, expected]
    with pytest.raises(UnauthorizedError, match="there are none"):
        client(clock).resolve(image(registry))
    wrong = Credential(source="FILE", username="u", password="wrong")
    with pytest.raises(UnauthorizedError, match="rejected the credentials from FILE"):
        client(clock, host=registry.host, credential=wrong).resolve(image(registry))


def test_bearer_is_preferred(registry: ChaosRegistry, tokens: TokenServer, clock: Clock) -> None:
    offers = (("WWW-Authenticate", 'Basic realm="x"'), ("WWW-Authenticate", f'Bearer realm="{tokens.url}/token"'))
    registry.on("GET", "/v2/a/.*", Answer(401, headers=offers), registry.work)
    client(clock, host=registry.host, credential=password()).resolve(image(registry))
    assert tokens.given == 1
    assert not leaked(registry)


def test_other_schemes_are_named(registry: ChaosRegistry, clock: Clock) -> None:
    registry.on(
        "GET", "/v2/a/.*", Answer(401, headers=(("WWW-Authenticate", "Negotiate"), ("WWW-Authenticate", "NTLM")))
    )
    with pytest.raises(UnauthorizedError, match="negotiate, ntlm"):
        client(clock).resolve(image(registry))


def test_a_401_without_a_challenge_is_looked_up(registry: ChaosRegistry, tokens: TokenServer, clock: Clock) -> None:
    registry.on("GET", "/v2/a/.*", Answer(401), registry.work)
    offer = f'Bearer realm="{tokens.url}/token",scope="repository:user/image:pull"'
    registry.on("GET", "/v2/", Answer(401, headers=(("WWW-Authenticate", offer),)))
    client(clock).resolve(image(registry))
    assert tokens.asked() == ["GET /token?scope=repository:a/b:pull"]


def test_an_identity_token_is_exchanged(registry: ChaosRegistry, tokens: TokenServer, clock: Clock) -> None:
    demand_bearer(registry, f"{tokens.url}/token")
    credential = Credential(source="test", identity_token=CANARY)
    client(clock, host=registry.host, credential=credential).resolve(image(registry))
    assert parse_qs(tokens.requests[0].body.decode())["refresh_token"] == [CANARY]
    assert parse_qs(tokens.requests[0].body.decode())["grant_type"] == ["refresh_token"]
    tokens.on("POST", "/token", Answer(404))
    client(clock, host=registry.host, credential=credential).resolve(image(registry))
    assert tokens.asked()[-1].startswith("GET /token")


def test_a_registry_token_is_sent_as_it_is(registry: ChaosRegistry, tokens: TokenServer, clock: Clock) -> None:
    demand_bearer(registry, f"{tokens.url}/token", accepts=f"Bearer {CANARY}")
    credential = Credential(source="test", registry_token=CANARY)
    client(clock, host=registry.host, credential=credential).resolve(image(registry))
    assert tokens.given == 0


# --- secrets stay where they belong ---------------------------------------------------------------------------


def test_credentials_of_one_registry_never_reach_another(
    registry: ChaosRegistry, tokens: TokenServer, clock: Clock
) -> None:
    with ChaosRegistry() as evil:
        evil.add_image("1")
        demand_bearer(evil, f"{tokens.url}/token")
        one = client(clock, host=registry.host, credential=password())
        one.resolve(image(registry))
        one.resolve(image(evil))
        assert not leaked(evil, tokens)


def test_a_realm_elsewhere_gets_no_password(registry: ChaosRegistry, clock: Clock) -> None:
    with TokenServer("127.0.0.2") as evil:
        demand_bearer(registry, f"{evil.url}/token")
        one = client(clock, host=registry.host, credential=password())
        one.resolve(image(registry))  # an anonymous token does it
        assert (evil.given, leaked(evil)) == (1, False)
        evil.on("GET", "/token.*", Answer(401))
        with pytest.raises(RealmError, match="another organisation") as caught:
            client(clock, host=registry.host, credential=password()).resolve(image(registry))
        assert f"--trust-realm {evil.host}" in (caught.value.hint or "")
        assert not leaked(evil)
        evil.on("GET", "/token.*", evil.give)
        trusting = client(clock, host=registry.host, credential=password(), trusted_realms=[evil.host])
        trusting.resolve(image(registry))
        assert leaked(evil)


def test_a_realm_that_redirects_takes_nothing_along(registry: ChaosRegistry, tokens: TokenServer, clock: Clock) -> None:
    with ScriptedServer() as evil:
        demand_bearer(registry, f"{tokens.url}/token")
        tokens.on("GET", "/token.*", Answer(302, headers=(("Location", f"{evil.url}/x"),)))
        with pytest.raises(NetworkError):
            client(clock, host=registry.host, credential=password()).resolve(image(registry))
        assert evil.requests == []


@pytest.mark.parametrize("to", ["blobs", "manifests"])
def test_storage_elsewhere_gets_no_token(registry: ChaosRegistry, tokens: TokenServer, clock: Clock, to: str) -> None:
    with ChaosRegistry() as storage:
        manifest = storage.add_image("1")
        registry.on(
            "GET", rf"/v2/a/b/{to}/.*", lambda r: Answer(307, headers=(("Location", f"{storage.url}{r.path}"),))
        )
        demand_bearer(registry, f"{tokens.url}/token")
        one = client(clock, host=registry.host, credential=password())
        one.resolve(image(registry))
        assert one.blob(image(registry), manifest.layers[0]).read() == b"a layer"
        assert storage.requests
        assert all("authorization" not in request.headers for request in storage.requests)


def test_storage_that_wants_credentials_gets_none(registry: ChaosRegistry, clock: Clock) -> None:
    with TokenServer() as evil:
        evil.on("GET", "/x", Answer(401, headers=(("WWW-Authenticate", 'Basic realm="x"'),)))
        registry.on("GET", "/v2/a/.*", Answer(307, headers=(("Location", f"{evil.url}/x"),)))
        with pytest.raises(AuthError):
            client(clock, host=registry.host, credential=password()).resolve(image(registry))
        assert not leaked(evil, registry)


def test_an_upload_elsewhere_gets_no_token(registry: ChaosRegistry, tokens: TokenServer, clock: Clock) -> None:
    with ChaosRegistry() as other:
        demand_bearer(registry, f"{tokens.url}/token")
        registry.on("HEAD", r".*/blobs/.*", Answer(404))
        registry.on("POST", ".*", Answer(202, headers=(("Location", f"{other.url}/v2/up/blobs/uploads/1"),)))
        client(clock, host=registry.host, credential=password()).push_blob(image(registry), blob_of(b"data"))
        assert [request.method for request in other.requests] == ["PUT"]
        assert "authorization" not in other.requests[0].headers
        assert not leaked(other)


def test_on_an_insecure_connection_nothing_is_sent_unasked(clock: Clock) -> None:
    # A host that is not this machine, in clear: reached through a proxy, as nothing else is to be had on loopback.
    with ChaosRegistry() as registry, ScriptedServer() as proxy:
        registry.add_image("1")
        expected = password().basic

        def work(request: Request) -> Answer:
            path = request.path.removeprefix("http://plain.example")
            if path != "/v2/" and request.headers.get("authorization") != expected:
                return Answer(401, headers=(("WWW-Authenticate", 'Basic realm="x"'),))
            return registry.work(request._replace(path=path))

        proxy.on("GET", "http://.*", work)
        proxy.on("CONNECT", ".*", Answer(502))
        wire = Wire(proxies={"http": proxy.url}, insecure=["plain.example"], sleep=lambda s: None)
        keychain = Keychain(explicit={"plain.example": password()})
        reference = Reference.parse("plain.example/a/b:1")
        with pytest.raises(InsecureCredentialsError) as caught:
            RegistryClient(wire, keychain=keychain).resolve(reference)
        assert "--insecure-credentials" in (caught.value.hint or "")
        assert not leaked(proxy)
        RegistryClient(wire, keychain=keychain, insecure_credentials=True).resolve(reference)
        assert leaked(proxy)


# --- token servers that answer badly --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "fine"),
    [
        (b'{"access_token":"token-x"}', True),
        (b'{"token":"token-x","expires_in":null}', True),
        (b'{"token":"token-x","expires_in":"soon"}', True),
        (b'{"token":"token-x","expires_in":1e999}', True),
        (b'{"token":"token-x","expires_in":-5}', True),
        (b"{}", False),
        (b"[]", False),
        (b"", False),
        (b"<html>", False),
        (b'{"token":5}', False),
        (b'{"token":"token-x\\r\\nX-Evil: 1"}', False),
        (b'{"token":"%s"}' % (b"x" * 70_000), False),
        (b'{"token":"%s"}' % (b"x" * 200_000), False),
        (b"[" * 100_000, False),
    ],
    ids=range(14),
)
def test_answers_of_token_servers(
    registry: ChaosRegistry, tokens: TokenServer, clock: Clock, body: bytes, fine: bool
) -> None:
    demand_bearer(registry, f"{tokens.url}/token")
    tokens.on("GET", "/token.*", Answer(body=body))
    if fine:
        client(clock).resolve(image(registry))
    else:
        with pytest.raises(NetworkError):
            client(clock).resolve(image(registry))


def test_denied_is_told_with_the_registrys_words(registry: ChaosRegistry, clock: Clock) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"no \\u001b[31mentry"}]}'
    registry.on("GET", "/v2/a/.*", Answer(403, body))
    with pytest.raises(DeniedError) as caught:
        client(clock).resolve(image(registry))
    assert caught.value.details == ("DENIED: no [31mentry",)
    assert caught.value.exit_code == 5
