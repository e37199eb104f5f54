"""`ociassemble verify --rebuild`: is this image what this application builds?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ociassemble.cli.command import Command
from ociassemble.cli.request import asking, request, shaping
from ociassemble.cli.start import session
from ociassemble.cli.types import Image, format_option
from ociassemble.errors import UsageError

if TYPE_CHECKING:
    from ociassemble.image.differences import Comparison, Difference
    from ociassemble.operations.rebuild import Rebuild


@click.command(cls=Command)
@click.argument("image", type=Image())
@asking
@shaping
@click.option("--rebuild", is_flag=True, help="Build APP once more, from its lock, and compare.")
@format_option
@click.pass_context
def verify(ctx: click.Context, /, image: str, rebuild: bool, form: str, **given: Any) -> int:
    """Build APP (a folder; default: this one) once more and compare the result with IMAGE, digest by digest.

    Platforms, codec, `created` and the base's digest are read back from IMAGE; other flags are given again.
    """
    if not rebuild:
        raise UsageError(
            "nothing is said about how to verify",
            hint=f"`ociassemble verify --rebuild {image} APP` builds it once more",
        )
    from ociassemble.operations.rebuild import rebuild as run

    with session(ctx) as (this, console):
        asked = request(given)
        result = run(this, image, asked)
        if form == "json":
            console.result_json(rebuild_document(result))
            return 0 if result.reproduced else result.error(str(asked.application)).exit_code
        if not result.reproduced:
            raise result.error(str(asked.application))
        console.result(result.line())
        return 0


def rebuild_document(result: Rebuild) -> dict[str, Any]:
    """What `verify --rebuild --format json` says."""
    return {
        "name": result.name,
        "digest": str(result.digest),
        "rebuilt": str(result.rebuilt),
        "reproduced": result.reproduced,
        **comparison_document(result.comparison, "image", "rebuild"),
    }


def comparison_document(found: Comparison, one: str, other: str) -> dict[str, Any]:
    """What differs; `one` and `other` are the keys of the two sides' values."""
    return {
        "kind": found.kind,
        "layers": [
            {
                **item.layer._asdict(),
                "platform": item.platform,
                "files": item.files,
                "more": item.more,
                "packages": [{"name": name, one: before, other: after} for name, before, after in item.packages],
            }
            for item in found.layers
        ],
        "differences": [difference_document(item, one, other) for item in found.differences],
        "omitted": found.omitted,
    }


def difference_document(item: Difference, one: str, other: str) -> dict[str, Any]:
    """One difference; `one` and `other` are the keys of the two values."""
    return {
        "kind": item.kind,
        "where": item.where,
        "platform": item.platform,
        "layer": item.layer._asdict() if item.layer is not None else None,
        "path": item.path,
        "field": item.field,
        one: item.one,
        other: item.other,
        "offset": item.offset,
    }
