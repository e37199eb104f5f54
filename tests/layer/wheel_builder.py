"""Wheels made by hand: honest ones from a few files, and any lie a test wants to tell."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Mapping

from ociassemble.layer.entry import Entry
from ociassemble.layer.wheel import entries
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import PythonScheme, WheelSource
from tests.formats.zip_builder import Member, archive

NAME = "foo_bar-1.0-py3-none-any.whl"
INFO = "foo_bar-1.0.dist-info"
DATA = "foo_bar-1.0.data"
SITE = "usr/local/lib/python3.13/dist-packages"
SCHEME = PythonScheme(f"/{SITE}", "/usr/local", "/usr/bin/python3.13", "3.13")
WHEEL = b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
METADATA = b"Metadata-Version: 2.1\nName: foo-bar\nVersion: 1.0\n\nA wheel.\n"


def row(name: str, data: bytes, algorithm: str = "sha256") -> str:
    digest = base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest()).rstrip(b"=").decode()
    if set(name) & set(',"'):
        name = '"' + name.replace('"', '""') + '"'
    return f"{name},{algorithm}={digest},{len(data)}"


def wheel(
    files: Mapping[str, bytes | None] | None = None,
    *,
    record: bytes | None = None,
    rows: Iterable[str] = (),
    without: Iterable[str] = (),
    modes: Mapping[str, int] | None = None,
    info: str = INFO,
    more: Iterable[Member] = (),
) -> bytes:
    """The archive: `files` beside WHEEL and METADATA (None leaves one out), and a RECORD that is right.

    `rows` are added to RECORD and `without` taken from it; `record` replaces it; `more` members are not listed.
    """
    content: dict[str, bytes] = {f"{info}/WHEEL": WHEEL, f"{info}/METADATA": METADATA}
    for name, data in (files or {}).items():
        if data is None:
            content.pop(name)
        else:
            content[name] = data
    listed = [row(name, data) for name, data in content.items() if name not in without]
    text = record if record is not None else "\n".join([*listed, *rows, f"{info}/RECORD,,", ""]).encode()
    members = [Member(name, data, mode=(modes or {}).get(name, 0o100644)) for name, data in content.items()]
    return archive([*members, Member(f"{info}/RECORD", text), *more])


def source(data: bytes, name: str = NAME, scheme: PythonScheme = SCHEME) -> WheelSource:
    return WheelSource(ArtifactRef(Digest.from_hex(hashlib.sha256(data).hexdigest()), len(data), name), scheme)


def installed(data: bytes, name: str = NAME, scheme: PythonScheme = SCHEME) -> dict[str, Entry]:
    """The entries, by path."""
    return {entry.path: entry for entry in entries(io.BytesIO(data), source(data, name, scheme))}


def content(entry: Entry) -> bytes:
    return b"".join(entry.content())


def everything(data: bytes, name: str = NAME, scheme: PythonScheme = SCHEME) -> dict[str, bytes]:
    """The content of every file, by path."""
    return {path: content(entry) for path, entry in installed(data, name, scheme).items()}
