"""What locking and fetching need of an ecosystem (contract: tests/contract/test_supplies.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ociassemble.kinds.protocol import LockedPackage, Resolution, ResolveRequest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts


class Supply(Protocol):
    """Where the packages of one ecosystem come from, for one application."""

    def given(self) -> Sequence[LockedPackage]:
        """Packages that the user brings, already in the store; they win over resolved ones of their name."""
        ...

    def resolve(self, request: ResolveRequest, facts: Sequence[BaseFacts]) -> Resolution:
        """The answer to `request`, good for all these bases. Artifacts that no input names by sha256 are fetched."""
        ...

    def fetch(
        self, artifacts: Sequence[ArtifactRef], packages: Sequence[LockedPackage], facts: Sequence[BaseFacts]
    ) -> None:
        """Bring artifacts of `packages` (those chosen for `facts`) into the store, in parallel, each by its sha256.

        What is in the store is not asked for. All that is nowhere to be found is named in one error.
        """
        ...
