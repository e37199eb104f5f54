"""The lock `ociassemble.lock`: what was asked, and every byte that answers it (specs/behaviour/lock.md).

One JSON file, names sorted, two-space indent, one newline at the end, so that it is reviewed and merged like code.
It names content by digest and size only: no host, no credential, no path of a machine, and nothing of the
application's own files. Reading is total and strict; `specs/schema/lock.schema.json` says the same as a schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ociassemble.errors import FormatError, ProjectError
from ociassemble.oci import _wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import PATH
from ociassemble.plan.filename import FILENAME as FILENAME
from ociassemble.plan.locked import LockedFacts, LockedLayer, LockedPackage, Verdict
from ociassemble.plan.locked_base import DebianBase, RegistryBase, base_document, read_base
from ociassemble.plan.plan import ASSEMBLY_VERSION
from ociassemble.plan.strict import Invalid, Object, as_digest, as_text

LOCK_VERSION = 1

_TIME = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_PLATFORM = re.compile(r"[a-z0-9_.]+(/[a-z0-9_.]+){1,2}", re.ASCII)

# A scalar, strings, or one table of them (`python.extras`).
Setting = str | bool | int | Sequence[str] | Mapping[str, "str | bool | int | Sequence[str]"]


class LockFormatError(ProjectError):
    """The lock cannot be read."""

    code = "project.lock"


class LockVersionError(ProjectError):
    """The lock is in a format that this version does not know."""

    code = "project.lock-version"


class Asked(NamedTuple):
    """What a lock answers. Anything of it that differs makes the lock stale (LOCK-5)."""

    base: str  # as the user wrote it
    platforms: tuple[str, ...]  # "linux/amd64"
    kind: str
    settings: Mapping[str, Setting]  # those that select: extras, groups, ...
    inputs: Mapping[str, Digest]  # path relative to the project -> sha256

    def document(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "platforms": list(self.platforms),
            "kind": self.kind,
            "settings": {name: plain(value) for name, value in self.settings.items()},
            "inputs": {path: digest.hex for path, digest in self.inputs.items()},
        }

    @classmethod
    def read(cls, value: Any, path: str) -> Asked:
        with Object(value, path) as source:
            inputs = {name: _input(name, item, where) for name, item, where in source.members("inputs")}
            settings = {name: _setting(item, where) for name, item, where in source.members("settings")}
            platforms = source.texts("platforms")
            if not platforms or len(set(platforms)) != len(platforms):
                raise Invalid(f"`{source.at('platforms')}` is empty, or names one twice")
            return cls(source.text("base"), platforms, source.text("kind"), settings, inputs)


class LockedPlatform(NamedTuple):
    """The answer for one platform. `base` None leaves the base open."""

    facts: LockedFacts
    base: RegistryBase | DebianBase | None = None
    packages: tuple[LockedPackage, ...] = ()
    layers: tuple[LockedLayer, ...] = ()
    verdict: Verdict | None = None

    def layer(self, key: Digest) -> LockedLayer | None:
        """The finished layer of a plan with this key, if it was locked (LOCK-8)."""
        return next((layer for layer in self.layers if layer.key == key), None)

    def proved(self, base: Digest, dependencies: Sequence[Digest], command: Sequence[str]) -> Verdict | None:
        """The verdict, if it is about exactly this base manifest, these diff_ids and this command (LOCK-8)."""
        found = self.verdict
        if found is None or (found.base, found.dependencies, found.command) != (
            base,
            tuple(dependencies),
            tuple(command),
        ):
            return None
        return found

    def document(self) -> dict[str, Any]:
        return {
            "base": None if self.base is None else base_document(self.base),
            "facts": self.facts.document(),
            "artifacts": [item.document() for item in self.packages],
            "layers": [item.document() for item in self.layers],
            "verdict": None if self.verdict is None else self.verdict.document(),
        }

    @classmethod
    def read(cls, value: Any, path: str) -> LockedPlatform:
        with Object(value, path) as source:
            base, verdict = source.take("base"), source.take("verdict")
            return cls(
                facts=LockedFacts.read(source.take("facts"), source.at("facts")),
                base=None if base is None else read_base(base, source.at("base")),
                packages=tuple(LockedPackage.read(item, where) for item, where in source.items("artifacts")),
                layers=tuple(LockedLayer.read(item, where) for item, where in source.items("layers")),
                verdict=None if verdict is None else Verdict.read(verdict, source.at("verdict")),
            )


class Lock(NamedTuple):
    """A whole lock. `platforms` has exactly the platforms that were asked."""

    created: str  # RFC 3339, UTC, whole seconds: "2026-01-31T12:00:00Z"
    asked: Asked
    platforms: Mapping[str, LockedPlatform]
    assembly_version: int = ASSEMBLY_VERSION

    @classmethod
    def parse(cls, raw: bytes, name: str = FILENAME) -> Lock:
        """From the bytes of a lock file; `name` is how errors call it.

        Raises `LockVersionError` for a format of another version and `LockFormatError` for everything else that
        `dump` would not have written (LOCK-2, LOCK-3); both are exit 3.
        """
        hint = "restore it from version control, or write it anew with `ociassemble lock`"
        try:
            document = _wire.parse(raw, f"`{name}`")
        except FormatError as error:
            merge = b"\n<<<<<<<" in b"\n" + raw[: _wire.MAX_DOCUMENT]
            raise LockFormatError(f"`{name}` has merge conflicts" if merge else error.message, hint=hint) from error
        version = document.get("lock-version")
        if version != LOCK_VERSION or isinstance(version, bool):
            if isinstance(version, int) and not isinstance(version, bool) and version > LOCK_VERSION:
                raise LockVersionError(
                    f"`{name}` has lock-version {version}; this version of ociassemble knows {LOCK_VERSION}",
                    hint="upgrade ociassemble, or write the lock anew with `ociassemble lock`",
                )
            raise LockVersionError(f"`{name}` has no lock-version that was ever used: {version!r:.40}", hint=hint)
        try:
            return cls._read(document)
        except Invalid as error:
            raise LockFormatError(f"`{name}`: {error}", hint=hint) from error

    @classmethod
    def _read(cls, document: dict[str, Any]) -> Lock:
        with Object(document, "") as source:
            source.integer("lock-version")
            asked = Asked.read(source.take("asked"), "asked")
            platforms = {name: LockedPlatform.read(item, at) for name, item, at in source.members("platforms")}
            if set(platforms) != set(asked.platforms) or not all(_PLATFORM.fullmatch(name) for name in platforms):
                raise Invalid("`platforms` does not have exactly the platforms of `asked.platforms`")
            return cls(
                created=source.matching("created", _TIME, "a time like 2026-01-31T12:00:00Z"),
                asked=asked,
                platforms=platforms,
                assembly_version=source.integer("assembly-version", least=1),
            )

    def dump(self) -> bytes:
        """The bytes of the file (LOCK-1). Equal locks give equal bytes."""
        document = {
            "lock-version": LOCK_VERSION,
            "assembly-version": self.assembly_version,
            "created": self.created,
            "asked": self.asked.document(),
            "platforms": {name: item.document() for name, item in self.platforms.items()},
        }
        text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
        return text.encode("utf-8") + b"\n"

    def after(self, previous: Lock | None) -> Lock:
        """This lock with the time of `previous` where nothing else moved (LOCK-4)."""
        if previous is not None and self._replace(created=previous.created).dump() == previous.dump():
            return previous
        return self


def _input(name: str, value: Any, path: str) -> Digest:
    if not PATH.fullmatch(name):
        raise Invalid(f"`{path}` is not a path below the project's folder")
    return as_digest(f"sha256:{as_text(value, path)}", path)


def plain(value: Setting) -> Any:
    """The JSON form of a setting; two settings are the same where these are equal."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return value if isinstance(value, str | bool | int) else list(value)


def _setting(value: Any, path: str, *, nested: bool = False) -> Any:
    if isinstance(value, list):
        return tuple(as_text(item, f"{path}[{number}]") for number, item in enumerate(value))
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, dict) and not nested:
        return {name: _setting(item, f"{path}.{name:.80}", nested=True) for name, item in value.items()}
    raise Invalid(f"`{path}` is not a string, a truth value, a whole number, a list of strings or a table of these")
