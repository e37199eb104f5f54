"""How much memory a build needs for big files: one of 1 GiB that is a hole, one of 1 GiB that nothing makes smaller."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import layers
import measure

SIZE = 1 << 30
MEBIBYTES = 150.0


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(SIZE)


def random(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(SIZE >> 20):
            file.write(os.urandom(1 << 20))


def main() -> None:
    runs = measure.arguments(1).runs
    measure.title("memory for files of 1 GiB")
    met = []
    for what, write in (("sparse", sparse), ("random", random)):
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            layers.base(work / "base")
            files = work / "files"
            layers.start(files)
            write(files / "big.bin")
            for number in range(runs):
                command = ["build", str(files), "--kind", "directory", "--base", f"oci:{work / 'base'}",
                           "--cmd", '["/app/start"]', "--output", f"oci:{work / f'image{number}'}",
                           "--cache-dir", str(work / f"cache{number}"), "-q"]  # fmt: skip
                cost = measure.run([*measure.PROGRAM, *command])
                measure.cost(f"a {what} file", cost)
                met.append(measure.target("most memory resident", cost.memory / (1 << 20), MEBIBYTES, "MiB"))
    measure.finish(*met)


if __name__ == "__main__":
    main()
