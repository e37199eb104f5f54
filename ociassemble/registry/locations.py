"""Where blobs are known to be: digest -> repositories of each host, newest first (CACHE-11).

Noted in the store whenever a repository was seen to have a blob; read to mount a blob into another repository of the
same host instead of sending it. A hint, never a fact: the registry is asked to mount, and says no where it is stale.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from typing import Any

from ociassemble.content.store import Store, read_record
from ociassemble.errors import Error
from ociassemble.oci.digest import Digest

KIND = "locations"
MOST = 8  # repositories of one host that are remembered for one blob


class Locations:
    """The records in a store, which is opened when the first is needed. Thread-safe; a store that fails is no error."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._lock = threading.Lock()

    def of(self, digest: Digest, host: str) -> tuple[str, ...]:
        """Repositories of `host` that had the blob, newest first."""
        return tuple(self._read(digest).get(host, ()))

    def seen(self, digest: Digest, host: str, repository: str) -> None:
        """The repository has the blob: it was found, mounted or uploaded there."""
        with self._lock:
            known = self._read(digest)
            if repository in (before := known.get(host, [])):
                return
            known[host] = [repository, *before][:MOST]
            self._write(digest, known)

    def gone(self, digest: Digest, host: str, repository: str) -> None:
        """The repository does not have the blob, or does not give it away."""
        with self._lock:
            known = self._read(digest)
            if repository in (before := known.get(host, [])):
                known[host] = [name for name in before if name != repository]
                self._write(digest, known)

    def _read(self, digest: Digest) -> dict[str, list[str]]:
        with contextlib.suppress(Error, OSError):
            return read_record(self._store(), KIND, digest.hex, _known) or {}
        return {}

    def _write(self, digest: Digest, known: dict[str, list[str]]) -> None:
        kept = {host: names for host, names in known.items() if names}
        with contextlib.suppress(Error, OSError):
            self._store().put_record(KIND, digest.hex, json.dumps(kept, sort_keys=True).encode())


def _known(document: Any) -> dict[str, list[str]]:
    return {
        host: [name for name in names if isinstance(name, str)]
        for host, names in document.items()
        if isinstance(names, list)
    }
