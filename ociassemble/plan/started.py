"""What a lock records of the start command: how it starts, so far as base and dependencies decide (LOCK-23)."""

from __future__ import annotations

from typing import Any, NamedTuple

from ociassemble.plan.strict import Invalid, Object


class Started(NamedTuple):
    """The process that a start command becomes, found out without the application's own files.

    `program` is "" where the command starts a program of the application itself: then only `uid` and `groups` are
    told. Of the config, `user`, `workdir` and `path` are what it was found out with.
    """

    user: str
    workdir: str  # absolute; the application lies below it
    path: str  # PATH of the config, "" for none
    uid: int
    groups: tuple[int, ...]
    program: str = ""  # relative to the root, no links
    argv: tuple[str, ...] = ()  # as the kernel hands it over: the interpreters of scripts in front
    files: tuple[str, ...] = ()  # of the base, that it runs or imports by name; folders end in "/"
    installed: tuple[str, ...] = ()  # the same of dependencies
    beside: tuple[str, ...] = ()  # what base and dependencies have directly in `workdir`

    def document(self) -> dict[str, Any]:
        """JSON form: what there is none of is left out."""
        result: dict[str, Any] = {"user": self.user, "workdir": self.workdir, "uid": self.uid}
        result["groups"] = list(self.groups)
        for name in ("path", "program"):
            if getattr(self, name):
                result[name] = getattr(self, name)
        for name in ("argv", "files", "installed", "beside"):
            if getattr(self, name):
                result[name] = list(getattr(self, name))
        return result

    @classmethod
    def read(cls, value: Any, path: str) -> Started:
        with Object(value, path) as source:
            groups = []
            for number, at in source.items("groups"):
                if not isinstance(number, int) or isinstance(number, bool):
                    raise Invalid(f"`{at}` is not a number")
                groups.append(number)
            return cls(
                source.text("user", empty=True),
                source.text("workdir"),
                source.text("path") if source.has("path") else "",
                source.integer("uid", least=-1),
                tuple(groups),
                source.text("program") if source.has("program") else "",
                source.texts("argv") if source.has("argv") else (),
                source.texts("files") if source.has("files") else (),
                source.texts("installed") if source.has("installed") else (),
                source.texts("beside") if source.has("beside") else (),
            )
