"""Where secrets may be sent for a token, and where nobody is asked at all."""

from __future__ import annotations

import pytest

from ociassemble.registry import realm
from ociassemble.registry.realm import RealmError

HUB = "https://registry-1.docker.io"


@pytest.mark.parametrize(
    ("registry", "text", "trusted"),
    [
        (HUB, "https://auth.docker.io/token", True),
        ("https://ghcr.io", "https://ghcr.io/token", True),
        ("https://ghcr.io", "/token", True),
        ("https://ghcr.io", "https://GHCR.io:443/token", True),
        ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("https://registry.example.co.uk", "https://login.example.co.uk/t", True),
        ("https://nvcr.io", "https://authn.nvidia.com/token", True),
        ("https://10.0.0.5:5000", "https://10.0.0.5/token", True),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", True),
        ("https://a.example", "https://vouched.example/t", True),
        ("https://a.example", "https://port.example:8443/t", True),
        # anonymous only
        (HUB, "https://auth.docker.io.evil.example/token", False),
        (HUB, "https://evil.example/token", False),
        ("https://ghcr.io", "https://ghrc.io/token", False),
        ("https://registry.a.co.uk", "https://registry.b.co.uk/t", False),
        ("https://mine.azurecr.io", "https://yours.azurecr.io/t", False),
        ("https://1.dkr.ecr.us-east-1.amazonaws.com", "https://2.dkr.ecr.us-east-1.amazonaws.com/t", False),
        ("https://one", "https://two/t", False),
        ("https://10.0.0.5", "https://10.0.0.6/token", False),
        ("https://mine.github.io", "https://yours.github.io/t", False),
        ("https://a.example", "https://port.example/t", False),
    ],
)
def test_realms(registry: str, text: str, trusted: bool) -> None:
    assert realm.check(text, registry, {"vouched.example", "port.example:8443"}).trusted is trusted


@pytest.mark.parametrize(
    ("registry", "text"),
    [
        (HUB, "http://auth.docker.io/token"),
        (HUB, "https://169.254.169.254/latest/api/token"),
        (HUB, "https://[fd00:ec2::254]/"),
        (HUB, "https://[fe80::1]/"),
        (HUB, "https://100.100.100.200/"),
        (HUB, "https://metadata.google.internal/"),
        (HUB, "https://0.0.0.0/"),
        (HUB, "https://127.0.0.1/"),
        (HUB, "https://localhost/"),
        (HUB, "https://[::1]/"),
        (HUB, "https://[::ffff:127.0.0.1]/"),
        (HUB, "https://192.168.1.1/"),
        (HUB, "https://10.1.1.1/"),
        (HUB, "https://user:password@auth.docker.io/token"),
        (HUB, "https://auth.docker.io/token#x"),
        (HUB, "ftp://auth.docker.io/"),
        (HUB, "https://h:99999/"),
        (HUB, "https://[::g]/"),
    ],
)
def test_nobody_is_asked_there(registry: str, text: str) -> None:
    with pytest.raises(RealmError, match="place for tokens"):
        realm.check(text, registry, {"127.0.0.1", "169.254.169.254"})


@pytest.mark.parametrize(
    ("host", "organisation"),
    [
        ("auth.docker.io", "docker.io"),
        ("a.b.example.com.au", "example.com.au"),
        ("com.au", ""),
        ("localhost", ""),
        ("10.0.0.1", ""),
        ("x.pkg.dev", ""),
        ("pkg.dev", ""),
    ],
)
def test_organisations(host: str, organisation: str) -> None:
    assert realm.organisation(host) == organisation
