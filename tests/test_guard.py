"""The guards of the suite itself (tests/conftest.py): what a test may reach, and where its home is."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


def test_loopback_is_allowed() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection(server.getsockname(), timeout=5) as client:
        assert client.getpeername() == server.getsockname()


@pytest.mark.parametrize("address", ["192.0.2.1", "203.0.113.9"])
def test_documentation_addresses_are_unroutable(address: str) -> None:
    with socket.socket() as client, pytest.raises(OSError, match="unreachable"):
        client.connect((address, 443))


@pytest.mark.parametrize("name", ["registry.example", "nobody.invalid", "host.test"])
def test_reserved_names_do_not_resolve(name: str) -> None:
    with pytest.raises(socket.gaierror):
        socket.create_connection((name, 443), timeout=5)


def test_the_home_is_empty_and_private() -> None:
    home = Path(os.environ["HOME"])
    assert list(home.iterdir()) == []
    assert home.stat().st_mode & 0o077 == 0
    assert not [name for name in os.environ if name.startswith("OCIASSEMBLE_")]


def test_leaving_the_machine_fails_even_when_the_error_is_swallowed(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers = packages: x\n")
    root = Path(__file__).parent.parent
    pytester.makeconftest(
        f"import sys; sys.path.insert(0, {str(root)!r})\nfrom tests.conftest import *\n"
        "from tests.conftest import _guard, _loopback_only\n_guard.install()\n"
    )
    pytester.makepyfile(
        """
        import socket

        def test_swallows():
            try:
                socket.socket().connect(("198.18.0.1", 9))
            except Exception:
                pass
        """
    )
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, errors=1)
    done.stdout.fnmatch_lines(["*tried to reach 198.18.0.1*"])
