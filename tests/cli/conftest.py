from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.failure.scene import Scene, scene_below


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A project that starts, and a base for it, in a folder of its own."""
    with scene_below(tmp_path) as made:
        made.files(main__py="print(1)\n", ociassemble__toml='base = "oci:base:v1"\nplatforms = ["linux/amd64"]\n')
        made.base("linux/amd64", "linux/arm64")
        yield made
