"""How long a start takes, against bare Python and against importing click. Prints a table; fails past the promise.

    python bench/startup.py [ROUNDS]

Promise: `--version` takes at most 3 times a bare Python, `--help` at most 2 times `python -c "import click"`.
"""

from __future__ import annotations

import subprocess
import sys
import time

CASES = {
    "bare python": ["-c", "pass"],
    "import click": ["-c", "import click"],
    "ociassemble --version": ["-m", "ociassemble", "--version"],
    "ociassemble --help": ["-m", "ociassemble", "--help"],
    "ociassemble build --help": ["-m", "ociassemble", "build", "--help"],
}
PROMISES = (("ociassemble --version", "bare python", 3.0), ("ociassemble --help", "import click", 2.0))


def main(rounds: int) -> int:
    """The best of `rounds` for each case, cases taken in turn so that a busy moment hits all of them."""
    best = dict.fromkeys(CASES, float("inf"))
    for _ in range(rounds):
        for name, argv in CASES.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *argv], stdout=subprocess.DEVNULL, check=True)
            best[name] = min(best[name], time.perf_counter() - began)
    for name, seconds in best.items():
        print(f"{name:<26} {seconds * 1000:7.1f} ms")
    failed = 0
    for name, against, limit in PROMISES:
        ratio = best[name] / best[against]
        print(f"{name} is {ratio:.2f} times {against} (at most {limit:g})")
        failed += ratio > limit
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
