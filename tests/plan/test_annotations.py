"""Which annotations go to the manifest and which to the index: the table of specs/behaviour/config-merge.md."""

from __future__ import annotations

import json

import pytest

from ociassemble.plan.annotations import AnnotationError, annotations_of, index_only
from tests.spec_tables import cases


@pytest.mark.spec("MERGE-10", "MERGE-11")
@pytest.mark.parametrize("level", ["manifest", "index"])
@pytest.mark.parametrize("case", cases("config-merge.md", "annotations"), ids=str)
def test_annotations(case: dict[str, str], level: str) -> None:
    stated, described = json.loads(case["stated"]), json.loads(case["described"])
    if case[level] == "error":
        with pytest.raises(AnnotationError):
            annotations_of(stated, described, level)
        return
    assert annotations_of(stated, described, level) == json.loads(case[level])


@pytest.mark.spec("MERGE-10")
def test_what_only_an_index_could_have() -> None:
    assert index_only({"index:a": "1", "index,manifest:b": "2", "c": "3", "index:d": None}) == ("index:a",)
