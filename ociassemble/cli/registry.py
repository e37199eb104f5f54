"""`ociassemble registry serve`: a small registry on this machine, for trying out and for tests."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from ociassemble.cli.command import Group
from ociassemble.cli.console import console
from ociassemble.errors import UsageError
from ociassemble.net.url import is_loopback


@click.group(cls=Group)
def registry() -> None:
    """A registry out of a folder."""


@registry.command()
@click.option(
    "--address", default="127.0.0.1:5000", show_default=True, metavar="HOST:PORT", help="Port 0: any free one."
)
@click.option("--storage", required=True, metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
              help="Where blobs and tags are kept; made if missing.")  # fmt: skip
@click.pass_context
def serve(ctx: click.Context, address: str, storage: Path) -> None:
    """Serve a registry (distribution-spec) until ctrl-C or SIGTERM.

    Prints HOST:PORT once it listens. It has no accounts: whoever can reach it may push. With -v, one line a request.
    """
    from ociassemble.registry.server import serve as start

    host, port = parse_address(address)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with console(ctx) as out:
        log = out.progress.info if out.options.verbose else lambda line: None
        with start(host, port, storage, log=log) as server:
            if not is_loopback(host):
                out.progress.warn(f"`{host}` is not loopback: everyone who can reach it may push and delete")
            out.result(server.host)
            ended.wait()


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[::1]:PORT` or `:PORT` (all addresses), as (host, port)."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536):
        raise UsageError(f"`{text}` is not an address to listen on", hint="`--address 127.0.0.1:5000`")
    return host.removeprefix("[").removesuffix("]"), int(port)
