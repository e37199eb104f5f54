"""The entry point. Answers `--version` by itself; everything else is `ociassemble.cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process and exit with its status."""
    if sys.argv[1:] == ["--version"]:
        # Before click is imported: scripts ask for the version often, and should not wait for it.
        from ociassemble import __version__

        sys.stdout.write(f"ociassemble {__version__}\n")
        return
    from ociassemble.cli import main

    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    main()
