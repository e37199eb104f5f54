"""What is started: the image, the port, the arguments. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ociassemble.errors import UsageError
from ociassemble.image.image import Image
from ociassemble.oci.config import ImageConfig

_WILDCARDS = ("", "0.0.0.0", "::", "[::]")


class PortError(UsageError):
    """`-p` cannot be had for this image with this runtime."""

    code = "usage.port"


class Port(NamedTuple):
    """`-p [HOST:]PORT`; `host` is "" when not given."""

    host: str
    number: int

    @classmethod
    def parse(cls, text: str) -> Port:
        host, _, number = text.rpartition(":")
        # ASCII only: str.isdigit() also likes other scripts' digits
        if not (number.isascii() and number.isdigit() and 0 < int(number[:6]) < 65536 and len(number) < 6):
            raise PortError(f"`{text}` is not a port", hint="`-p 8080`, or `-p 127.0.0.1:8080`")
        if host.isdigit():
            raise PortError(
                f"`{text}` names two ports; the port inside the image is known from the image",
                hint=f"`-p {host}`",
            )
        return cls(host.strip("[]"), int(number))


class PortPlan(NamedTuple):
    """How a port is had: `publish` is (host, port, port inside), `env` what is set; `address` where to ask, if known.

    `note` is what the user should know, or "".
    """

    publish: tuple[str, int, int] | None = None
    env: Mapping[str, str] = MappingProxyType({})
    address: tuple[str, int] | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRequest:
    """One start. `args` replace the image's `Cmd`, as after `docker run IMAGE`; `env` is added to its environment.

    `lay_out` writes the image into an OCI layout in the folder it is given, and returns its tag there: for umoci.
    """

    image: Image
    lay_out: Callable[[Path], str]
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    port: Port | None = None
    read_only: bool = True

    @property
    def config(self) -> ImageConfig:
        return self.image.config

    @property
    def command(self) -> tuple[str, ...]:
        """The argument vector: entrypoint, then our arguments or the image's."""
        return (*self.config.entrypoint, *(self.args or self.config.cmd))

    def plan_port(self, *, own_network: bool) -> PortPlan:
        """`-p` on a network of the container's own (mapped), or on the host's (`PORT` is set if declared)."""
        environment = {**self.config.env, **self.env}
        declared = environment.get("PORT", "")
        inside = int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 6 else self._exposed()
        if own_network:
            if self.port is None:
                # The same port as on the host's network, for this machine alone.
                publish = ("127.0.0.1", inside, inside) if inside else None
            else:
                publish = (self.port.host or "127.0.0.1", self.port.number, inside or self.port.number)
            return PortPlan(publish, address=(_reachable(publish[0]), publish[1]) if publish else None)
        if self.port is None:
            return PortPlan(address=("127.0.0.1", inside) if inside else None)
        note = ""
        if self.port.host not in _WILDCARDS:
            note = f"on the host's network the application chooses its own address; `{self.port.host}` is not enforced"
        address = (_reachable(self.port.host), self.port.number)
        if declared:
            return PortPlan(env={"PORT": str(self.port.number)}, address=address, note=note)
        if inside == self.port.number:
            return PortPlan(address=address, note=note)
        raise PortError(
            f"the image cannot be moved to port {self.port.number}: on the host's network it listens where it wants, "
            "and it declares no PORT",
            details=[f"exposed: {inside}"] if inside else (),
            hint=f"`-p {inside}`" if inside else "leave `-p` out, or build the image with `-e PORT=...`",
        )

    def _exposed(self) -> int:
        """The one TCP port the image exposes; 0 when there is none or more than one."""
        ports = [
            name for name in self.config.execution.get("ExposedPorts") or {} if not name.endswith(("/udp", "/sctp"))
        ]
        number = ports[0].partition("/")[0] if len(ports) == 1 else ""
        return int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 0


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in _WILDCARDS else host
