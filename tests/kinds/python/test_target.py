"""Tags and markers come from the base alone: the table of specs/behaviour/python-kind.md, and their order."""

from __future__ import annotations

import pytest
from packaging.utils import parse_wheel_filename

from ociassemble.kinds.python import target
from ociassemble.kinds.python.errors import NoPythonError
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts
from tests.kinds.python import samples
from tests.spec_tables import cases


def base(text: str) -> BaseFacts:
    libc, version, architecture, minor = text.split()
    return BaseFacts(
        platform=Platform.parse(f"linux/{architecture}"),
        libc=libc,
        libc_version="" if version == "?" else version,
        python=samples.python(minor.removesuffix("t"), free_threaded=minor.endswith("t")),
    )


@pytest.mark.spec("PY-9")
@pytest.mark.parametrize("case", cases("python-kind.md", "tags"), ids=lambda case: f"{case['base']} {case['wheel']}")
def test_what_fits(case: dict[str, str]) -> None:
    tags = parse_wheel_filename(case["wheel"])[3]
    assert bool(tags & set(target.tags(base(case["base"])))) == (case["fits"] == "yes")


@pytest.mark.parametrize("where", ["libc_version", "python"])
def test_a_version_without_an_end_is_unknown(where: str) -> None:
    endless = "2." + "9" * 5000
    facts = samples.distroless()
    found = (
        facts._replace(python=samples.python(endless)) if where == "python" else facts._replace(libc_version=endless)
    )
    assert isinstance(target.tags(found), tuple)


@pytest.mark.spec("PY-9")
def test_newest_c_library_first_and_old_names_in_their_place() -> None:
    tags = target.platform_tags(samples.distroless())
    assert tags[:2] == ("manylinux_2_41_x86_64", "manylinux_2_40_x86_64")
    at = tags.index("manylinux_2_17_x86_64")
    assert tags[at : at + 3] == ("manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_16_x86_64")
    assert tags[-2:] == ("manylinux1_x86_64", "linux_x86_64")
    assert target.platform_tags(samples.alpine()) == (
        "musllinux_1_2_aarch64",
        "musllinux_1_1_aarch64",
        "musllinux_1_0_aarch64",
        "linux_aarch64",
    )


def test_the_ladder_agrees_with_packaging_on_a_host_like_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    from packaging import _manylinux

    monkeypatch.setattr(_manylinux, "_get_glibc_version", lambda: (2, 41))
    monkeypatch.setattr(_manylinux, "_have_compatible_abi", lambda *_: True)
    monkeypatch.setattr(_manylinux, "_is_compatible", lambda *_: True)
    for platform, machine in (("linux/amd64", "x86_64"), ("linux/arm64", "aarch64")):
        theirs = tuple(_manylinux.platform_tags([machine]))
        assert target.platform_tags(samples.distroless(platform)) == (*theirs, f"linux_{machine}")


@pytest.mark.spec("PY-10")
def test_markers_are_the_bases() -> None:
    facts = samples.distroless("linux/arm64")
    markers = target.environment(facts)
    assert len(markers) == 11
    assert markers["python_version"] == "3.13" and markers["python_full_version"] == "3.13.5"
    assert markers["platform_machine"] == "aarch64" and markers["sys_platform"] == "linux"
    vague = facts._replace(python=samples.python(version=""))
    assert target.accepts(">=3.13.4", vague) and not target.accepts(">=3.14", vague)
    assert not target.accepts("nonsense", facts)


def test_a_base_without_python() -> None:
    with pytest.raises(NoPythonError, match="no Python") as caught:
        target.tags(samples.distroless()._replace(python=None))
    assert "--base" in (caught.value.hint or "")
