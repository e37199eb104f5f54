"""The loader's cache, held against the one this host's ldconfig wrote and against what its ldconfig reads."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import FormatError
from ociassemble.formats import ldcache
from ociassemble.formats.ldcache import Library

CACHE = Path("/etc/ld.so.cache")
LIBRARIES = [
    Library("libz.so.1", "/lib/x86_64-linux-gnu/libz.so.1", 0x303),
    Library("libssl.so.3", "/lib/x86_64-linux-gnu/libssl.so.3", 0x303),
    Library("ld.so", "/lib/a/ld.so", 0x303),
    Library("ld.so", "/lib/ld.so", 0x303),
]


def test_what_is_written_is_read_back_in_the_loaders_order() -> None:
    found = ldcache.decode(ldcache.encode(LIBRARIES))

    assert found == (LIBRARIES[0], LIBRARIES[1], LIBRARIES[2], LIBRARIES[3])
    assert ldcache.decode(ldcache.encode([])) == ()


def test_the_order_of_names() -> None:
    ascending = ["ld.so", "libBroken.so", "liba.so", "liba.so.1", "liba.so.2", "liba.so.10", "liba1.so", "liba10.so"]
    # A digit sorts after everything that is none, and `.` is none.
    for number, one in enumerate(ascending):
        for other in ascending[number + 1 :]:
            assert ldcache.compare(one, other) < 0 < ldcache.compare(other, one)
    assert ldcache.compare("lib01.so", "lib1.so") == 0


@pytest.mark.spec("DEBIAN-CACHE-1")
def test_the_hosts_own_cache_comes_out_in_the_same_order() -> None:
    try:
        found = ldcache.decode(CACHE.read_bytes())
    except (OSError, FormatError):
        pytest.skip("this host has no loader cache of the current format")
    groups: dict[tuple[str, int], list[Library]] = {}
    for library in found:
        groups.setdefault((library.soname, library.flags), []).append(library)
    shuffled = list(groups.values())
    random.Random(1).shuffle(shuffled)

    assert ldcache.decode(ldcache.encode(library for group in shuffled for library in group)) == found


def test_the_hosts_ldconfig_reads_it(tmp_path: Path) -> None:
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin")
    if ldconfig is None:
        pytest.skip("ldconfig is not installed")
    cache = tmp_path / "cache"
    cache.write_bytes(ldcache.encode(LIBRARIES))
    done = subprocess.run([ldconfig, "-p", "-C", cache], capture_output=True, text=True, check=True)

    assert "4 libs found" in done.stdout
    assert "libssl.so.3 (libc6,x86-64) => /lib/x86_64-linux-gnu/libssl.so.3" in done.stdout
    assert "ociassemble" in done.stdout


NAMES = st.from_regex(r"(lib|ld-)[a-z0-9.]{0,8}\.so(\.[0-9]{1,3})?", fullmatch=True)


@given(st.lists(st.tuples(NAMES, NAMES), max_size=8))
def test_any_set_of_libraries_survives(pairs: list[tuple[str, str]]) -> None:
    libraries = [Library(name, f"/lib/{path}", 0x303) for name, path in pairs]
    found = ldcache.decode(ldcache.encode(libraries))

    assert sorted(found) == sorted(libraries)
    for one, other in pairwise(found):
        assert ldcache.compare(one.soname, other.soname) >= 0


@given(st.data())
def test_total_on_changed_caches(data: st.DataObject) -> None:
    changed = bytearray(ldcache.encode(LIBRARIES))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        ldcache.decode(bytes(changed[: data.draw(st.integers(0, len(changed)))]))
