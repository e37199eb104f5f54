"""uv run for real, on copies, without a network (LOCK-11 to LOCK-15, LOCK-20); one test asks the configured index."""

from __future__ import annotations

import base64
import io
import os
import sys
import tarfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ociassemble._run import ToolMissingError
from ociassemble.errors import Error, ProjectError
from ociassemble.kinds.protocol import ResolveRequest
from ociassemble.kinds.python.errors import NoWheelError
from ociassemble.lock import uv as uv_tool
from ociassemble.lock.drift import UvLockStaleError
from ociassemble.lock.resolve import UnsupportedInputError, Upgrade, resolve
from ociassemble.lock.uv import (
    BuildForbiddenError,
    IndexAuthError,
    IndexNetworkError,
    ResolverInputError,
    ResolverOfflineError,
    UnresolvableError,
)
from ociassemble.net.trust import Trust
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.progress import Event, Note, Progress
from ociassemble.sources.index_settings import Index, IndexSettings
from tests.net.scripted import Answer, ScriptedServer
from tests.sources.wheels import put, wheel

PYTHON, PREFIX = Path(sys.executable), Path(sys.prefix)
UV = uv_tool.find(environment={}, prefix=PREFIX, python=PYTHON)
needs_uv = pytest.mark.skipif(UV is None, reason="uv is not installed beside this Python")
pytestmark = pytest.mark.filterwarnings("error")

Answers = Callable[..., dict[str, str]]


class Host:
    """A folder of wheels as the only index, a project, and what was told."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.temporary = tmp_path / "home", tmp_path / "temporary"
        self.temporary.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(self.temporary))
        self.environment = {"HOME": str(self.home), "UV_CACHE_DIR": str(tmp_path / "cache"), "UV_HTTP_RETRIES": "0"}
        self.links = put(
            tmp_path / "links", wheel("one", "1.0"), wheel("one", "1.1"), wheel("two", "2.0", requires=["one"])
        )
        self.events: list[Event] = []

    @property
    def index(self) -> IndexSettings:
        return IndexSettings(by="settings", no_index=True, find_links=(str(self.links),))

    @property
    def notes(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Note))

    def text(self, files: Mapping[str, str], primary: str, **options: Any) -> str:
        forms = {"pyproject.toml": "pyproject", "uv.lock": "uv.lock", "pylock.toml": "pylock"}
        request = ResolveRequest(
            ecosystem="python",
            form=forms.get(primary, "requirements"),
            primary=primary,
            inputs=tuple(files),
            extras=options.pop("extras", ()),
            groups=options.pop("groups", ()),
            package=options.pop("package", ""),
        )
        values: dict[str, Any] = {
            "minor": "3.13",
            "index": self.index,
            "environment": self.environment,
            "home": self.home,
            "python": PYTHON,
            "prefix": PREFIX,
            "progress": Progress(self.events.append),
        }
        resolution = resolve(request, lambda path: files[path].encode(), **{**values, **options})
        assert resolution.form == "pylock"
        return resolution.text

    def versions(self, files: Mapping[str, str], primary: str, **options: Any) -> dict[str, str]:
        document = tomllib.loads(self.text(files, primary, **options))
        return {package["name"]: package.get("version", "") for package in document["packages"]}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def project(dependencies: str, more: str = "") -> str:
    return f'[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.12"\ndependencies = {dependencies}\n{more}'


# --- forms ---------------------------------------------------------------------------------------------------


@needs_uv
@pytest.mark.spec("LOCK-13")
def test_requirements_that_include_others_for_a_python_that_is_not_here(host: Host) -> None:
    files = {"reqs/prod.txt": "-r ../more.txt\n-c c.txt\n", "more.txt": "two\n", "reqs/c.txt": "one<1.1\n"}

    assert host.versions(files, "reqs/prod.txt", minor="3.13") == {"one": "1.0", "two": "2.0"}
    assert host.versions(files, "reqs/prod.txt", minor="3.99") == {"one": "1.0", "two": "2.0"}
    assert "running: uv pip compile reqs/prod.txt --universal" in host.notes


@needs_uv
def test_pyproject_with_extras_groups_and_a_local_package(host: Host) -> None:
    files = {
        "pyproject.toml": project(
            '["local"]',
            '[project.optional-dependencies]\nweb = ["one"]\n[dependency-groups]\nprod = ["two"]\n'
            '[tool.uv.sources]\nlocal = { path = "libs/local", editable = true }\n',
        ),
        "libs/local/pyproject.toml": '[project]\nname = "local"\nversion = "0"\ndependencies = ["one<1.1"]\n'
        '[build-system]\nrequires = ["no-such-thing-zzz"]\nbuild-backend = "no_such_thing"\n',
    }

    assert host.versions({"pyproject.toml": project("[]", '[project.optional-dependencies]\nweb = ["one"]\n')},
                         "pyproject.toml", extras=("web",)) == {"one": "1.1"}  # fmt: skip
    assert host.versions(files, "pyproject.toml", extras=("web",), groups=("prod",)) == {
        "local": "",  # a folder: the plan copies it
        "one": "1.0",
        "two": "2.0",
    }


@needs_uv
def test_markers_of_other_systems_need_no_wheel(host: Host) -> None:
    files = {"r.txt": "one\nnot-there; sys_platform == 'win32'\n"}

    assert host.versions(files, "r.txt") == {"one": "1.1"}


@pytest.mark.spec("LOCK-14")
def test_a_pylock_is_its_own_answer_and_nothing_runs(host: Host) -> None:
    text = 'lock-version = "1.0"\n# as it is: é\n'

    assert host.text({"pylock.toml": text}, "pylock.toml", uv="/nonexistent/uv", minor="") == text
    assert host.events == []


UV_LOCK = """version = 1
revision = 3
requires-python = ">=3.99"

[manifest]
members = ["app", "lib"]

[[package]]
name = "app"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "lib" }]

[package.optional-dependencies]
web = [{ name = "two" }]

[package.dev-dependencies]
dev = [{ name = "one" }]

[package.metadata]
requires-dist = [
    { name = "lib", editable = "libs/lib" },
    { name = "two", marker = "extra == 'web'", specifier = ">=2" },
]
provides-extras = ["web"]

[package.metadata.requires-dev]
dev = [{ name = "one" }]

[[package]]
name = "lib"
version = "0"
source = { editable = "libs/lib" }

[[package]]
name = "one"
version = "1.1"
source = { registry = "https://registry.example/simple" }
wheels = [{ url = "https://registry.example/f/one-1.1-py3-none-any.whl", hash = "sha256:HEX", size = 5 }]

[[package]]
name = "two"
version = "2.0"
source = { registry = "https://registry.example/simple" }
wheels = [{ url = "https://registry.example/f/two-2.0-py3-none-any.whl", hash = "sha256:HEX", size = 7 }]
""".replace("HEX", "ab" * 32)
WORKSPACE = {
    "uv.lock": UV_LOCK,
    "pyproject.toml": '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.99"\ndependencies = ["lib"]\n'
    '[project.optional-dependencies]\nweb = ["two >= 2"]\n[dependency-groups]\ndev = ["one"]\n'
    '[tool.uv.workspace]\nmembers = ["libs/*"]\n[tool.uv.sources]\nlib = { workspace = true }\n',
    "libs/lib/pyproject.toml": '[project]\nname = "lib"\nversion = "0"\nrequires-python = ">=3.99"\n',
}


@needs_uv
@pytest.mark.spec("LOCK-14")
def test_a_uv_lock_of_a_workspace_is_exported_without_a_network_or_that_python(host: Host) -> None:
    index = IndexSettings(by="settings", default=Index("https://registry.example/simple"))

    text = host.text(WORKSPACE, "uv.lock", extras=("web",), index=index)
    (two,) = tomllib.loads(text)["packages"]

    assert (two["name"], two["wheels"][0]["size"], two["wheels"][0]["hashes"]) == ("two", 7, {"sha256": "ab" * 32})
    assert host.versions(WORKSPACE, "uv.lock") == {}
    assert host.versions(WORKSPACE, "uv.lock", groups=("dev",)) == {"one": "1.1"}
    assert host.versions(WORKSPACE, "uv.lock", package="lib", minor="") == {}


@pytest.mark.spec("LOCK-20")
@pytest.mark.parametrize(
    ("path", "old", "new", "named"),
    [
        ("pyproject.toml", '["lib"]', '["lib", "Three.Four>1"]', "asks for `three-four>1`, which is not locked"),
        ("pyproject.toml", '["lib"]', "[]", "`lib` is locked"),
        ("pyproject.toml", "two >= 2", "two >= 3", "`two>=2` is locked"),
        (
            "libs/lib/pyproject.toml",
            'version = "0"',
            'version = "0"\ndependencies = ["one"]',
            "`libs/lib/pyproject.toml`",
        ),
    ],
)
@pytest.mark.parametrize("said", ["[package.metadata]\nrequires-dist = []\n\n", ""], ids=["nothing", "no-word"])
def test_a_uv_lock_that_does_not_know_a_change_is_refused(
    host: Host, path: str, old: str, new: str, named: str, said: str
) -> None:
    lock = UV_LOCK.replace('editable = "libs/lib" }\n\n', f'editable = "libs/lib" }}\n{said}')
    files = {**WORKSPACE, "uv.lock": lock, path: WORKSPACE[path].replace(old, new)}

    with pytest.raises(UvLockStaleError) as caught:
        host.text(files, "uv.lock")

    assert any(named in line for line in caught.value.details)
    assert caught.value.hint == "run `uv lock`"


@needs_uv
@pytest.mark.spec("LOCK-20")
def test_dependencies_that_a_backend_computes_are_not_compared(host: Host) -> None:
    text = WORKSPACE["pyproject.toml"].replace('dependencies = ["lib"]', 'dynamic = ["dependencies"]')

    assert host.versions({**WORKSPACE, "pyproject.toml": text}, "uv.lock") == {}


# --- versions that stay --------------------------------------------------------------------------------------


@needs_uv
@pytest.mark.spec("LOCK-15")
def test_versions_stay_until_an_upgrade_is_asked_for(host: Host) -> None:
    nothing = ArtifactRef(Digest.of(b""), 0, "x.whl")
    previous = [("one", "1.0", nothing), ("two", "1.9", nothing)]  # 1.9 was taken from the index since

    def versions(*upgrade: str, everything: bool = False) -> dict[str, str]:
        change = Upgrade(everything=everything, names=upgrade)
        return host.versions({"r.txt": "two\n"}, "r.txt", previous=previous, upgrade=change)

    assert versions() == {"one": "1.0", "two": "2.0"}
    assert versions("two") == {"one": "1.0", "two": "2.0"}
    assert versions("one") == {"one": "1.1", "two": "2.0"}
    assert versions(everything=True) == {"one": "1.1", "two": "2.0"}
    assert host.versions({"r.txt": "one>1.0\n"}, "r.txt", previous=previous) == {"one": "1.1"}


# --- nothing is built, nothing else is read or left ----------------------------------------------------------


def _source(folder: Path) -> Path:
    """A source archive whose build backend leaves a mark; returns where the mark would be."""
    mark = folder / "the backend ran"
    files = {
        "pyproject.toml": '[project]\nname="evil"\nversion="1"\ndynamic=["dependencies"]\n'
        '[build-system]\nrequires=[]\nbuild-backend="evil"\nbackend-path=["."]\n',
        "evil.py": f"open({str(mark)!r}, 'w')\ndef get_requires_for_build_wheel(c=None): return []\n",
        "PKG-INFO": "Metadata-Version: 2.1\nName: evil\nVersion: 1\n",
    }
    with tarfile.open(folder / "evil-1.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"evil-1/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return mark


@needs_uv
@pytest.mark.spec("LOCK-12")
@pytest.mark.parametrize(
    ("files", "environment", "error"),
    [
        ({"r.txt": "evil\n"}, {}, NoWheelError),
        ({"pyproject.toml": project('["evil"]')}, {}, NoWheelError),
        ({"pyproject.toml": project('["evil"]', '[tool.uv]\nno-binary-package = ["evil"]\n')}, {}, BuildForbiddenError),
        ({"pyproject.toml": project('["evil"]', "[tool.uv]\nno-binary = true\n")}, {}, BuildForbiddenError),
        ({"pyproject.toml": project('["evil"]', '[tool.uv.pip]\nno-binary = ["evil"]\n')}, {}, BuildForbiddenError),
        ({"r.txt": "evil\n", "uv.toml": 'no-binary-package = ["evil"]\n'}, {}, BuildForbiddenError),
        ({"r.txt": "evil\n"}, {"UV_NO_BINARY": "1"}, BuildForbiddenError),
        ({"r.txt": "evil\n"}, {"UV_NO_BINARY_PACKAGE": "evil"}, BuildForbiddenError),
        ({"r.txt": "--no-binary evil\nevil\n"}, {}, BuildForbiddenError),
        ({"r.txt": "--no-binary=:all:\nevil\n"}, {}, BuildForbiddenError),
        ({"r.txt": "-r x.txt\n", "x.txt": "--no-binary \\\n evil\nevil\n"}, {}, BuildForbiddenError),
        (
            {"pyproject.toml": '[project]\nname = "x"\nversion = "1"\ndynamic = ["dependencies"]\n'
             '[build-system]\nrequires = []\nbuild-backend = "evil"\nbackend-path = ["."]\n'},
            {},
            BuildForbiddenError,
        ),
    ],
)  # fmt: skip
def test_no_build_backend_ever_runs(
    host: Host, files: dict[str, str], environment: dict[str, str], error: type[Error]
) -> None:
    mark = _source(host.links)

    with pytest.raises(error) as caught:
        host.text(files, next(iter(files)), environment={**host.environment, **environment})

    assert not mark.exists()
    assert caught.value.exit_code == 3
    assert caught.value.hint


@pytest.mark.spec("LOCK-12")
@pytest.mark.parametrize("line", ["-r https://registry.example/r.txt", "--constraint=http://registry.example/c.txt"])
def test_requirements_from_a_server_are_refused(host: Host, line: str) -> None:
    with pytest.raises(UnsupportedInputError, match="from a server"):
        host.text({"r.txt": f"one\n{line}\n"}, "r.txt", uv="/nonexistent/uv")


@needs_uv
@pytest.mark.spec("LOCK-12")
def test_settings_in_folders_above_the_copies_are_not_read(host: Host) -> None:
    mark = _source(host.links)
    (host.temporary / "uv.toml").write_text('constraint-dependencies = ["one<1.1"]\nno-binary-package = ["evil"]\n')
    workspace = '[tool.uv.workspace]\nmembers = ["*", "*/*"]\n[tool.uv]\nconstraint-dependencies = ["one<1.1"]\n'
    (host.temporary / "pyproject.toml").write_text(workspace)

    assert host.versions({"r.txt": "one\n"}, "r.txt") == {"one": "1.1"}
    assert host.versions({"pyproject.toml": project('["one"]')}, "pyproject.toml") == {"one": "1.1"}
    with pytest.raises(NoWheelError):
        host.text({"r.txt": "evil\n"}, "r.txt")
    assert not mark.exists()


@needs_uv
def test_settings_of_the_project_are_read(host: Host) -> None:
    text = project('["one"]', '[tool.uv]\nconstraint-dependencies = ["one<1.1"]\n')

    assert host.versions({"pyproject.toml": text}, "pyproject.toml") == {"one": "1.0"}


@needs_uv
@pytest.mark.spec("LOCK-11")
def test_copies_are_gone_afterwards_also_after_an_error(host: Host) -> None:
    host.text({"a/r.txt": "one\n"}, "a/r.txt")
    with pytest.raises(UnresolvableError):
        host.text({"a/r.txt": "one>9\n"}, "a/r.txt")

    assert list(host.temporary.iterdir()) == []


@pytest.mark.spec("LOCK-11")
@pytest.mark.parametrize("path", ["../r.txt", "/r.txt", "a/../../r.txt", "a//r.txt"])
def test_inputs_outside_the_project_are_refused(host: Host, path: str) -> None:
    with pytest.raises(UnsupportedInputError):
        host.text({path: "one\n"}, path, uv="/nonexistent/uv")

    assert list(host.temporary.iterdir()) == []


# --- errors --------------------------------------------------------------------------------------------------


@needs_uv
@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("one==9\n", UnresolvableError, "one==9"),
        ("one<1.1\none>1.0\n", UnresolvableError, "one"),
        ("onne\n", UnresolvableError, "onne"),
        ("one ===== 3\n", ResolverInputError, "====="),
        ("-r nothing.txt\n", ResolverInputError, "nothing.txt"),
    ],
)
def test_what_uv_says_is_said_in_our_words_with_its_own_below(
    host: Host, text: str, error: type[Error], said: str
) -> None:
    with pytest.raises(error) as caught:
        host.text({"r.txt": text}, "r.txt")

    assert said in "\n".join((caught.value.message, *caught.value.details))
    assert str(host.temporary) not in "\n".join((caught.value.message, *caught.value.details))
    assert caught.value.exit_code == 3


@needs_uv
def test_offline_is_an_error_of_its_own(host: Host) -> None:
    index = IndexSettings(by="settings", default=Index("https://registry.example/simple"))

    with pytest.raises(ResolverOfflineError) as caught:
        host.text({"r.txt": "one\n"}, "r.txt", index=index, offline=True)

    assert caught.value.exit_code == 9


@needs_uv
@pytest.mark.spec("LOCK-13", "LOCK-18")
def test_an_index_with_credentials_that_nobody_sees(host: Host) -> None:
    made = wheel("one", "1.5")
    expected = "Basic " + base64.b64encode(b"me:hunter2").decode()
    with ScriptedServer() as server:
        page = f'<a href="/f/{made[0]}#sha256={Digest.of(made[1]).hex}">x</a>'.encode()
        for pattern, body in (("/simple/one/", page), (f"/f/{made[0]}", made[1])):
            answer = Answer(200, body, (("Content-Type", "text/html"),))
            server.on(
                "*", pattern, lambda r, a=answer: a if r.headers.get("authorization") == expected else Answer(401)
            )
        right = IndexSettings(by="settings", default=Index(server.url + "/simple", "me:hunter2"))
        wrong = IndexSettings(by="settings", default=Index(server.url + "/simple", "me:swordfish"))

        assert host.versions({"r.txt": "one\n"}, "r.txt", index=right) == {"one": "1.5"}
        environment = {**host.environment, "UV_CACHE_DIR": str(host.home / "another")}
        with pytest.raises(IndexAuthError) as caught:
            host.text({"r.txt": "one\n"}, "r.txt", index=wrong, environment=environment)

    shown = "\n".join((host.notes, caught.value.message, *caught.value.details))
    assert "hunter2" not in shown and "swordfish" not in shown
    assert caught.value.exit_code == 5


@needs_uv
def test_an_index_that_cannot_be_reached(host: Host) -> None:
    index = IndexSettings(by="settings", default=Index("http://127.0.0.1:9/simple", "me:hunter2"))

    with pytest.raises(IndexNetworkError, match=r"127\.0\.0\.1:9") as caught:
        host.text({"r.txt": "one\n"}, "r.txt", index=index)

    assert caught.value.exit_code == 6
    assert "hunter2" not in "\n".join(caught.value.details)


def test_without_uv_the_hint_says_how_to_have_it(host: Host, tmp_path: Path) -> None:
    with pytest.raises(ToolMissingError) as caught:
        host.text({"r.txt": "one\n"}, "r.txt", python=tmp_path / "python", prefix=tmp_path)

    assert caught.value.exit_code == 10
    assert "ociassemble[uv]" in str(caught.value.hint)


def test_a_base_without_python_cannot_be_resolved_for(host: Host) -> None:
    with pytest.raises(UnsupportedInputError, match="the base has none") as caught:
        host.text({"r.txt": "one\n"}, "r.txt", minor="")

    assert isinstance(caught.value, ProjectError)


def test_uv_on_path_goes_before_the_one_beside_us(tmp_path: Path) -> None:
    for folder in ("path", "prefix/bin"):
        put(tmp_path / folder, ("uv", b"#!/bin/sh\n"))
        (tmp_path / folder / "uv").chmod(0o755)

    def found(environment: dict[str, str], prefix: Path) -> str | None:
        return uv_tool.find(environment=environment, prefix=prefix, python=tmp_path / "python")

    assert found({"PATH": str(tmp_path / "path")}, tmp_path / "prefix") == str(tmp_path / "path/uv")
    assert found({"PATH": "/nonexistent"}, tmp_path / "prefix") == str(tmp_path / "prefix/bin/uv")
    assert found({}, tmp_path) is None


# --- what uv is told -----------------------------------------------------------------------------------------


@pytest.mark.spec("LOCK-13")
def test_the_childs_environment(tmp_path: Path) -> None:
    mine = {"PATH": "/bin", "UV_INDEX_URL": "https://old.example", "UV_PYTHON": "3.9", "VIRTUAL_ENV": "/v", "UV_X": "1"}
    extra = (Index("https://b.example/simple"),)
    index = IndexSettings(by="pip", default=Index("https://a.example/simple", "u:p"), extra=extra, find_links=("/w",))

    child = uv_tool.child_environment(mine, index, offline=True, trust=Trust(), scratch=tmp_path)

    assert child == {
        "PATH": "/bin",
        "UV_X": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
        "UV_OFFLINE": "1",
        "UV_INDEX": "https://u:p@a.example/simple",  # searched first: pip prefers none, and it has all wheels
        "UV_DEFAULT_INDEX": "https://b.example/simple",
        "UV_FIND_LINKS": "/w",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_SYSTEM_CERTS": "1",
        "UV_NATIVE_TLS": "1",
    }


@pytest.mark.spec("LOCK-13")
def test_uv_trusts_whom_we_trust(tmp_path: Path) -> None:
    index = IndexSettings(by="uv")
    given = {"SSL_CERT_FILE": "/certificates.pem"}

    kept = uv_tool.child_environment(given, index, offline=False, trust=Trust(), scratch=tmp_path)
    assert kept["SSL_CERT_FILE"] == "/certificates.pem" and "UV_SYSTEM_CERTS" not in kept
    authority = _authority()
    (tmp_path / "ca.pem").write_text(authority)
    trust = Trust(ca_files=(tmp_path / "ca.pem",))
    more = uv_tool.child_environment({}, index, offline=False, trust=trust, scratch=tmp_path)
    assert authority.split()[3] in Path(more["SSL_CERT_FILE"]).read_text()


def _authority() -> str:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "t")])
    now = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now)
    builder = builder.not_valid_after(now + datetime.timedelta(days=9999))
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


# --- the configured index ------------------------------------------------------------------------------------


@needs_uv
@pytest.mark.packages
@pytest.mark.spec("LOCK-16", "LOCK-17")
def test_flask_and_gunicorn_resolved_found_and_fetched(host: Host) -> None:
    from ociassemble.content.memory import MemoryStore
    from ociassemble.net.download import fetch
    from ociassemble.net.wire import Wire
    from ociassemble.sources.index_settings import complete, discover
    from ociassemble.sources.python import locate, own, places

    environment = dict(os.environ)
    index = discover(
        index_url=None,
        extra_index_urls=(),
        find_links=(),
        environment=environment,
        home=Path.home(),
        prefix=PREFIX,
        folder=host.home,
        project={},
    )
    index = complete(index, UV, python=PYTHON, environment=environment)
    text = host.text({"r.txt": "flask\ngunicorn\n"}, "r.txt", index=index, environment=environment)
    packages = {package["name"]: package for package in tomllib.loads(text)["packages"]}
    assert {"flask", "gunicorn", "werkzeug", "markupsafe"} <= set(packages)
    (found,) = packages["flask"]["wheels"]
    digest = Digest.from_hex(found["hashes"]["sha256"])
    name = found.get("name") or found["url"].rpartition("/")[2]
    trust = Trust(environment.get("SSL_CERT_FILE", ""), environment.get("SSL_CERT_DIR", ""))

    for resolved, owned in ((True, own(text)), (False, {})):
        wire, store = Wire(trust=trust), MemoryStore()
        located = locate([ArtifactRef(digest, -1, name)], index, wire, owned=owned, folder=host.home, resolved=resolved)
        size = fetch(wire, places(located, store)[digest], digest, None, store)
        assert size > 50_000
