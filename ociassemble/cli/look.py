"""Verbs that look: `manifest`, `config`, `digest`, `inspect`, `validate`, `ls`."""

from __future__ import annotations

import re

import click

from ociassemble.cli.command import Command
from ociassemble.cli.copy import platform_option
from ociassemble.cli.failure import printable
from ociassemble.cli.start import session
from ociassemble.cli.types import Image, format_option
from ociassemble.errors import UsageError

# What can only be a registry's host: with a port, or of two names and more. A repository's name may have dots, too, but
# on Docker Hub they are rare, and `docker.io/library/a.b` says it.
_HOST = re.compile(r"localhost(:[0-9]+)?|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?/?|[A-Za-z0-9.-]+:[0-9]{2,5}/?")


@click.command(cls=Command)
@click.argument("image", type=Image())
@platform_option
@click.pass_context
def manifest(ctx: click.Context, /, image: str, platform: str | None) -> None:
    """Print the manifest or index of IMAGE, byte for byte."""
    from ociassemble.operations.images import read

    with session(ctx) as (this, console):
        console.result_bytes(read(this, image, platform).raw)


@click.command(cls=Command)
@click.argument("image", type=Image())
@platform_option
@click.pass_context
def config(ctx: click.Context, /, image: str, platform: str | None) -> None:
    """Print the config of IMAGE, byte for byte."""
    from ociassemble.operations.images import image_at

    with session(ctx) as (this, console):
        console.result_bytes(image_at(this, image, platform).config.raw)


@click.command(cls=Command)
@click.argument("image", type=Image())
@platform_option
@click.pass_context
def digest(ctx: click.Context, /, image: str, platform: str | None) -> None:
    """Print the digest of IMAGE."""
    from ociassemble.operations.images import read

    with session(ctx) as (this, console):
        console.result(str(read(this, image, platform).descriptor.digest))


@click.command(cls=Command)
@click.argument("image", type=Image())
@platform_option
@format_option
@click.pass_context
def inspect(ctx: click.Context, /, image: str, platform: str | None, form: str) -> None:
    """Show what IMAGE is: digest, platforms, layers, how it starts."""
    from ociassemble.cli.shown import image_document, image_lines
    from ociassemble.operations.images import image_of, read

    with session(ctx) as (this, console):
        node = read(this, image)
        chosen = image_of(this, node, image, platform)
        document = image_document(image, node, chosen)
        if form == "json":
            console.result_json(document)
            return
        for line in image_lines(document):
            console.result(printable(line))


@click.command(cls=Command)
@click.argument("image", type=Image())
@platform_option
@format_option
@click.pass_context
def validate(ctx: click.Context, /, image: str, platform: str | None, form: str) -> int:
    """Read every blob of IMAGE and check digests, sizes, diff_ids, tars and documents."""
    from ociassemble.operations.images import read
    from ociassemble.operations.images import validate as run

    with session(ctx) as (this, console):
        # What is at the place, that is: a sound copy in the local store says nothing about a registry.
        node = read(this, image, platform, kept=False)
        report = run(node)
        if form == "json":
            console.result_json(
                {
                    "digest": str(node.descriptor.digest),
                    "blobs": report.blobs,
                    "bytes": report.bytes,
                    "findings": list(report.findings),
                }
            )
            return 7 if report.findings else 0
        for finding in report.findings:
            console.result(printable(finding))
        if report.findings:
            return 7
        console.result(f"{node.descriptor.digest}: {report.blobs} blobs, {report.bytes} bytes, all as they should be")
        return 0


@click.command(cls=Command)
@click.argument("image", required=False, type=Image())
@format_option
@click.pass_context
def ls(ctx: click.Context, /, image: str | None, form: str) -> None:
    """List the tags of a registry's repository, or without IMAGE the names of the local store."""
    if image is not None and _HOST.fullmatch(image):
        raise UsageError(
            f"`{image}` is a registry, and no repository in it", hint=f"name one: `ociassemble ls {image}/NAME`"
        )
    with session(ctx) as (this, console):
        if image is not None:
            tags = this.tags(image)
            if form == "json":
                console.result_json({"name": image, "tags": tags})
            for tag in tags if form == "text" else ():
                console.result(printable(tag))
            return
        from ociassemble.transports.local import names

        found = names(this.store)
        if form == "json":
            console.result_json({"images": [{"name": name, "digest": str(item)} for name, item in found]})
        for name, item in found if form == "text" else ():
            console.result(f"{name}@{item}")
