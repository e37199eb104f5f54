"""What moved between two locks, for people and machines (specs/behaviour/lock.md, LOCK-26). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ociassemble.formats.package_name import normalised
from ociassemble.oci.digest import Digest
from ociassemble.plan.lock import Lock, LockedPlatform
from ociassemble.plan.locked_base import DebianBase, RegistryBase


class Moved(NamedTuple):
    """One package. `before` or `after` is "" where it came or went; `why` is where it is from, "" where all are."""

    name: str
    before: str
    after: str
    why: str = ""

    @property
    def line(self) -> str:
        if not self.before:
            text = f"+ {self.name} {self.after}"
        elif not self.after:
            text = f"- {self.name} {self.before}"
        elif self.before == self.after:
            text = f"{self.name} {self.after}, another file"
        else:
            text = f"{self.name} {self.before} -> {self.after}"
        return f"{text} ({self.why})" if self.why else text


class ChangedLayer(NamedTuple):
    """A dependency layer that will be another one; `size` is that of the new one in compressed bytes."""

    title: str
    size: int


class PlatformChanges(NamedTuple):
    """What moved for one platform."""

    base: tuple[str, str] | None  # manifest digests, "" for none: before and after
    debian: tuple[Moved, ...]  # packages and releases of an assembled base
    packages: tuple[Moved, ...]
    layers: tuple[ChangedLayer, ...]  # new ones
    gone: tuple[str, ...]  # titles of layers that nothing replaces
    kept: int  # layers that stay as they are

    @property
    def any(self) -> bool:
        """Whether anything moved at all."""
        return bool(self[:-1] != (None, (), (), (), ()))

    def document(self) -> dict[str, Any]:
        """JSON form: `moved` of specs/schema/report.schema.json."""
        return {
            "base": None if self.base is None else dict(zip(("from", "to"), self.base, strict=True)),
            "debian": [_document(item) for item in self.debian],
            "packages": [_document(item) for item in self.packages],
            "layers": {
                "changed": [item._asdict() for item in self.layers],
                "gone": list(self.gone),
                "kept": self.kept,
            },
        }


def changes(before: Lock, after: Lock) -> dict[str, PlatformChanges]:
    """What moved, by the platforms of `after`; one that was not locked before is all new."""
    nothing: Mapping[str, LockedPlatform] = {}
    return {
        name: _platform((nothing if name not in before.platforms else before.platforms).get(name), item)
        for name, item in sorted(after.platforms.items())
    }


def lines(found: Mapping[str, PlatformChanges]) -> list[str]:
    """The same for people, one line each; what is so for every platform is told once."""
    told = {name: list(_lines(item)) for name, item in found.items()}
    common = [line for line in next(iter(told.values()), []) if all(line in others for others in told.values())]
    rest = [f"{name}: {line}" for name, some in told.items() for line in some if line not in common]
    return [*common, *rest]


def _lines(item: PlatformChanges) -> Iterator[str]:
    if item.base is not None:
        was, now = (_short(text) for text in item.base)
        yield f"base {was} -> {now}"
    yield from (moved.line for moved in (*item.debian, *item.packages))
    if not item.any:
        return
    for layer in item.layers:
        yield f"layer `{layer.title}` changes ({_size(layer.size)})"
    yield from (f"layer `{title}` goes" for title in item.gone)
    if item.kept:
        yield "1 layer stays as it is" if item.kept == 1 else f"{item.kept} layers stay as they are"


def _platform(before: LockedPlatform | None, after: LockedPlatform) -> PlatformChanges:
    was = before.layers if before is not None else ()
    keys = {(layer.key, layer.digest) for layer in was}
    changed = tuple(layer for layer in after.layers if (layer.key, layer.digest) not in keys)
    titles = {layer.title for layer in after.layers}
    old, new = (item.base if item is not None else None for item in (before, after))
    return PlatformChanges(
        base=_digests(old, new),
        debian=_moved(_debian(old), _debian(new)),
        packages=_moved(_packages(before), _packages(after)),
        layers=tuple(ChangedLayer(layer.title, layer.size) for layer in changed),
        gone=tuple(layer.title for layer in was if layer.title not in titles),
        kept=len(after.layers) - len(changed),
    )


def _digests(old: RegistryBase | DebianBase | None, new: RegistryBase | DebianBase | None) -> tuple[str, str] | None:
    was, now = (str(item.digest) if item is not None else "" for item in (old, new))
    return None if was == now else (was, now)


class _Version(NamedTuple):
    version: str
    file: Digest
    why: str


def _packages(item: LockedPlatform | None) -> dict[str, _Version]:
    packages = item.packages if item is not None else ()
    named = ((package.name.removeprefix("node_modules/"), package) for package in packages)
    return {name: _Version(package.version, package.artifact.digest, "") for name, package in named}


def _debian(base: RegistryBase | DebianBase | None) -> dict[str, _Version]:
    if not isinstance(base, DebianBase):
        return {}
    found = {item.name: _Version(item.version, item.digest, item.suite) for item in base.packages}
    for release in base.releases:
        files = "".join(str(file.digest) for file in release.files)
        found[release.name] = _Version(release.version, Digest.of(files.encode()), "upstream release")
    return found


def _moved(before: Mapping[str, _Version], after: Mapping[str, _Version]) -> tuple[Moved, ...]:
    nothing = _Version("", Digest.of(b""), "")
    found = []
    for name in sorted({*before, *after}):
        was, now = before.get(name, nothing), after.get(name, nothing)
        if (was.version, was.file) != (now.version, now.file):
            found.append(Moved(name, was.version, now.version, now.why))
    return tuple(found)


def _document(item: Moved) -> dict[str, Any]:
    return {"name": item.name, "from": item.before or None, "to": item.after or None, "origin": item.why or None}


def _short(text: str) -> str:
    return Digest(text).short if text else "none"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def unknown(names: Iterable[str], lock: Lock) -> Sequence[tuple[str, str]]:
    """Those of `names` that are no package of the lock, each with the nearest that is, or ""."""
    import difflib

    there = sorted({name for item in lock.platforms.values() for name in _packages(item)})
    plain = {_plain(name) for name in there}
    wrong = [name for name in names if _plain(name) not in plain]
    return [(name, next(iter(difflib.get_close_matches(_plain(name), there, 1)), "")) for name in wrong]


def _plain(name: str) -> str:
    """A name as Python's index compares them; those of npm are lower-case anyway."""
    return normalised(name) if not name.startswith("@") else name
