"""Requirements files: the table of specs/behaviour/python-kind.md, and the hashes they pin."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ociassemble.formats.package_name import normalised
from ociassemble.kinds.python import requirements
from ociassemble.kinds.python.errors import RequirementsError
from tests.kinds.python import samples
from tests.spec_tables import cases

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def read(tmp_path: Path, text: str, **files: str) -> requirements.Requirements:
    tree = samples.project(
        tmp_path, {"requirements.txt": text, **{f"{name}.txt": body for name, body in files.items()}}
    )
    return requirements.read(tree, "requirements.txt")


@pytest.mark.spec("PY-5", "PY-7", "PY-8")
@pytest.mark.parametrize("case", cases("python-kind.md", "requirements"), ids=lambda case: case["text"])
def test_lines(case: dict[str, str], tmp_path: Path) -> None:
    tree = samples.project(
        tmp_path,
        {
            "requirements.txt": case["text"].replace("\\\\n", "\\\n").replace("\\n", "\n") + "\n",
            "more.txt": "click\n",
            "loop.txt": "-r loop.txt\n",
            "vendor/demo-1.0-py3-none-any.whl": b"",
            "x-1.0.tar.gz": b"",
        },
    )
    outcome, _, what = case["outcome"].partition(" ")
    if outcome == "error":
        with pytest.raises(RequirementsError) as caught:
            requirements.read(tree, "requirements.txt")
        assert what.strip("`") in caught.value.message
        assert caught.value.hint
        return
    found = requirements.read(tree, "requirements.txt")
    if outcome == "needs":
        assert found.names == (() if what == "nothing" else (what,))
    elif outcome == "local":
        assert found.local == ("" if what == "." else what,)
    else:
        assert found.wheels == (what,)


@pytest.mark.spec("PY-6")
def test_hashes_are_collected_by_name(tmp_path: Path) -> None:
    text = (
        f"Flask_X==1 \\\n    --hash=sha256:{B} \\\n    --hash sha256:{A.upper()}\n"
        f"click==8 --hash=sha256:{C}  # why\n"
        f"-e .\n"
    )
    assert read(tmp_path, text).hashes == (("click", (C,)), ("flask-x", (A, B)))


@pytest.mark.spec("PY-6")
def test_a_constraint_narrows_the_hashes_and_counts_alone(tmp_path: Path) -> None:
    limits = f"a==1 --hash=sha256:{A}\nb==1 --hash=sha256:{C}\n"
    found = read(tmp_path, f"-c limits.txt\na==1 --hash=sha256:{A} --hash=sha256:{B}\nb==1\n", limits=limits)
    assert dict(found.hashes) == {"a": (A,), "b": (C,)}
    assert found.names == ("a", "b")


def test_an_error_names_file_line_and_text(tmp_path: Path) -> None:
    with pytest.raises(RequirementsError) as caught:
        read(tmp_path, "flask\n\n# comment\n-r more.txt\n", more="click\n\nx @ git+https://registry.example/x\n")
    assert caught.value.message.startswith("`more.txt` line 3: ")
    assert caught.value.details == ("x @ git+https://registry.example/x",)


def test_files_may_include_a_third_twice(tmp_path: Path) -> None:
    found = read(tmp_path, "-r a.txt\n-r b.txt\n", a="-r c.txt\n", b="-r c.txt\n", c="flask\n")
    assert found.files == ("requirements.txt", "a.txt", "c.txt", "b.txt")


def test_a_long_chain_of_files_is_refused(tmp_path: Path) -> None:
    chain = {f"f{number}": f"-r f{number + 1}.txt\n" for number in range(100)}
    with pytest.raises(RequirementsError, match="include each other"):
        read(tmp_path, "-r f0.txt\n", **chain)


def test_a_byte_order_mark_and_a_missing_last_newline(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffflask\nclick \\").names == ("flask", "click")


NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True)
VERSIONS = st.from_regex(r"( ?== ?[0-9.a*+!]{1,8})?", fullmatch=True)


@pytest.mark.spec("PY-5")
@hypothesis.given(NAMES, VERSIONS)
def test_plain_lines_are_what_packaging_makes_of_them(name: str, version: str) -> None:
    found = requirements._PLAIN.fullmatch(name + version)
    if found is not None:
        assert canonicalize_name(Requirement(name + version).name) == normalised(found[1])
