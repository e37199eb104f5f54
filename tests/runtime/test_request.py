"""Ports and commands: what `-p` means on a network of the container's own, and on the host's."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from ociassemble.content.blob import Blob
from ociassemble.image.image import Image
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.manifest import Manifest
from ociassemble.runtime.request import Port, PortError, RunRequest


def request(*, port: str = "", env: dict[str, str] | None = None, **execution: object) -> RunRequest:
    config = ImageConfig.create(
        {"architecture": "amd64", "os": "linux", "config": execution, "rootfs": {"type": "layers", "diff_ids": []}}
    )
    return RunRequest(
        image=Image(
            manifest=Manifest.create(config=config.descriptor, layers=()),
            config=config,
            config_blob=Blob.of(config.raw, config.descriptor),
            layers=(),
        ),
        lay_out=lambda place: "unused",
        env=MappingProxyType(env or {}),
        port=Port.parse(port) if port else None,
    )


@pytest.mark.parametrize(
    ("text", "host", "number"),
    [("8080", "", 8080), ("127.0.0.1:1", "127.0.0.1", 1), ("[::1]:80", "::1", 80), (":65535", "", 65535)],
)
def test_a_port(text: str, host: str, number: int) -> None:
    assert Port.parse(text) == Port(host, number)


@pytest.mark.parametrize("text", ["", "0", "65536", "http", "8080:", "-1", "+80", "1e3", "٨٠", "²", "9" * 5000, "80 "])
def test_not_a_port(text: str) -> None:
    with pytest.raises(PortError):
        Port.parse(text)


def test_two_ports_are_explained() -> None:
    with pytest.raises(PortError, match="names two ports") as caught:
        Port.parse("8080:80")

    assert caught.value.hint == "`-p 8080`"


DECLARED = {"Env": ["PORT=8080"], "ExposedPorts": {"8080/tcp": {}}}
EXPOSED = {"ExposedPorts": {"8000/tcp": {}, "53/udp": {}}}


def test_on_the_hosts_network_a_declared_port_is_set() -> None:
    plan = request(port="9000", **DECLARED).plan_port(own_network=False)

    assert plan.env == {"PORT": "9000"}
    assert plan.address == ("127.0.0.1", 9000)
    assert plan.publish is None


def test_on_the_hosts_network_nothing_is_set_unless_asked() -> None:
    plan = request(**DECLARED).plan_port(own_network=False)

    assert plan.env == {}
    assert plan.address == ("127.0.0.1", 8080)


def test_on_the_hosts_network_another_port_is_refused_with_the_one_that_works() -> None:
    with pytest.raises(PortError, match="declares no PORT") as caught:
        request(port="9000", **EXPOSED).plan_port(own_network=False)

    assert caught.value.hint == "`-p 8000`"
    assert request(port="8000", **EXPOSED).plan_port(own_network=False).address == ("127.0.0.1", 8000)


def test_on_the_hosts_network_the_address_is_not_ours_to_give() -> None:
    assert "not enforced" in request(port="127.0.0.1:9000", **DECLARED).plan_port(own_network=False).note
    assert request(port="0.0.0.0:9000", **DECLARED).plan_port(own_network=False).note == ""


def test_a_port_the_user_sets_counts_as_declared() -> None:
    plan = request(port="9000", env={"PORT": "1"}).plan_port(own_network=False)

    assert plan.env == {"PORT": "9000"}


@pytest.mark.parametrize(
    ("port", "execution", "publish"),
    [
        ("9000", DECLARED, ("127.0.0.1", 9000, 8080)),
        ("0.0.0.0:9000", EXPOSED, ("0.0.0.0", 9000, 8000)),
        ("9000", {}, ("127.0.0.1", 9000, 9000)),
        ("", DECLARED, ("127.0.0.1", 8080, 8080)),
        ("", {}, None),
        ("", {"Env": ["PORT=nonsense"]}, None),
        ("", {"ExposedPorts": {"1/tcp": {}, "2/tcp": {}}}, None),
    ],
)
def test_on_its_own_network_a_port_is_mapped(
    port: str, execution: dict[str, object], publish: tuple[str, int, int] | None
) -> None:
    plan = request(port=port, **execution).plan_port(own_network=True)

    assert plan.publish == publish
    assert plan.env == {}


def test_arguments_replace_the_command_and_keep_the_entrypoint() -> None:
    before = request(Entrypoint=["/python"], Cmd=["-m", "app"])

    assert before.command == ("/python", "-m", "app")
    assert replace(before, args=("-V",)).command == ("/python", "-V")
