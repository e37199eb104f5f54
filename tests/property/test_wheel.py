"""Wheels at random: parsers are total, and no byte of a wheel can change without being seen."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import Error, FormatError, IntegrityError
from ociassemble.layer import _wheel_metadata as metadata
from ociassemble.layer import _wheel_record as record
from ociassemble.layer import _wheel_scripts as scripts
from ociassemble.layer.wheel import wheel_name
from tests.layer.wheel_builder import DATA, INFO, everything, wheel

GOOD = wheel(
    {
        "pkg/x.py": b"x = 1\n" * 20,
        f"{DATA}/scripts/tool": b"#!python\nprint(1)\n",
        f"{DATA}/data/share/x": b"data",
        f"{INFO}/entry_points.txt": b"[console_scripts]\nfoo = pkg.x:main\n",
    }
)
TRUTH = everything(GOOD)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_is_seen_or_changes_nothing(place: int, change: int) -> None:
    data = GOOD[:place] + bytes([GOOD[place] ^ change]) + GOOD[place + 1 :]
    with contextlib.suppress(IntegrityError):
        assert everything(data) == TRUTH


@given(st.binary(max_size=200) | st.text(alphabet='ab/.,="\r\n%-0', max_size=80).map(str.encode))
def test_record_is_read_totally(data: bytes) -> None:
    with contextlib.suppress(record.RecordError):
        for path, row in record.parse(data, "the wheel").items():
            assert not path.startswith("/") and ".." not in path.split("/") and row.path == path


@given(
    st.lists(st.tuples(st.text(max_size=8), st.sampled_from(["", "abc"]), st.none() | st.integers(0, 9)), max_size=5)
)
def test_records_survive_a_round(fields: list[tuple[str, str, int | None]]) -> None:
    rows = {path: record.Row(path, "sha256" if told else "", told, size) for path, told, size in fields}
    text = record.render(rows.values())
    with contextlib.suppress(record.RecordError):  # names that are no paths
        assert record.parse(text, "x") == rows


@given(st.text(alphabet="[]console_scripts=\n a:.;#'()", max_size=60) | st.text(max_size=40))
def test_entry_points_are_read_totally_and_make_programs(text: str) -> None:
    with contextlib.suppress(scripts.EntryPointError):
        for point in scripts.parse(f"[console_scripts]\n{text}".encode(), "the wheel"):
            program = scripts.launcher(point, "/usr/bin/python3").decode()
            tree = compile(program, point.name, "exec", dont_inherit=True)
            assert set(tree.co_names) <= {
                "sys", "__name__", "exit", *point.module.split("."), *point.attribute.split("."), point.module,
            }  # fmt: skip


@given(st.binary(max_size=60), st.sampled_from([b"", b"#!python", b"#!pythonw -x "]))
def test_scripts_keep_all_but_their_first_line(rest: bytes, start: bytes) -> None:
    script = start + rest
    found = scripts.rewritten(script, "/usr/bin/python3") if len(rest) < 50 else script
    if scripts.has_placeholder(script) and found is not script:
        assert found.startswith(b"#!/usr/bin/python3")
        assert found.partition(b"\n")[2] == script.partition(b"\n")[2]
    else:
        assert found == script


@given(st.binary(max_size=100))
def test_metadata_is_read_totally(data: bytes) -> None:
    expected = metadata.wheel_name("a-1-py3-none-any.whl")
    with contextlib.suppress(record.WheelError):
        metadata.check_format(b"Wheel-Version:" + data, "the wheel")
    with contextlib.suppress(record.WheelError):
        metadata.check_identity(b"Name: a\nVersion: " + data, expected, "the wheel")


@given(st.text(max_size=40) | st.from_regex(r"[\w.]{1,5}-[\w.!+]{1,5}(-[\w.]{1,4}){3,4}\.whl", fullmatch=True))
def test_wheel_names_are_read_totally(text: str) -> None:
    with contextlib.suppress(FormatError, Error):
        found = wheel_name(text)
        assert found.name and found.version and found.tags


def test_the_truth_is_one() -> None:
    assert everything(GOOD) == TRUTH and len(TRUTH) == 9
