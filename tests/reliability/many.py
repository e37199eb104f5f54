"""Many processes on one store, and one that takes away all it may: `python -m tests.reliability.many JSON`.

Imports once and forks; each child does what a build does with a store, again and again, and ends with 0 if all it was
given was right. Prints how the children ended, what they saw go wrong, and how often was collected.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from ociassemble.content.directory import DirectoryStore
from ociassemble.content.gc import collect
from ociassemble.content.store import ingest_all
from ociassemble.net.download import fetch
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest


def made(name: str, size: int) -> bytes:
    """The bytes of a blob, from its name."""
    return hashlib.shake_256(name.encode()).digest(size)


def work(plan: dict[str, Any], seed: int) -> None:
    """A build, `rounds` times: artifacts fetched or found, read, a layer written, records kept and believed."""
    chance = random.Random(seed)
    wire = Wire(sleep=lambda seconds: time.sleep(min(seconds, 0.05)))
    for number in range(plan["rounds"]):
        store = DirectoryStore(Path(plan["root"]))
        names = [*plan["blobs"], *plan["old"]]
        chance.shuffle(names)
        for name in names:
            data = made(name, plan["size"])
            digest = Digest.of(data)
            assert fetch(wire, [f"{plan['url']}/{name}"], digest, len(data), store) == len(data)
            with store.open_seekable(digest) as stream:
                assert stream.read() == data, name
        title = f"layer-{number % 3}"
        layer = made(title, plan["size"])
        if store.record("layers", title) is None:
            digest, size = ingest_all(store, [layer[:1000], layer[1000:]])
            store.put_record("layers", title, json.dumps({"digest": digest, "size": size}).encode())
        record = json.loads(store.record("layers", title) or b"null")
        assert record == {"digest": Digest.of(layer), "size": len(layer)}, record
        with store.open(Digest.of(layer)) as stream:
            assert stream.read() == layer


def child(plan: dict[str, Any], seed: int, ready: int) -> int:
    """A forked process: what it ends with, and before that a word for each thing that went wrong."""
    store = DirectoryStore(Path(plan["root"]))
    store.size(Digest.of(b""))  # it uses the store from now on
    os.write(ready, b"r")
    try:
        work(plan, seed)
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


def main() -> None:
    plan = json.loads(sys.argv[1])
    chance = random.Random(plan["seed"])
    began, ready = os.pipe()
    children = set()
    for number in range(plan["processes"]):
        if (process := os.fork()) == 0:
            os._exit(child(plan, plan["seed"] * 1000 + number, ready))
        children.add(process)
    for _ in children:
        os.read(began, 1)
    mine = DirectoryStore(Path(plan["root"]))
    statuses, collections, kills = [], 0, list(children)[: plan["kills"]]
    while children:
        collect(mine, set, older_than=float("-inf"))
        collections += 1
        if kills and chance.random() < 0.5:
            os.kill(kills.pop(), signal.SIGKILL)
        for process in list(children):
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                children.remove(process)
                statuses.append(os.waitstatus_to_exitcode(status))
    print(json.dumps({"statuses": statuses, "collections": collections}))


if __name__ == "__main__":
    main()
