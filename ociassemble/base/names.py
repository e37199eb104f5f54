"""The closed table of short base names. Whatever is not in it is a reference as it stands; nothing is guessed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import NamedTuple

from ociassemble.errors import PolicyError, UsageError
from ociassemble.transports.locate import Location, locate

# The unsuffixed names of Google's registry move to a new Debian with time; these do not.
_DISTROLESS = "gcr.io/distroless/{name}-debian13"
_NAMES = ("static", "base-nossl", "base", "cc", "python3", "nodejs22", "nodejs24", "nodejs26")
# A name that moves with time: the newest line whose pinned release calls itself LTS (specs/decisions/0006).
_NEWEST = {"nodejs": "nodejs24"}
_VARIANTS = {"": "nonroot", "nonroot": "nonroot", "latest": "latest", "root": "latest"}


class ShortNameError(UsageError):
    """Looks like a short base name, but is not in the table."""

    code = "usage.short-name"


class StrictReferenceError(PolicyError):
    """A short name under `--strict-references`."""

    code = "policy.short-name"


class BaseName(NamedTuple):
    """A base as written and as expanded. `recipe` names the Debian recipe that can stand in for it, "" for none."""

    written: str
    location: Location
    recipe: str = ""
    variant: str = ""  # of the recipe: "nonroot" or "root"

    @property
    def expanded(self) -> str:
        """The full name, for printing."""
        return str(self.location.reference) if self.location.reference is not None else self.location.text

    @property
    def line(self) -> str:
        """The repository, without its host, that a short name of our table stands for; "" for every other name."""
        reference = self.location.reference
        return reference.repository if self.recipe and self.written != self.expanded and reference is not None else ""

    def on_line(self, repository: str) -> BaseName:
        """This short name where it stood for another `repository`; a name of no line is what it says."""
        reference = self.location.reference
        if not repository or not self.line or reference is None:
            return self
        return self._replace(location=self.location._replace(reference=reference._replace(repository=repository)))


def expand(text: str, *, overrides: Mapping[str, str], strict: bool = False) -> BaseName:
    """What `text` stands for. `overrides` are the settings' own short names and win."""
    if text in overrides:
        if strict:
            raise _strict(text, overrides[text])
        return BaseName(text, locate(overrides[text]))
    first, _, rest = text.partition("/")
    if first != "distroless":
        location = locate(text)
        return BaseName(text, location, *_stand_in(location))
    said, _, tag = rest.partition(":")
    name = _NEWEST.get(said, said)
    if name not in _NAMES or tag not in _VARIANTS:
        raise _unknown(text, said)
    full = f"{_DISTROLESS.format(name=name)}:{_VARIANTS[tag]}"
    if strict:
        raise _strict(text, full)
    return BaseName(text, locate(full), name, "nonroot" if _VARIANTS[tag] == "nonroot" else "root")


def known() -> tuple[tuple[str, str], ...]:
    """The table: short name and what it stands for."""
    table = {**{name: name for name in _NAMES}, **_NEWEST}
    return tuple((f"distroless/{name}", f"{_DISTROLESS.format(name=full)}:nonroot") for name, full in table.items())


def _unknown(text: str, name: str) -> ShortNameError:
    names = (*_NAMES, *_NEWEST)
    hint = "write the full reference, as in `gcr.io/distroless/java21-debian13:nonroot`"
    if name not in names and (near := difflib.get_close_matches(name, names, n=1)):
        hint = f"did you mean `distroless/{near[0]}`?"
    return ShortNameError(
        f"no base image is called `{text}`",
        details=[f"known: {', '.join(f'distroless/{item}' for item in names)}, each also with `:root`"],
        hint=hint,
    )


def _stand_in(location: Location) -> tuple[str, str]:
    """The recipe for a full distroless reference (design 4.10: "a known distroless name")."""
    reference = location.reference
    if reference is None or reference.digest is not None or reference.host != "gcr.io":
        return "", ""
    for name in _NAMES:
        if reference.repository == f"distroless/{name}-debian13" and reference.tag in ("nonroot", "latest"):
            return name, "nonroot" if reference.tag == "nonroot" else "root"
    return "", ""


def _strict(text: str, full: str) -> StrictReferenceError:
    return StrictReferenceError(
        f"`{text}` is a short name, and --strict-references allows none", hint=f"write `{full}`"
    )
