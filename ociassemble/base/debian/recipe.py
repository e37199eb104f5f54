"""Recipes: which packages and which generated files make which base image. Data, read strictly."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple

from ociassemble.errors import Error, FormatError, NotFoundError
from ociassemble.layer.deb import keeper
from ociassemble.oci import _wire
from ociassemble.oci.platform import Platform
from ociassemble.plan.artifacts import ABSOLUTE, MODE
from ociassemble.plan.plan import DirectorySource, LinkSource, TextSource
from ociassemble.plan.release import Release
from ociassemble.plan.strict import Invalid, Object, as_text
from ociassemble.sources.debian import Suite

# The recipe that stands behind the short names (`ociassemble.base.names`).
DEFAULT = "debian13"

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+", re.ASCII)
_WORD = re.compile(r"[a-z0-9][a-z0-9.-]*", re.ASCII)
_HOME = re.compile(r"https://[^/\s]+/(?:[^\s]*/)?", re.ASCII)
_DERIVED = re.compile(r"ca-bundle|ld\.so\.cache", re.ASCII)


class RecipeFormatError(FormatError):
    """A recipe that is not one (specs/schema/recipe.schema.json)."""

    code = "integrity.format.recipe"


class RecipeMissingError(NotFoundError):
    """No recipe, or no image, platform or user variant in it, of this name."""

    code = "not-found.recipe"


class PackageItem(NamedTuple):
    """One Debian package; `rules` come after the recipe's own."""

    package: str
    rules: tuple[str, ...]


class DerivedItem(NamedTuple):
    """A file computed from packages: "ca-bundle" or "ld.so.cache"."""

    recipe: str
    packages: tuple[str, ...]


class ReleaseItem(NamedTuple):
    """The files of an upstream release, by its name in the recipe's `archives`."""

    release: str


Item = PackageItem | DerivedItem | ReleaseItem | TextSource | DirectorySource | LinkSource


class RecipeLayer(NamedTuple):
    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeImage:
    """One image, with what it takes over from others already in it.

    `versions` maps annotations to the packages or releases whose versions they say.
    """

    name: str
    layers: tuple[RecipeLayer, ...]
    env: Mapping[str, str]
    entrypoint: tuple[str, ...]
    versions: Mapping[str, str]

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of all packages it reads, each once, sorted."""
        found: set[str] = set()
        for layer in self.layers:
            for item in layer.items:
                if isinstance(item, PackageItem):
                    found.add(item.package)
                elif isinstance(item, DerivedItem):
                    found.update(item.packages)
        return tuple(sorted(found))

    @property
    def releases(self) -> tuple[str, ...]:
        """Names of all upstream releases it has files of."""
        items = (item for layer in self.layers for item in layer.items)
        return tuple(item.release for item in items if isinstance(item, ReleaseItem))


class RecipeReleases(NamedTuple):
    """A release for each platform, and the URL that upstream has its archives below."""

    home: str
    platforms: Mapping[str, Release]


class RecipePlatform(NamedTuple):
    """Debian's name of the architecture, and the links of a merged /usr, as `LayerPlan.links` has them."""

    debian: str
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One distribution: where its packages are, and the images made of them."""

    name: str
    suites: tuple[Suite, ...]
    platforms: Mapping[str, RecipePlatform]
    users: Mapping[str, Mapping[str, str]]  # "nonroot", "root" -> User and WorkingDir of the config
    rules: tuple[str, ...]
    archives: Mapping[str, RecipeReleases]
    images: Mapping[str, RecipeImage]

    def releases(self, image: str, platform: Platform) -> tuple[Release, ...]:
        """The upstream releases that `image` has files of, for `platform`."""
        return tuple(self._release(name, platform) for name in self.image(image).releases)

    def offered(self, image: str) -> tuple[Platform, ...]:
        """Every platform that `image` can be made for, sorted."""
        found = [set(self.platforms), *(set(self.archives[name].platforms) for name in self.image(image).releases)]
        return tuple(map(Platform.parse, sorted(set.intersection(*found))))

    def _release(self, name: str, platform: Platform) -> Release:
        offered = self.archives[name].platforms
        for text, found in offered.items():
            if Platform.parse(text).matches(platform):
                return found
        raise RecipeMissingError(
            f"the recipe `{self.name}` has no `{name}` for {platform}", details=[f"available: {', '.join(offered)}"]
        )

    def image(self, name: str) -> RecipeImage:
        """The image `name`; `RecipeMissingError` lists the others."""
        if name not in self.images:
            raise RecipeMissingError(
                f"the recipe `{self.name}` has no image `{name}`", details=[f"available: {', '.join(self.images)}"]
            )
        return self.images[name]

    def platform(self, platform: Platform) -> RecipePlatform:
        """What is said about `platform`; `RecipeMissingError` lists the others."""
        for text, found in self.platforms.items():
            if Platform.parse(text).matches(platform):
                return found
        raise RecipeMissingError(
            f"the recipe `{self.name}` makes no base for {platform}",
            details=[f"available: {', '.join(self.platforms)}"],
            hint=f"pass `--platform {next(iter(self.platforms))}`, or another base",
        )

    def user(self, variant: str) -> Mapping[str, str]:
        """User and working directory of a variant."""
        if variant not in self.users:
            raise RecipeMissingError(
                f"the recipe `{self.name}` has no variant `{variant}`", details=[f"available: {', '.join(self.users)}"]
            )
        return self.users[variant]


@functools.cache
def load(name: str = DEFAULT) -> Recipe:
    """A recipe shipped with this package."""
    if not _WORD.fullmatch(name):
        raise RecipeMissingError(f"no recipe is called `{name}`")
    path = resources.files("ociassemble.base.debian") / "recipes" / f"{name}.json"
    try:
        raw = path.read_bytes()
    except OSError:
        raise RecipeMissingError(f"no recipe is called `{name}`") from None
    return parse(raw, f"the recipe `{name}`")


def parse(raw: bytes, what: str) -> Recipe:
    """A recipe from its JSON; every name in it is known and every value checked."""
    try:
        return _recipe(_wire.parse(raw, what))
    except Invalid as error:
        raise RecipeFormatError(f"{what}: {error}") from error


def _recipe(document: Any) -> Recipe:
    with Object(document, "") as top:
        with Object(top.take("distribution"), "distribution") as distribution:
            for key in ("id", "version", "codename"):
                distribution.text(key)
        images: dict[str, RecipeImage] = {}
        for name, value, path in top.members("images"):
            images[name] = _image(name, value, path, images)
        recipe = Recipe(
            name=top.matching("name", _WORD, "a name"),
            suites=tuple(_suite(value, path) for value, path in top.items("suites")),
            platforms={name: _platform(name, value, path) for name, value, path in top.members("platforms")},
            users={name: _user(value, path) for name, value, path in top.members("users")},
            rules=top.texts("rules"),
            archives={name: _releases(name, value, path) for name, value, path in top.members("archives")}
            if top.has("archives")
            else {},
            images=images,
        )
    for image in images.values():
        if unknown := set(image.releases) - set(recipe.archives):
            raise Invalid(f"`images.{image.name}` has files of the archive `{min(unknown)}`, which is not there")
        for layer in image.layers:
            for item in layer.items:
                keeper((*recipe.rules, *(item.rules if isinstance(item, PackageItem) else ())))
    return recipe


def _releases(name: str, value: Any, path: str) -> RecipeReleases:
    if not _WORD.fullmatch(name):
        raise Invalid(f"`{path}` is not a name")
    with Object(value, path) as source:
        home = source.matching("home", _HOME, "a URL that ends in a slash")
        platforms: dict[str, Release] = {}
        for platform, item, where in source.members("platforms"):
            _check_platform(platform, where)
            platforms[platform] = Release.read(item, where, name=name)
        return RecipeReleases(home, platforms)


def _check_platform(name: str, path: str) -> None:
    try:
        Platform.parse(name)
    except Error as error:
        raise Invalid(f"`{path}`: {error}") from error


def _suite(value: Any, path: str) -> Suite:
    with Object(value, path) as source:
        components = source.texts("components")
        return Suite(source.matching("archive", _WORD, "a name"), source.matching("suite", _WORD, "a name"), components)


def _platform(name: str, value: Any, path: str) -> RecipePlatform:
    _check_platform(name, path)
    with Object(value, path) as source:
        links = tuple(sorted((link, as_text(target, where)) for link, target, where in source.members("links")))
        return RecipePlatform(source.matching("debian", _WORD, "an architecture"), links)


def _user(value: Any, path: str) -> Mapping[str, str]:
    with Object(value, path) as source:
        return {"User": source.text("User"), "WorkingDir": source.text("WorkingDir")}


def _image(name: str, value: Any, path: str, before: Mapping[str, RecipeImage]) -> RecipeImage:
    with Object(value, path) as source:
        parent = RecipeImage(name="", layers=(), env={}, entrypoint=(), versions={})
        if source.has("from"):
            if source.text("from") not in before:
                raise Invalid(f"`{path}.from` is no image before this one")
            parent = before[source.text("from")]
        env, versions = dict(parent.env), dict(parent.versions)
        if source.has("env"):
            env |= {key: as_text(item, where) for key, item, where in source.members("env")}
        if source.has("versions"):
            versions |= {key: as_text(item, where) for key, item, where in source.members("versions")}
        return RecipeImage(
            name=name,
            layers=(*parent.layers, *(_layer(item, where) for item, where in source.items("layers"))),
            env=env,
            entrypoint=source.texts("entrypoint") if source.has("entrypoint") else parent.entrypoint,
            versions=versions,
        )


def _layer(value: Any, path: str) -> RecipeLayer:
    with Object(value, path) as source:
        return RecipeLayer(source.text("title"), tuple(_item(item, where) for item, where in source.items("sources")))


def _item(value: Any, path: str) -> Item:
    with Object(value, path) as source:
        if source.has("package"):
            rules = source.texts("rules") if source.has("rules") else ()
            return PackageItem(source.matching("package", _PACKAGE, "the name of a package"), rules)
        if source.has("archive"):
            return ReleaseItem(source.matching("archive", _WORD, "a name"))
        if source.has("derived"):
            return DerivedItem(source.matching("derived", _DERIVED, "a derived file"), source.texts("packages"))
        if source.has("link"):
            return LinkSource(source.matching("link", ABSOLUTE, "an absolute path"), source.text("target"))
        if source.has("file"):
            place = source.matching("file", ABSOLUTE, "an absolute path")
            text = "".join(line + "\n" for line in source.texts("lines"))
            return TextSource(place, text, _mode(source, 0o644))
        place = source.matching("directory", ABSOLUTE, "an absolute path")
        uid, gid = (source.integer(key) if source.has(key) else 0 for key in ("uid", "gid"))
        return DirectorySource(place, _mode(source, 0o755), uid, gid)


def _mode(source: Object, default: int) -> int:
    return int(source.matching("mode", MODE, "four octal digits"), 8) if source.has("mode") else default
