"""The store on disk: private, shared between processes, and errors of ours for what a disk can do."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ociassemble import _files
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.store import BlobMissingError, SpoiltError, ingest_all
from ociassemble.errors import DestinationError
from ociassemble.oci.digest import Digest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "store"


@pytest.mark.spec("STORE-1")
def test_it_is_private_whatever_the_umask(root: Path) -> None:
    before = os.umask(0)
    try:
        store = DirectoryStore(root)
        digest, _ = ingest_all(store, [b"secret"])
        store.put_record("kind", "key", b"secret")
    finally:
        os.umask(before)
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert {"blobs/sha256", "leases", "partial", "records/kind"} <= {str(path.relative_to(root)) for path in folders}
    DirectoryStore(root)
    assert stat.S_IMODE(store.path(digest).stat().st_mode) == 0o400
    assert stat.S_IMODE((root / "records/kind/key").stat().st_mode) == 0o600


@pytest.mark.spec("STORE-1")
def test_a_folder_others_may_write_to_is_refused(root: Path) -> None:
    root.mkdir(parents=True)
    root.chmod(0o777)
    with pytest.raises(DestinationError) as caught:
        DirectoryStore(root)
    assert "chmod" in (caught.value.hint or "")


FOLDERS = [
    *("blobs", "blobs/sha256", "blobs/sha512", "records", "records/layers", "refs", "refs/host", "partial", "leases"),
    "trash",
]


@pytest.mark.spec("STORE-1")
@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, None], ids=["group", "others", "all", "another's"])
def test_what_was_open_to_others_for_a_while_is_refused(root: Path, name: str, mode: int | None) -> None:
    DirectoryStore(root)
    (root / name).mkdir(mode=0o700, parents=True)
    DirectoryStore(root)
    if mode is not None:
        (root / name).chmod(mode)
        says, hint = "is writable by other users", f"chmod -R go-w {root}`"
    else:
        if os.geteuid() != 0:
            pytest.skip("only root can give a folder away")
        os.chown(root / name, 65534, -1)
        says, hint = "belongs to another user", "--cache-dir"
    with pytest.raises(DestinationError, match=says) as caught:
        DirectoryStore(root)
    assert f"`{root / name}`" in caught.value.message and hint in (caught.value.hint or "")


def test_a_file_in_the_way_is_an_error_of_ours(root: Path) -> None:
    root.parent.mkdir(parents=True)
    root.write_bytes(b"")
    with pytest.raises(DestinationError):
        DirectoryStore(root)


def test_another_process_sees_it(root: Path) -> None:
    digest, _ = ingest_all(DirectoryStore(root), [b"shared"])
    code = (
        "import sys; from pathlib import Path; from ociassemble.content.directory import DirectoryStore;"
        "from ociassemble.oci.digest import Digest;"
        "sys.stdout.buffer.write(DirectoryStore(Path(sys.argv[1])).open(Digest(sys.argv[2])).read())"
    )
    done = subprocess.run([sys.executable, "-c", code, root, digest], capture_output=True, check=True)
    assert done.stdout == b"shared"


NO_FILES = ["folder", "full folder", "link", "link to nothing", "pipe"]


def no_file(path: Path, what: str) -> None:
    """Put what is no file into a place, with `good` beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if "folder" in what:
        path.mkdir()
        if what == "full folder":
            (path / "file").write_bytes(b"x")
    elif "link" in what:
        path.symlink_to(path.parent / "nothing" if what == "link to nothing" else __file__)
    else:
        os.mkfifo(path)


@pytest.mark.spec("STORE-3")
@pytest.mark.parametrize("what", NO_FILES)
@pytest.mark.parametrize("look", ["size", "open", "open_seekable", "ingest", "resumable"])
def test_what_is_no_file_is_no_blob(root: Path, what: str, look: str) -> None:
    """Nor is it followed, waited for, or in the way of the blob."""
    store = DirectoryStore(root)
    digest = Digest.of(b"x")
    no_file(store.path(digest), what)
    if look == "size":
        assert store.size(digest) is None
    elif look.startswith("open"):
        with pytest.raises(BlobMissingError):
            getattr(store, look)(digest)
    elif look == "resumable":
        with store.resumable(digest) as part:
            part.write(b"x")
            part.commit(digest, 1)
    if look != "resumable":
        ingest_all(store, [b"x"])
    assert store.open(digest).read() == b"x"
    assert Path(__file__).exists()


@pytest.mark.spec("STORE-3")
@pytest.mark.parametrize("what", NO_FILES)
def test_what_is_no_file_is_no_record(root: Path, what: str) -> None:
    store = DirectoryStore(root)
    no_file(root / "records/kind/key", what)
    assert store.record("kind", "key") is None
    no_file(root / "records/kind/key", what) if not (root / "records/kind/key").exists() else None
    store.put_record("kind", "key", b"x")
    assert store.record("kind", "key") == b"x"


@pytest.mark.spec("STORE-5")
def test_a_record_that_is_not_what_was_written_is_none(root: Path) -> None:
    """Any byte changed, cut anywhere, longer, another one's: it is not there."""
    store = DirectoryStore(root)
    value = b'{"digest":"sha256:' + b"0" * 64 + b'"}'
    store.put_record("layers", "one", value)
    store.put_record("layers", "two", value)
    store.put_record("other", "one", value)
    path = root / "records/layers/one"
    raw = path.read_bytes()
    wrong = [raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :] for at in range(len(raw))]
    wrong += [raw[:at] for at in range(len(raw))] + [raw + b"\n", raw * 2, b"\0" * len(raw), value]
    wrong += [(root / "records" / other).read_bytes() for other in ("layers/two", "other/one")]
    for data in wrong:
        path.write_bytes(data)
        assert store.record("layers", "one") is None, data
    store.put_record("layers", "one", value)
    assert path.read_bytes() == raw


@pytest.mark.spec("STORE-4", "STORE-6")
def test_what_is_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary file and a rename, without fsync; a record that is there already: nothing."""
    store = DirectoryStore(root)
    ingest_all(store, [b"first"])
    seen: list[str] = []
    monkeypatch.setattr(_files, "at_point", lambda operation, path: seen.append(operation))
    ingest_all(store, [b"x"])
    assert seen == ["open", "flock", "chmod", "write", "rename"]
    seen.clear()
    store.put_record("kind", "key", b"x")
    assert seen == ["mkdir", "mkdir", "open", "flock", "chmod", "write", "rename"]
    seen.clear()
    store.put_record("kind", "key", b"x")
    assert store.record("kind", "key") == b"x" and store.size(Digest.of(b"x")) == 1
    assert seen == []


@pytest.mark.spec("STORE-9")
def test_looking_costs_little(root: Path) -> None:
    """What a run pays that finds all it needs: a look at the folders, a lease, and one call a blob."""
    store = DirectoryStore(root)
    digest, _ = ingest_all(store, [b"x"])
    code = (
        "import sys; from pathlib import Path; from ociassemble.content.directory import DirectoryStore;"
        "from ociassemble.oci.digest import Digest; seen = [];"
        "sys.addaudithook(lambda event, _: seen.append(event) if event.startswith('os.') or event == 'open' else 0);"
        "store = DirectoryStore(Path(sys.argv[1])); store.size(Digest(sys.argv[2])); store.size(Digest(sys.argv[2]));"
        "print(seen)"
    )
    done = subprocess.run([sys.executable, "-c", code, root, digest], capture_output=True, check=True, text=True)
    # Which folders there are below three; the lease. Audit hooks do not see stat and flock.
    assert done.stdout == "['os.scandir', 'os.scandir', 'os.scandir', 'open']\n"


@pytest.mark.parametrize("read", ["open", "open_seekable"])
def test_a_blob_that_the_disk_cannot_read_is_gone(root: Path, read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DirectoryStore(root)
    digest, _ = ingest_all(store, [b"x"])

    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(store, "_reading", lambda path: Broken())
    with pytest.raises((SpoiltError, BlobMissingError)):
        getattr(store, read)(digest).read()
    monkeypatch.undo()
    assert store.size(digest) is None


def test_a_bad_blob_that_cannot_be_removed_is_read_no_more(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DirectoryStore(root)
    digest, _ = ingest_all(store, [b"x"])
    store.path(digest).chmod(0o600)
    store.path(digest).write_bytes(b"y")
    monkeypatch.setattr(_files, "clear", lambda path: None)
    with pytest.raises(SpoiltError):
        store.open(digest).read()
    assert store.size(digest) is None
    with pytest.raises(BlobMissingError):
        store.open(digest)
    ingest_all(store, [b"x"])
    assert store.open(digest).read() == b"x"


def test_a_store_removed_under_a_writer_is_an_error_of_ours(root: Path) -> None:
    store = DirectoryStore(root)
    with pytest.raises(DestinationError), store.ingest() as ingest:
        ingest.write(b"x")
        _files.remove_tree(root)
        ingest.commit()
    digest, _ = ingest_all(store, [b"y"])  # what comes after it begins anew
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert store.open(digest).read() == b"y"


def test_a_killed_writer_leaves_only_a_partial(root: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from ociassemble.content.directory import DirectoryStore;"
        "ingest = DirectoryStore(Path(sys.argv[1])).ingest(); ingest.write(b'x' * 100000);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, root], check=False)
    assert done.returncode == -9
    files = [path.relative_to(root).parts for path in root.rglob("*") if path.is_file()]
    assert sorted(parts[0] for parts in files) == ["leases", "partial"]
