"""An index of wheels on loopback (PEP 503) that a test can watch, and make fail."""

from __future__ import annotations

from collections.abc import Sequence

from ociassemble.oci.digest import Digest
from tests.net.scripted import Answer, ScriptedServer


class Index(ScriptedServer):
    """`simple` is its URL. Wheels are at /files/NAME; a later rule of the test wins."""

    def __init__(self, wheels: Sequence[tuple[str, bytes]] = ()) -> None:
        super().__init__()
        pages: dict[str, list[str]] = {}
        for filename, data in wheels:
            name = filename.partition("-")[0].replace("_", "-")
            pages.setdefault(name, []).append(
                f'<a href="/files/{filename}#sha256={Digest.of(data).hex}">{filename}</a>'
            )
            self.on("*", f"/files/{filename}", Answer(200, data))
        for name, links in pages.items():
            self.on("GET", f"/simple/{name}/", Answer(200, "".join(links).encode(), (("Content-Type", "text/html"),)))

    @property
    def simple(self) -> str:
        return f"{self.url}/simple"

    def fetched(self) -> list[str]:
        """The files that were asked for with GET."""
        return [path for path in self.asked("GET") if path.startswith("/files/")]


def pinned(*wheels: tuple[str, bytes]) -> str:
    """A requirements.txt that pins each by version and hash."""
    lines = []
    for filename, data in wheels:
        name, version = filename.split("-")[:2]
        lines.append(f"{name.replace('_', '-')}=={version} --hash=sha256:{Digest.of(data).hex}\n")
    return "".join(lines)
