"""The ELF reader: what libraries are called and need."""

from __future__ import annotations

import contextlib
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import FormatError
from ociassemble.formats import elf
from tests.debian_archive import elf as made

LIBRARY = made("libx.so.1", ["libc.so.6", "libz.so.1"])


def test_names() -> None:
    found = elf.parse(LIBRARY)

    assert (found.soname, found.needed) == ("libx.so.1", ("libc.so.6", "libz.so.1"))
    assert (found.bits, found.little, found.type, found.architecture, found.dynamic) == (64, True, 3, "amd64", True)


@pytest.mark.parametrize(
    ("machine", "architecture"), [(62, "amd64"), (183, "arm64"), (243, "riscv64"), (21, "ppc64le"), (9999, "")]
)
def test_machines(machine: int, architecture: str) -> None:
    assert elf.parse(made("x", machine=machine)).architecture == architecture


def test_the_interpreter_of_these_tests_reads_as_pyelftools_reads_it() -> None:
    from elftools.elf.elffile import ELFFile

    path = Path(sys.executable).resolve()
    found = elf.parse(path.read_bytes())
    with path.open("rb") as stream:
        reference = ELFFile(stream)  # type: ignore[no-untyped-call]
        dynamic = reference.get_section_by_name(".dynamic")
        needed = tuple(tag.needed for tag in dynamic.iter_tags() if tag.entry.d_tag == "DT_NEEDED")
        interpreter = next(
            (s.get_interp_name() for s in reference.iter_segments() if s.header.p_type == "PT_INTERP"), ""
        )

    assert found.needed == needed
    assert found.interpreter == interpreter


@pytest.mark.parametrize("cut", [*range(0, 64, 3), *range(64, len(LIBRARY), 5)])
def test_cut_off_files_are_refused(cut: int) -> None:
    with pytest.raises(elf.ElfFormatError):
        elf.parse(LIBRARY[:cut])


def test_a_dynamic_segment_without_strings_is_refused() -> None:
    broken = LIBRARY.replace(struct.pack("<qQ", 5, 176), struct.pack("<qQ", 5, 1 << 40))
    assert broken != LIBRARY
    with pytest.raises(elf.ElfFormatError, match="no strings"):
        elf.parse(broken)


@given(st.data())
def test_total_on_changed_files(data: st.DataObject) -> None:
    changed = bytearray(LIBRARY)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        elf.parse(bytes(changed))
