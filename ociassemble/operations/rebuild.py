"""`verify --rebuild`: an image, built once more from its application and held against it (specs/behaviour/verify.md).

What is read back from the image decides how its bytes are written, and never what is in it: platforms, `created`, the
codec, and which digest the base's name stood for. Everything else comes from the application's lock and settings and
from flags given again, so that whoever changed an image cannot have changed what it is held against.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ociassemble import _files
from ociassemble.build import built, planned
from ociassemble.content.codec import choose_level
from ociassemble.content.store import healed
from ociassemble.errors import Error, IntegrityError, UsageError
from ociassemble.image.assemble import image_or_index
from ociassemble.image.compare import compare
from ociassemble.image.differences import Comparison, Difference
from ociassemble.image.image import Image, Node, open_image, platforms_within, select_platform
from ociassemble.image.told import told
from ociassemble.layer.key import layer_key
from ociassemble.oci import annotations as keys
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.operations.images import read
from ociassemble.operations.versions import by_key, recorded
from ociassemble.session import Session
from ociassemble.session.built_record import sources_of
from ociassemble.session.rebuild import PrivateStore, RebuildSession
from ociassemble.session.request import BuildRequest
from ociassemble.session.steps import Steps
from ociassemble.session.target import Planned

_SHOWN = 50  # layers, and differences, in an error; all of them with --format json
_WORDS = {
    "content": "what is in it differs",
    "metadata": "the content of every file is equal, config or metadata are not",
    "order": "the same files in another order",
    "compression": "the same content, compressed differently",
}


class NotReproducedError(IntegrityError):
    """A rebuild is another image than the one that was to be verified."""

    code = "integrity.rebuild"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rebuild:
    """An image and its rebuild. `name` is the image without its digest."""

    name: str
    digest: Digest
    rebuilt: Digest
    comparison: Comparison

    @property
    def reproduced(self) -> bool:
        return self.digest == self.rebuilt

    def line(self) -> str:
        """The result for people, where the image was reproduced."""
        return f"{self.name}@{self.digest} reproduced"

    def error(self, application: str) -> NotReproducedError:
        """The error where it was not: each layer that differs, then details of all."""
        kind = self.comparison.kind
        return NotReproducedError(
            f"`{self.name}@{self.digest}` is not what `{application}` builds ({self.rebuilt}): "
            f"{_WORDS[kind] if kind else 'the documents differ'}",
            details=told(self.comparison, _SHOWN),
            hint=_hint(self.comparison.differences),
        )


def rebuild(session: Session, text: str, request: BuildRequest) -> Rebuild:
    """Build `request` once more as the image at `text` was built, into a private store, and compare."""
    node = read(session, text, kept=False)
    node = _asked(node, request, text)
    images = list(_images(node))
    if not images:
        raise UsageError(f"`{text}` has no image that could be built", hint="`ociassemble inspect` shows what it is")
    request = read_back(images, request)
    bases = {
        str(Platform.parse(str(image.platform))): Digest(said)
        for image in images
        if _is_digest(said := image.manifest.annotations.get(keys.BASE_DIGEST, ""))
    }
    with ExitStack() as stack:
        folder = stack.enter_context(_files.temporary_directory("ociassemble-verify-"))
        store = PrivateStore(folder / "store", session.store)
        inner = stack.enter_context(closing(RebuildSession(session, store, bases)))

        def once() -> tuple[Planned, Node, Comparison]:
            steps = Steps(inner, request)
            plan = built(planned(steps), steps)
            made = image_or_index([target.image(plan.created) for target in plan.targets], plan.annotations)
            layers = {str(layer_key(item)): item for target in plan.targets for item in target.plan.layers}
            comparison = compare(
                node,
                made,
                roles={key: item.role for key, item in layers.items()},
                packages={
                    **recorded(session, images),
                    **by_key((key, sources_of(item)) for key, item in layers.items()),
                },
                closed=_other_bases(images, plan),
            )
            return plan, made, comparison

        _, made, comparison = healed(once, session.progress.warn)
    return Rebuild(
        name=_without_digest(text), digest=node.descriptor.digest, rebuilt=made.descriptor.digest, comparison=comparison
    )


def read_back(images: Sequence[Image], request: BuildRequest) -> BuildRequest:
    """`request` with what its images say about how they were written, where it does not say it itself."""
    flags: dict[str, Any] = dict(request.flags)
    if not flags.get("platforms"):
        flags["platforms"] = tuple(str(Platform.parse(str(image.platform))) for image in images)
    compression = _compression(images[0])
    if not flags.get("compression") and compression:
        flags["compression"] = compression
    if not flags.get("base_source") and images[0].manifest.annotations.get(keys.BASE_SOURCE) == "debian":
        flags["base_source"] = "debian"
    if request.created is None and (epoch := _epoch(images[0].config.created)) is not None:
        request = replace(request, created=epoch, created_by="read from the image")
    return replace(request, flags=flags, use_cache=False)


def _asked(node: Node, request: BuildRequest, text: str) -> Node:
    """The part of the image that is verified: all of it, or the one platform that was asked for."""
    wanted = tuple(request.flags.get("platforms") or ())
    if not wanted or not node.is_index:
        return node
    if len(wanted) > 1 or wanted[0] in ("all", "host"):
        raise UsageError(
            "`--platform` names one image of an index to verify", hint="without it every platform is built and compared"
        )
    return select_platform(node, Platform.parse(wanted[0]), text)


def _images(node: Node) -> Iterator[Image]:
    wanted = platforms_within(node)
    for platform in wanted:
        yield open_image(select_platform(node, platform, "the image"))


def _compression(image: Image) -> str:
    """`--compression` as it must have been for the topmost layer; "" where nothing says it."""
    said = [layer.descriptor.annotations.get(keys.LAYER_CODEC, "") for layer in image.layers]
    identity = next((text for text in reversed(said) if text), "")
    name, _, level, *_ = *identity.split(":"), "", ""  # `Codec.identity`: name, library, level, and what else counts
    stated = int(level) if level.isascii() and level.isdigit() and len(level) < 4 else None
    try:
        usual = choose_level(name, None, "application")
        choose_level(name, stated, "application")
    except Error:
        return ""  # no codec of ours: what it says of itself decides nothing
    return name if stated in (None, usual) else f"{name}:{stated}"


def _epoch(created: str) -> str | None:
    """Seconds since 1970 as a build is told them; None where no build of ours would have written it so."""
    try:
        found = datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    seconds = int(found.timestamp())
    return str(seconds) if seconds >= 0 else None


def _is_digest(text: str) -> bool:
    try:
        Digest(text)
    except Error:
        return False
    return True


def _other_bases(images: Sequence[Image], plan: Planned) -> frozenset[Digest]:
    """Layers of bases that are not the image's own base: that another base has other files needs no proof."""
    said = {image.manifest.annotations.get(keys.BASE_DIGEST) for image in images}
    others = (target.base.image for target in plan.targets if str(target.base.image.digest) not in said)
    return frozenset(layer.descriptor.digest for image in others for layer in image.layers)


def _without_digest(text: str) -> str:
    name, at, rest = text.rpartition("@")
    return name if at and rest.startswith(("sha256:", "sha512:")) else text


def _hint(found: Sequence[Difference]) -> str:
    """What to try first, by what differs first."""
    fields = [(item.where, item.field) for item in found]
    for item in found:
        if item.field == f"/annotations/{keys.BASE_NAME.replace('/', '~1')}" and item.where == "manifest" and item.one:
            return f"it stands on another base: give it again with `-b {item.one}`, if you trust that one"
    if any(where == "config" and field.startswith("/config/") for where, field in fields):
        return "flags of the build that shape the config (`-e`, `--cmd`, `-l`, ...) are not read back: give them again"
    if found and all(item.kind == "compression" for item in found):
        return "another version of ociassemble, or of its compressor, wrote it: nothing of its content differs"
    return "verify with the commit, the lock and the flags that it was built with"
