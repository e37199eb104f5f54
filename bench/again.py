"""All is there: the same build once more, unchanged, after one line, after one dependency has moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from checks import noticed
from figures import OURS, Found, Target
from lab import Lab, change
from measure import Action, Run

KEPT = ("crane", "crane-kept", "umoci", "buildah", "buildkit")


def actions(edit: Callable[[Path, int], None] | None, rivals: Sequence[str], lab: Lab) -> dict[str, Action]:
    """The same build once more, after `edit`; everything was built and pushed before, into the same repository."""
    app = lab.app()
    lab.registry.fresh()
    folders = {name: lab.place(name, app) for name in (OURS, *lab.rivals(rivals))}
    lab.build(folders[OURS] / "app", f"bench/{OURS}")

    def ours(number: int) -> Run:
        if edit is not None:
            edit(folders[OURS], number)
        return lab.build(folders[OURS] / "app", f"bench/{OURS}")

    def rival(name: str, number: int) -> Run:
        if number == 0:
            lab.method(name, "first", folders[name])
        if edit is not None:
            edit(folders[name], number)
        return lab.method(name, "again", folders[name])

    return {
        OURS: ours,
        "python": lambda _: lab.python("import requests, click"),
        **{name: partial(rival, name) for name in lab.rivals(rivals)},
    }


def unchanged_counts(lab: Lab) -> dict[str, float]:
    """What the registry is asked, and whether an edit behind our back and a moved tag are noticed."""
    folder = lab.work / "places" / OURS
    with lab.registry.door() as door:
        lab.build(folder / "app", f"bench/{OURS}")
        counts: dict[str, float] = {"requests": len(door.requests), "bytes up": door.up, "bytes down": door.down}
        counts["of them HEAD of the tag"] = sum(
            request.method == "HEAD" and request.target.endswith("/manifests/v1") for request in door.requests
        )
    return {**counts, **noticed(lab, folder / "app", f"bench/{OURS}")}


def unchanged_targets(found: Found) -> list[Target]:
    return [
        Target("wall, times importing requests and click", found.ratio(OURS, "python"), 1.5, "", full=True),
        Target("CPU, times importing requests and click", found.ratio(OURS, "python", "cpu"), 2, "", full=True),
        Target("HEAD of the tag", found.counts["of them HEAD of the tag"], 1, "requests", least=True),
        Target("all requests", found.counts["requests"], 1, "requests"),
        Target("an edit of equal size and mtime is noticed", found.counts["edit noticed"], 1, "", least=True),
        Target("a tag that somebody moved is put back", found.counts["moved tag noticed"], 1, "", least=True),
    ]


def changed_counts(lab: Lab) -> dict[str, float]:
    """What is sent after one changed line: bytes of all bodies, and what must be sent."""
    counts: dict[str, float] = {}
    with lab.registry.door() as door:
        for name in (OURS, *lab.rivals(KEPT)):
            folder = lab.work / "places" / name
            before = lab.registry.image(f"bench/{name}")
            change(folder, 1000)
            door.forget()
            if name == OURS:
                lab.build(folder / "app", f"bench/{name}")
            else:
                lab.method(name, "again", folder)
            counts[f"kB sent by {name}"] = door.bodies / 1e3
            if name == OURS:
                counts["requests"] = len(door.requests)
                after = lab.registry.image(f"bench/{name}")
                new = sum(size for digest, size in after.layers if (digest, size) not in before.layers)
                counts["kB of application layer, config, manifest"] = (new + after.config + after.size) / 1e3
    return counts


def changed_targets(found: Found) -> list[Target]:
    needed = found.counts["kB of application layer, config, manifest"]
    return [
        Target("wall, times importing requests and click", found.ratio(OURS, "python"), 2.2, "", full=True),
        Target("sent, without headers", found.counts[f"kB sent by {OURS}"], needed + 0.1, "kB"),
    ]


BUMPED = {False: ("lxml", "click"), True: ("click",)}  # by --quick: one with a layer of its own, a small one


def bump_actions(lab: Lab) -> dict[str, Action]:
    """Each round: what is older is built (not timed), then with the first of these packages bumped."""
    name = BUMPED[lab.quick][0]
    new = lab.app()
    old = lab.app(f"older-{name}", older=name)

    def ours(_: int) -> Run:
        lab.registry.fresh()
        lab.build(old, f"bench/{OURS}")
        return lab.build(new, f"bench/{OURS}")

    def rival(method: str, _: int) -> Run:
        lab.registry.fresh()
        lab.method(method, "first", lab.place(method, old))
        return lab.method(method, "again", lab.place(method, new))

    return {OURS: ours, **{method: partial(rival, method) for method in lab.rivals(("crane",))}}


def bump_counts(lab: Lab) -> dict[str, float]:
    """Bytes up for each bumped package, and the bytes of what is new in the image."""
    counts: dict[str, float] = {}
    new = lab.app()
    for name in BUMPED[lab.quick]:
        old = lab.app(f"older-{name}", older=name)
        lab.registry.fresh()
        lab.build(old, f"bench/{OURS}")
        before = lab.registry.image(f"bench/{OURS}")
        rivals = lab.rivals(("crane",))
        for rival in rivals:
            lab.method(rival, "first", lab.place(rival, old))
        with lab.registry.door() as door:
            lab.build(new, f"bench/{OURS}")
            counts[f"kB sent, {name}"] = door.bodies / 1e3
            after = lab.registry.image(f"bench/{OURS}")
            layers = [size for digest, size in after.layers if (digest, size) not in before.layers]
            counts[f"kB new in the image, {name}"] = (sum(layers) + after.config + after.size) / 1e3
            counts[f"layers new, {name}"] = len(layers)
            for rival in rivals:
                door.forget()
                lab.method(rival, "again", lab.place(rival, new))
                counts[f"kB sent by {rival}, {name}"] = door.bodies / 1e3
    return counts


def bump_targets(found: Found) -> list[Target]:
    return [
        target
        for what, value in found.counts.items()
        if (name := what.removeprefix("kB sent, ")) != what
        for target in (
            Target(
                f"sent for {name}, without headers", value, found.counts[f"kB new in the image, {name}"] + 0.1, "kB"
            ),
            # The application layer holds requirements.txt, which names the version.
            Target(f"new layers for {name}", found.counts[f"layers new, {name}"], 2, ""),
        )
    ]
