"""Images at places: read, copied, checked, run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ociassemble import _files, _run
from ociassemble.content.blob import Blob
from ociassemble.content.store import healed
from ociassemble.content.verify import blocks
from ociassemble.errors import AuthError, Error, NetworkError, NotFoundError, OfflineError, UsageError
from ociassemble.image.filesystem import members
from ociassemble.image.image import Image, Node, PlatformMissingError, open_image, select_platform
from ociassemble.image.validate import validate_config, validate_node
from ociassemble.oci import mediatype
from ociassemble.oci.platform import Platform
from ociassemble.progress import Progress
from ociassemble.session import PushOfflineError, Session
from ociassemble.transports.layout import LayoutDestination
from ociassemble.transports.local import hint_for
from ociassemble.transports.locate import locate
from ociassemble.transports.protocols import Written
from ociassemble.transports.transfer import write, write_all


def read(session: Session, text: str, platform: str | None = None, *, kept: bool = True) -> Node:
    """The graph at a place; with `platform`, the manifest for it. `kept`: the store may answer for a registry."""
    node = _there(session, text, kept=kept)
    if platform is None:
        return node
    return select_platform(node, Platform.parse(platform), text)


def image_at(session: Session, text: str, platform: str | None) -> Image:
    """One image at a place: for the platform that was asked for, else for the host's where it is an index."""
    return image_of(session, _there(session, text), text, platform)


def _there(session: Session, text: str, *, kept: bool = True) -> Node:
    """The graph at a place. Where a registry does not give it, the error says so if the local store would."""
    try:
        return session.source(text, kept=kept).read()
    except (NotFoundError, AuthError, NetworkError, OfflineError) as error:
        place = locate(text)
        if place.transport == "registry" and place.reference is not None:
            error.hint = hint_for(session.store, place.reference) or error.hint
        raise


def image_of(session: Session, node: Node, text: str, platform: str | None) -> Image:
    """The same for a graph that was read already; `text` names its place in errors."""
    wanted = Platform.parse(platform) if platform else session.host_platform()
    image = open_image(select_platform(node, wanted, text))
    if platform and not image.platform.matches(wanted):
        raise PlatformMissingError(
            f"`{text}` has no {wanted} variant",
            details=[f"available: {image.platform}"],
            hint=f"pass `--platform {image.platform}`",
        )
    return image


def copy(session: Session, source: str, destinations: list[str], platform: str | None) -> list[Written]:
    """Everything at `source`, to each destination; a tag is resolved once."""

    if sum(text.startswith(("oci-archive:-", "docker-archive:-")) for text in destinations) > 1:
        raise UsageError("two archives cannot both go to standard output", hint="name a file for one of them")

    def once() -> list[Written]:
        named = locate(source).reference
        names = (named._replace(digest=None),) if named is not None and named.tag else ()
        try:
            places = [session.destination(text, names=names) for text in destinations]
        except PushOfflineError as error:
            error.hint = f"run it without `--offline`; to carry it there, `ociassemble copy {source} oci-archive:FILE`"
            raise
        node = read(session, source, platform)
        return write_all(node, places, progress=session.progress, jobs=session.transfers)

    return healed(once, session.progress.warn)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What `validate` looked at, and what it found."""

    blobs: int
    bytes: int  # as stored
    findings: tuple[str, ...]


def validate(node: Node) -> Report:
    """Read every blob: digests and sizes, diff_ids, tar grammar, documents against the image-spec."""
    findings = list(validate_node(node))
    blobs = total = 0
    for part in node.walk():
        for blob in part.blobs:
            blobs += 1
            total += blob.descriptor.size
        if part.is_index or part.descriptor.media_type not in mediatype.MANIFESTS or not part.blobs:
            continue
        if part.blobs[0].descriptor.media_type in mediatype.CONFIGS:
            findings += (f"{part.descriptor.digest}: {text}" for text in _image(part))
        else:
            for blob in part.blobs:
                findings += _drained(blob)
    return Report(blobs=blobs, bytes=total, findings=tuple(findings))


def _image(node: Node) -> Iterator[str]:
    try:
        image = open_image(node)
    except Error as error:
        yield str(error)
        return
    yield from validate_config(image.config, len(image.layers))
    said = node.descriptor.platform
    if said is not None and (said.os, said.architecture) != (image.platform.os, image.platform.architecture):
        yield f"the index says it is for {said}, its config says {image.platform}"
    for layer in image.layers:
        seen: set[str] = set()
        try:
            for member in members(layer):
                if member.path in seen:
                    yield f"layer {layer.descriptor.digest}: `{member.path}` is in it twice"
                seen.add(member.path)
        except Error as error:
            yield f"layer {layer.descriptor.digest}: {error}"


def _drained(blob: Blob) -> Iterator[str]:
    try:
        with blob.open() as stream:
            for _ in blocks(stream):
                pass
    except Error as error:
        yield str(error)


def run(
    session: Session,
    text: str,
    *,
    port: str | None,
    args: tuple[str, ...],
    env: Mapping[str, str],
    platform: str | None,
    runtime: str | None,
) -> int:
    """Start the image at a place with a runtime of this host, in the foreground; its exit status.

    A name without a transport is looked up in the local store first, then in its registry.
    """
    from ociassemble.runtime.probe import NAMES, probe_one
    from ociassemble.runtime.request import Port, RunRequest
    from ociassemble.runtime.run import run as start

    path = session.environment.variables.get("PATH")
    image = _local_first(session, text, platform)
    if not (args or image.config.entrypoint or image.config.cmd):
        raise UsageError(
            f"`{text}` has no start command", hint=f"say what to start: `ociassemble run {text} -- PROGRAM ARGS`"
        )
    host = session.host_platform()
    if not image.platform.matches(host):
        session.progress.warn(
            f"the image is for {image.platform}, this host is {host}: it starts only where an emulator is registered"
        )
    if runtime is not None and runtime not in NAMES:
        raise UsageError(f"`--runtime {runtime}` is none that starts images", hint=f"one of {', '.join(NAMES)}")
    choices = (
        probe_one(name, lambda program: _run.find(program, path=path), root=os.geteuid() == 0)
        for name in NAMES
        if runtime in (None, name)
    )

    def lay_out(place: Path) -> str:
        write(image.node, LayoutDestination(place, "run"), progress=Progress(), jobs=session.transfers)
        return "run"

    request = RunRequest(
        image=image, lay_out=lay_out, args=args, env=dict(env), port=Port.parse(port) if port else None
    )
    # Not swept: a container may run on in the folder of a `run` that was killed.
    with _files.temporary_directory("ociassemble-run-", sweeping=False) as folder:
        return start(choices, request, folder=folder, progress=session.progress)


def _local_first(session: Session, text: str, platform: str | None) -> Image:
    if ":" not in text.partition("/")[0] or text.startswith("localhost/"):
        try:
            return image_at(session, f"local:{text}", platform)
        except NotFoundError:
            if text.startswith("localhost/"):
                raise
    return image_at(session, text, platform)
