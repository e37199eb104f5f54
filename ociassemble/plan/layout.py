"""What a lock records of a pinned base's files, so that nobody reads its layers again (specs/behaviour/lock.md).

With `LockedFacts` and the image's own config it makes the whole `BaseFacts`. What the config says (environment, user,
start command) is not repeated: it is read with the manifest, and may hold what a lock must not (LOCK-10).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ociassemble.plan.facts import BaseFacts, DirectoryFact, TrustFact
from ociassemble.plan.strict import Invalid, Object, as_text

# Bumped when what is read from a base changes: facts of older versions, in the store or a lock, are not looked at.
VERSION = 4
_ABSOLUTE = re.compile(r"/[^\x00]+")
_OWNED = re.compile(r"([0-7]{4}) ([0-9]{1,10}):([0-9]{1,10})", re.ASCII)


class Layout(NamedTuple):
    """Where things are in a base. `version` is that of the rules they were read by (`base.inspect`)."""

    version: int
    links: Mapping[str, str] = {}
    directories: tuple[DirectoryFact, ...] = ()
    programs: tuple[str, ...] = ()
    trust: tuple[TrustFact, ...] = ()
    python: tuple[str, str, str] | None = None  # interpreter, prefix, site
    node: str = ""  # interpreter

    @classmethod
    def of(cls, facts: BaseFacts, version: int) -> Layout | None:
        """The layout of a base; None where a name in it is no text, which a lock cannot hold."""
        python, node = facts.python, facts.node
        found = cls(
            version,
            dict(sorted(facts.links.items())),
            facts.directories,
            facts.programs,
            facts.trust,
            (python.interpreter, python.prefix, python.site) if python else None,
            node.interpreter if node else "",
        )
        try:
            json.dumps(found.document(), ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            return None
        return found

    def document(self) -> dict[str, Any]:
        """JSON form: what there is none of is left out."""
        result: dict[str, Any] = {"version": self.version}
        if self.links:
            result["links"] = dict(self.links)
        if self.directories:
            result["directories"] = {
                f"/{item.path}": _owned(item.mode, item.uid, item.gid) for item in self.directories
            }
        if self.programs:
            result["programs"] = list(self.programs)
        if self.trust:
            result["trust"] = [
                {
                    "path": item.path,
                    "sha256": item.digest.hex,
                    "size": item.size,
                    "mode": _owned(item.mode, item.uid, item.gid),
                }
                for item in self.trust
            ]
        if self.python is not None:
            result["python"] = dict(zip(("interpreter", "prefix", "site"), self.python, strict=True))
        if self.node:
            result["node"] = {"interpreter": self.node}
        return result

    @classmethod
    def read(cls, value: Any, path: str) -> Layout:
        with Object(value, path) as source:
            links = dict(_texts(source, "links"))
            directories = [
                DirectoryFact(name.removeprefix("/"), *_modes(text, source.at("directories")))
                for name, text in _texts(source, "directories")
            ]
            return cls(
                source.integer("version", least=1),
                dict(sorted(links.items())),
                tuple(sorted(directories)),
                source.texts("programs") if source.has("programs") else (),
                tuple(_trust(item, at) for item, at in source.items("trust")) if source.has("trust") else (),
                _python(source.take("python"), source.at("python")) if source.has("python") else None,
                _node(source.take("node"), source.at("node")) if source.has("node") else "",
            )


def _owned(mode: int, uid: int, gid: int) -> str:
    return f"{mode:04o} {uid}:{gid}"


def _modes(text: str, path: str) -> tuple[int, int, int]:
    found = _OWNED.fullmatch(text)
    if found is None:
        raise Invalid(f"`{path}` has no mode and owner like `1777 0:0`: {text!r:.80}")
    return int(found[1], 8), int(found[2]), int(found[3])


def _texts(source: Object, key: str) -> list[tuple[str, str]]:
    if not source.has(key):
        return []
    return [(name, as_text(item, at)) for name, item, at in source.members(key)]


def _trust(value: Any, path: str) -> TrustFact:
    with Object(value, path) as source:
        mode = _modes(source.text("mode"), source.at("mode"))
        where = source.matching("path", _ABSOLUTE, "an absolute path")
        return TrustFact(where, source.sha256("sha256"), source.integer("size"), *mode)


def _python(value: Any, path: str) -> tuple[str, str, str]:
    with Object(value, path) as source:
        interpreter, prefix, site = (
            source.matching(key, _ABSOLUTE, "an absolute path") for key in ("interpreter", "prefix", "site")
        )
        return interpreter, prefix, site


def _node(value: Any, path: str) -> str:
    with Object(value, path) as source:
        return source.matching("interpreter", _ABSOLUTE, "an absolute path")
