from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.failure.scene import Scene, scene_below


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_below(tmp_path) as made:
        yield made
