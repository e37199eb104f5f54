"""`--ca-cert`: which bundles of a base get the certificates, and which variables tell programs."""

from __future__ import annotations

import pytest

from ociassemble.kinds.trusted import trusting
from ociassemble.layer.key import layer_key
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts, NodeFacts, PythonFacts, TrustFact
from ociassemble.plan.plan import ApplicationPlan, ConfigPlan, LayerPlan, TextSource, TrustSource
from ociassemble.project.authorities import Authority

CRT = "/etc/ssl/certs/ca-certificates.crt"
DEBIAN = TrustFact(CRT, Digest.of(b"debian"), 6, 0o555, 0, 0)
OTHER = TrustFact("/etc/ssl/cert.pem", Digest.of(b"other"), 5, 0o444, 0, 7)
ONE, TWO = Authority("one", (b"1",)), Authority("two", (b"2",))
PYTHON = PythonFacts(
    interpreter="/usr/bin/python3.13", minor="3.13", version="3.13.5", prefix="/usr/local", site="/usr/local/lib/x"
)
APPLICATION = LayerPlan(title="application", role="application", sources=())


def facts(*trust: TrustFact, env: dict[str, str] | None = None, python: bool = False, node: bool = False) -> BaseFacts:
    return BaseFacts(
        platform=Platform.parse("linux/amd64"),
        trust=trust,
        env=env or {},
        python=PYTHON if python else None,
        node=NodeFacts(interpreter="/nodejs/bin/node", version="24.0.0") if node else None,
    )


def planned(base: BaseFacts, *authorities: Authority, env: dict[str, str | None] | None = None) -> ApplicationPlan:
    before = ApplicationPlan(layers=(APPLICATION,), config=ConfigPlan(env=env or {}))
    return trusting(before, authorities, base)


def test_nothing_asked_is_nothing_changed() -> None:
    plan = planned(facts(DEBIAN))
    assert plan.layers == (APPLICATION,) and plan.config.env == {} and plan.reasons == ()


@pytest.mark.spec("PACK-81", "PACK-82", "PACK-84")
def test_every_bundle_gets_them_and_keeps_its_mode() -> None:
    plan = planned(facts(DEBIAN, OTHER), ONE, TWO)
    layer, application = plan.layers
    assert application is APPLICATION and layer.role == "dependency"
    first, second, one, two = layer.sources
    assert isinstance(first, TrustSource) and isinstance(second, TrustSource)
    assert isinstance(one, TextSource) and isinstance(two, TextSource)
    assert (first.path, first.mode, first.gid) == (CRT, 0o555, 0)
    assert (second.path, second.mode, second.gid) == ("/etc/ssl/cert.pem", 0o444, 7)
    assert first.bundle is not None and first.bundle.digest == DEBIAN.digest
    assert first.certificates == second.certificates == ONE.pem + TWO.pem
    assert [(item.path, item.text) for item in (one, two)] == [
        ("/usr/local/share/ca-certificates/one.crt", ONE.pem), ("/usr/local/share/ca-certificates/two.crt", TWO.pem),
    ]  # fmt: skip


@pytest.mark.spec("PACK-84")
def test_the_key_names_the_bundle_and_the_certificates() -> None:
    def key(base: BaseFacts, *authorities: Authority) -> Digest:
        return layer_key(planned(base, *authorities).layers[0])

    assert key(facts(DEBIAN), ONE) == key(facts(DEBIAN, python=True), ONE)
    others = (
        key(facts(DEBIAN), TWO),
        key(facts(DEBIAN), ONE, TWO),
        key(facts(DEBIAN._replace(digest=OTHER.digest)), ONE),
        key(facts(DEBIAN._replace(mode=0o644)), ONE),
        key(facts(), ONE),
    )
    assert len({key(facts(DEBIAN), ONE), *others}) == 6


@pytest.mark.spec("PACK-83")
@pytest.mark.parametrize(
    ("base", "authorities", "expected"),
    [
        (facts(DEBIAN), (ONE,), {"SSL_CERT_FILE": CRT}),
        (facts(DEBIAN, env={"SSL_CERT_FILE": CRT}), (ONE,), {}),
        (facts(DEBIAN, python=True), (ONE,), {"SSL_CERT_FILE": CRT, "REQUESTS_CA_BUNDLE": CRT}),
        (
            facts(DEBIAN, env={"SSL_CERT_FILE": CRT}, node=True),
            (ONE,),
            {"NODE_EXTRA_CA_CERTS": "/usr/local/share/ca-certificates/one.crt"},
        ),
        (facts(DEBIAN, env={"SSL_CERT_FILE": CRT}, node=True), (ONE, TWO), {"NODE_EXTRA_CA_CERTS": CRT}),
        (facts(OTHER, DEBIAN), (ONE,), {"SSL_CERT_FILE": "/etc/ssl/cert.pem"}),
        (facts(DEBIAN, env={"SSL_CERT_FILE": CRT, "REQUESTS_CA_BUNDLE": "/x"}, python=True), (ONE,), {}),
    ],
)
def test_variables(base: BaseFacts, authorities: tuple[Authority, ...], expected: dict[str, str]) -> None:
    plan = planned(base, *authorities)
    assert plan.config.env == expected
    assert [reason.decision for reason in plan.reasons[1:]] == [f"{name}={value}" for name, value in expected.items()]


@pytest.mark.spec("PACK-83")
def test_what_the_kind_has_set_stays() -> None:
    assert planned(facts(DEBIAN), ONE, env={"SSL_CERT_FILE": "/mine"}).config.env == {"SSL_CERT_FILE": "/mine"}


@pytest.mark.spec("PACK-81")
@pytest.mark.parametrize(
    ("stated", "path"), [("", CRT), ("/opt/ca.pem", "/opt/ca.pem"), ("relative", CRT), ("/a/../b", CRT), ("/a/", CRT)]
)
def test_a_base_without_any_trusts_these_alone(stated: str, path: str) -> None:
    plan = planned(facts(env={"SSL_CERT_FILE": stated} if stated else {}), ONE)
    source = plan.layers[0].sources[0]
    assert isinstance(source, TrustSource) and (source.path, source.bundle, source.mode) == (path, None, 0o644)
    assert any(reason.decision.startswith("warning: ") for reason in plan.reasons)
