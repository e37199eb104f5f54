"""Small real wheels, for indexes and folders of links that tests make."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef


def wheel(name: str, version: str, *, requires: Iterable[str] = (), tag: str = "py3-none-any") -> tuple[str, bytes]:
    """File name and bytes of a wheel with one module."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {item}\n" for item in requires)
    pure = "true" if tag.endswith("any") else "false"
    files = {
        f"{name.replace('-', '_')}.py": f"version = {version!r}\n",
        f"{stem}.dist-info/METADATA": metadata,
        f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: {pure}\nTag: {tag}\n",
    }
    record = ""
    for path, text in files.items():
        hashed = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={hashed},{len(text.encode())}\n"
    record += f"{stem}.dist-info/RECORD,,\n"
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        for path, text in {**files, f"{stem}.dist-info/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 2, 0, 0, 0)), text)
    return f"{stem}-{tag}.whl", output.getvalue()


def put(folder: Path, *made: tuple[str, bytes]) -> Path:
    """Wheels as files of `folder`, made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for filename, data in made:
        (folder / filename).write_bytes(data)
    return folder


def artifact(made: tuple[str, bytes], *, sized: bool = True) -> ArtifactRef:
    return ArtifactRef(Digest.of(made[1]), len(made[1]) if sized else -1, made[0])
