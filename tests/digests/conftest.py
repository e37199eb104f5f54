"""Inputs that all builds of a run share: made once, read only."""

from __future__ import annotations

import compileall
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from tests.digests import builds, fixture
from tests.digests.builds import Inputs


class Shared(NamedTuple):
    """A folder that other users may enter, the inputs, and one folder for each kind of application."""

    folder: Path
    inputs: Inputs
    applications: dict[str, Path]


@pytest.fixture(scope="session")
def shared() -> Iterator[Shared]:
    # Children write no bytecode, whatever their umask and user; it should be there for them.
    compileall.compile_dir(builds.REPOSITORY / "ociassemble", quiet=2)
    # Not below pytest's own folder, which other users may not enter.
    with TemporaryDirectory(prefix="ociassemble-digests-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        applications = {kind: folder / kind for kind in fixture.KINDS}
        for kind, place in applications.items():
            fixture.write(fixture.application(kind), place)
        yield Shared(folder, builds.write_inputs(folder / "inputs"), applications)
