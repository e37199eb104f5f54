"""The guard on any bytes: total, silent about what it found, and unmoved by what stands around it."""

from __future__ import annotations

import io
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.project.secrets import Guard, judge
from tests.project.planted import PLANTED, Planted, checked, tarred, zipped

TOKENS = [planted for planted in PLANTED if planted.form == "text" and planted.text.count("@") == 1]


def verdict(path: str, data: bytes) -> list[str]:
    guard = Guard(path)
    for at in range(0, len(data), 1 << 16):
        guard.feed(data[at : at + (1 << 16)])
    found = guard.finish(lambda: io.BytesIO(data))
    return [*map(str, judge(path, "digest", found)), *found.notes]


@settings(max_examples=150)
@given(st.sampled_from(["a.py", "a.json", "a.zip", "a.tar.gz", ".npmrc", "a.pem", "a.so"]), st.binary(max_size=3000))
def test_total_on_any_bytes(path: str, data: bytes) -> None:
    for line in verdict(path, data):
        assert line.startswith(("`", "only", "the archive")) or "encrypted" in line


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.sampled_from(["zip", "tar", "gz"]), st.integers(1, 6))
def test_total_on_damaged_archives(seed: int, form: str, changes: int) -> None:
    lot = random.Random(seed)
    text = lot.randbytes(40).hex().encode()
    whole = zipped("a.txt", text) if form == "zip" else tarred("a.txt", text, "w" if form == "tar" else "w:gz")
    data = bytearray(whole)
    for _ in range(changes):
        data[lot.randrange(len(data))] = lot.randrange(256)
    verdict(f"a.{form}", bytes(data[: lot.randrange(len(data))] if seed % 3 == 0 else data))


@settings(max_examples=100)
@given(st.sampled_from(TOKENS), st.text("abc \n;,=(){}", max_size=200), st.text("abc \n;,=(){}", max_size=200))
def test_nothing_of_a_secret_is_told(one: Planted, before: str, after: str) -> None:

    data = (before + "\n" + one.text.replace("@", one.secret, 1) + "\n" + after).encode()
    for line in verdict(one.path, data):
        secret = one.secret
        assert not any(secret[at : at + 8] in line for at in range(6, len(secret) - 8)), line


@settings(max_examples=100)
@given(st.text("abc \n;,=(){}'\"", max_size=300), st.integers(0, 2**32))
def test_the_fingerprint_does_not_depend_on_what_stands_around(around: str, seed: int) -> None:
    token = checked("gh" + "p_")(random.Random(seed))
    (alone,) = verdict("a.txt", token.encode())
    (within,) = verdict("a.txt", f"{around}\n{token}\n{around}".encode())
    assert alone.rpartition(" ")[2] == within.rpartition(" ")[2]
    assert within.startswith(f"`a.txt:{around.count(chr(10)) + 2}`: github-token (")
