"""`bundle save`, `bundle load`, `bundle list`: all that a build needs in one file, for a site without a network."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ociassemble.cli import results
from ociassemble.cli.command import Command, Group
from ociassemble.cli.request import asking, request
from ociassemble.cli.start import session
from ociassemble.cli.types import format_option
from ociassemble.content.place import check_place
from ociassemble.errors import UsageError

_FILE = click.Path(path_type=Path)


@click.group(cls=Group)
def bundle() -> None:
    """Everything a locked build needs in one OCI archive: carried where there is no network, and loaded there."""


@bundle.command(cls=Command)
@asking
@click.option("-o", "--output", required=True, type=_FILE, metavar="FILE", help="The bundle to write.")
@click.option("--wants", type=_FILE, metavar="FILE", help="What `lock --missing` wrote inside, instead of an APP.")
@click.option("--since", default="", metavar="OLD", help="Leave out what the bundle OLD has.")
@click.option("--split", metavar="SIZE", help="In parts of SIZE (700M, 4G): FILE.001, FILE.002, ...")
@click.option("--with-tool", is_flag=True, help="The wheels of ociassemble itself as well, see above.")
@click.option("--contents", type=_FILE, metavar="FILE", help="Write a list of everything in it.")
@format_option
@click.pass_context
def save(
    ctx: click.Context,
    /,
    output: Path,
    wants: Path | None,
    since: str,
    split: str | None,
    with_tool: bool,
    contents: Path | None,
    form: str,
    **given: Any,
) -> None:
    """Write a bundle of what APP's lock names: base image, packages, the lock itself.

    With --with-tool it installs ociassemble as well, inside, for the Python and platform that saved it: `tar -xf FILE
    tool`, and `pip install --no-index --find-links tool ociassemble`.
    """
    from ociassemble.operations import bundle_list, bundles
    from ociassemble.transports.parts import parse_size, stem

    if wants is not None:
        _no_application(ctx, wants, given)
    size = parse_size(split) if split is not None else None
    if contents is not None:
        results.check([contents, contents if _same(contents, output) else output])
        check_place(contents)
    if since and _same(Path(stem(since.removeprefix("bundle:"))), Path(stem(str(output)))):
        raise UsageError(
            f"`--since {since}` would be overwritten by what stands upon it", hint="write the delta to another file"
        )
    with session(ctx) as (this, console):
        asked = replace(request(given), writes=(output, *((contents,) if contents is not None else ())))
        if wants is not None:
            from ociassemble.operations.wanted import save_wanted

            done = save_wanted(this, wants, output, since=since, split=size, tool=with_tool)
        else:
            done = bundles.save(this, asked, output, since=since, split=size, tool=with_tool)
        if contents is not None:
            bundles.write_contents(contents, bundle_list.text(done.bundle, done.left_out))
        if form == "json":
            files = [{"filename": item.filename, "sha256": item.digest.hex, "size": item.size} for item in done.parts]
            listed = bundle_list.document(done.bundle, done.left_out)
            console.result_json({"bundle": str(output), "size": done.size, "parts": files, **listed})
            return
        left = f", {len(done.left_out)} blobs are in the older one" if since else ""
        pieces = f" in {len(done.parts)} parts" if done.parts else ""
        this.progress.info(f"{output}: {done.size:,} bytes{pieces}, {bundle_list.count(done.bundle)} files{left}")
        if with_tool:
            from ociassemble.operations.bundle_tool import install_commands, made_for

            commands = " && ".join(install_commands(output, in_parts=bool(done.parts)))
            this.progress.info(f"ociassemble itself, for {made_for(done.bundle.files)}: `{commands}` inside")
        console.result(f"bundle:{output}@{done.bundle.digest}")


def _no_application(ctx: click.Context, wants: Path, given: dict[str, Any]) -> None:
    """Refuse what would not be looked at: `--wants` takes the place of an application and of what is asked about it."""
    for param in ctx.command.params:
        if param.name not in given or ctx.get_parameter_source(param.name) is not ParameterSource.COMMANDLINE:
            continue
        name = f"`{given['app']}`" if param.name == "app" else f"`{max(param.opts[:2], key=len)}`"
        raise UsageError(
            f"`--wants {wants}` says all that goes into the bundle: {name} would not be looked at",
            hint=f"leave {name} away, or `--wants` for the bundle of an application",
        )


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


@bundle.command(cls=Command)
@click.argument("file", nargs=-1, required=True)
@click.option("--to", default="", metavar="REGISTRY/PREFIX", help="Into a registry, instead of the store.")
@format_option
@click.pass_context
def load(ctx: click.Context, /, file: tuple[str, ...], to: str, form: str) -> None:
    """Load the bundle FILE (or its parts) into the store; builds with --offline find everything there.

    What `--to` wrote is read back as docker://REGISTRY/PREFIX/bundles/NAME.
    """
    from ociassemble.operations.bundle_load import load as run
    from ociassemble.operations.bundle_load import one_of

    with session(ctx) as (this, console):
        found = run(this, one_of(file), to)
        if form == "json":
            from ociassemble.cli.shown import written_document

            console.result_json({"bundle": str(found.bundle.digest), **written_document(found.written)})
            return
        console.written(found.written)


@bundle.command("list", cls=Command)
@click.argument("file", nargs=-1, required=True)
@format_option
@click.pass_context
def list_(ctx: click.Context, /, file: tuple[str, ...], form: str) -> None:
    """Show everything that is in the bundle FILE: name, version, size, sha256, licence.

    Of a delta (--since), whether FILE has it (yes) or the bundle that it completes (no), and the sum of what FILE has.
    """
    from ociassemble.operations import bundle_list
    from ociassemble.operations.bundle_load import one_of, opened

    with session(ctx) as (this, console):
        found = opened(this, one_of(file))
        if form == "json":
            console.result_json(bundle_list.document(found.bundle, found.not_here))
            return
        for line in bundle_list.text(found.bundle, found.not_here).splitlines():
            console.result(line)
