"""`--ca-cert`: a company's authorities in the trust stores of an image (specs/behaviour/packing.md, PACK-80 on)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import ApplicationPlan, LayerPlan, Reason, Source, TextSource, TrustSource

if TYPE_CHECKING:
    from ociassemble.project.authorities import Authority

FOLDER = "/usr/local/share/ca-certificates"  # where update-ca-certificates looks for what an administrator adds
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def trusting(plan: ApplicationPlan, authorities: Sequence[Authority], facts: BaseFacts) -> ApplicationPlan:
    """`plan` with a first layer that adds the authorities to every bundle of the base, and the variables for it."""
    if not authorities:
        return plan
    pem = "".join(authority.pem for authority in authorities)
    sources: list[Source] = [
        TrustSource(item.path, ArtifactRef(item.digest, item.size, ""), pem, item.mode, item.uid, item.gid)
        for item in facts.trust
    ]
    reasons = [Reason(f"trusts {_names(authorities)} as well", "--ca-cert")]
    if not sources:
        sources.append(TrustSource(_bundle(facts), None, pem))
        reasons.append(Reason(f"warning: the image trusts {_names(authorities)} alone", "the base has no authorities"))
    sources += (TextSource(f"{FOLDER}/{authority.name}.crt", authority.pem) for authority in authorities)
    env = _variables(authorities, facts)
    for name, value in env.items():
        reasons.append(Reason(f"{name}={value}", _WHY[name]))
    layer = LayerPlan(title="authorities", role="dependency", sources=tuple(sources))
    return plan._replace(
        layers=(layer, *plan.layers),
        config=plan.config._replace(env={**env, **plan.config.env}),
        reasons=(*plan.reasons, *reasons),
    )


_WHY = {
    "SSL_CERT_FILE": "OpenSSL and Go look there",
    "REQUESTS_CA_BUNDLE": "requests would trust only what certifi brings",
    "NODE_EXTRA_CA_CERTS": "node trusts what it was built with, and this",
}


def _variables(authorities: Sequence[Authority], facts: BaseFacts) -> dict[str, str]:
    """What tells programs that would look elsewhere; the base's own values stay."""
    bundle = _bundle(facts)
    found = {"SSL_CERT_FILE": bundle}
    if facts.python is not None:
        found["REQUESTS_CA_BUNDLE"] = bundle
    if facts.node is not None:
        found["NODE_EXTRA_CA_CERTS"] = f"{FOLDER}/{authorities[0].name}.crt" if len(authorities) == 1 else bundle
    return {name: value for name, value in found.items() if name not in facts.env}


def _bundle(facts: BaseFacts) -> str:
    """The bundle that counts: what the base names, if it is there, else what it has, else where most look."""
    if facts.trust:
        return facts.trust[0].path
    stated = facts.env.get("SSL_CERT_FILE", "")
    return stated if stated.startswith("/") and ".." not in stated.split("/") and stated[-1] != "/" else BUNDLE


def _names(authorities: Sequence[Authority]) -> str:
    return ", ".join(f"`{authority.name}`" for authority in authorities)
