"""Packages that would have to be compiled are found when they are locked: their tarballs tell (NODE-23)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ociassemble.content.store import Store
from ociassemble.errors import FormatError
from ociassemble.kinds.node import native
from ociassemble.kinds.node.errors import NativeAddonError
from ociassemble.kinds.node.installed import Target
from ociassemble.kinds.protocol import WantedPackage
from ociassemble.layer import npm
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts
from ociassemble.progress import Progress


def check(
    packages: Iterable[tuple[WantedPackage, bool]],
    artifacts: Mapping[str, ArtifactRef],
    facts: BaseFacts,
    store: Store,
    progress: Progress,
) -> None:
    """Raise NativeAddonError for all of `packages` that cannot work as they are on the base's platform.

    Each package comes with whether the application can do without it: then it is a warning.
    """
    cpu = Target.of(facts).cpu
    errors: dict[str, None] = {}
    for package, optional in packages:
        with store.open_seekable(artifacts[package.key].digest) as stream:
            try:
                found = npm.listing(stream)
            except FormatError as error:
                error.details = (*error.details, f"in the npm package `{package.package}@{package.version}`")
                raise
        problem = native.problem(package.package, package.version, found.names, _table(found.manifest), cpu=cpu)
        if problem is not None and optional:
            progress.warn(f"{problem}; it is optional: what depends on it must do without")
        elif problem is not None:
            errors[problem] = None
    if errors:
        first, *others = errors
        raise NativeAddonError(first, details=others, hint=native.HINT)


def _table(manifest: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(manifest or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
