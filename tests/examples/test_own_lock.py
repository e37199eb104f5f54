"""The lock of our own image (`make image`) answers what pyproject.toml asks: whoever changes one changes the other."""

from __future__ import annotations

from pathlib import Path

from ociassemble.lock.application import fresh_lock, read_lock, recognise
from ociassemble.oci.platform import Platform
from ociassemble.progress import Progress
from ociassemble.project import reading, settings

REPOSITORY = Path(__file__).parent.parent.parent


def test_it_is_fresh() -> None:
    path = REPOSITORY / "ociassemble.lock"
    lock = read_lock(path)
    assert lock is not None
    stated = settings.load(REPOSITORY)
    application = recognise(reading.read(REPOSITORY), stated, tuple(map(Platform.parse, stated.platforms)), Progress())

    assert fresh_lock(application, path, locked=True, ci=True, progress=Progress()) == lock


def test_the_image_has_the_package_and_nothing_else() -> None:
    packed = {file.path.partition("/")[0] for file in reading.read(REPOSITORY).files}

    assert packed == {"ociassemble", "LICENSE", "pyproject.toml"}
