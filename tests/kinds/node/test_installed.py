"""What of a lock is installed, and what of it is fetched."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ociassemble.kinds.node.entries import parse
from ociassemble.kinds.node.errors import PackageLockError, UnsupportedPackageError
from ociassemble.kinds.node.installed import Target, allows, installed
from ociassemble.kinds.node.lockfile import scripted, wanted
from ociassemble.project.settings import NodeSettings, Settings
from tests.kinds.node import samples
from tests.spec_tables import cases


def laid(text: str, facts: Any = None, *, optional: bool = True) -> list[str]:
    return [
        entry.place for entry in installed(parse(text), Target.of(facts or samples.distroless()), optional=optional)
    ]


@pytest.mark.spec("NODE-7", "NODE-8", "NODE-9", "NODE-10", "NODE-11")
@pytest.mark.parametrize("case", cases("node-kind.md", "installed"), ids=lambda case: case["packages"])
def test_installed(case: dict[str, str]) -> None:
    packages = {f"node_modules/{name}": value for name, value in json.loads(case["packages"]).items()}
    text = samples.lock(packages)
    settings = Settings(node=NodeSettings(omit_optional=case["settings"] == "omit-optional"))
    if case["installed"].startswith("error "):
        with pytest.raises(UnsupportedPackageError) as caught:
            wanted(text, settings, samples.distroless())
        assert caught.value.message == case["installed"].removeprefix("error ")
        assert caught.value.hint and caught.value.details
        return
    found = [item.package for item in wanted(text, settings, samples.distroless())]
    assert found == case["installed"].split()
    assert [place.removeprefix("node_modules/") for place in laid(text, optional=case["settings"] == "-")] == found


@pytest.mark.spec("NODE-7")
@pytest.mark.parametrize(
    ("platform", "libc", "cpu"),
    [
        ("linux/amd64", "glibc", "x64"),
        ("linux/arm64", "glibc", "arm64"),
        ("linux/arm64", "musl", "arm64"),
        ("linux/arm/v7", "glibc", "arm"),
        ("linux/386", "glibc", "ia32"),
        ("linux/ppc64le", "glibc", "ppc64"),
        ("linux/s390x", "glibc", "s390x"),
        ("linux/riscv64", "glibc", "riscv64"),
        ("linux/loong64", "glibc", "loong64"),
    ],
)
def test_each_platform_has_its_own(platform: str, libc: str, cpu: str) -> None:
    assert Target.of(samples.distroless(platform, libc=libc))[:3] == ("linux", cpu, libc)
    ours = {"optional": True, "os": ["linux"], "cpu": [cpu], "libc": [libc]}
    other = {"optional": True, "cpu": ["mips"]}
    text = samples.lock({"node_modules/a": ours, "node_modules/b": other})
    assert laid(text, samples.distroless(platform, libc=libc)) == ["node_modules/a"]


@pytest.mark.spec("NODE-9")
def test_a_base_without_a_c_library_has_nothing_for_one() -> None:
    text = samples.lock({"node_modules/a": {"optional": True, "libc": ["glibc"]}, "node_modules/b": {}})
    assert laid(text, samples.distroless(libc="")) == ["node_modules/b"]


@pytest.mark.spec("NODE-11")
def test_lists_of_platforms() -> None:
    assert allows("linux", ("linux",)) and allows("linux", ("!win32",)) and allows("linux", ())
    assert not allows("linux", ("!linux", "linux")) and not allows("linux", ("darwin", "!win32"))
    assert allows("linux", ("any",)) and not allows("linux", ("any", "darwin"))


@pytest.mark.spec("NODE-7")
def test_npm_omits_nothing_below_folders_that_are_no_workspaces() -> None:
    text = samples.lock(
        {
            "node_modules/local": {"link": True, "resolved": "local", "dev": True},
            "node_modules/ws": {"link": True, "resolved": "packages/ws"},
            "local": {"dev": True},
            "local/node_modules/a": {"dev": True},
            "packages/ws": {},
            "packages/ws/node_modules/a": {"dev": True},
            "packages/ws/node_modules/b": {},
        },
        {"workspaces": ["packages/*"]},
    )
    # The link itself has no `dev`: its folder has.
    assert laid(text) == [
        "node_modules/local",
        "node_modules/ws",
        "local/node_modules/a",
        "packages/ws/node_modules/b",
    ]


@pytest.mark.spec("NODE-14", "NODE-15")
def test_what_is_fetched() -> None:
    text = samples.lock(
        {
            "node_modules/@s/a": {"resolved": "https://registry.example/@s/a/-/a-1.0.0.tgz"},
            "node_modules/@s/a/node_modules/b": {"inBundle": True},
            "node_modules/own": {"inBundle": True, "integrity": samples.integrity("own")},
            "node_modules/lodash3": {"name": "lodash", "version": "3.10.1"},
            "node_modules/local": {"resolved": "file:vendor/local-1.0.0.tgz"},
            "node_modules/ws": {"link": True, "resolved": "packages/ws"},
            "node_modules/none": {"integrity": ""},
            "packages/ws": {"version": "1.0.0"},
            "packages/ws/node_modules/c": {},
        },
        {"workspaces": {"packages": ["packages/ws"]}, "bundleDependencies": ["own"]},
    )
    found = {item.name: item for item in wanted(text, Settings(), samples.distroless())}
    assert list(found) == sorted(found)
    assert set(found) == {
        "node_modules/@s/a",
        "node_modules/own",
        "node_modules/lodash3",
        "node_modules/local",
        "node_modules/none",
        "packages/ws/node_modules/c",
    }
    assert found["node_modules/@s/a"].package == "@s/a"
    assert found["node_modules/@s/a"].url == "https://registry.example/@s/a/-/a-1.0.0.tgz"
    assert found["node_modules/lodash3"][1:3] == ("lodash", "3.10.1")
    assert found["node_modules/local"].url == "file:vendor/local-1.0.0.tgz"
    assert found["node_modules/own"].integrity == samples.integrity("own")
    assert found["node_modules/none"].integrity == "" and found["node_modules/lodash3"].url == ""


@pytest.mark.spec("NODE-15", "NODE-5")
@pytest.mark.parametrize(
    ("resolved", "message"),
    [
        ("git+ssh://git@registry.example/a/b.git#0123", "version control"),
        ("git+https://user:secret@registry.example/a/b.git#0123", "version control"),
        ("git://registry.example/a.git", "version control"),
        ("github:a/b", "version control"),
        ("https://registry.example/a.git#abc", "version control"),
        ("file:../outside.tgz", "outside of the project"),
        ("file:/etc/outside.tgz", "outside of the project"),
        ("file:folder", "folder that npm would pack"),
        ("ftp://registry.example/a.tgz", "not understood"),
        ("a-1.0.0.tgz", "not understood"),
    ],
)
def test_what_cannot_be_fetched_is_named(resolved: str, message: str) -> None:
    text = samples.lock({"node_modules/thing": {"resolved": resolved}})
    with pytest.raises(PackageLockError, match=message) as caught:
        wanted(text, Settings(), samples.distroless())
    assert "thing@1.0.0" in caught.value.message and caught.value.hint
    assert "secret" not in caught.value.message
    # What is not installed need not be fetched.
    text = samples.lock({"node_modules/thing": {"resolved": resolved, "dev": True}})
    assert wanted(text, Settings(), samples.distroless()) == ()


@pytest.mark.spec("NODE-16")
def test_a_package_with_a_lock_of_its_own() -> None:
    tool = {"hasShrinkwrap": True, "dependencies": {"a": "1"}}
    with pytest.raises(PackageLockError, match="a lock of its own, and `a`"):
        wanted(samples.lock({"node_modules/tool": tool}), Settings(), samples.distroless())
    text = samples.lock({"node_modules/tool": tool, "node_modules/tool/node_modules/a": {}})
    assert len(wanted(text, Settings(), samples.distroless())) == 2


@pytest.mark.spec("NODE-23")
def test_whose_tarball_is_looked_into() -> None:
    script = {"hasInstallScript": True}
    text = samples.lock(
        {"node_modules/a": script, "node_modules/b": {}, "node_modules/c": {**script, "optional": True}}
    )
    found = scripted(text, Settings(), samples.distroless())
    assert [(item.package, optional) for item, optional in found] == [("a", False), ("c", True)]
