"""When to ask again, and how long to wait. Pure but for the clock and the sleep that are passed in."""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Callable

from ociassemble.net.url import Origin

ATTEMPTS = 5
LONGEST_WAIT = 60.0  # seconds; a server that asks for more gets an error with its answer instead
_FIRST, _CAP = 0.5, 30.0
# Overload, gateways, and what Cloudflare says when the server behind it stumbles.
RETRYABLE = frozenset({408, 425, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524})


def delay(attempt: int, jitter: float) -> float:
    """Seconds before attempt number `attempt` (1 is the first repetition); `jitter` in [0, 1) spreads callers."""
    return float(min(_CAP, _FIRST * 2 ** (attempt - 1))) * (0.5 + jitter / 2)


def retry_after(value: str, now: float) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date held against `now` (Unix time)."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(min(int(value[:12]), 10**9))
    try:
        moment = email.utils.parsedate_to_datetime(value)
        return max(0.0, moment.timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None


class Gate:
    """Holds back all threads from an origin that said 429, not only the one it said it to."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._closed_until: dict[Origin, float] = {}
        self._lock = threading.Lock()

    def close(self, origin: Origin, seconds: float) -> None:
        """Nobody asks `origin` for so long."""
        with self._lock:
            until = self._clock() + seconds
            self._closed_until[origin] = max(until, self._closed_until.get(origin, until))

    def pause(self, seconds: float) -> None:
        self._sleep(seconds)

    def wait(self, origin: Origin) -> None:
        """Return when `origin` may be asked."""
        with self._lock:
            seconds = self._closed_until.get(origin, 0.0) - self._clock()
        if seconds > 0:
            self._sleep(seconds)
