"""examples/python-flask: with an empty cache (the Python index and Debian are asked), then with a full one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import measure

SECONDS = 2.0


def main() -> None:
    runs = measure.arguments(7).runs
    measure.title("examples/python-flask")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)

        def build(output: str) -> measure.Run:
            command = ["build", str(measure.REPOSITORY / "examples" / "python-flask"), "--base", "distroless/python3",
                       "--output", f"oci:{work / output}", "--cache-dir", str(work / "cache"), "-q"]  # fmt: skip
            return measure.run([*measure.PROGRAM, *command])

        measure.cost("cold: all is fetched and made", build("first"))
        again = measure.median([build("first") for _ in range(runs)])
        measure.cost("warm, into the same layout", again)
        measure.cost("warm, into a new layout", measure.median([build(f"other{number}") for number in range(runs)]))
        print()
        measure.finish(measure.target("warm", again.seconds, SECONDS, "s"))


if __name__ == "__main__":
    main()
