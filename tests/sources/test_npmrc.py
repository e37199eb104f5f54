"""npm's configuration as npm reads it (NPM-20 to NPM-24); the order and the syntax were measured with npm 11."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import Error, UsageError
from ociassemble.sources import npm_files, npmrc
from ociassemble.sources.npmrc import NpmSettings

HOME, FOLDER, NODE = Path("/home/me"), Path("/srv/shop"), Path("/opt/node/bin/node")
PROJECT, USER, GLOBAL = FOLDER / ".npmrc", HOME / ".npmrc", Path("/opt/node/etc/npmrc")


def settings(files: dict[Path, str] | None = None, **environment: str) -> NpmSettings:
    """What is found where only these files exist."""
    contents = {path: text.encode() for path, text in (files or {}).items()}
    return npmrc.discover(environment=environment, home=HOME, folder=FOLDER, node=NODE, read=contents.get)


def project(text: str, **environment: str) -> NpmSettings:
    return settings({PROJECT: text}, **environment)


def authorization(found: NpmSettings, url: str) -> str | None:
    return found.headers(url).get("Authorization")


# ------------------------------------------------------------------------------------------------ where it is written


@pytest.mark.spec("NPM-20")
def test_the_nearest_place_wins_key_by_key() -> None:
    files = {
        GLOBAL: "registry=https://global.example/\n@a:registry=https://a.global.example\n",
        USER: "registry=https://user.example/\n@b:registry=https://b.user.example/npm/\n",
        PROJECT: "registry=https://project.example/npm///\n",
    }
    assert settings().registry == ""
    assert settings({GLOBAL: files[GLOBAL]}).registry == "https://global.example"
    assert settings({GLOBAL: files[GLOBAL], USER: files[USER]}).registry == "https://user.example"
    found = settings(files)
    assert (found.registry, found.by) == ("https://project.example/npm", "the project's .npmrc")
    assert dict(found.scopes) == {"@a": "https://a.global.example", "@b": "https://b.user.example/npm"}
    stated = settings(files, npm_config_registry="https://environment.example")
    assert (stated.registry, stated.by) == ("https://environment.example", "the environment")
    assert found.registry_of("@b/x") == "https://b.user.example/npm"
    assert found.registry_of("@c/x") == found.registry_of("x") == "https://project.example/npm"


@pytest.mark.spec("NPM-20")
def test_names_of_variables() -> None:
    assert settings(NPM_CONFIG_REGISTRY="https://upper.example").registry == "https://upper.example"
    assert settings(npm_config_registry="").registry == ""
    both = settings(NPM_CONFIG_REGISTRY="https://upper.example", npm_config_registry="https://lower.example")
    assert both.registry == "https://lower.example"
    scoped = settings(**{"npm_config_@acme:registry": "https://acme.example"})
    assert dict(scoped.scopes) == {"@acme": "https://acme.example"}
    token = settings(**{"npm_config_//acme.example/:_authToken": "t"})
    assert authorization(token, "https://acme.example/x") == "Bearer t"


@pytest.mark.spec("NPM-20")
def test_files_may_be_elsewhere() -> None:
    other = Path("/etc/other")
    text = {other: "registry=https://other.example"}
    assert settings(text, npm_config_userconfig=str(other)).registry == "https://other.example"
    assert settings(text, NPM_CONFIG_GLOBALCONFIG=str(other)).registry == "https://other.example"
    prefix = {Path("/srv/etc/npmrc"): "registry=https://prefix.example"}
    assert settings(prefix, npm_config_prefix="/srv").registry == "https://prefix.example"
    assert settings({**prefix, USER: "prefix=/srv"}).registry == "https://prefix.example"


@pytest.mark.spec("NPM-20")
@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("registry=https://r.example/", "https://r.example"),
        ("  registry  =  https://r.example/  ", "https://r.example"),
        ('registry="https://r.example/"', "https://r.example"),
        ("registry='https://r.example/'", "https://r.example"),
        ("registry=https://r.example/ ; a comment", "https://r.example"),
        ("registry=https://r.example/#fragment", "https://r.example"),
        ("registry=https://${HOST}/npm", "https://h.example/npm"),
        ("registry=https://${HOST}${MISSING?}/npm", "https://h.example/npm"),
        ("\ufeffregistry=https://r.example", "https://r.example"),
        ("; registry=https://r.example", ""),
        ("# registry=https://r.example", ""),
        ("registry", ""),
        ("registry=", ""),
        ("[section]\nregistry=https://r.example", ""),
        ("registry[]=https://r.example", "https://r.example"),
        ("registry=https://a.example\nregistry=https://r.example", "https://r.example"),
        ("registry=https://a.example\rregistry=https://r.example", "https://r.example"),
        ("a=b=c\n=x\n\nregistry=https://r.example", "https://r.example"),
    ],
)
def test_the_syntax(line: str, value: str) -> None:
    assert project(line, HOST="h.example").registry == value


@pytest.mark.parametrize(
    "text", ["registry=r.example", "registry=ftp://r.example", "registry=https://", "registry=/npm"]
)
def test_what_is_no_registry_is_an_error_that_says_where(text: str) -> None:
    with pytest.raises(UsageError, match=r"project's \.npmrc") as caught:
        project(text)
    assert caught.value.code == "usage.npm"


@pytest.mark.spec("NPM-24")
def test_secrets_of_a_wrong_registry_are_not_shown() -> None:
    with pytest.raises(UsageError) as caught:
        project("registry=ftp://me:hunter2@r.example")
    assert "hunter2" not in str(caught.value) + str(caught.value.details) + str(caught.value.hint)


# ------------------------------------------------------------------------------------------------ credentials


@pytest.mark.spec("NPM-22")
def test_kinds_of_credentials() -> None:
    encoded = base64.b64encode(b"me:hunter2").decode()
    password = base64.b64encode(b"hunter2").decode()
    url = "https://r.example/npm/x/-/x-1.0.0.tgz"
    assert authorization(project("//r.example/:_authToken=secret"), url) == "Bearer secret"
    assert authorization(project(f"//r.example/:_auth={encoded}"), url) == f"Basic {encoded}"
    pair = f"//r.example/:username=me\n//r.example/:_password={password}"
    assert authorization(project(pair), url) == f"Basic {encoded}"
    assert authorization(project(pair + "\n//r.example/:_authToken=first"), url) == "Bearer first"
    userinfo = project("registry=https://me:hunter2@r.example/npm/")
    assert userinfo.registry == "https://r.example/npm"
    assert authorization(userinfo, url) == f"Basic {encoded}"
    assert authorization(project("//r.example/:_authToken=${TOKEN}", TOKEN="from-env"), url) == "Bearer from-env"


@pytest.mark.spec("NPM-22")
@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://r.example/npm/x", True),
        ("https://R.EXAMPLE/npm/x", True),
        ("https://r.example:443/npm", True),
        ("https://r.example/npm/@a%2fb", True),
        ("https://r.example/npm/a/../b", True),
        ("https://r.example/npmx", False),
        ("https://r.example/", False),
        ("https://r.example/npm/../x", False),
        ("https://r.example/npm/%2e%2e/x", False),
        ("https://r.example/npm%2f..%2f..%2fx", False),
        ("https://r.example:8443/npm/x", False),
        ("https://a.r.example/npm/x", False),
        ("https://r.example.evil.example/npm/x", False),
        ("https://evil.example/r.example/npm/x", False),
        ("https://r.example@evil.example/npm/x", False),
        ("http://r.example/npm/x", False),
        ("not a url", False),
    ],
)
@pytest.mark.parametrize("key", ["//r.example/npm/", "//r.example/npm", "//r.example:443/npm/"])
def test_a_credential_stays_below_its_place(key: str, url: str, sent: bool) -> None:
    assert (authorization(project(f"{key}:_authToken=secret"), url) is not None) == sent


@pytest.mark.spec("NPM-22")
def test_the_nearest_credential_counts() -> None:
    found = project("//r.example/:_authToken=top\n//r.example/npm/private/:_authToken=private")
    assert authorization(found, "https://r.example/npm/x") == "Bearer top"
    assert authorization(found, "https://r.example/npm/private/x") == "Bearer private"


@pytest.mark.spec("NPM-22")
def test_in_clear_only_where_the_registry_is() -> None:
    token = "//r.example/:_authToken=secret\n//127.0.0.1:8080/:_authToken=local\n"
    assert authorization(project(token), "http://r.example/x") is None
    assert authorization(project(token + "registry=http://r.example/"), "http://r.example/x") == "Bearer secret"
    assert authorization(project(token + "@a:registry=http://r.example/"), "http://r.example/x") == "Bearer secret"
    assert authorization(project(token + "registry=https://r.example/"), "http://r.example/x") is None
    assert authorization(project(token), "http://127.0.0.1:8080/x") == "Bearer local"


@pytest.mark.spec("NPM-22")
@pytest.mark.parametrize("line", ["registry=http://r.example/npm/", "@a:registry=http://r.example/"])
def test_a_project_cannot_have_the_users_credential_sent_in_clear(line: str) -> None:
    url, token = "http://r.example/npm/x", "//r.example/:_authToken=secret\n"
    found = settings({USER: token, PROJECT: line})
    assert authorization(found, url) is None
    assert authorization(found, "https://r.example/npm/x") == "Bearer secret"
    assert [note for note in found.notes if "is not sent in clear" in note and "secret" not in note] == [*found.notes]
    assert found.notes
    said_by_user = settings({USER: token + line, PROJECT: ""})
    assert authorization(said_by_user, url) == "Bearer secret"
    assert said_by_user.notes == ()
    halves = settings({USER: "//r.example/:_password=c2VjcmV0", PROJECT: f"{line}\n//r.example/:username=me"})
    assert authorization(halves, url) is None


@pytest.mark.spec("NPM-25")
@pytest.mark.parametrize(
    "line",
    [
        "registry=https://evil.example/${AWS_SECRET_ACCESS_KEY}",
        "registry=https://${NPM_TOKEN}.evil.example/",
        "@a:registry=https://evil.example/?x=${GITHUB_PAT}",
        "registry=https://evil.example/${NPM_TOKEN?}@x",
        "registry=https://me:hunter2@evil.example/${NPM_TOKEN}",
        "registry=https://x:${NPM_TOKEN}/@evil.example/",
        "@${NPM_TOKEN}:registry=https://evil.example/",
    ],
)
def test_a_project_cannot_put_the_users_secrets_into_urls(line: str) -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY": "s3cret", "NPM_TOKEN": "s3cret", "GITHUB_PAT": "s3cret"}
    with pytest.raises(UsageError, match=r"would put `[A-Z_]+` of the environment into a URL") as caught:
        project(line, **secrets)
    told = (str(caught.value), *caught.value.details, caught.value.hint or "")
    assert not any("s3cret" in text or "hunter2" in text for text in told)


@pytest.mark.spec("NPM-25")
def test_what_a_project_takes_from_the_environment_is_told() -> None:
    found = project(
        "//r.example/:_authToken=${NPM_TOKEN}\nregistry=https://${HOST}/", NPM_TOKEN="s3cret", HOST="h.example"
    )
    assert found.told == (
        "`registry` in the project's .npmrc is made of `HOST` of the environment",
        "the project's .npmrc sends `NPM_TOKEN` of the environment to `//r.example/`",
    )
    userinfo = project("registry=https://me:${NPM_TOKEN}@r.example/", NPM_TOKEN="s3cret")
    assert authorization(userinfo, "https://r.example/x") is not None
    assert userinfo.told == ("`registry` in the project's .npmrc is made of `NPM_TOKEN` of the environment",)
    assert settings({USER: "//r.example/:_authToken=${NPM_TOKEN}"}, NPM_TOKEN="s3cret").told == ()
    assert project("//r.example/:_authToken=literal").told == ()


@pytest.mark.spec("NPM-23")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("_authToken=hunter2", "belongs to no host"),
        ("_auth=hunter2", "belongs to no host"),
        ("//r.example/:_authToken=${NOT_SET}", "`NOT_SET` is not set"),
        ("//r.example/:certfile=/a\n//r.example/:keyfile=/b", "client certificate"),
        ("//r.example/:username=me\n//r.example/:_password=hunter2é", "cannot be read"),
        ("//r.example/:_authToken=hunter2\u00e9", "cannot be read"),
        ("//r .example/:_authToken=hunter2", "is no host"),
        ("cafile=/etc/ca.pem", "--ca-file"),
        ("ca[]=x", "--ca-file"),
        ("strict-ssl=false", "--ca-file"),
        ("proxy=http://p.example", "HTTP_PROXY"),
        ("https-proxy=http://me:hunter2@p.example", "HTTPS_PROXY"),
        ("noproxy=a", "NO_PROXY"),
    ],
)
def test_what_is_not_followed_is_told(line: str, told: str) -> None:
    found = project(line)
    assert len(found.notes) == 1
    assert told in found.notes[0]
    assert "hunter2" not in found.notes[0]
    assert authorization(found, "https://r.example/x") is None
    assert project("strict-ssl=true\nfund=false\nemail=me@a.example\nalways-auth=true").notes == ()


@pytest.mark.spec("NPM-23")
def test_a_cafile_that_is_trusted_anyway_is_no_news(tmp_path: Path) -> None:
    (tmp_path / "bundle.pem").touch()
    (tmp_path / "link.pem").symlink_to("bundle.pem")

    def notes(line: str) -> tuple[str, ...]:
        (tmp_path / ".npmrc").write_text(line)
        trusted = {str((tmp_path / "bundle.pem").resolve())}
        return npmrc.discover(environment={}, home=tmp_path, folder=tmp_path, trusted=trusted).notes

    for same in (f"{tmp_path}/bundle.pem", "./link.pem", "~/bundle.pem"):
        assert notes(f"cafile={same}") == ()
    for other in ("other.pem", f"{tmp_path}/bundle.pem.bak", "~/x", "a\0b"):
        (said,) = notes(f"cafile={other}\n")
        assert "--ca-file" in said


@pytest.mark.spec("NPM-24")
def test_secrets_are_not_in_any_repr() -> None:
    found = project("//r.example/:_authToken=hunter2\nregistry=https://me:hunter2@r.example")
    assert len(found.credentials) == 2
    assert "hunter2" not in repr(found)


# ------------------------------------------------------------------------------------------------ asking npm


def tool(folder: Path, script: str) -> str:
    path = folder / "npm"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.spec("NPM-21")
def test_the_installed_npm_is_asked(tmp_path: Path) -> None:
    npm = tool(tmp_path, 'echo "npm warn something" >&2\necho "$PWD $*" >"$LOG"\necho https://registry.example/')
    log = tmp_path / "log"
    asked = npmrc.ask_default(npm, environment={"LOG": str(log), "PATH": "/usr/bin:/bin"}, folder=Path("/"))
    assert asked == "https://registry.example"
    assert log.read_text() == "/ config get registry\n"


@pytest.mark.spec("NPM-21")
@pytest.mark.parametrize(
    "script", ["echo undefined", "exit 1", "echo https://r.example; exit 1", "true", "echo ftp://x"]
)
def test_an_npm_that_does_not_tell(tmp_path: Path, script: str) -> None:
    with pytest.raises(UsageError, match="no npm registry is configured") as caught:
        npmrc.ask_default(tool(tmp_path, script), environment={}, folder=tmp_path)
    assert ".npmrc" in (caught.value.hint or "")


# ------------------------------------------------------------------------------------------------ whatever is written


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert npm_files.read_file(tmp_path / "none") is None
    assert npm_files.read_file(tmp_path) is None
    (tmp_path / "large").write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(UsageError, match="large"):
        npm_files.read_file(tmp_path / "large")


@given(st.text(max_size=300), st.dictionaries(st.sampled_from(["HOST", "A"]), st.text(max_size=5)))
def test_reading_is_total(text: str, environment: dict[str, str]) -> None:
    try:
        found = project(text, **environment)
    except Error:
        return
    found.headers("https://r.example/x")


@given(
    st.lists(st.sampled_from(["//", "r.example", "/", ":", "_authToken", "=", "${A}", "${", "[", "]", "@", "\\", '"']))
)
def test_reading_pieces_of_the_grammar_is_total(pieces: list[str]) -> None:
    try:
        project("".join(pieces)).headers("https://r.example/x")
    except Error:
        return
