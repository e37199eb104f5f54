"""Archives of images made to mislead or exhaust their reader: each is refused before anything of it is believed."""

from __future__ import annotations

import io
import tracemalloc

import pytest

from ociassemble.errors import FormatError
from ociassemble.formats import tar_table
from tests.formats import tar_builder as raw

HUGE = (1 << 63) - 1

REFUSED: dict[str, tuple[bytes, str]] = {
    "a name twice": (raw.file(b"index.json") + raw.file(b"x") + raw.file(b"index.json"), "twice"),
    "a name twice, spelled differently": (raw.file(b"index.json") + raw.file(b"./index.json"), "twice"),
    "a link over a file": (raw.file(b"a") + raw.block(b"a", type=b"2", link=b"b"), "twice"),
    "a hard link": (raw.file(b"a") + raw.block(b"b", type=b"1", link=b"a"), "hardlink"),
    "a device": (raw.block(b"index.json", type=b"3"), "character-device"),
    "a FIFO": (raw.block(b"index.json", type=b"6"), "fifo"),
    "a sparse file of old GNU": (raw.block(b"a", type=b"S", magic=raw.GNU), "type b'S'"),
    "a sparse file": (raw.pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.name", b"b")) + raw.file(b"a"), "sparse"),
    "a climbing name": (raw.file(b"../oci-layout"), "climbs"),
    "a climbing name in the middle": (raw.file(b"blobs/../../x"), "climbs"),
    "content that is not there": (raw.block(b"a", size=1000) + raw.pad(b"x" * 1000)[:700], "ends in the middle"),
    "an absurd size": (raw.block(b"a", size=raw.binary(HUGE, 12)), "ends in the middle"),
    "a size that is none": (raw.block(b"a", size=raw.binary(-1, 12)), "out of range"),
    "data after the end": (raw.file(b"a") + raw.END + raw.file(b"b"), "after its end"),
    "a wrong checksum": (raw.block(b"a", checksum=b"000000\0 "), "checksum"),
    "a header that is cut": (raw.file(b"a") + raw.block(b"b")[:100], "in the middle of a header"),
}


@pytest.mark.spec("ARCH-8")
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, why = REFUSED[name]
    if "cut" not in name and "not there" not in name and "after" not in name:
        data += raw.END
    with pytest.raises(FormatError, match=why):
        tar_table.table(io.BytesIO(data))


@pytest.mark.spec("ARCH-8")
def test_too_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_table, "MAX_MEMBERS", 50)
    data = b"".join(raw.file(b"%d" % number, b"") for number in range(51))
    with pytest.raises(FormatError, match="more than 50 members"):
        tar_table.table(io.BytesIO(data + raw.END))


@pytest.mark.spec("ARCH-6")
def test_where_files_are() -> None:
    data = b"".join(
        [raw.file(b"./a", b"x" * 511), raw.block(b"d/", type=b"5"), raw.block(b"l", type=b"2", link=b"a"),
         raw.file(b"d/empty", b""), raw.file(b"b" * 90, b"y" * 512), raw.file(b"z", b"last")]
    ) + raw.END  # fmt: skip
    found = tar_table.table(io.BytesIO(data))
    assert {name: data[at.offset : at.offset + at.size] for name, at in found.items() if not at.target} == {
        "a": b"x" * 511,
        "d/empty": b"",
        "b" * 90: b"y" * 512,
        "z": b"last",
    }
    assert found["l"].target == "a"


@pytest.mark.spec("ARCH-6")
def test_contents_are_not_read_for_the_table() -> None:
    """A stream of 8 GiB, of which only headers are ever asked for."""

    class Sparse(io.RawIOBase):
        size, read_bytes, place = 8 << 30, 0, 0

        def seek(self, offset: int, whence: int = 0) -> int:
            self.place = self.size + 1536 if whence == 2 else offset
            return self.place

        def read(self, size: int = -1) -> bytes:
            file = raw.block(b"a", size=raw.binary(self.size, 12))
            data = file[self.place :] if self.place < 512 else bytes(max(0, self.size + 1536 - self.place))[:size]
            data = data[:size]
            self.place += len(data)
            type(self).read_bytes += len(data)
            return data

    tracemalloc.start()
    try:
        found = tar_table.table(Sparse())  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found["a"] == (512, 8 << 30, "")
    assert Sparse.read_bytes < 10_000
    assert peak < 8 << 20
