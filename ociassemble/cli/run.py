"""`ociassemble run`: start an image, or an application, with a runtime of this host."""

from __future__ import annotations

from pathlib import Path

import click

from ociassemble.cli.command import Command
from ociassemble.cli.request import request
from ociassemble.cli.start import changes, naming_all, session
from ociassemble.cli.types import Image


@click.command(cls=Command)
@click.argument("image", default=".", type=Image(folders=True))
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("-p", "--publish", "port", metavar="[HOST:]PORT", help="Where the application is to be reached.")
@click.option("-e", "--env", multiple=True, metavar="K=V", help="Environment for this run.")
@click.option("-b", "--base", "--from", "base", metavar="REF", help="Base image, where IMAGE is a folder.")
@click.option("--platform", metavar="P", help="Which image of an index.")
@click.option("--runtime", metavar="NAME", help="podman, docker, nerdctl, runc: only this one.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    image: str,
    args: tuple[str, ...],
    port: str | None,
    env: tuple[str, ...],
    base: str | None,
    platform: str | None,
    runtime: str | None,
) -> int:
    """Start IMAGE (a name, layout, archive; a folder or ./PROGRAM is built first), read-only, as the image's own user.

    ARGS after `--` replace the image's command.
    """
    from ociassemble.operations.images import run as start

    with session(ctx) as (this, _):
        # `./server` is a program; `server` may be the name of an image.
        is_program = image.startswith((".", "/")) and Path(image).is_file()
        if is_program or (Path(image).is_dir() and not image.startswith("oci:")):
            from ociassemble.build import build

            asked = request({"app": Path(image), "base": base, "platform": (platform,) if platform else ()})
            with naming_all(asked, this):
                image = f"local:{build(asked, this).written[0].line}"
        added = {key: value for key, value in changes(env, "--env").items() if value is not None}
        return start(this, image, port=port, args=args, env=added, platform=platform, runtime=runtime)
