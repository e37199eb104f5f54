"""Builds through the real command line, in processes of their own, and what came out of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ociassemble.plan.plan import ASSEMBLY_VERSION
from tests.digests import fixture

REPOSITORY = Path(__file__).parent.parent.parent
GOLDEN = Path(__file__).parent / "golden.json"
COMMAND = (sys.executable, "-m", "ociassemble")


class Inputs(NamedTuple):
    """Where the inputs of all builds are."""

    base: Path
    wheels: Path


def write_inputs(folder: Path) -> Inputs:
    fixture.write_base(folder / "base")
    fixture.write_wheels(folder / "wheels")
    return Inputs(folder / "base", folder / "wheels")


def run(
    arguments: Sequence[str],
    inputs: Inputs,
    scratch: Path,
    *,
    command: Sequence[str] = COMMAND,
    environment: Mapping[str, str] | None = None,
    umask: int = 0o022,
    user: int | None = None,
    folder: Path | None = None,
    fails: bool = False,
) -> subprocess.CompletedProcess[str]:
    """One command line, with an environment that holds nothing of ours but what is told here."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(scratch),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(inputs.wheels),
        **(environment or {}),
    }
    done = subprocess.run(
        [*command, *arguments], env=variables, cwd=folder or scratch, umask=umask, user=user, group=user,
        extra_groups=None if user is None else [], capture_output=True, encoding="utf-8", errors="replace",
        stdin=subprocess.DEVNULL, timeout=600, check=False,
    )  # fmt: skip
    if not fails:
        assert done.returncode == 0, f"{' '.join(arguments)}: exit {done.returncode}\n{done.stderr}"
    return done


def build(
    kind: str,
    application: Path | str,
    inputs: Inputs,
    scratch: Path,
    *more: str,
    base: str = "",
    cache: Path | None = None,
    platforms: Sequence[str] = fixture.PLATFORMS,
    **host: Any,
) -> dict[str, Any]:
    """Build `application` into a layout below `scratch`, with an empty cache unless one is given; what it is."""
    scratch.mkdir(exist_ok=True)
    if host.get("user") is not None:
        os.chown(scratch, host["user"], host["user"])
    arguments = [
        "build", str(application), "--base", f"oci:{base or inputs.base}", "--platform", ",".join(platforms),
        "--annotate", "none",
        "--output", f"oci:{scratch / 'image'}", "--cache-dir", str(cache or scratch / "cache"), "--format", "json",
        *(["--cmd", '["/usr/bin/python3", "-V"]'] if kind == "directory" else []), *more,
    ]  # fmt: skip
    done = run(arguments, inputs, scratch, **host)
    return {**described(scratch / "image"), "codec": codec_of(json.loads(done.stdout))}


def codec_of(result: Mapping[str, Any]) -> str:
    """The one codec of all layers, as the tool says it."""
    (codec,) = {layer["codec"] for image in result["images"] for layer in image["layers"]}
    return str(codec)


def described(layout: Path) -> dict[str, Any]:
    """Every digest of the one image or index in a layout, read without the package's own code."""
    (root,) = read_json(layout / "index.json")["manifests"]
    document = blob(layout, root["digest"])
    if "manifests" not in document:
        return {"digest": root["digest"], "images": {"": _image(layout, root["digest"])}}
    images = {_platform(item["platform"]): _image(layout, item["digest"]) for item in document["manifests"]}
    return {"digest": root["digest"], "images": images}


def _image(layout: Path, digest: str) -> dict[str, Any]:
    manifest = blob(layout, digest)
    config = blob(layout, manifest["config"]["digest"])
    history = [entry for entry in config["history"] if not entry.get("empty_layer")]
    return {
        "manifest": digest,
        "config": manifest["config"]["digest"],
        "created": config["created"],
        "layers": [
            {
                "title": entry["created_by"].removeprefix("ociassemble: "),
                "key": layer["annotations"]["dev.ociassemble.layer.key"],
                "diffId": diff_id,
                "digest": layer["digest"],
            }
            for layer, diff_id, entry in zip(manifest["layers"], config["rootfs"]["diff_ids"], history, strict=True)
            if "annotations" in layer  # the base's have none
        ],
    }


def _platform(document: Mapping[str, str]) -> str:
    return "/".join(document[key] for key in ("os", "architecture", "variant") if key in document)


def raw(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()


def blob(layout: Path, digest: str) -> dict[str, Any]:
    return read_json(layout / "blobs" / "sha256" / digest.removeprefix("sha256:"))


def read_json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


# --- what was promised ---------------------------------------------------------------------------------------


def golden() -> dict[str, Any]:
    return read_json(GOLDEN)


def check(found: Mapping[str, Any], expected: Mapping[str, Any], what: str) -> None:
    """That a build gave the committed digests; where it did not, which promise is broken, and what to do."""
    if found == expected:
        return
    version = golden()["assemblyVersion"]
    if diff_ids(found) != diff_ids(expected):
        pytest.fail(
            f"{what}: the tar of a layer is not the one of assembly-version {version}\n{_difference(found, expected)}"
            f"\n{ADVICE_TAR}",
            pytrace=False,
        )
    if found["codec"] != expected["codec"]:
        pytest.fail(f"{what}: the codec is {found['codec']}, not {expected['codec']}\n{ADVICE_CODEC}", pytrace=False)
    if blobs(found) != blobs(expected):
        pytest.fail(
            f"{what}: the codec {found['codec']} made other bytes of the same tar\n{_difference(found, expected)}"
            f"\n{ADVICE_CODEC}",
            pytrace=False,
        )
    pytest.fail(
        f"{what}: the layers are equal, and config, manifest or index differ\n{_difference(found, expected)}"
        f"\n{ADVICE_TAR}",
        pytrace=False,
    )


ADVICE_TAR = (
    f"If nobody meant to change it, it is a bug: the same inputs must give the same bytes. If it was meant, raise "
    f"ASSEMBLY_VERSION in ociassemble/plan/plan.py (now {ASSEMBLY_VERSION}), say so in the changelog, and run "
    "`python -m tests.digests`."
)
ADVICE_CODEC = (
    "A new version, level or block size of a compressor is a new codec identity and a release; the pin in "
    "pyproject.toml, the changelog and `python -m tests.digests` go together. With an equal identity it is a bug."
)


def diff_ids(found: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: [layer["diffId"] for layer in image["layers"]] for name, image in found["images"].items()}


def blobs(found: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: [layer["digest"] for layer in image["layers"]] for name, image in found["images"].items()}


def _difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    import difflib

    texts = [json.dumps(item, indent=1, sort_keys=True).splitlines() for item in (expected, found)]
    return "\n".join(difflib.unified_diff(*texts, "committed", "built", lineterm="", n=2))
