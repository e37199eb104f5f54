"""Where blobs are known to be: of each host, digest -> repositories, newest first (CACHE-12).

Noted whenever a registry's own answer shows that a repository has a blob; read to mount a blob into another repository
of the same host instead of sending it. A hint, never a fact: the registry is asked to mount, and says no where it is
stale. So one record a host is enough, written once a run, and what two runs write at once may get lost.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ociassemble.content.store import Store, read_record
from ociassemble.errors import Error
from ociassemble.oci.digest import Digest

KIND = "locations"
MOST = 8  # repositories of one host that are remembered for one blob
MOST_BLOBS = 1000  # of one host, those that were last seen: some 100 kB

_Known = dict[str, list[str]]  # digest -> repositories, newest first; the blob that was seen last is the last


class Locations:
    """The records in a store, which is opened when the first is needed. Thread-safe; a store that fails is no error.

    What is noted counts at once, and is written by `keep`.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}  # by host, as they were read
        self._noted: dict[str, dict[str, dict[str, bool]]] = {}  # by host and digest: repository -> has it, or not

    def of(self, digest: Digest, host: str) -> tuple[str, ...]:
        """Repositories of `host` that had the blob, newest first."""
        with self._lock:
            if host not in self._known:
                self._known[host] = self._read(host)
            noted = self._noted.get(host, {}).get(str(digest), {})
            return tuple(_merged(self._known[host].get(str(digest), ()), noted))

    def seen(self, digest: Digest, host: str, repository: str) -> None:
        """The repository has the blob: it was found, mounted or uploaded there."""
        self.all_seen((digest,), host, repository)

    def all_seen(self, digests: Iterable[Digest], host: str, repository: str) -> None:
        """The repository has the blobs: one of its manifests names them, or it said so of each."""
        self._note(digests, host, repository, True)

    def gone(self, digest: Digest, host: str, repository: str) -> None:
        """The repository does not have the blob, or does not give it away."""
        self._note((digest,), host, repository, False)

    def keep(self) -> None:
        """Write what was noted and is not known yet: one record a host, none where all is known."""
        with self._lock, contextlib.suppress(Error, OSError):
            for host, noted in self._noted.items():
                self._keep(host, noted)
            self._noted.clear()
            self._known.clear()

    def _note(self, digests: Iterable[Digest], host: str, repository: str, has: bool) -> None:
        with self._lock:
            noted = self._noted.setdefault(host, {})
            for digest in digests:
                noted.setdefault(str(digest), {})[repository] = has

    def _keep(self, host: str, noted: Mapping[str, Mapping[str, bool]]) -> None:
        known = self._read(host)  # anew: other processes write it, too
        latest = list(noted)[-MOST_BLOBS:]
        now = {digest: _merged(known.get(digest, ()), noted[digest]) for digest in latest}
        if all(names == known.get(digest, []) for digest, names in now.items()):
            return
        kept = {**{digest: names for digest, names in known.items() if digest not in now}, **now}
        entries = [(digest, names) for digest, names in kept.items() if names][-MOST_BLOBS:]
        self._store().put_record(KIND, _key(host), json.dumps(dict(entries), separators=(",", ":")).encode())

    def _read(self, host: str) -> _Known:
        with contextlib.suppress(Error, OSError):
            return read_record(self._store(), KIND, _key(host), _known) or {}
        return {}


def _key(host: str) -> str:
    return Digest.of(host.encode()).hex


def _merged(known: Sequence[str], noted: Mapping[str, bool]) -> list[str]:
    """What is known, with what was noted since: new repositories first, without those that have the blob no more."""
    new = [name for name, has in noted.items() if has and name not in known]
    return [*reversed(new), *(name for name in known if noted.get(name, True))][:MOST]


def _known(document: Any) -> _Known:
    return {
        digest: [name for name in names if isinstance(name, str)]
        for digest, names in document.items()
        if isinstance(names, list)
    }
