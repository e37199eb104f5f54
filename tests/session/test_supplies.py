"""What a build asks the user's own tools for, and how often."""

from __future__ import annotations

import os
from pathlib import Path

from ociassemble.progress import Progress
from ociassemble.session import Session
from ociassemble.session.environment import Environment, Options
from ociassemble.session.supplies import Supplies
from ociassemble.sources.npm import Tarball


def test_npm_is_asked_once_for_its_registry(tmp_path: Path) -> None:
    tools, asked = tmp_path / "bin", tmp_path / "asked"
    tools.mkdir()
    npm = tools / "npm"
    npm.write_text(f"#!/bin/sh\necho once >> {asked}\necho https://registry.example/\n")
    npm.chmod(0o755)
    variables = {"PATH": f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    environment = Environment(variables=variables, home=tmp_path, folder=tmp_path, python=tmp_path, prefix=tmp_path)
    session = Session(environment, Options(), Progress(lambda event: None))

    registries = Supplies(session)._registries(tmp_path)
    assert not asked.exists()  # nobody asks before a package is missing
    urls = [registries.urls(Tarball(name, "1.0.0", "sha512-AA==", "")) for name in ("a", "b", "c")]

    assert urls == [(f"https://registry.example/{name}/-/{name}-1.0.0.tgz",) for name in ("a", "b", "c")]
    assert asked.read_text() == "once\n"
