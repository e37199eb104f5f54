"""Ports for servers that are started later: none that the system gives to others meanwhile."""

from __future__ import annotations

import contextlib
import random
import socket

# Below every system's ephemeral range (Linux: from 32768): what binds to port 0 elsewhere never gets one of these.
_PORTS = range(20_000, 32_000)
_RANDOM = random.SystemRandom()


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    for _ in range(100):
        port = _RANDOM.choice(_PORTS)
        with socket.socket() as attempt, contextlib.suppress(OSError):
            attempt.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
