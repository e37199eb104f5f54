"""`login` at a registry that wants a password: Debian's docker-registry, and skopeo with what was kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.failure.scene import Scene, scene_below
from tests.peers import Peer, RegistryServer

pytestmark = pytest.mark.interop
HTPASSWD = "me:$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n"  # of U*U


def login(scene: Scene, password: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ociassemble", "login", *words, "--password-stdin"],
        cwd=scene.root, env=scene.environment, input=password, text=True, capture_output=True, check=False,
    )  # fmt: skip


@pytest.mark.spec("CLI-12")
def test_a_private_registry(
    tmp_path: Path, docker_registry_factory: Callable[..., RegistryServer], skopeo: Peer
) -> None:
    users = tmp_path / "htpasswd"
    users.write_text(HTPASSWD)
    server = docker_registry_factory(extra=f"auth:\n  htpasswd:\n    realm: test\n    path: {users}\n")
    with scene_below(tmp_path / "scene") as scene:
        scene.files(main__py="print(1)\n")
        scene.base()
        name = f"{server.host}/team/app:v1"
        build = ("build", "project", "-q", "-b", "oci:base:v1", "--platform", "linux/amd64", "-t", name, "--push")
        scene.run(*build).failed(5, server.host)
        file = scene.home / ".docker" / "config.json"

        wrong = login(scene, "sesame", server.host, "-u", "me")
        assert wrong.returncode == 5
        assert "does not take this name and password" in wrong.stderr
        assert "sesame" not in wrong.stdout + wrong.stderr
        assert not file.exists()

        right = login(scene, "U*U\n", server.host, "-u", "me")
        assert (right.returncode, right.stdout) == (0, f"logged in to {server.host}\n"), right.stderr
        assert file.stat().st_mode & 0o777 == 0o600
        assert list(json.loads(file.read_text())["auths"]) == [server.host]
        scene.run(*build).worked()
        seen = skopeo("inspect", "--tls-verify=false", "--authfile", str(file), f"docker://{name}")
        assert json.loads(seen.stdout)["Name"] == f"{server.host}/team/app"

        assert scene.run("logout", server.host).worked().out == f"logged out of {server.host}\n"
        assert scene.run("logout", server.host).worked().out == f"not logged in to {server.host}\n"
        scene.run("ls", f"{server.host}/team/app").failed(5, server.host)
