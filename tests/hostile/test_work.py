"""Small inputs that would cost hours: links of links, names said twice, PATHs of thousands of folders.

Nothing here is timed: what is quadratic again does not end while anybody waits.
"""

from __future__ import annotations

import io
import lzma
import re
import tarfile

import pytest

from ociassemble.base.inspect import facts_of
from ociassemble.errors import FormatError
from ociassemble.formats import tar
from ociassemble.formats.paths import MAX_STEPS, real_path, walk_path
from ociassemble.image import filesystem
from ociassemble.image.filesystem import FileSystem, Found, Path
from ociassemble.oci import _wire
from ociassemble.project.secrets import archives, plausible
from ociassemble.project.secrets.search import Search
from ociassemble.sources import simple
from ociassemble.testing.images import image


def entry(kind: str, target: str = "", layer: int = 0) -> Path:
    return Path(kind, 0o755, 0, 0, 0, target, layer)


def link(target: str) -> bytes:
    """A tar of one symlink."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("x")
        member.type, member.linkname = tarfile.SYMTYPE, target
        archive.addfile(member)
    return stream.getvalue()


def test_a_link_longer_than_any_path_is_refused() -> None:
    assert [member.target for member in tar.read(io.BytesIO(link("a/" * 2047)))] == ["a/" * 2047]
    with pytest.raises(tar.TarFormatError, match="4096 bytes, which no system takes"):
        list(tar.read(io.BytesIO(link("a/" * 2048))))


@pytest.mark.parametrize(
    "links",
    [
        {f"l{n}": f"{'d/../' * 600}l{n + 1}" for n in range(50)},
        {"l0": "a/" * 2000 + "b", "a": "/l0"},
        {"l0": f"{'./' * 2000}l0/{'../' * 20}l0"},
        {f"l{n}": f"l{n + 1}/l{n + 1}" for n in range(60)},
    ],
)
def test_links_of_links_end(links: dict[str, str]) -> None:
    path, steps = walk_path("l0/x", links, last=True)
    assert steps <= MAX_STEPS
    assert not path.startswith("/")


def test_links_still_lead_where_they_lead() -> None:
    links = {"lib": "usr/lib", "usr/lib/x": "../share/x", "usr/share/x": "/opt/x"}
    assert real_path("lib/x/y", links, last=True) == "opt/x/y"
    assert real_path("lib/x", links, last=False) == "usr/lib/x"
    assert real_path("../../lib", links, last=True) == "usr/lib"
    assert walk_path("lib/x", links, last=True, there={"lib": 1, "usr": 1, "usr/lib": 1})[0] == "usr/lib/x"


def test_links_of_a_base_through_endless_folders_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "MAX_STEPS", 20_000)
    deep = "/".join(["a"] * 1000)
    files = FileSystem()
    files.apply([Found(deep, entry("directory"))], 0)
    files.apply([Found(f"l{number}", entry("symlink", deep)) for number in range(10)], 1)
    assert len(files.links()) == 10
    files.apply([Found(f"m{number}", entry("symlink", deep)) for number in range(10)], 2)
    with pytest.raises(FormatError, match="more folders than anyone can follow"):
        files.links()


def test_a_name_said_twice_among_many() -> None:
    names = ",".join(f'"k{number}":1' for number in range(200_000))
    with pytest.raises(FormatError, match="duplicate name 'k199999'"):
        _wire.parse(f'{{{names},"k199999":2}}'.encode(), "it")


def test_a_whiteout_said_a_thousand_times_takes_away_once() -> None:
    files = FileSystem()
    files.apply([Found("d/old", entry("file"))], 0)
    files.apply(
        [Found(f"d/{number}", entry("file", layer=1)) for number in range(50_000)]
        + [Found(path, entry("file", layer=1)) for path in ("d/.wh..wh..opq", ".wh.d") for _ in range(50_000)],
        1,
    )
    assert "d/old" not in files.paths and "d/49999" in files.paths


def test_a_path_of_a_hundred_thousand_folders() -> None:
    folders = [f"/nowhere{number}" for number in range(100_000)]
    base = image([], execution={"Env": ["PATH=" + ":".join([*folders, "/opt"])]})
    files = FileSystem()
    files.apply([Found(f"opt/{number}", entry("file")) for number in range(1_000)], 0)
    files.apply([Found("opt/python3.13", entry("file"))], 0)
    found = facts_of(base, files)
    assert found.python is not None and found.python.interpreter == "/opt/python3.13"


@pytest.mark.parametrize("part", ["<!--", "<a ", "<a href='", '<a href="', "</", "<a b=c ", "<![", "<a b= "])
def test_an_index_page_of_tags_that_never_end(part: str) -> None:
    page = part * 100_000 + """-->"'>""" + '<a href="x-1.whl">x</a>'
    links = simple.parse(page.encode(), "text/html", "https://index.example/simple/x/")
    assert len(links) <= 2 and links[-1].filename == "x-1.whl"
    assert simple.parse((part * 100_000).encode(), "text/html", "https://index.example/simple/x/") == ()


def test_folders_of_an_archive_count_in_the_search_for_secrets() -> None:
    member = tarfile.TarInfo("d/")
    member.type = tarfile.DIRTYPE
    packed = lzma.compress(member.tobuf() * (archives.MAX_MEMBERS + 2), preset=0)
    inside = archives.Inside()

    assert inside.look(io.BytesIO(packed), len(packed), "a.tar.xz") is False
    assert inside.notes == [f"only the first {archives.MAX_MEMBERS} members in `a.tar.xz` were searched for secrets"]


@pytest.mark.parametrize("text", [b"glpat-", b"sk-" * 33 + b"T3BlbkFJ", b"http://a:bbb@"])
def test_beginnings_of_secrets_are_dismissed_without_a_look_at_their_words(text: bytes) -> None:
    asked = []

    class Counting:
        fullmatch = staticmethod(re.fullmatch)

        def search(self, pattern: bytes, value: bytes) -> re.Match[bytes] | None:
            asked.extend([value] if pattern == plausible._PLACEHOLDER else [])
            return re.search(pattern, value)

    search = Search("a.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plausible, "re", Counting())
        search.feed(text * ((1 << 16) // len(text)))
        assert search.finish() == []
    assert len(asked) <= (1 << 16) // len(text)
    assert search.steps < 1 << 18
