"""From hashes to places: indexes of this test's own, folders of links, the input's own URLs (LOCK-17 to LOCK-19)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ociassemble.content.memory import MemoryStore
from ociassemble.errors import AuthError, Error, NetworkError, UnreachableError
from ociassemble.net.download import fetch
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.progress import Note, Progress
from ociassemble.sources.index_settings import Index, IndexSettings
from ociassemble.sources.python import ArtifactsOfflineError, Located, NotLocatedError, Own, locate, own, places
from ociassemble.sources.simple import JSON
from tests.net.scripted import Answer, Request, ScriptedServer
from tests.sources.wheels import artifact, put, wheel

ONE, TWO, THREE = (wheel(name, "1.0") for name in ("one", "two-b", "three"))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def serve(server: ScriptedServer, *made: tuple[str, bytes], root: str = "/simple", **changes: Any) -> Index:
    """A JSON index of these wheels below `root`, its files below /files."""
    for filename, data in made:
        name = filename.partition("-")[0].replace("_", "-")
        entry = {
            "filename": filename,
            "url": f"/files/{filename}",
            "hashes": {"sha256": Digest.of(data).hex},
            "size": len(data),
            **changes,
        }
        document = json.dumps({"files": [{"filename": "x.tar.gz", "url": "x", "hashes": {}}, entry]}).encode()
        server.on("GET", f"{root}/{name}/", Answer(200, document, (("Content-Type", JSON),)))
        server.on("GET", f"/files/{filename}", Answer(200, data))
    return Index(server.url + root)


def find(index: IndexSettings, *made: tuple[str, bytes], sized: bool = True, **options: Any) -> list[Located]:
    wire = options.pop("wire", None) or Wire(attempts=1)
    options = {"owned": {}, "folder": Path("/nonexistent"), **options}
    found = locate([artifact(item, sized=sized) for item in made], index, wire, **options)
    return [found[Digest.of(data)] for _, data in made]


@pytest.mark.spec("LOCK-17")
def test_a_page_is_read_per_package_and_the_file_comes_by_its_hash(server: ScriptedServer) -> None:
    index = IndexSettings(default=serve(server, ONE, TWO))
    one, two = find(index, ONE, TWO, sized=False)
    store = MemoryStore()

    assert (one.urls, two.urls) == ((f"{server.url}/files/{ONE[0]}",), (f"{server.url}/files/{TWO[0]}",))
    assert (one.artifact, two.artifact) == (artifact(ONE), artifact(TWO))  # the page told the sizes
    fetch(Wire(), places({two.artifact.digest: two}, store)[two.artifact.digest], two.artifact.digest, None, store)
    assert store.size(two.artifact.digest) == len(TWO[1])
    assert sorted(server.asked("GET"))[1:] == ["/simple/one/", "/simple/two-b/"]
    assert all("application/vnd.pypi.simple.v1+json" in r.headers["accept"] for r in server.requests[:2])


@pytest.mark.spec("LOCK-17")
def test_html_pages_and_links_without_a_hash_are_candidates(server: ScriptedServer) -> None:
    body = f'<a href="{ONE[0]}">a</a><a href="evil/{ONE[0]}#sha256={"0" * 64}">b</a>'.encode()
    server.on("GET", "/simple/one/", Answer(200, body, (("Content-Type", "text/html"),)))

    (one,) = find(IndexSettings(default=Index(server.url + "/simple")), ONE)

    assert one.urls == (f"{server.url}/simple/one/{ONE[0]}",)  # the one that names another hash is not it


@pytest.mark.spec("LOCK-17")
@pytest.mark.parametrize("changes", [{"hashes": {"sha256": "0" * 64}}, {"filename": "one-2.0-py3-none-any.whl"}])
def test_another_hash_or_another_name_is_another_file(server: ScriptedServer, changes: dict[str, Any]) -> None:
    with pytest.raises(NotLocatedError):
        find(IndexSettings(default=serve(server, ONE, **changes)), ONE)


@pytest.mark.spec("LOCK-17")
def test_indexes_in_their_order_until_one_has_it(server: ScriptedServer) -> None:
    extra, default = serve(server, ONE, root="/extra"), serve(server, ONE, TWO, root="/default")
    find(IndexSettings(by="uv", default=default, extra=(extra,)), ONE, TWO)

    assert sorted(server.asked("GET")) == ["/default/two-b/", "/extra/one/", "/extra/two-b/"]


@pytest.mark.spec("LOCK-17")
def test_the_inputs_own_url_is_the_second_choice(server: ScriptedServer) -> None:
    index = IndexSettings(default=serve(server, ONE))
    mirror = "https://mirror.example/files/"
    owned = {Digest.of(item[1]): Own((mirror + item[0],), size=len(item[1])) for item in (ONE, TWO)}

    one, two = find(index, ONE, TWO, owned=owned, sized=False)

    assert one.urls == (f"{server.url}/files/{ONE[0]}", mirror + ONE[0])
    assert two.urls == (mirror + TWO[0],)
    assert two.artifact.size == len(TWO[1])


@pytest.mark.spec("LOCK-17")
def test_what_was_resolved_a_moment_ago_is_not_looked_up_again(server: ScriptedServer, tmp_path: Path) -> None:
    index = IndexSettings(default=serve(server, ONE))
    folder = put(tmp_path / "with space", TWO)
    owned = {
        Digest.of(ONE[1]): Own((f"{server.url}/files/{ONE[0]}",)),
        Digest.of(TWO[1]): Own(((folder / TWO[0]).as_uri(),)),
    }

    one, two = find(index, ONE, TWO, owned=owned, resolved=True)

    assert one.urls == (f"{server.url}/files/{ONE[0]}",)
    assert two.files == (folder / TWO[0],)
    assert server.requests == []


def test_a_lock_of_the_project_does_not_name_files_of_this_machine(tmp_path: Path) -> None:
    folder = put(tmp_path / "elsewhere", ONE)
    project = tmp_path / "project"
    put(project / "wheels", TWO)
    (project / "out").symlink_to(folder)
    owned = {
        Digest.of(ONE[1]): Own(((folder / ONE[0]).as_uri(),), (f"../elsewhere/{ONE[0]}", f"out/{ONE[0]}")),
        Digest.of(TWO[1]): Own(paths=(f"wheels/{TWO[0]}",)),
    }
    index = IndexSettings(no_index=True)

    (two,) = find(index, TWO, owned=owned, folder=project)
    assert two.files == (project / "wheels" / TWO[0],)
    with pytest.raises(NotLocatedError):
        find(index, ONE, owned=owned, folder=project)


@pytest.mark.spec("LOCK-17")
def test_folders_of_links_and_indexes_on_this_machine(tmp_path: Path) -> None:
    links = put(tmp_path / "links", ONE, ("two_b-1.0-py3-none-any.whl", b"other bytes under the right name"))
    page = tmp_path / "simple" / "two-b" / "index.html"
    page.parent.mkdir(parents=True)
    put(tmp_path / "files", TWO)
    page.write_text(f'<a href="../../files/{TWO[0]}#sha256={Digest.of(TWO[1]).hex}">x</a>')
    index = IndexSettings(default=Index.parse(str(tmp_path / "simple"), tmp_path), find_links=(str(links),))
    store = MemoryStore()

    one, two = find(index, ONE, TWO, sized=False, wire=Wire(offline=True))
    found = places({item.artifact.digest: item for item in (one, two)}, store)

    assert one.files == (links / ONE[0],)
    assert two.files == (tmp_path / "files" / TWO[0],)
    assert [store.size(digest) for digest in found] == [len(ONE[1]), len(TWO[1])]


def test_a_local_file_that_changes_after_the_look_is_not_taken(tmp_path: Path) -> None:
    links = put(tmp_path, ONE)
    (one,) = find(IndexSettings(no_index=True, find_links=(str(links),)), ONE)
    (tmp_path / ONE[0]).write_bytes(b"x" * len(ONE[1]))
    store = MemoryStore()

    assert places({one.artifact.digest: one}, store) == {one.artifact.digest: ()}
    assert store.size(one.artifact.digest) is None


@pytest.mark.spec("LOCK-18")
def test_a_credential_is_sent_to_its_index_and_shown_to_nobody(server: ScriptedServer) -> None:
    expected = "Basic " + base64.b64encode(b"me:p@ss").decode()

    def guarded(answer: Answer) -> Any:
        return lambda request: answer if request.headers.get("authorization") == expected else Answer(401)

    with ScriptedServer() as files:
        serve(server, ONE, url=f"{files.url}/{ONE[0]}")
        files.on("GET", f"/{ONE[0]}", Answer(200, ONE[1]))
        document = server.rules[1][2][0]
        assert isinstance(document, Answer)
        server.on("GET", "/simple/one/", guarded(document))
        notes: list[str] = []
        progress = Progress(lambda event: notes.append(str(event)))
        index = IndexSettings(default=Index(server.url + "/simple", "me:p%40ss"))

        (one,) = find(index, ONE, progress=progress)
        fetch(Wire(), one.urls, one.artifact.digest, one.artifact.size, MemoryStore())

        assert [request.headers.get("authorization") for request in server.requests] == [expected]
        assert [request.headers.get("authorization") for request in files.requests] == [None]  # another port
        wrong = IndexSettings(default=Index(server.url + "/simple", "me:wr0ng"))
        with pytest.raises(AuthError) as caught:
            find(wrong, ONE, progress=progress)
        shown = " ".join((*notes, str(caught.value), *caught.value.details))
        assert "p%40ss" not in shown and "p@ss" not in shown and "wr0ng" not in shown


@pytest.mark.spec("LOCK-19")
def test_all_that_is_nowhere_is_named_at_once(server: ScriptedServer) -> None:
    with pytest.raises(NotLocatedError) as caught:
        find(IndexSettings(default=serve(server, ONE)), ONE, TWO, THREE)

    assert caught.value.exit_code == 4
    assert [name for name, _ in (TWO, THREE)] == [d for d in caught.value.details if d.endswith(".whl")][::-1]


@pytest.mark.spec("LOCK-19")
def test_offline_all_that_is_missing_is_named_at_once() -> None:
    index = IndexSettings(default=Index("https://registry.example/simple"))

    with pytest.raises(ArtifactsOfflineError) as caught:
        find(index, ONE, TWO, wire=Wire(offline=True))

    assert caught.value.exit_code == 9
    assert set(caught.value.details) == {ONE[0], TWO[0]}


@pytest.mark.spec("LOCK-19")
def test_an_index_that_cannot_be_reached_is_asked_once_and_the_next_one_serves(server: ScriptedServer) -> None:
    warned: list[str] = []
    progress = Progress(lambda event: warned.append(event.text) if isinstance(event, Note) else None)
    dead = Index("https://registry.example/simple")
    index = IndexSettings(by="uv", default=serve(server, ONE, TWO), extra=(dead,))

    found = find(index, ONE, TWO, progress=progress, jobs=1)

    assert all(item.urls for item in found)
    assert len(warned) == 1 and "registry.example" in warned[0]
    with pytest.raises(UnreachableError) as caught:
        find(IndexSettings(default=dead), ONE, TWO)
    assert ONE[0] in caught.value.details and TWO[0] in caught.value.details


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500),
        Answer(200, b"{", (("Content-Type", JSON),)),
        Answer(200, b"PK", (("Content-Type", "application/zip"),)),
    ],
)
def test_an_index_that_makes_no_sense_is_an_error_of_ours(server: ScriptedServer, answer: Answer) -> None:
    server.on("GET", "/simple/one/", answer)

    with pytest.raises(Error) as caught:
        find(IndexSettings(default=Index(server.url + "/simple")), ONE)

    assert isinstance(caught.value, NetworkError) or caught.value.exit_code == 7


def test_own_urls_of_pylock_and_uv_lock() -> None:
    a, b, c = "a" * 64, "b" * 64, "c" * 64
    pylock = f"""
        [[packages]]
        name = "x"
        wheels = [
          {{ url = "https://mirror.example/x.whl", size = 7, hashes = {{ sha256 = "{a}" }} }},
          {{ path = "w/x.whl", hashes = {{ sha256 = "{a}" }} }},
          {{ url = "https://mirror.example/y.whl", hashes = {{ md5 = "00" }} }},
        ]
        [[packages]]
        name = "y"
        archive = {{ url = "https://mirror.example/y.whl", size = -1, hashes = {{ sha256 = "{b}" }} }}
    """
    uv = (
        f'[[package]]\nname = "z"\nwheels = [{{ url = "https://mirror.example/z.whl", hash = "sha256:{c}", size = 1 }}]'
    )

    assert own(pylock) == {
        Digest.from_hex(a): Own(("https://mirror.example/x.whl",), ("w/x.whl",), 7),
        Digest.from_hex(b): Own(("https://mirror.example/y.whl",)),
    }
    assert own(uv) == {Digest.from_hex(c): Own(("https://mirror.example/z.whl",), (), 1)}


@pytest.mark.parametrize(
    "text",
    [
        "flask==1",
        "packages = 1",
        "packages = [1, {}]",
        "[[packages]]\nwheels = 1\narchive = 1",
        "[[packages]]\nwheels = [{hashes = 1}, {hashes = {sha256 = 1}}, {url = 1, hashes = {sha256 = 'x'}}]",
        "x = " + "[" * 100_000,
    ],
)
def test_own_urls_of_what_is_no_lock(text: str) -> None:
    assert own(text) == {}


def test_requests_have_no_surprise(server: ScriptedServer) -> None:
    """The page of a package is asked for by its normalised name, whatever the file's spelling."""
    made = wheel("Three", "1.0")
    seen: list[Request] = []

    def answer(request: Request) -> Answer:
        seen.append(request)
        return Answer(404)

    server.on("GET", ".*", answer)
    with pytest.raises(NotLocatedError):
        find(IndexSettings(default=Index(server.url + "/simple")), made)
    assert [request.path for request in seen] == ["/simple/three/"]
