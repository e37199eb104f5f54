"""`ociassemble build`: a folder becomes an image."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ociassemble.cli import results
from ociassemble.cli.command import Command
from ociassemble.cli.request import asking, request, shaping
from ociassemble.cli.start import naming_all, session
from ociassemble.cli.types import format_option

_FILE = click.Path(path_type=Path)


@click.command(cls=Command)
@asking
@shaping
@click.option("-t", "--tag", multiple=True, metavar="REF", help="A name for the result; repeatable.")
@click.option("--push", is_flag=True, help="Push every -t.")
@click.option("--load", is_flag=True, help="Load it into docker, podman or containerd of this host.")
@click.option("--runtime", default="", metavar="NAME", help="With --load: docker, podman, containerd[:NS], kind, ...")
@click.option("-o", "--output", multiple=True, metavar="SPEC", help="oci:DIR[:TAG], oci-archive:FILE, ...")
@click.option("--image-refs", type=_FILE, metavar="FILE", help="Write the result's names there.")
@click.option("--digest-file", type=_FILE, metavar="FILE", help="Write the digest there.")
@click.option("--iidfile", type=_FILE, metavar="FILE", help="Write the image's id there.")
@click.option("--metadata-file", type=_FILE, metavar="FILE", help="Write digest and descriptor there, as buildx does.")
@format_option
@click.option("--dry-run", is_flag=True, help="Plan, and say what would be done.")
@click.pass_context
def build(
    ctx: click.Context,
    /,
    tag: tuple[str, ...],
    push: bool,
    load: bool,
    runtime: str,
    output: tuple[str, ...],
    image_refs: Path | None,
    digest_file: Path | None,
    iidfile: Path | None,
    metadata_file: Path | None,
    form: str,
    dry_run: bool,
    **given: Any,
) -> None:
    """Put the application in APP (a folder; default: this one) into an image.

    Without --push, --load and -o the image goes to the local store. Nothing is pushed without --push.
    """
    writes = tuple(path for path in (image_refs, digest_file, iidfile, metadata_file) if path is not None)
    results.check(writes)
    asked = replace(request(given), tags=tag, push=push, load=load, runtime=runtime, outputs=output, writes=writes)
    if form == "json" and any(text.partition(":")[2].startswith("-") or "dest=-" in text for text in output):
        from ociassemble.errors import UsageError

        raise UsageError(
            "the archive and `--format json` both want standard output", hint="`--metadata-file FILE` instead"
        )
    with session(ctx) as (this, console):
        if dry_run:
            from ociassemble.build import planned
            from ociassemble.session.steps import Steps

            plan = planned(Steps(this, replace(asked, run_steps=False)))
            for target in plan.targets:
                for layer in target.plan.layers:
                    this.progress.info(f"{target.plan.platform}: would have the layer `{layer.title}`")
            if form == "json":
                from ociassemble.cli.shown import plan_document

                console.result_json(plan_document(plan))
            return
        from ociassemble.session.finished import inputs, unchanged

        known = inputs(asked, this)
        # What became of each layer and blob is known of a build that was made, and of no other.
        brief = form == "text" and not console.options.verbose and iidfile is None and metadata_file is None
        if known is not None and brief and (found := unchanged(asked, known, this)) is not None:
            files = [
                (image_refs, "".join(f"{item.line}\n" for item in found)),
                (digest_file, f"{found[0].descriptor.digest}\n"),
            ]
            results.write_together([(path, text) for path, text in files if path is not None])
            console.written(found)
            return
        from ociassemble.build import build as run

        with naming_all(asked, this):
            result = run(asked, this, known)
        from ociassemble.cli.shown import buildx_document, image_id, result_document, result_lines

        if console.options.verbose:
            for line in result_lines(result):
                this.progress.info(line)
        lines = [item.line for item in result.written]
        names = tag or result.planned.application.settings.tags
        files = [
            (image_refs, "".join(f"{line}\n" for line in lines)),
            (digest_file, f"{result.node.descriptor.digest}\n"),
            (iidfile, f"{image_id(result)}\n"),
            (metadata_file, json.dumps(buildx_document(result, names), indent=2) + "\n"),
        ]
        results.write_together([(path, text) for path, text in files if path is not None])
        if form == "json":
            console.result_json(result_document(result))
            return
        console.written(result.written)
