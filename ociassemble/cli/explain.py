"""`ociassemble explain`: why each layer of an image is there, and where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ociassemble.cli.command import Command
from ociassemble.cli.copy import platform_option
from ociassemble.cli.start import session
from ociassemble.cli.types import Image, format_option

if TYPE_CHECKING:
    from ociassemble.operations.explain import ExplainedImage, ExplainedLayer, Explanation

_PATH = click.Path(path_type=Path)
_SHOWN = 50  # differences on a terminal; all of them with --format json


@click.command(cls=Command)
@click.argument("image", type=Image())
@click.argument("app", required=False, type=_PATH)
@click.option("--against", type=Image(), metavar="IMAGE", help="Say what differs from this other image.")
@click.option("--lockfile", type=_PATH, metavar="FILE", help="Instead of APP/ociassemble.lock.")
@platform_option
@format_option
@click.pass_context
def explain(
    ctx: click.Context,
    /,
    image: str,
    app: Path | None,
    against: str | None,
    lockfile: Path | None,
    platform: str | None,
    form: str,
) -> None:
    """Say of each layer of IMAGE from which input it is, and, if this machine built it, where it came from.

    Inputs are named by the lock of APP (default: of this folder) or by the record of the build here.
    """
    from ociassemble.cli.failure import printable
    from ociassemble.operations.explain import explain as run

    with session(ctx) as (this, console):
        found = run(this, image, application=app, lockfile=lockfile, platform=platform, against=against)
        if form == "json":
            console.result_json(explanation_document(found))
            return
        for line in explanation_lines(found):
            console.result(printable(line))


def explanation_document(found: Explanation) -> dict[str, Any]:
    """What `explain --format json` says."""
    from ociassemble.cli.verify import comparison_document

    other = found.against
    return {
        "name": found.name,
        "digest": str(found.digest),
        "images": [_image(item) for item in found.images],
        "against": None
        if other is None
        else {
            "name": other.name,
            "digest": str(other.digest),
            **comparison_document(other.comparison, "image", "against"),
        },
    }


def _image(item: ExplainedImage) -> dict[str, Any]:
    return {
        "platform": item.platform,
        "digest": str(item.digest),
        "base": dict(item.base),
        "recorded": item.recorded,
        "lock": item.lock,
        "size": item.size,
        "layers": [_layer(layer) for layer in item.layers],
    }


def _layer(layer: ExplainedLayer) -> dict[str, Any]:
    said = layer._asdict()
    said["diffId"] = str(said.pop("diff_id"))
    return {**said, "digest": str(layer.digest), "sources": [dict(item) for item in layer.sources]}


def _inputs(image: ExplainedImage, name: str) -> str:
    """Who names the inputs of its layers; where nobody here does, who would."""
    if image.lock:
        return f"named by {image.lock}"
    if image.recorded:
        return "named by the record of its build here; no lock here knows its layers"
    if any(layer.key for layer in image.layers):
        return (
            f"no lock here knows its layers: `ociassemble explain {name} APP`, or `--lockfile FILE`, asks another one"
        )
    return "not known: no layer says that ociassemble built it"


def explanation_lines(found: Explanation) -> Iterator[str]:
    """The same for people."""
    from ociassemble.cli.shown import size
    from ociassemble.image.told import told

    yield f"{found.name}"
    yield f"digest      {found.digest}"
    for image in found.images:
        yield ""
        yield f"{image.platform:<12}{image.digest}"
        base = image.base
        name = f"{base['name'] or '-'}" + (f" ({base['source']})" if base["source"] else "")
        if base["source"] == "debian":
            name = "assembled from Debian packages" + (f", in place of {base['name']}" if base["name"] else "")
        yield f"base        {name} {base['digest']}".rstrip()
        yield f"inputs      {_inputs(image, found.name)}"
        if not image.recorded:
            yield "built       not here, as far as this store knows: where layers came from is not recorded"
        places = [layer.origin or "-" for layer in image.layers]
        wide = max(6, *map(len, places))
        yield ""
        yield f"{'LAYER':<14}{'SIZE':>10}  {'FROM':<{wide}}  {'TIME':>7}  WHY"
        for layer, place in zip(image.layers, places, strict=True):
            time = f"{layer.seconds:.1f} s" if layer.seconds is not None and layer.origin == "built" else "-"
            why = f"{layer.title}: {layer.why}" if layer.title and layer.why else layer.title or layer.why or "-"
            yield f"{layer.digest.hex[:12]:<14}{size(layer.size):>10}  {place:<{wide}}  {time:>7}  {why}"
        spent = sum(layer.seconds or 0 for layer in image.layers)
        total = f"{spent:.1f} s" if image.recorded else "-"
        yield f"{len(image.layers):<14}{size(image.size):>10}  {'':<{wide}}  {total:>7}  in all, compressed"
    if found.against is not None:
        other = found.against
        yield ""
        if found.digest == other.digest:
            yield f"the same as {other.name}"
            return
        yield f"against     {other.name} {other.digest}"
        yield from (f"  {line}" for line in told(other.comparison, _SHOWN, "image", "other"))
