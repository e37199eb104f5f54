"""`push`, `pull`, `copy`: images from place to place, byte for byte."""

from __future__ import annotations

import click

from ociassemble.cli.command import Command
from ociassemble.cli.start import session
from ociassemble.cli.types import PLACES, Image, format_option

platform_option = click.option("--platform", metavar="P", help="Only this platform of an index.")


def _copied(ctx: click.Context, source: str, destinations: list[str], platform: str | None, form: str) -> None:
    from ociassemble.operations.images import copy as run

    with session(ctx) as (this, console):
        written = run(this, source, destinations, platform)
        if form == "json":
            from ociassemble.cli.shown import written_document

            console.result_json(written_document(written))
        else:
            console.written(written)


@click.command(cls=Command)
@click.argument("source", type=Image())
@click.argument("image", required=False, type=Image())
@platform_option
@format_option
@click.pass_context
def push(ctx: click.Context, /, source: str, image: str | None, platform: str | None, form: str) -> None:
    """Push SOURCE (a name of the local store, a layout, an archive) to a registry as IMAGE (default: its own name)."""
    from ociassemble.errors import UsageError

    if image is None and source.startswith(PLACES):
        raise UsageError(f"`push {source}`: to which image?", hint=f"ociassemble push {source} REGISTRY/NAME:TAG")
    local = source if source.startswith(PLACES) else f"local:{source}"
    _copied(ctx, local, [image or source], platform, form)


@click.command(cls=Command)
@click.argument("image", type=Image())
@click.option("-o", "--output", metavar="SPEC", help="oci:DIR[:TAG], an archive; default: the local store.")
@platform_option
@format_option
@click.pass_context
def pull(ctx: click.Context, /, image: str, output: str | None, platform: str | None, form: str) -> None:
    """Fetch IMAGE from a registry, every blob verified."""
    _copied(ctx, image, [output or f"local:{image}"], platform, form)


@click.command(cls=Command)
@click.argument("source", type=Image())
@click.argument("destination", nargs=-1, required=True, type=Image())
@platform_option
@format_option
@click.pass_context
def copy(ctx: click.Context, /, source: str, destination: tuple[str, ...], platform: str | None, form: str) -> None:
    """Copy SOURCE to each DESTINATION: registries, layouts, archives, local:NAME."""
    _copied(ctx, source, list(destination), platform, form)
