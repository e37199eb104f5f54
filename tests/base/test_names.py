"""The closed table of short names."""

from __future__ import annotations

import pytest

from ociassemble.base.names import ShortNameError, StrictReferenceError, expand, known
from ociassemble.errors import UsageError


@pytest.mark.parametrize(
    ("text", "full", "recipe", "variant"),
    [
        ("distroless/python3", "gcr.io/distroless/python3-debian13:nonroot", "python3", "nonroot"),
        ("distroless/python3:nonroot", "gcr.io/distroless/python3-debian13:nonroot", "python3", "nonroot"),
        ("distroless/static:root", "gcr.io/distroless/static-debian13:latest", "static", "root"),
        ("distroless/nodejs22", "gcr.io/distroless/nodejs22-debian13:nonroot", "nodejs22", "nonroot"),
        ("distroless/nodejs26:root", "gcr.io/distroless/nodejs26-debian13:latest", "nodejs26", "root"),
        ("distroless/nodejs", "gcr.io/distroless/nodejs24-debian13:nonroot", "nodejs24", "nonroot"),
        ("distroless/nodejs:root", "gcr.io/distroless/nodejs24-debian13:latest", "nodejs24", "root"),
        (
            "gcr.io/distroless/nodejs24-debian13:nonroot",
            "gcr.io/distroless/nodejs24-debian13:nonroot",
            "nodejs24",
            "nonroot",
        ),
        ("gcr.io/distroless/nodejs-debian13:nonroot", "gcr.io/distroless/nodejs-debian13:nonroot", "", ""),
        ("distroless/cc:latest", "gcr.io/distroless/cc-debian13:latest", "cc", "root"),
        ("gcr.io/distroless/base-debian13:nonroot", "gcr.io/distroless/base-debian13:nonroot", "base", "nonroot"),
        ("gcr.io/distroless/base-debian13", "gcr.io/distroless/base-debian13:latest", "base", "root"),
        ("gcr.io/distroless/base-debian12", "gcr.io/distroless/base-debian12:latest", "", ""),
        ("gcr.io/distroless/base-debian13:debug", "gcr.io/distroless/base-debian13:debug", "", ""),
        ("registry.example/distroless/base-debian13", "registry.example/distroless/base-debian13:latest", "", ""),
        ("python:3.13-slim", "docker.io/library/python:3.13-slim", "", ""),
        ("docker://python", "docker.io/library/python:latest", "", ""),
        ("oci:folder:tag", "oci:folder:tag", "", ""),
    ],
)
def test_what_names_stand_for(text: str, full: str, recipe: str, variant: str) -> None:
    found = expand(text, overrides={})

    assert (found.written, found.expanded, found.recipe, found.variant) == (text, full, recipe, variant)


def test_a_digest_is_never_stood_in_for() -> None:
    found = expand(f"gcr.io/distroless/base-debian13:nonroot@sha256:{'a' * 64}", overrides={})

    assert found.recipe == ""


@pytest.mark.parametrize("text", ["distroless/java21", "distroless/python3:debug", "distroless/", "distroless/python"])
def test_what_is_not_in_the_table_is_not_guessed(text: str) -> None:
    with pytest.raises(ShortNameError, match="no base image is called") as caught:
        expand(text, overrides={})
    assert "distroless/python3" in caught.value.details[0]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("distroless/pyton3", "distroless/python3"),
        ("distroless/node22", "distroless/nodejs22"),
        ("distroless/nodejs25", "distroless/nodejs2"),
        ("distroless/base-nosl", "distroless/base-nossl"),
        ("distroless/java21", "gcr.io/distroless/java21-debian13:nonroot"),
        ("distroless/python3:debug", "gcr.io/distroless/java21-debian13:nonroot"),
    ],
)
def test_a_name_that_is_mistyped_has_the_nearest_as_hint(text: str, meant: str) -> None:
    with pytest.raises(ShortNameError) as caught:
        expand(text, overrides={})
    assert caught.value.hint is not None
    assert meant in caught.value.hint


def test_settings_have_names_of_their_own_and_theirs_win() -> None:
    overrides = {"distroless/python3": "registry.example/py:1", "ours": "oci:base"}

    assert expand("distroless/python3", overrides=overrides).expanded == "registry.example/py:1"
    assert expand("ours", overrides=overrides).location.path == "base"


def test_strict_references() -> None:
    with pytest.raises(StrictReferenceError) as caught:
        expand("distroless/python3", overrides={}, strict=True)
    assert caught.value.hint == "write `gcr.io/distroless/python3-debian13:nonroot`"
    with pytest.raises(StrictReferenceError):
        expand("ours", overrides={"ours": "registry.example/x"}, strict=True)
    assert expand("gcr.io/distroless/cc-debian13", overrides={}, strict=True).recipe == "cc"


def test_every_known_name_expands_to_what_the_table_says() -> None:
    for short, full in known():
        assert expand(short, overrides={}).expanded == full


def test_what_is_no_reference() -> None:
    with pytest.raises(UsageError):
        expand("UPPER/Case:tag:tag", overrides={})
