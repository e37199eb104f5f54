"""Recipe + pinned packages -> plan -> image (specs/behaviour/debian-base.md).

`plan_base` is pure; `assemble_base` builds its layers and puts the image together. Neither knows where packages
come from: that is `ociassemble.sources.debian`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ociassemble.base.debian.recipe import DerivedItem, Item, PackageItem, Recipe, RecipeLayer, ReleaseItem
from ociassemble.content.compress import Codec
from ociassemble.content.store import Store
from ociassemble.errors import NotFoundError
from ociassemble.formats import debversion
from ociassemble.image.assemble import assemble
from ociassemble.image.image import Image, Layer
from ociassemble.layer.build import BuiltLayer, build_layers
from ociassemble.layer.sources import Materials
from ociassemble.oci.platform import Platform
from ociassemble.plan import created
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.locked_base import DebianPackage
from ociassemble.plan.plan import DebSource, DerivedSource, LayerPlan, Source
from ociassemble.plan.release import Release
from ociassemble.progress import Progress

if TYPE_CHECKING:
    from ociassemble.sources.debian import Fetch, Mirror, Verify

# An assembled base is the same whenever it is made.
CREATED = created.rfc3339(created.CONSTANT)

Layering = Literal["grouped", "per-package"]


class PinMissingError(NotFoundError):
    """The recipe needs a package, or an upstream release, that is not among the pinned ones."""

    code = "not-found.debian-pin"


@dataclass(frozen=True, kw_only=True, slots=True)
class BasePlan:
    """A base to be: its layers, the config's `config` object, and annotations of the manifest."""

    platform: Platform
    layers: tuple[LayerPlan, ...]
    execution: Mapping[str, Any]
    annotations: Mapping[str, str]


def resolve_packages(
    recipe: Recipe,
    image: str,
    platforms: Sequence[Platform],
    mirror: Mirror,
    *,
    fetch: Fetch,
    verify: Verify,
    now: float,
    jobs: int = 4,
    store: Store | None = None,
) -> tuple[tuple[DebianPackage, ...], ...]:
    """The newest packages for `image`, one tuple a platform, in the platforms' order; suites are asked once."""
    from ociassemble.sources.debian import resolve

    names = recipe.image(image).packages
    architectures = [recipe.platform(platform).debian for platform in platforms]
    found = resolve(
        mirror,
        recipe.suites,
        dict.fromkeys(architectures, names),
        fetch=fetch,
        verify=verify,
        now=now,
        jobs=jobs,
        store=store,
    )
    return tuple(found[architecture] for architecture in architectures)


def plan_base(
    recipe: Recipe,
    image: str,
    platform: Platform,
    packages: Iterable[DebianPackage],
    releases: Iterable[Release] = (),
    *,
    variant: str = "nonroot",
    layering: Layering = "grouped",
) -> BasePlan:
    """The plan of `image` from pinned packages and releases; more of them than needed is fine.

    `per-package` gives every source of the recipe a layer of its own, as Google's images have it.
    """
    wanted = recipe.image(image)
    here = recipe.platform(platform)
    pins = _Pins({package.name: package for package in packages}, {release.name: release for release in releases})
    layers: list[LayerPlan] = []
    grouped = wanted.layers if layering == "grouped" else tuple(_one_each(wanted.layers))
    for number, layer in enumerate(grouped):
        layers.append(
            LayerPlan(
                title=layer.title,
                role="base",
                sources=tuple(_source(item, recipe, platform, pins) for item in layer.items),
                # The first layer brings the links of the merged /usr; all after it write through them.
                links=here.links if number else (),
            )
        )
    env = [f"{name}={value}" for name, value in wanted.env.items()]
    execution: dict[str, Any] = {**recipe.user(variant), "Env": env}
    if wanted.entrypoint:
        execution["Entrypoint"] = list(wanted.entrypoint)
    annotations = {name: _version(of, recipe, pins) for name, of in sorted(wanted.versions.items())}
    return BasePlan(platform=platform, layers=tuple(layers), execution=execution, annotations=annotations)


def _one_each(layers: Iterable[RecipeLayer]) -> Iterable[RecipeLayer]:
    for layer in layers:
        for item in layer.items:
            title = item.package if isinstance(item, PackageItem) else layer.title
            yield RecipeLayer(title, (item,))


class _Pins(NamedTuple):
    """What was pinned, by name."""

    packages: Mapping[str, DebianPackage]
    releases: Mapping[str, Release]

    def package(self, name: str) -> DebianPackage:
        if name not in self.packages:
            raise _missing(f"the Debian package `{name}`")
        return self.packages[name]

    def release(self, name: str) -> Release:
        if name not in self.releases:
            raise _missing(f"the release `{name}`")
        return self.releases[name]


def _missing(what: str) -> PinMissingError:
    return PinMissingError(
        f"{what} is not among the pinned ones",
        hint="the lock was made for another recipe: run `ociassemble lock` again",
    )


def _version(name: str, recipe: Recipe, pins: _Pins) -> str:
    return pins.release(name).version if name in recipe.archives else debversion.upstream(pins.package(name).version)


def _source(item: Item, recipe: Recipe, platform: Platform, pins: _Pins) -> Source:
    if isinstance(item, PackageItem):
        return DebSource(pins.package(item.package).artifact, item.package, (*recipe.rules, *item.rules))
    if isinstance(item, DerivedItem):
        artifacts = tuple(pins.package(name).artifact for name in item.packages)
        parameters = (("architecture", platform.architecture),) if item.recipe == "ld.so.cache" else ()
        return DerivedSource(item.recipe, artifacts, parameters)
    if isinstance(item, ReleaseItem):
        return pins.release(item.release).source
    return item


def assemble_base(
    plan: BasePlan,
    *,
    codec: Codec,
    store: Store,
    fetch: Callable[[tuple[ArtifactRef, ...]], None],
    use_records: bool = True,
    jobs: int,
    progress: Progress,
) -> Image:
    """The image of `plan`: its layers from the store, or built there. `fetch` brings packages into the store."""
    built = base_layers(
        plan.layers, codec=codec, store=store, fetch=fetch, use_records=use_records, jobs=jobs, progress=progress
    )
    return image_of(plan, [made.layer for made in built])


def base_layers(
    plans: tuple[LayerPlan, ...],
    *,
    codec: Codec,
    store: Store,
    fetch: Callable[[tuple[ArtifactRef, ...]], None],
    use_records: bool,
    jobs: int,
    progress: Progress,
) -> tuple[BuiltLayer, ...]:
    """These layers of a base, from the store or built there."""

    def no_file(item: object) -> Any:
        raise AssertionError(f"a base has no files of a project: {item!r:.100}")

    return build_layers(
        plans,
        codec=lambda _: codec,
        store=store,
        fetch=fetch,
        materials=Materials(artifact=lambda ref: store.open_seekable(ref.digest), file=no_file),
        use_records=use_records,
        jobs=jobs,
        progress=progress,
    )


def image_of(plan: BasePlan, layers: Sequence[Layer]) -> Image:
    """The image of `plan` with these layers. Pure."""
    return assemble(
        platform=plan.platform,
        base=None,
        added=[(planned.title, layer) for planned, layer in zip(plan.layers, layers, strict=True)],
        execution=plan.execution,
        created=CREATED,
        annotations=plan.annotations,
    )
