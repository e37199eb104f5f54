"""`base list`, `base build`: the short names, and bases assembled from signed Debian packages."""

from __future__ import annotations

import click

from ociassemble.cli.command import Command, Group
from ociassemble.cli.request import platforms
from ociassemble.cli.start import session
from ociassemble.cli.types import format_option


@click.group(cls=Group)
def base() -> None:
    """Base images: their short names, and assembling them from Debian packages."""


@base.command("list", cls=Command)
@format_option
@click.pass_context
def list_(ctx: click.Context, /, form: str) -> None:
    """Show every short name and the image it stands for."""
    from ociassemble.base.names import known

    with session(ctx) as (_, console):
        if form == "json":
            console.result_json({"bases": [{"name": name, "image": image} for name, image in known()]})
            return
        width = max(len(name) for name, _ in known())
        for name, image in known():
            console.result(f"{name:<{width}}  {image}")


@base.command("build", cls=Command)
@click.argument("name")
@click.option("--platform", multiple=True, metavar="LIST", help="linux/amd64,linux/arm64; `all`; else this host's.")
@click.option("-t", "--tag", multiple=True, metavar="REF", help="A name for the result; repeatable.")
@click.option("--push", is_flag=True, help="Push every -t.")
@click.option("-o", "--output", multiple=True, metavar="SPEC", help="oci:DIR[:TAG], local:NAME, or a registry.")
@format_option
@click.pass_context
def build(
    ctx: click.Context,
    /,
    name: str,
    platform: tuple[str, ...],
    tag: tuple[str, ...],
    push: bool,
    output: tuple[str, ...],
    form: str,
) -> None:
    """Assemble the base NAME (`base list` shows which) from signed Debian packages."""
    from ociassemble.operations.building import build_base

    with session(ctx) as (this, console):
        written = build_base(this, name, platforms(platform), tags=tag, push=push, outputs=output)
        if form == "json":
            from ociassemble.cli.shown import written_document

            console.result_json(written_document(written))
            return
        for item in written:
            console.result(item.line)
