"""`ociassemble plan`: what a build would do, as JSON; nothing is built."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from ociassemble.cli.command import Command
from ociassemble.cli.request import asking, request, shaping
from ociassemble.cli.start import session


@click.command(cls=Command)
@asking
@shaping
@click.option("--format", "form", type=click.Choice(["json"]), default="json", metavar="json", help="json.")
@click.pass_context
def plan(ctx: click.Context, /, form: str, **given: Any) -> None:
    """Print the plan of APP's image: layers with their keys and sources, and the config, for each platform."""
    from ociassemble.build import planned
    from ociassemble.cli.shown import plan_document
    from ociassemble.session.steps import Steps

    with session(ctx) as (this, console):
        console.result_json(plan_document(planned(Steps(this, replace(request(given), run_steps=False)))))
