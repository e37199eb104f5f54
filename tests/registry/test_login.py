"""What `login` keeps and `logout` forgets: files of docker's form, and credential helpers."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ociassemble.errors import Error, UsageError
from ociassemble.registry.credentials import Keychain, Sources, standard_sources
from ociassemble.registry.login import forget, keep, place

HELPER = """#!/bin/sh
read -r input
echo "$1 $input" >> {log}
case "$1" in
store) printf '%s' "$input" > {store} ;;
get) [ -f {store} ] && sed 's/"ServerURL"/"Server"/' {store} || {{ echo "credentials not found"; exit 1; }} ;;
erase) rm {store} ;;
esac
"""


@pytest.fixture
def helper(tmp_path: Path) -> Sources:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker-credential-box"
    program.write_text(HELPER.format(log=tmp_path / "log", store=tmp_path / "kept"))
    program.chmod(0o755)
    return Sources(
        files=(tmp_path / "config.json",), path=f"{folder}:/usr/bin:/bin", environment={"PATH": "/usr/bin:/bin"}
    )


def document(file: Path) -> Any:
    return json.loads(file.read_text())


@pytest.mark.spec("CLI-12")
def test_an_entry_is_added_and_the_rest_stays(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config.json"
    sources = Sources(files=(file,))
    assert keep(file, "registry.example:5000", "me", "sesame \u00e4", sources) == str(file)
    first = document(file)
    file.write_text(json.dumps({**first, "psFormat": "table", "HttpHeaders": {"a": "b"}}))
    file.chmod(0o644)
    keep(file, "docker.io", "you", "x:y", sources)

    assert file.stat().st_mode & 0o777 == 0o600
    found = document(file)
    assert found["psFormat"] == "table"
    assert found["HttpHeaders"] == {"a": "b"}
    assert list(found["auths"]) == ["registry.example:5000", "https://index.docker.io/v1/"]
    assert base64.b64decode(found["auths"]["https://index.docker.io/v1/"]["auth"]) == b"you:x:y"
    credential = Keychain(sources).lookup("registry.example:5000")
    assert credential is not None
    assert (credential.username, credential.password) == ("me", "sesame \u00e4")


@pytest.mark.spec("CLI-12")
def test_logging_in_again_leaves_one_entry_and_logging_out_none(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {"https://registry.example/v2/": {"auth": "eDp5"}, "other.example": {}}}))
    sources = Sources(files=(file,))
    keep(file, "registry.example", "me", "sesame", sources)

    assert sorted(document(file)["auths"]) == ["other.example", "registry.example"]
    assert forget(file, "registry.example", sources)
    assert document(file)["auths"] == {"other.example": {}}
    assert not forget(file, "registry.example", sources)


@pytest.mark.spec("CLI-12")
@pytest.mark.parametrize(
    "config", [{"credsStore": "box"}, {"credHelpers": {"registry.example": "box"}, "credsStore": "none"}]
)
def test_a_helper_keeps_it_where_the_file_names_one(helper: Sources, config: dict[str, Any]) -> None:
    file = helper.files[0]
    file.write_text(json.dumps(config))
    kept = keep(file, "registry.example", "me", "sesame", helper)

    assert kept == "docker-credential-box"
    assert "sesame" not in file.read_text()
    assert document(file) == {**config, "auths": {"registry.example": {}}}
    credential = Keychain(helper).lookup("registry.example")
    assert credential is not None
    assert (credential.username, credential.password) == ("me", "sesame")
    assert forget(file, "registry.example", helper)
    assert Keychain(helper).lookup("registry.example") is None
    assert document(file)["auths"] == {}


@pytest.mark.spec("CLI-12")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("{}")
    (tmp_path / "config.json").symlink_to("real")
    keep(tmp_path / "config.json", "registry.example", "me", "sesame", Sources())

    assert (tmp_path / "config.json").is_symlink()
    assert document(tmp_path / "real")["auths"]


@pytest.mark.spec("CLI-12")
@pytest.mark.parametrize(
    "text", ["[]", "{", '{"auths": [1]}', '{"credsStore": "../x"}', '{"credsStore": 5}', '{"credsStore": "gone"}']
)
def test_a_file_that_cannot_be_kept_in_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(Error):
        keep(file, "registry.example", "me", "sesame", Sources(files=(file,), path="/nowhere"))

    assert file.read_text() == text


@pytest.mark.spec("CLI-12")
@pytest.mark.parametrize(("username", "password"), [("", "x"), ("a:b", "x"), ("a", ""), ("a", "x\0")])
def test_names_and_passwords_that_cannot_be(tmp_path: Path, username: str, password: str) -> None:
    with pytest.raises(UsageError):
        keep(tmp_path / "config.json", "registry.example", username, password, Sources())


@pytest.mark.spec("CLI-12")
def test_where_it_is_kept() -> None:
    def where(environment: dict[str, str], authfile: Path | None = None) -> str:
        return str(place(standard_sources(environment, uid=0, authfile=authfile)))

    assert where({"HOME": "/h"}) == "/h/.docker/config.json"
    assert where({"HOME": "/h", "DOCKER_CONFIG": "/d"}) == "/d/config.json"
    assert where({"HOME": "/h", "REGISTRY_AUTH_FILE": "/r/auth.json"}) == "/r/auth.json"
    assert where({"HOME": "/h"}, Path("/a")) == "/a"


def test_logins_at_once_are_all_kept(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    sources = Sources((file,))
    hosts = [f"h{number}.example" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda host: keep(file, host, "me", "sesame", sources), hosts))
        assert sorted(json.loads(file.read_bytes())["auths"]) == sorted(hosts)
        assert all(pool.map(lambda host: forget(file, host, sources), hosts))
    assert json.loads(file.read_bytes())["auths"] == {}
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
