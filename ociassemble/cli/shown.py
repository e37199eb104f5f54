"""What verbs show of images, plans and results: as documents for `--format json`, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ociassemble.image.image import Image, Node, platforms_of
from ociassemble.layer.key import key_document, layer_key
from ociassemble.oci import mediatype
from ociassemble.oci.reference import Reference
from ociassemble.plan.plan import document

if TYPE_CHECKING:
    from ociassemble.session.target import BuildResult, Planned
    from ociassemble.transports.protocols import Written


def size(count: int) -> str:
    """Bytes for people: `16.5 MB` (decimal, as registries count)."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"


def image_document(name: str, node: Node, image: Image) -> dict[str, Any]:
    """What `inspect` says."""
    filled = [item for item in image.config.history if not item.get("empty_layer")]
    titles = [str(item.get("created_by", "")) for item in filled]
    if len(titles) != len(image.layers):
        titles = [""] * len(image.layers)
    return {
        "name": name,
        "digest": str(node.descriptor.digest),
        "mediaType": node.descriptor.media_type,
        "platforms": [str(item) for item in platforms_of(node)] or [str(image.platform)],
        "manifest": str(image.digest),
        "platform": str(image.platform),
        "created": image.config.created,
        "user": image.config.user,
        "workingDir": image.config.workdir,
        "entrypoint": list(image.config.entrypoint),
        "cmd": list(image.config.cmd),
        "env": dict(image.config.env),
        "ports": sorted(image.config.execution.get("ExposedPorts") or {}),
        "volumes": sorted(image.config.execution.get("Volumes") or {}),
        "stopSignal": image.config.execution.get("StopSignal") or "",
        "healthcheck": image.config.execution.get("Healthcheck") or {},
        "labels": dict(image.config.labels),
        "annotations": dict(image.manifest.annotations),
        "images": [
            {
                "platform": str(child.descriptor.platform or ""),
                "digest": str(child.descriptor.digest),
                "layers": len(child.blobs) - 1,
                "size": sum(blob.descriptor.size for blob in child.blobs),
            }
            for child in (node.walk() if node.is_index else ())
            if not child.is_index and child.blobs and child.blobs[0].descriptor.media_type in mediatype.CONFIGS
        ],
        "layers": [
            {
                "digest": str(layer.descriptor.digest),
                "diffId": str(layer.diff_id),
                "size": layer.descriptor.size,
                "mediaType": layer.descriptor.media_type,
                "title": title.removeprefix("ociassemble: "),
            }
            for layer, title in zip(image.layers, titles, strict=True)
        ],
    }


def image_lines(shown: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    yield shown["name"]
    yield f"digest      {shown['digest']}"
    yield f"platforms   {', '.join(shown['platforms'])}"
    for item in shown["images"]:
        yield f"  {item['platform']:<16}{item['digest']}  {item['layers']} layers, {size(item['size'])}"
    if shown["manifest"] != shown["digest"]:
        yield f"manifest    {shown['manifest']} ({shown['platform']})"
    yield f"created     {shown['created'] or '-'}"
    yield f"user        {shown['user'] or 'root'}"
    yield f"starts      {' '.join((*shown['entrypoint'], *shown['cmd'])) or '-'}"
    yield f"in          {shown['workingDir'] or '/'}"
    if shown["healthcheck"]:
        yield f"health      {' '.join(shown['healthcheck'].get('Test') or ()) or '-'}"
    for name in ("ports", "volumes"):
        if shown[name]:
            yield f"{name:<12}{', '.join(shown[name])}"
    for key, value in shown["env"].items():
        yield f"env         {key}={value}"
    for key, value in sorted(shown["annotations"].items()):
        yield f"annotation  {key}={value}"
    layers = shown["layers"]
    yield ""
    yield f"{'LAYER':<14}{'SIZE':>10}  WHAT"
    for layer in layers:
        yield f"{layer['digest'][7:19]:<14}{size(layer['size']):>10}  {layer['title'][:80] or '-'}"
    yield f"{len(layers):<14}{size(sum(layer['size'] for layer in layers)):>10}  in all, compressed"


def plan_document(plan: Planned) -> dict[str, Any]:
    """What `plan` says: pure data, and the key of each layer with what it is made of."""
    return {
        "kind": plan.application.kind.name,
        "created": plan.created,
        "lock": plan.lock is not None,
        "annotations": dict(plan.annotations),
        "images": [
            {
                "platform": str(target.plan.platform),
                "base": {
                    "name": target.base.name.expanded,
                    "source": target.base.source,
                    "digest": str(target.base.image.digest),
                },
                "config": document(target.plan.config),
                "annotations": dict(target.plan.annotations),
                "layers": [
                    {
                        "title": layer.title,
                        "role": layer.role,
                        "key": str(layer_key(layer)),
                        **document(key_document(layer)),
                    }
                    for layer in target.plan.layers
                ],
            }
            for target in plan.targets
        ],
    }


def image_id(result: BuildResult) -> str:
    """What docker calls the image's id: the digest of its config; of an index, its own digest."""
    if result.node.is_index:
        return str(result.node.descriptor.digest)
    return str(result.node.blobs[0].descriptor.digest)


def buildx_document(result: BuildResult, tags: Sequence[str]) -> dict[str, Any]:
    """What `--metadata-file` says: the keys of `docker buildx build --metadata-file` that are true of a build here.

    One key is our own, with what `--format json` says of the images.
    """
    descriptor = result.node.descriptor
    said = result_document(result)
    found: dict[str, Any] = {
        "dev.ociassemble.build": {"lock": said["lock"], "images": said["images"]},
        "containerimage.descriptor": descriptor.bare().document(),
        "containerimage.digest": str(descriptor.digest),
    }
    if not result.node.is_index:
        found["containerimage.config.digest"] = image_id(result)
    if tags:
        found["image.name"] = ",".join(str(Reference.parse(tag)) for tag in tags)
    return dict(sorted(found.items()))


def result_lines(result: BuildResult) -> Iterator[str]:
    """What `build -v` adds: every layer and every blob."""
    for target in result.planned.targets:
        for made, plan in zip(target.layers, target.plan.layers, strict=True):
            layer = made.layer.descriptor
            how = "from the cache" if made.hit else made.codec
            yield f"{target.plan.platform}: layer `{plan.title}` {layer.digest}, {size(layer.size)}, {how}"
    for item in result.written:
        for blob, outcome in item.outcomes:
            yield f"{item.line.partition('@')[0]}: {blob.digest}, {size(blob.size)}, {outcome}"


def written_document(written: Sequence[Written]) -> dict[str, Any]:
    """What `push`, `pull`, `copy` and `base build` say with `--format json`."""
    descriptor = written[0].descriptor
    return {
        "digest": str(descriptor.digest),
        "mediaType": descriptor.media_type,
        "size": descriptor.size,
        "destinations": [
            {
                "name": item.line,
                "blobs": [
                    {"digest": str(descriptor.digest), "size": descriptor.size, "outcome": outcome}
                    for descriptor, outcome in item.outcomes
                ],
                "totals": _totals(item),
            }
            for item in written
        ],
    }


def _totals(written: Written) -> dict[str, dict[str, int]]:
    """How many blobs had each outcome, and how many bytes they are."""
    found: dict[str, dict[str, int]] = {}
    for descriptor, outcome in written.outcomes:
        sums = found.setdefault(outcome, {"count": 0, "bytes": 0})
        sums["count"] += 1
        sums["bytes"] += descriptor.size
    return dict(sorted(found.items()))


def result_document(result: BuildResult) -> dict[str, Any]:
    """What `build --format json` says."""
    from ociassemble.session.built_record import base_document, built_layers, in_words

    return {
        **written_document(result.written),
        "lock": result.planned.lock is not None,
        "images": [
            {
                "platform": str(target.plan.platform),
                "base": base_document(target),
                "layers": [
                    {**layer, "why": in_words(layer["sources"]), "cached": layer["origin"] != "built"}
                    for layer in built_layers(target)
                ],
                "findings": [
                    {"code": item.code, "severity": item.severity, "message": item.message, "hint": item.hint}
                    for item in target.findings
                ],
            }
            for target in result.planned.targets
        ],
    }
