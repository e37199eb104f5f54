"""Ports and commands: what `-p` means on a network of the container's own, and on the host's."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType

import pytest

from ociassemble.content.verify import DigestMismatchError
from ociassemble.errors import NotFoundError, UsageError
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.manifest import Manifest
from ociassemble.runtime.request import Port, PortError, RunRequest, read_request


def request(*, port: str = "", env: dict[str, str] | None = None, **execution: object) -> RunRequest:
    config = ImageConfig.create(
        {"architecture": "amd64", "os": "linux", "config": execution, "rootfs": {"type": "layers", "diff_ids": []}}
    )
    return RunRequest(
        layout=Path("unused"),
        tag="t",
        manifest=Manifest.create(config=config.descriptor, layers=()),
        config=config,
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
    assert RunRequest(
        layout=before.layout, tag="t", manifest=before.manifest, config=before.config, args=("-V",)
    ).command == ("/python", "-V")


class TestReadingALayout:
    def layout(self, folder: Path, entry: dict[str, object] | None = None) -> Path:
        subject = request(Cmd=["/x"])
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        (blobs / subject.manifest.digest.hex).write_bytes(subject.manifest.raw)
        (blobs / subject.config.digest.hex).write_bytes(subject.config.raw)
        document = {**subject.manifest.descriptor.document(), **(entry or {})}
        document["annotations"] = {"org.opencontainers.image.ref.name": "t"}
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [document]}))
        return folder

    def test_reads(self, tmp_path: Path) -> None:
        found = read_request(self.layout(tmp_path), "t", args=("a",))

        assert found.command == ("a",)
        assert found.config.cmd == ("/x",)

    def test_no_layout(self, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match="not an OCI layout"):
            read_request(tmp_path, "t")

    def test_no_such_tag(self, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match="no image `u`"):
            read_request(self.layout(tmp_path), "u")

    def test_a_missing_blob(self, tmp_path: Path) -> None:
        folder = self.layout(tmp_path)
        for blob in (folder / "blobs" / "sha256").iterdir():
            blob.unlink()
        with pytest.raises(NotFoundError, match="lacks the blob"):
            read_request(folder, "t")

    def test_a_changed_blob(self, tmp_path: Path) -> None:
        folder = self.layout(tmp_path)
        blob = folder / "blobs" / "sha256" / request(Cmd=["/x"]).config.digest.hex
        blob.write_bytes(blob.read_bytes().replace(b"/x", b"/y"))
        with pytest.raises(DigestMismatchError):
            read_request(folder, "t")

    def test_an_index_is_for_the_caller_to_choose_from(self, tmp_path: Path) -> None:
        folder = self.layout(tmp_path, {"mediaType": "application/vnd.oci.image.index.v1+json"})
        with pytest.raises(UsageError, match="index"):
            read_request(folder, "t")
