"""Addons that would have to be compiled (NODE-23): no script of a package ever runs, so they never are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# What install scripts call to compile an addon, or to download it already compiled.
_BUILDERS = re.compile(
    r"(?:\A|[\s&|;/'\"])(node-gyp|node-gyp-build|prebuild-install|node-pre-gyp|cmake-js|prebuildify|neon|napi)(?=[\s&|;'\"]|\Z)"
)
_HOOKS = ("preinstall", "install", "postinstall")
HINT = (
    "no script of a package is run: choose a release or a replacement that ships its binary "
    "(in `prebuilds`, or as an optional package for the platform)"
)


def problem(
    package: str, version: str, file_names: Iterable[str], manifest: Mapping[str, Any], *, cpu: str = ""
) -> str | None:
    """Why a package cannot work as its tarball has it, as one sentence for people; None where nothing is wrong.

    `file_names` are relative to the package's folder ("binding.gyp", "prebuilds/linux-x64/x.node"), `manifest` is its
    package.json, `cpu` is what Node calls the processor ("x64", "" for any). It is wrong where npm would compile
    something (a `binding.gyp` at the top without `"gypfile": false`, or an install script that calls a builder) and
    nothing compiled is there. An install script alone says nothing.
    """
    names = tuple(file_names)
    compiled = [name for name in names if name.endswith((".node", ".wasm"))]
    if any(_fits(name, cpu) for name in compiled):
        return None
    scripts = manifest.get("scripts")
    hooks = [scripts.get(hook) for hook in _HOOKS] if isinstance(scripts, Mapping) else []
    called = next((found for hook in hooks if isinstance(hook, str) and (found := _BUILDERS.search(hook))), None)
    if called is not None:
        why = f"its install script calls `{called[1]}`"
    elif "binding.gyp" in names and manifest.get("gypfile") is not False:
        why = "it has a `binding.gyp`"
    else:
        return None
    where = f" for {cpu}" if compiled else ""
    return f"`{package}@{version}` is an addon that must be compiled: {why} and no `.node` file{where} is in it"


def _fits(name: str, cpu: str) -> bool:
    """Whether a compiled file may be for Linux on `cpu`: all are, but those in folders that say otherwise."""
    place = re.match(r"prebuilds/([^/]+)/", name)
    return not cpu or place is None or (place[1].startswith("linux-") and cpu in re.split(r"[-+]", place[1]))
