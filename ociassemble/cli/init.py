"""`ociassemble init`: a settings file to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from ociassemble.cli.command import Command
from ociassemble.cli.request import request
from ociassemble.cli.start import session
from ociassemble.cli.types import Base, OneOf
from ociassemble.project.keys import KINDS


@click.command(cls=Command)
@click.argument("app", required=False, default=".", type=click.Path(path_type=Path))
@click.option("-b", "--base", "--from", "base", type=Base(), metavar="REF", help="Write this base.")
@click.option("--kind", type=OneOf(KINDS), metavar="KIND", help="Write this kind.")
@click.option("-o", "--output", metavar="FILE", help="Instead of APP/ociassemble.toml; `-` is standard output.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.pass_context
def init(ctx: click.Context, /, app: Path, base: str | None, kind: str | None, output: str | None, force: bool) -> None:
    """Write APP's ociassemble.toml: what APP was recognised as, and in comments what can be set.

    A build with the file is the build without it, until you change it.
    """
    from ociassemble.operations.proposal import FILENAME, proposal, write

    with session(ctx) as (this, console):
        text = proposal(this, request({"app": app, "base": base, "kind": kind}), force=force or output is not None)
        if output == "-":
            console.result(text.rstrip("\n"))
            return
        path = Path(output) if output is not None else app / FILENAME
        write(text, path, force=force)
        console.result(str(path))
