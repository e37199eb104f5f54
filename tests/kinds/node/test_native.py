"""Which packages must be compiled, by what their tarballs hold."""

from __future__ import annotations

from typing import Any

import pytest

from ociassemble.kinds.node import native


@pytest.mark.spec("NODE-23")
@pytest.mark.parametrize(
    ("names", "manifest", "why"),
    [
        (["binding.gyp", "index.js"], {}, "it has a `binding.gyp`"),
        (["index.js"], {"scripts": {"install": "node-gyp rebuild"}}, "calls `node-gyp`"),
        (
            ["x.js"],
            {"scripts": {"install": "prebuild-install || node-gyp rebuild --release"}},
            "calls `prebuild-install`",
        ),
        (["x.js"], {"scripts": {"install": "node-pre-gyp install --fallback-to-build"}}, "calls `node-pre-gyp`"),
        (["x.js"], {"scripts": {"postinstall": "cd src && cmake-js compile"}}, "calls `cmake-js`"),
        (["binding.gyp", "prebuilds/darwin-x64/a.node"], {}, "no `.node` file for x64"),
        (["binding.gyp", "prebuilds/linux-arm64/a.node"], {}, "no `.node` file for x64"),
    ],
)
def test_what_must_be_compiled(names: list[str], manifest: dict[str, Any], why: str) -> None:
    found = native.problem("thing", "1.0.0", names, manifest, cpu="x64")
    assert found is not None and found.startswith("`thing@1.0.0` is an addon that must be compiled")
    assert why in found


@pytest.mark.spec("NODE-23")
@pytest.mark.parametrize(
    ("names", "manifest"),
    [
        (["index.js"], {}),
        (["index.js"], {"scripts": {"postinstall": "node install.js"}}),
        (["index.js"], {"scripts": {"install": "echo node-gypsy", "postinstall": "napi-postinstall x 1 check"}}),
        (["index.js"], {"scripts": {"build": "node-gyp rebuild"}}),
        (["index.js"], {"scripts": ["node-gyp rebuild"]}),
        (["index.js"], {"scripts": {"install": 1}}),
        (["binding.gyp"], {"gypfile": False}),
        (["deps/binding.gyp"], {}),
        (["binding.gyp", "build/Release/a.node"], {}),
        (["binding.gyp", "a.wasm"], {}),
        (["binding.gyp", "prebuilds/linux-x64/a.glibc.node"], {"scripts": {"install": "node-gyp-build"}}),
        (["binding.gyp", "prebuilds/linux-x64+arm64/a.node"], {"scripts": {"install": "node-gyp-build"}}),
    ],
)
def test_what_works_as_it_is(names: list[str], manifest: dict[str, Any]) -> None:
    assert native.problem("thing", "1.0.0", names, manifest, cpu="x64") is None


def test_without_a_processor_any_will_do() -> None:
    names = ["binding.gyp", "prebuilds/darwin-arm64/a.node"]
    assert native.problem("thing", "1.0.0", names, {}) is None
