"""The ELF reader against pyelftools, over real libraries of this host and of the packages that are installed."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection

from ociassemble.formats import elf
from ociassemble.image.sample import Sample

_MOST = 8 << 20  # bytes of one file
_FOLDERS = ("/usr/lib", "/lib", "/usr/lib64", "/usr/local/lib", *sys.path)
_WEAK = 2


def libraries() -> list[Path]:
    """Files that are named like libraries, in the system's folders and on this Python's path, each once."""
    found = {}
    for folder, _, names in itertools.chain.from_iterable(map(os.walk, _FOLDERS)):
        for name in names:
            if ".so" in name:
                path = Path(folder, name).resolve()
                if path.is_file() and 64 < path.stat().st_size < _MOST:
                    found[path] = path.stat().st_size
    return sorted(found)


def as_pyelftools_reads(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        file: Any = ELFFile(stream)  # type: ignore[no-untyped-call]
        dynamic = next((item for item in file.iter_segments() if item.header.p_type == "PT_DYNAMIC"), None)
        tags = list(dynamic.iter_tags()) if dynamic is not None else []

        def named(tag: str, field: str) -> list[str]:
            return [getattr(item, field) for item in tags if item.entry.d_tag == tag]

        interpreters = [item.get_interp_name() for item in file.iter_segments() if item.header.p_type == "PT_INTERP"]
        wants, offers = [], []
        for section in file.iter_sections():
            if isinstance(section, GNUVerNeedSection):
                for need, versions in section.iter_versions():
                    wants.append((need.name, tuple(item.name for item in versions if not item.entry.vna_flags & _WEAK)))
            elif isinstance(section, GNUVerDefSection):
                offers += (next(iter(names)).name for _, names in section.iter_versions())
        return {
            "bits": file.elfclass,
            "little": file.little_endian,
            "type": {"ET_EXEC": 2, "ET_DYN": 3}.get(file.header.e_type),
            "flags": file.header.e_flags,
            "entry": file.header.e_entry,
            "needed": tuple(named("DT_NEEDED", "needed")),
            "soname": next(iter(named("DT_SONAME", "soname")), ""),
            "rpath": next(iter(named("DT_RPATH", "rpath")), ""),
            "runpath": next(iter(named("DT_RUNPATH", "runpath")), ""),
            "interpreter": next(iter(interpreters), ""),
            "wants": tuple(wants),
            "offers": tuple(offers),
        }


@pytest.mark.parametrize("most", [120, pytest.param(20_000, marks=pytest.mark.long)])
def test_real_libraries(most: int) -> None:
    found = libraries()
    # Every so many, so that all folders have their share.
    chosen = found[:: max(1, len(found) // most)]
    read = 0
    for path in chosen:
        data = path.read_bytes()
        if not data.startswith(elf.MAGIC):
            continue
        ours = elf.parse(data)
        if ours.type not in (elf.EXECUTABLE, elf.SHARED) or path.suffix == ".debug":
            continue
        expected = as_pyelftools_reads(path)
        assert {name: getattr(ours, name) for name in expected} == expected, path
        assert ours.extent <= len(data), path
        read += 1
    assert read > 30


def test_a_file_that_is_held_in_parts_reads_alike() -> None:
    """As the files of a layer are read: in blocks, of which no more than some are held."""
    for path in (Path(sys.executable).resolve(), *libraries()[:3]):
        data = path.read_bytes()
        if not data.startswith(elf.MAGIC):
            continue
        blocks = [data[at : at + 65536] for at in range(0, len(data), 65536)]
        sample = Sample("x.so", len(data), lambda blocks=blocks: blocks)  # type: ignore[misc]
        for block in blocks:
            if sample.open:
                sample.feed(block)
        facts = sample.facts()
        assert facts is not None
        assert facts.elf == elf.parse(data)
