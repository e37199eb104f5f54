"""Where the result of a build goes: every place is parsed, looked at and made ready before any work is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ociassemble.content.place import check_place
from ociassemble.errors import UsageError
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import DEFAULT_TAG, Reference
from ociassemble.session import Session
from ociassemble.session.request import BuildRequest, from_spec
from ociassemble.transports.locate import ARCHIVES, Location, locate
from ociassemble.transports.protocols import Destination


def destinations(
    session: Session,
    request: BuildRequest,
    *,
    default_name: Callable[[], str],
    platforms: Callable[[], Sequence[Platform]],
) -> tuple[Destination, ...]:
    """The places of `request`; `default_name` and `platforms` are asked for where they matter."""
    if request.push and not request.tags:
        raise UsageError("`--push` needs a name", hint="name the image with `-t REGISTRY/NAME:TAG`")
    if request.runtime and not request.load:
        raise UsageError("`--runtime` says where to load the image", hint=f"`--load --runtime {request.runtime}`")
    outputs = [(text, locate(from_spec(text))) for text in request.outputs]
    _check(outputs, platforms)
    for path in request.writes:
        check_place(path)
    names = _names(request.tags)
    found = [
        session.destination(text, push=True, names=names) for _, place in outputs for text in _with_tags(place, names)
    ]
    if names and outputs and not (request.push or request.load or any(_takes_names(place) for _, place in outputs)):
        own = ", ".join(f"`{place.text}`" for _, place in outputs)
        session.progress.info(
            f"the result is not called `{request.tags[0]}`: {own} has a name of its own, and nothing is pushed "
            "without `--push`"
        )
    if request.load:
        from ociassemble.session.engines import into_engine

        found += into_engine(session, names or _names((default_name(),)), request.runtime)
    # Registries last: what others read is published when everything on this machine has worked.
    if request.push or not found:
        found += [session.destination(text, push=request.push) for text in request.tags]
    return tuple(found) or (session.destination(default_name(), push=False),)


def _check(outputs: Sequence[tuple[str, Location]], platforms: Callable[[], Sequence[Platform]]) -> None:
    for text, place in outputs:
        if place.transport == "registry":
            raise UsageError(
                f"`-o {text}` names a registry, and nothing is pushed without `--push`",
                hint=f"push with `-t {place.text} --push`; for a folder write `-o oci:DIR`",
            )
        if place.transport == "docker-archive" and len(asked := platforms()) > 1:
            from ociassemble.transports.archive import one_platform

            raise one_platform(place.text, ", ".join(map(str, asked)))
    if sum(place.transport in ARCHIVES and place.path == "-" for _, place in outputs) > 1:
        raise UsageError("two archives cannot both go to standard output", hint="name a file for one of them")


def _takes_names(place: Location) -> bool:
    """Whether the names of `-t` go into a place: a layout or archive whose own name says no tag (CLI-18)."""
    return place.transport in ("oci", *ARCHIVES) and not place.tag


def _with_tags(place: Location, names: Sequence[Reference]) -> list[str]:
    """The text of a place; of a layout that says no tag, once for each tag of `names`."""
    if place.transport != "oci" or not _takes_names(place) or place.digest is not None:
        return [place.text]
    return [f"{place.text}:{tag}" for tag in dict.fromkeys(name.tag or DEFAULT_TAG for name in names)] or [place.text]


def _names(texts: Sequence[str]) -> tuple[Reference, ...]:
    found = (locate(text).reference for text in texts)
    return tuple(reference._replace(digest=None) for reference in found if reference is not None)
