"""What of a base decides the bytes of a layer: its links and unusual folders on the way to, or below, the places.

Only these go into a `LayerPlan`, so that a layer keeps its key over bases that agree on them.
"""

from __future__ import annotations

from ociassemble.formats.paths import real_path
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import LayerPlan, places_of


def ground(layer: LayerPlan, facts: BaseFacts) -> LayerPlan:
    """`layer` with the base's relevant links and folders."""
    places = [place.strip("/") for place in places_of(layer)]
    # A link may lead into a folder that has links of its own, so the places themselves move with each link found.
    links: dict[str, str] = {}
    seen: set[str] = set()
    while places:
        place = places.pop()
        if place in seen:
            continue
        seen.add(place)
        for path, target in facts.links.items():
            if path not in links and _related(path, place):
                links[path] = target
            if path in links and (place == path or place.startswith(path + "/")):
                places.append(_resolved(path, target) + place[len(path) :])
    directories = tuple(
        item for item in facts.directories if not item.plain and any(_related(item.path, place) for place in seen)
    )
    return layer._replace(links=tuple(sorted(links.items())), directories=directories)


def _resolved(path: str, target: str) -> str:
    return real_path(path, {path: target}, last=True)


def _related(path: str, place: str) -> bool:
    return place == "" or path == place or place.startswith(path + "/") or path.startswith(place + "/") or path == ""
