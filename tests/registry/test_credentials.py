"""Credentials as docker and podman file them, and files that are broken."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import Error
from ociassemble.registry.credentials import (
    Credential,
    CredentialHelperError,
    CredentialsFileError,
    Keychain,
    Sources,
    standard_sources,
)


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def keychain(tmp_path: Path, document: Any, **more: Any) -> Keychain:
    file = tmp_path / "config.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return Keychain(Sources((file,), **more))


def found(keys: Keychain, host: str, repository: str = "") -> tuple[str, str] | None:
    credential = keys.lookup(host, repository)
    return (credential.username, credential.password) if credential else None


@pytest.mark.parametrize(
    "key",
    [
        "https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io", "https://docker.io/v2/",
        "http://index.docker.io/v1",
    ],
)  # fmt: skip
def test_docker_hub_has_many_names(tmp_path: Path, key: str) -> None:
    assert found(keychain(tmp_path, {"auths": {key: auth("u:p")}}), "docker.io", "library/x") == ("u", "p")


@pytest.mark.parametrize("key", ["r.example:5000", "https://r.example:5000", "https://R.example:5000/v2/"])
def test_hosts_are_found_however_they_are_filed(tmp_path: Path, key: str) -> None:
    keys = keychain(tmp_path, {"auths": {key: auth("u:p:q\0\0")}})
    assert found(keys, "r.example:5000") == ("u", "p:q")
    assert found(keys, "r.example") is None
    assert found(keys, "r.example:5001") is None
    assert found(keys, "evil.example") is None


def test_the_most_specific_entry_counts(tmp_path: Path) -> None:
    keys = keychain(
        tmp_path, {"auths": {"h.example": auth("host:1"), "h.example/a": auth("a:2"), "h.example/a/b": auth("b:3")}}
    )
    assert found(keys, "h.example", "x") == ("host", "1")
    assert found(keys, "h.example", "a/x") == ("a", "2")
    assert found(keys, "h.example", "a/b") == ("b", "3")
    assert found(keys, "h.example", "ab") == ("host", "1")


def test_kinds_of_entries(tmp_path: Path) -> None:
    entries = {
        "a.example": {"username": "u", "password": "p"},
        "b.example": {"identitytoken": "idt", **auth("u:")},
        "c.example": {"registrytoken": "rt"},
        "d.example": {},
        "e.example": {"auth": base64.b64encode(b"u:p").decode().rstrip("=") + "\n"},
        "f.example": auth("\u00fc:\u00e4"),
    }
    keys = keychain(tmp_path, {"auths": entries, "HttpHeaders": {}, "psFormat": 7})
    assert found(keys, "a.example") == ("u", "p")
    assert (keys.lookup("b.example") or Credential(source="")).identity_token == "idt"
    assert (keys.lookup("c.example") or Credential(source="")).registry_token == "rt"
    assert keys.lookup("d.example") is None
    assert found(keys, "e.example") == ("u", "p")
    umlaut = keys.lookup("f.example")
    assert umlaut is not None
    assert base64.b64decode(umlaut.basic.removeprefix("Basic ")) == "\u00fc:\u00e4".encode()


def test_secrets_are_not_shown() -> None:
    credential = Credential(
        source="s", username="u", password="canary", identity_token="canary", registry_token="canary"
    )
    assert "canary" not in repr(credential)


@pytest.mark.parametrize("text", ["", "{}", " \n", '{"auths": null, "credHelpers": null}', "\ufeff{}"])
def test_empty_files_hold_nothing(tmp_path: Path, text: str) -> None:
    assert found(keychain(tmp_path, text), "h.example") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "line 1"),
        ("[]", "not a JSON object"),
        ("\x00", "not JSON"),
        ('{"auths": []}' + " " * 0, ""),
        ('{"auths": [1]}', "`auths` is not an object"),
        ('{"auths": {"h.example": 1}}', "not an object"),
        ('{"auths": {"h.example": {"auth": 1}}}', "else than text"),
        ('{"auths": {"h.example": {"auth": "!"}}}', "not base64"),
        ('{"auths": {"h.example": {"auth": "YWJj"}}}', "not base64"),
        ('{"credHelpers": {"h.example": "../x"}}', "no name"),
        ('{"credsStore": 5}', "no name"),
        ("[" * 100_000, "not JSON"),
        (" " * (1 << 20) + " {}", "too large"),
    ],
    ids=lambda text: str(text)[:30],
)
def test_broken_files_are_named(tmp_path: Path, text: str, why: str) -> None:
    keys = keychain(tmp_path, text)
    if not why:
        assert keys.lookup("h.example") is None
        return
    with pytest.raises(CredentialsFileError, match=why) as caught:
        keys.lookup("h.example")
    assert str(tmp_path) in str(caught.value)
    assert caught.value.exit_code == 5


def test_a_missing_file_matters_only_where_it_was_asked_for(tmp_path: Path) -> None:
    assert Keychain(Sources((tmp_path / "no",))).lookup("h.example") is None
    with pytest.raises(CredentialsFileError, match="no file"):
        Keychain(Sources((tmp_path / "no",), required=True)).lookup("h.example")
    (tmp_path / "folder").mkdir()
    told: list[str] = []
    assert Keychain(Sources((tmp_path / "folder",)), warn=told.append).lookup("h.example") is None
    assert "left out" in told[0]


def test_the_first_file_that_knows_the_host_decides(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_text(json.dumps({"auths": {"a.example": auth("first:1")}}))
    second.write_text(json.dumps({"auths": {"a.example": auth("second:2"), "b.example": auth("second:2")}}))
    inline = json.dumps({"auths": {"c.example": auth("inline:3")}})
    keys = Keychain(Sources((first, second), inline=inline))
    assert [found(keys, host) for host in ("a.example", "b.example", "c.example")] == [
        ("first", "1"), ("second", "2"), ("inline", "3"),
    ]  # fmt: skip


def test_an_explicit_credential_is_for_its_host_alone(tmp_path: Path) -> None:
    keys = Keychain(explicit={"index.docker.io": Credential(source="--username", username="u", password="p")})
    assert found(keys, "docker.io") == ("u", "p")
    assert keys.lookup("ghcr.io") is None


def test_where_the_files_are() -> None:
    assert standard_sources({"HOME": "/h", "PATH": "/b"}, uid=7).files == (
        Path("/h/.docker/config.json"), Path("/run/containers/7/auth.json"), Path("/h/.config/containers/auth.json"),
    )  # fmt: skip
    environment = {"HOME": "/h", "DOCKER_CONFIG": "/d", "XDG_RUNTIME_DIR": "/r", "XDG_CONFIG_HOME": "/c"}
    assert standard_sources(environment, uid=7).files == (
        Path("/d/config.json"), Path("/r/containers/auth.json"), Path("/c/containers/auth.json"),
    )  # fmt: skip
    named = standard_sources({**environment, "REGISTRY_AUTH_FILE": "/a"}, uid=7)
    assert (named.files, named.required) == ((Path("/a"),), False)
    asked = standard_sources({**environment, "REGISTRY_AUTH_FILE": "/a"}, uid=7, authfile=Path("/f"))
    assert (asked.files, asked.required) == ((Path("/f"),), True)
    assert standard_sources({}, uid=7).files == (Path("/run/containers/7/auth.json"),)


# --- helpers --------------------------------------------------------------------------------------------------

HELPER = """#!/bin/sh
read server
echo "$1 $server" >> "$LOG"
case "$server" in
  https://index.docker.io/v1/) echo '{"ServerURL":"x","Username":"hub","Secret":"s"}' ;;
  token.example) echo '{"Username":"<token>","Secret":"idt"}' ;;
  none.example) echo 'credentials not found in native keychain'; exit 1 ;;
  broken.example) echo 'canary-secret' >&2; exit 2 ;;
  garbage.example) echo 'nonsense' ;;
  *) echo '{"Username":"u","Secret":"s"}' ;;
esac
"""


@pytest.fixture
def helper(tmp_path: Path) -> dict[str, Any]:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker-credential-test"
    program.write_text(HELPER)
    program.chmod(0o755)
    path = f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin"
    return {"path": path, "environment": {"PATH": path, "LOG": str(tmp_path / "log")}}


def test_helpers(tmp_path: Path, helper: dict[str, Any]) -> None:
    keys = keychain(
        tmp_path, {"credsStore": "test", "auths": {"none.example": auth("file:1"), "h.example": {}}}, **helper
    )
    assert found(keys, "docker.io", "library/x") == ("hub", "s")
    assert found(keys, "h.example") == ("u", "s")
    assert found(keys, "none.example") == ("file", "1")
    assert (keys.lookup("token.example") or Credential(source="")).identity_token == "idt"
    assert found(keys, "h.example") == ("u", "s")
    asked = (tmp_path / "log").read_text().splitlines()
    assert asked.count("get h.example") == 1


def test_a_helper_of_the_host_goes_before_the_store(tmp_path: Path, helper: dict[str, Any]) -> None:
    keys = keychain(tmp_path, {"credsStore": "missing", "credHelpers": {"h.example": "test"}}, **helper)
    assert found(keys, "h.example") == ("u", "s")
    with pytest.raises(CredentialHelperError, match="docker-credential-missing") as caught:
        keys.lookup("other.example")
    assert (caught.value.exit_code, "install" in (caught.value.hint or "")) == (10, True)


@pytest.mark.parametrize("host", ["broken.example", "garbage.example"])
def test_a_helper_that_fails_is_an_error_without_its_output(tmp_path: Path, helper: dict[str, Any], host: str) -> None:
    keys = keychain(tmp_path, {"credsStore": "test", "auths": {host: auth("file:1")}}, **helper)
    with pytest.raises(CredentialHelperError) as caught:
        keys.lookup(host)
    assert "canary" not in f"{caught.value} {caught.value.details} {caught.value.hint}"


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["auths", "credHelpers", "h.example", "auth", "username", "x"]), inner, max_size=3), max_leaves=8))  # fmt: skip  # noqa: E501
def test_lookup_is_total(document: Any) -> None:
    try:
        Keychain(Sources(inline=json.dumps(document))).lookup("h.example", "a/b")
    except Error as error:
        assert error.code in ("auth.credentials-file", "tool.credential-helper")
