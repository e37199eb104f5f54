"""The store on disk: private, shared between processes, and errors of ours for what a disk can do."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ociassemble import _files
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.store import ingest_all
from ociassemble.errors import DestinationError, Error
from ociassemble.oci.digest import Digest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "store"


def test_it_is_private_whatever_the_umask(root: Path) -> None:
    before = os.umask(0)
    try:
        store = DirectoryStore(root)
        digest, _ = ingest_all(store, [b"secret"])
        store.put_record("kind", "key", b"secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.path(digest).stat().st_mode) == 0o400
    assert stat.S_IMODE((root / "records/kind/key").stat().st_mode) == 0o600


def test_a_folder_others_may_write_to_is_refused(root: Path) -> None:
    root.mkdir(parents=True)
    root.chmod(0o777)
    with pytest.raises(DestinationError) as caught:
        DirectoryStore(root)
    assert "chmod" in (caught.value.hint or "")


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


def test_a_folder_in_the_place_of_a_blob_is_an_error_of_ours(root: Path) -> None:
    store = DirectoryStore(root)
    digest = Digest.of(b"x")
    store.path(digest).mkdir(parents=True)
    for read in (store.open, store.open_seekable):
        with pytest.raises(Error):
            read(digest).read()


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
