"""`python -m tests.digests` builds the fixtures and commits their digests to golden.json.

It refuses to move a diff_id without a new assembly-version, and a layer digest without a new codec, unless it is
told that this version was never released (`--unreleased`).
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from ociassemble.plan.plan import ASSEMBLY_VERSION
from tests.digests import builds, codecs, fixture, sources


def main() -> int:
    before = builds.golden() if builds.GOLDEN.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = builds.write_inputs(folder)
        images: dict[str, Any] = {}
        for kind in fixture.KINDS:
            fixture.write(fixture.application(kind), folder / kind)
            images[kind] = builds.build(kind, folder / kind, inputs, folder / f"{kind}-out")
        kept = facts(folder / "python-out" / "cache")
    after = {
        "assemblyVersion": ASSEMBLY_VERSION,
        "codecs": codecs.digests(jobs=2),
        "images": images,
        "sources": sources.digests(jobs=2),
        "facts": kept,
    }
    refused = [] if not before or "--unreleased" in sys.argv else list(broken(before, after))
    for reason in refused:
        sys.stderr.write(f"refused: {reason}\n")
    if refused:
        return 1
    builds.GOLDEN.write_text(json.dumps(after, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    return 0


def facts(cache: Path) -> dict[str, str]:
    """What a cache keeps of the fixture's base: sha256 of the facts by platform, and their version."""
    found = {}
    for record in (cache / "store" / "records" / "facts").iterdir():
        value = record.read_bytes().partition(b"\n")[2]  # after the record's own check
        platform = json.loads(value)["platform"]
        found[f"{platform['os']}/{platform['architecture']}"] = hashlib.sha256(value).hexdigest()
        found["version"] = record.suffix.removeprefix(".v")
    return found


def broken(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Promises of the committed digests that the new ones break."""
    found = [
        f"{identity} makes other bytes than it did"
        for identity, digest in after["codecs"].items()
        if before["codecs"].get(identity, digest) != digest
    ]
    was, now = before.get("facts", {}), after["facts"]
    if was and was != now and was["version"] == now["version"]:
        found.append("facts of a base moved; raise _VERSION in ociassemble/base/inspect.py")
    if before["assemblyVersion"] == after["assemblyVersion"]:
        found += [
            f"a layer of the source `{name}` moved; raise ASSEMBLY_VERSION in ociassemble/plan/plan.py"
            for name, layer in after["sources"].items()
            if before.get("sources", {}).get(name, layer)["diffId"] != layer["diffId"]
        ]
    for kind, image in after["images"].items():
        was = before["images"].get(kind)
        if was is None:
            continue
        if builds.diff_ids(was) != builds.diff_ids(image) and before["assemblyVersion"] == after["assemblyVersion"]:
            found.append(f"{kind}: diff_ids moved; raise ASSEMBLY_VERSION in ociassemble/plan/plan.py")
    return found


if __name__ == "__main__":
    sys.exit(main())
