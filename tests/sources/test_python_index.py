"""Whose indexes are asked, and with which credentials (specs/behaviour/lock.md, LOCK-16 and LOCK-18)."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from ociassemble.sources.index_settings import (
    Index,
    IndexSettingError,
    IndexSettings,
    ask_default,
    complete,
    discover,
)

A, B, C, D = (f"https://{name}.registry.example/simple" for name in "abcd")


def found(tmp_path: Path, environment: dict[str, str] | None = None, **changes: Any) -> IndexSettings:
    """`discover` in a home, a prefix and a project of the test's own; system-wide files are switched off."""
    values: dict[str, Any] = {
        "index_url": None,
        "extra_index_urls": (),
        "find_links": (),
        "environment": {"XDG_CONFIG_DIRS": str(tmp_path / "xdg"), **(environment or {})},
        "home": tmp_path / "home",
        "prefix": tmp_path / "prefix",
        "folder": tmp_path / "project",
        "project": {},
        "read": lambda path: path.read_bytes() if path.is_file() and path.is_relative_to(tmp_path) else None,
    }
    return discover(**{**values, **changes})


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def urls(settings: IndexSettings) -> list[str]:
    return [index.url for index in settings.indexes]


@pytest.mark.spec("LOCK-16")
def test_nobody_named_an_index(tmp_path: Path) -> None:
    settings = found(tmp_path)

    assert settings.by == "default"
    assert settings.needs_default()
    assert urls(settings.with_default(A + "/")) == [A]


@pytest.mark.spec("LOCK-16")
def test_settings_go_before_uv_and_uv_before_pip_each_taken_whole(tmp_path: Path) -> None:
    uv, pip = {"UV_INDEX": B}, {"PIP_INDEX_URL": C, "PIP_EXTRA_INDEX_URL": D}

    assert found(tmp_path, uv | pip, index_url=A).by == "settings"
    assert urls(found(tmp_path, uv | pip, index_url=A)) == [A]
    assert found(tmp_path, uv | pip).by == "uv"
    assert urls(found(tmp_path, uv | pip)) == [B]
    assert found(tmp_path, uv | pip).needs_default()
    assert found(tmp_path, pip).by == "pip"
    assert urls(found(tmp_path, pip)) == [C, D]  # pip prefers none; ours goes by the list


@pytest.mark.spec("LOCK-16")
def test_uv_reads_environment_then_project_then_user_then_system(tmp_path: Path) -> None:
    write(tmp_path / "home/.config/uv/uv.toml", f'extra-index-url = ["{C}"]\nindex-url = "{D}"\n')
    write(tmp_path / "xdg/uv/uv.toml", f'[pip]\nextra-index-url = ["{D}/system"]\n')
    project = {
        "pyproject.toml": f'[[tool.uv.index]]\nname = "b"\nurl = "{B}"\n[tool.uv]\nfind-links = ["wheels"]\n'.encode()
    }
    settings = found(tmp_path, {"UV_INDEX": f"first={A}"}, project=project)

    assert urls(settings) == [A, B, C, D + "/system", D]  # uv searches the default last
    assert settings.find_links == (str(tmp_path / "project/wheels"),)
    assert not settings.merged


@pytest.mark.spec("LOCK-16")
def test_uv_toml_beside_pyproject_is_read_in_its_place(tmp_path: Path) -> None:
    project = {
        "pyproject.toml": f'[tool.uv]\nindex-url = "{A}"\n'.encode(),
        "uv.toml": f'[[index]]\nurl = "{B}"\ndefault = true\n[[index]]\nurl = "flat"\nformat = "flat"\n'.encode(),
    }
    settings = found(tmp_path, project=project)

    assert urls(settings) == [B]
    assert settings.find_links == (str(tmp_path / "project/flat"),)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"UV_NO_CONFIG": "1"}, []),
        ({"UV_CONFIG_FILE": "other.toml"}, [B]),
        ({"UV_DEFAULT_INDEX": C}, [C]),
        ({"UV_INDEX_URL": C, "UV_EXTRA_INDEX_URL": f"{A} {B}"}, [A, B, C]),
        ({"UV_NO_INDEX": "1", "UV_INDEX": A}, []),
    ],
)
@pytest.mark.spec("LOCK-16")
def test_uvs_environment(tmp_path: Path, environment: dict[str, str], expected: list[str]) -> None:
    write(tmp_path / "home/.config/uv/uv.toml", f'index-url = "{A}"\n')
    write(tmp_path / "project/other.toml", f'index-url = "{B}"\n')

    assert urls(found(tmp_path, environment)) == expected


@pytest.mark.spec("LOCK-16")
def test_options_of_a_requirements_file_count_as_uvs(tmp_path: Path) -> None:
    text = (
        f"# x\n-i {A}\n--extra-index-url=https://me:${{TOKEN}}@b.registry.example/simple\n-f links\nflask  # -i {C}\n"
    )
    settings = found(tmp_path, {"TOKEN": "secret"}, project={"requirements.txt": text.encode()})

    assert settings.by == "uv"
    assert urls(settings) == [B, A]
    assert settings.indexes[0].userinfo == "me:secret"
    assert settings.find_links == (str(tmp_path / "project/links"),)


@pytest.mark.spec("LOCK-16")
def test_pips_files_by_importance_each_key_replaced_whole(tmp_path: Path) -> None:
    write(tmp_path / "xdg/pip/pip.conf", f"[global]\nindex-url = {A}\nextra-index-url = {B}\n  {C}\nno_index = no\n")
    write(tmp_path / "home/.config/pip/pip.conf", f"[global]\nextra_index_url = {D}\n[list]\nformat = columns\n")
    write(tmp_path / "prefix/pip.conf", f"[install]\nfind-links = {tmp_path}/one\n    file:///two%20three\n")
    settings = found(tmp_path)

    assert settings.by == "pip"
    assert urls(settings) == [A, D]
    assert settings.find_links == (f"{tmp_path}/one", "/two three")
    assert settings.merged
    assert urls(found(tmp_path, {"PIP_EXTRA_INDEX_URL": B})) == [A, B]
    assert found(tmp_path, {"PIP_CONFIG_FILE": "/dev/null"}).by == "default"
    assert found(tmp_path, {"PIP_NO_INDEX": "true"}).indexes == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("home/.config/uv/uv.toml", "index-url = ["),
        ("home/.config/uv/uv.toml", 'index-url = "ftp://registry.example/"'),
        ("home/.config/uv/uv.toml", 'index-url = "https://[::1/simple"'),
        ("home/.config/pip/pip.conf", "index-url = no section"),
        ("home/.config/pip/pip.conf", "[global]\nindex-url = http://registry.example:port/"),
    ],
)
def test_files_that_make_no_sense_are_errors_of_the_user(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path / name, text)

    with pytest.raises(IndexSettingError) as caught:
        found(tmp_path)

    assert caught.value.exit_code == 2


@pytest.mark.spec("LOCK-18")
def test_credentials_go_to_their_own_origin_only(tmp_path: Path) -> None:
    write(
        tmp_path / "home/.netrc",
        "machine d.registry.example login you password p%w\nmachine c.registry.example login x\n",
    )
    environment = {
        "UV_INDEX": f"corp-1={B} https://me:pass%40word@a.registry.example:8443/simple",
        "UV_INDEX_CORP_1_USERNAME": "u@corp",
        "UV_INDEX_CORP_1_PASSWORD": "s/cret",
    }
    settings = found(tmp_path, environment)

    assert settings.authorised(f"{B}/flask/") == "https://u%40corp:s%2Fcret@b.registry.example/simple/flask/"
    assert settings.authorised("https://a.registry.example:8443/f.whl").startswith("https://me:pass%40word@")
    assert settings.authorised(f"{D}/x") == "https://you:p%25w@d.registry.example/simple/x"
    for other in (
        "https://a.registry.example/f.whl",  # another port
        "http://b.registry.example/f.whl",  # another scheme
        "http://d.registry.example/f.whl",  # netrc names hosts; not in clear
        "https://b.registry.example.evil.example/f.whl",
        "https://e.registry.example/f.whl",
        "not a url",
    ):
        assert settings.authorised(other) == other


@pytest.mark.spec("LOCK-18")
def test_credentials_are_in_no_text_of_the_values(tmp_path: Path) -> None:
    settings = found(tmp_path, {"UV_DEFAULT_INDEX": "https://me:hunter2@a.registry.example/simple"})

    assert "hunter2" not in repr(settings)
    assert urls(settings) == [A]
    assert "hunter2" in settings.secrets()
    assert "hunter2" in settings.indexes[0].secret_url


def test_a_path_is_an_index_of_this_machine(tmp_path: Path) -> None:
    index = Index.parse("simple dir", tmp_path)

    assert index.url == (tmp_path / "simple dir").as_uri()
    assert index.origin is None


def _tool(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.spec("LOCK-16")
def test_the_installed_uv_is_asked_for_its_default(tmp_path: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    if not uv.exists():
        pytest.skip("uv is not installed beside this Python")
    python, environment = Path(sys.executable), dict(os.environ)

    for tool in (str(uv), None):  # None: pip tells, which is beside this Python too
        assert ask_default(tool, python=python, environment=environment, folder=tmp_path).startswith("https://")


@pytest.mark.spec("LOCK-16")
def test_without_uv_pip_is_asked_and_its_environment_does_not_answer(tmp_path: Path) -> None:
    help = f"  -i, --index-url <url>  Base URL of the Package Index (default\\n     {A}). This should\\n"
    _tool(tmp_path, "pip", f'test -z "$PIP_INDEX_URL" && printf "{help}"')
    python = _tool(tmp_path, "python", "exit 1")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PIP_INDEX_URL": B}

    assert ask_default(None, python=python, environment=environment, folder=tmp_path) == A
    asked = complete(IndexSettings(extra=(Index(B),), by="uv"), None, python=python, environment=environment)
    assert urls(asked) == [B, A]


@pytest.mark.spec("LOCK-16")
def test_nobody_to_ask_is_an_error_with_a_hint(tmp_path: Path) -> None:
    python = _tool(tmp_path, "python", "exit 1")

    with pytest.raises(IndexSettingError, match="no package index") as caught:
        ask_default(None, python=python, environment={"PATH": str(tmp_path / "no")}, folder=tmp_path)

    assert caught.value.hint
