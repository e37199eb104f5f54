"""The guard: every planted secret is found where it is, what only looks like one passes, and one alone is allowed."""

from __future__ import annotations

import io
import random
import string
import zipfile
from pathlib import Path

import pytest

from ociassemble.errors import UsageError
from ociassemble.project import reading, secrets, settings
from ociassemble.project.secrets import SecretError, archives
from ociassemble.project.secrets.findings import SHOWN
from ociassemble.project.secrets.rules import RULES
from ociassemble.project.secrets.search import MAX_FINDINGS, Search
from tests.project.planted import NEAR, PLANTED, PRIVATE, Draw, Planted, bytecode, checked, content, der, pem, zipped
from tests.spec_tables import cases


def refused(folder: Path, *allowed: str) -> tuple[str, ...]:
    """What the guard lists of a folder."""
    with pytest.raises(SecretError) as caught:
        reading.read(folder, allow_secrets=allowed)
    return caught.value.details


def found(path: str, *blocks: bytes) -> list[secrets.Finding]:
    search = Search(path)
    for block in blocks:
        search.feed(block)
    return search.finish()


def write(folder: Path, **files: str | bytes) -> None:
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data.encode() if isinstance(data, str) else data)


TOKEN = checked("gh" + "p_")(random.Random(1))
OTHER = checked("gh" + "p_")(random.Random(2))


@pytest.mark.spec("SECRET-1", "SECRET-2")
@pytest.mark.parametrize("case", cases("secrets.md", "secret names"), ids=str)
def test_names(case: dict[str, str]) -> None:
    named = secrets.by_name(case["path"])
    assert (named.rule if named is not None else "-") == case["rule"]


@pytest.mark.spec("SECRET-10", "SECRET-11")
def test_the_kinds_in_the_specs_are_the_code() -> None:
    listed = [(case["rule"], case["what"], case["where"]) for case in cases("secrets.md", "kinds")]
    assert listed == list(dict.fromkeys((rule.rule, rule.what, rule.where) for rule in RULES))


def test_as_many_as_promised() -> None:
    assert len(PLANTED) >= 60 and len(NEAR) >= 40
    assert len({planted.rule for planted in PLANTED}) >= 25
    # Whoever adds a kind plants one.
    assert {rule.rule for rule in RULES} <= {planted.rule for planted in PLANTED}


@pytest.mark.spec("SECRET-1", "SECRET-10", "SECRET-12", "SECRET-13", "SECRET-14", "SECRET-18", "SECRET-20", "SECRET-30")
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: f"{planted.rule} in {planted.path}")
def test_planted(planted: Planted, tmp_path: Path) -> None:
    outer, data, line = content(planted)
    (tmp_path / outer).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / outer).write_bytes(data)
    (tmp_path / ".dockerignore").write_text("!**/tool.pyc\n!**/.npmrc")  # which nothing would pack
    (detail,) = refused(tmp_path)
    place = f"{planted.path}:{line}" if line is not None else planted.path
    assert detail.startswith(f"`{place}`: {planted.rule} (")
    assert (planted.secret[6:] or planted.secret) not in detail
    fingerprint = detail.rpartition(" ")[2]
    assert reading.read(tmp_path, allow_secrets=[fingerprint]).warnings == ()


@pytest.mark.spec("SECRET-15", "SECRET-16", "SECRET-17", "SECRET-18")
@pytest.mark.parametrize(
    ("name", "path", "text", "draw"), NEAR, ids=lambda value: value if isinstance(value, str) else ""
)
def test_near_misses(name: str, path: str, text: str, draw: Draw, tmp_path: Path) -> None:
    (tmp_path / path).write_text(text.replace("@", draw(random.Random(name)), 1))
    (tmp_path / ".dockerignore").write_text("!.npmrc")  # which nothing would pack
    assert len(reading.read(tmp_path).files) == 1


@pytest.mark.spec("SECRET-16")
@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("server.pem", "-----BEGIN CERTIFICATE-----\n{key}", 2),
        ("a/server.key", "# comment\n{key}", 2),
        ("SERVER.KEY", "{key}", 1),
        ("any.txt", "\n\n{key}", 3),
        ("any.txt", "text\n{key}", None),
        ("any.py", 'KEY = """\n{key}', None),
    ],
)
def test_the_marker_alone_counts_in_a_file_of_its_own(path: str, text: str, line: int | None) -> None:
    marker = f"-----BEGIN EC {PRIVATE}-----\nMIIB\n-----END EC {PRIVATE}-----\n"
    lines = [one.line for one in found(path, text.format(key=marker).encode())]
    assert lines == ([line] if line else [])


@pytest.mark.spec("SECRET-30", "SECRET-32", "SECRET-33")
def test_all_are_listed_and_each_way_out_works(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    write(tmp_path, app__py=f"a = 1\nb = '{TOKEN}'\n", __env="A=1")
    (tmp_path / "deploy/id_rsa").write_text("x")
    (tmp_path / "deploy/.netrc").symlink_to("../app.py")
    details = refused(tmp_path)
    assert [detail.rpartition(",")[0] for detail in details] == [
        "`.env`: env-file (environment file)",
        "`app.py:2`: github-token (GitHub token, 40 characters)",
        "`deploy/.netrc`: netrc (login file (netrc))",
        "`deploy/id_rsa`: ssh-key-file (SSH private key)",
    ]
    with pytest.raises(SecretError) as caught:
        reading.read(tmp_path)
    assert caught.value.code == "policy.secret" and caught.value.exit_code == 8
    marks = [detail.rpartition(" ")[2] for detail in details]
    hint = caught.value.hint or ""
    assert "a line `.env` to .ociassembleignore" in hint and f'[secrets] allow = ["{marks[0]}"]' in hint
    assert refused(tmp_path, *marks[:3]) == details[3:]
    assert len(reading.read(tmp_path, allow_secrets=marks).files) == 5
    (tmp_path / ".dockerignore").write_text(".env\ndeploy\napp.py")
    assert reading.read(tmp_path).files == ()


@pytest.mark.spec("SECRET-32")
def test_a_fingerprint_survives_moving_lines_and_allows_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, a__py=f"x = '{TOKEN}'\n")
    mark = refused(tmp_path)[0].rpartition(" ")[2]
    write(tmp_path, a__py=f"# moved\n\n\nprint(1)\ny = '{TOKEN}'  # renamed\n")
    assert reading.read(tmp_path, allow_secrets=[mark]).warnings == ()
    write(tmp_path, a__py=f"x = '{TOKEN}'\ny = '{OTHER}'\n")
    assert [detail.partition(" ")[0] for detail in refused(tmp_path, mark)] == ["`a.py:2`:"]
    write(tmp_path, a__py="", b__py=f"x = '{TOKEN}'\n")  # another file
    assert refused(tmp_path, mark)


@pytest.mark.spec("SECRET-32")
def test_a_name_is_allowed_with_its_content(tmp_path: Path) -> None:
    write(tmp_path, __env="MODE=test\n")
    mark = refused(tmp_path)[0].rpartition(" ")[2]
    assert reading.read(tmp_path, allow_secrets=[mark]).warnings == ()
    write(tmp_path, __env="MODE=test\nPASSWORD=1\n")
    assert refused(tmp_path, mark)


@pytest.mark.spec("SECRET-34")
def test_a_fingerprint_of_what_is_gone_is_told(tmp_path: Path) -> None:
    write(tmp_path, a__py="")
    warnings = reading.read(tmp_path, allow_secrets=["0123456789abcdef"]).warnings
    assert warnings == ("the settings allow a secret `0123456789abcdef` that is not there",)


@pytest.mark.spec("SECRET-33")
def test_paths_allow_nothing(tmp_path: Path) -> None:
    write(tmp_path, ociassemble__toml='[secrets]\nallow = ["tests/key.pem"]\n')
    with pytest.raises(UsageError) as caught:
        settings.load(tmp_path)
    assert "`tests/key.pem` is not a fingerprint" in caught.value.message
    write(tmp_path, ociassemble__toml='allow-secrets = ["tests/key.pem"]\n')
    with pytest.raises(UsageError) as caught:
        settings.load(tmp_path)
    assert "`[secrets] allow`" in (caught.value.hint or "")


@pytest.mark.spec("SECRET-31")
def test_a_long_list_is_cut(tmp_path: Path) -> None:
    lot = random.Random(3)
    text = "".join(f"t = '{checked('gh' + 'p_')(lot)}'\n" for _ in range(MAX_FINDINGS + 20))
    write(tmp_path, a__py=text)
    details = refused(tmp_path)
    assert len(details) == SHOWN + 1
    assert details[0].startswith("`a.py:1`: ") and details[1].startswith("`a.py:2`: ")
    assert details[-1] == f"and {MAX_FINDINGS - SHOWN} more"


def test_a_folder_named_like_a_secret_is_none(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    (tmp_path / ".env/readme").write_text("x")
    assert len(reading.read(tmp_path).files) == 2


@pytest.mark.spec("SECRET-12")
@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 15, 1 << 20])
def test_blocks_of_any_size_say_the_same(size: int) -> None:
    lot = random.Random(4)
    filler = "".join(lot.choices("etaoin shrdlu\n", k=70_000))
    key = pem("RSA " + PRIVATE, der, 2300)(lot)
    data = f"{filler}\nx = '{TOKEN}'\n{filler}\n{key}{filler}\n{OTHER}".encode()
    expected = found("a.txt", data)
    assert [one.rule for one in expected] == ["github-token", "private-key", "github-token"]
    if size < 4096:
        data = data[69_000:70_200]  # a byte at a time is slow, not different
        expected = found("a.txt", data)
    assert found("a.txt", *(data[at : at + size] for at in range(0, len(data), size))) == expected


@pytest.mark.spec("SECRET-12")
@pytest.mark.parametrize("shift", range(-45, 6, 5))
def test_across_the_border_of_two_blocks(shift: int) -> None:
    data = b"x" * ((1 << 20) + shift - 1) + b" " + TOKEN.encode() + b"\n" + b"y" * (1 << 20)
    (one,) = found("a.txt", data[: 1 << 20], data[1 << 20 : 2 << 20], data[2 << 20 :])
    assert (one.rule, one.offset, one.size) == ("github-token", (1 << 20) + shift, 40)


IN_BYTECODE = [
    planted
    for planted in PLANTED
    if planted.form == "text"
    and any(
        rule.rule == planted.rule and rule.where == "anywhere" and b"<secret>" not in rule.pattern for rule in RULES
    )
]


@pytest.mark.spec("SECRET-13")
@pytest.mark.parametrize("planted", IN_BYTECODE, ids=lambda planted: f"{planted.rule} in {planted.path}")
def test_constants_of_bytecode(planted: Planted) -> None:
    # Lengths and types stand between the constants, as letters as often as not.
    for text in ("x = {}", "def f():\n    return ('a', {}, None, 1)", "class C:\n    b = {{{}: 'b'}}\n    c = 1.5"):
        data = bytecode(text.format(repr(planted.secret)))
        assert [one.rule for one in found("a.pyc", data)] == [planted.rule], data


@pytest.mark.spec("SECRET-21")
def test_names_inside_archives(tmp_path: Path) -> None:
    (tmp_path / "site.zip").write_bytes(zipped("conf/.env", b"A=1"))
    assert refused(tmp_path)[0].startswith("`site.zip!/conf/.env`: env-file (environment file), fingerprint ")


@pytest.mark.spec("SECRET-22")
def test_an_archive_in_an_archive_and_no_deeper(tmp_path: Path) -> None:
    inner = zipped("c.txt", TOKEN.encode())
    (tmp_path / "a.zip").write_bytes(zipped("b.zip", inner))
    assert refused(tmp_path)[0].startswith("`a.zip!/b.zip!/c.txt:1`: ")
    (tmp_path / "a.zip").write_bytes(zipped("z.zip", zipped("b.zip", inner)))
    warnings = reading.read(tmp_path).warnings
    assert warnings == ("the archive `a.zip!/z.zip!/b.zip` lies too deep to be searched for secrets",)


@pytest.mark.spec("SECRET-22")
def test_limits_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 1 << 20)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", TOKEN)
        archive.writestr("b.txt", bytes(8 << 20))
    (tmp_path / "a.zip").write_bytes(made.getvalue())
    assert refused(tmp_path)[0].startswith("`a.zip!/a.txt:1`: ")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b.txt", bytes(8 << 20))
    (tmp_path / "a.zip").write_bytes(made.getvalue())
    (warning,) = reading.read(tmp_path).warnings
    assert warning == "only the first 1 MiB in `a.zip` were searched for secrets"


@pytest.mark.spec("SECRET-23")
@pytest.mark.parametrize("cut", [1, 5, 21, 22, 40, 90, 150])
def test_a_damaged_archive_is_told_and_never_a_crash(cut: int, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped("c.txt", b"nothing" * 9)[:-cut])
    (warning,) = reading.read(tmp_path).warnings
    assert warning.startswith("`a.zip` was not searched for secrets to its end: ")


@pytest.mark.spec("SECRET-23")
def test_what_a_damaged_archive_stores_is_found_all_the_same(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.txt", f"x = '{TOKEN}'\n")
    (tmp_path / "a.zip").write_bytes(made.getvalue()[:-10])
    (detail,) = refused(tmp_path)
    assert detail.startswith("`a.zip`: github-token (GitHub token, 40 characters at byte ")


@pytest.mark.spec("SECRET-24")
def test_wheels_the_user_built_are_looked_into(tmp_path: Path) -> None:
    project, wheel = tmp_path / "project", tmp_path / "one-1-py3-none-any.whl"
    project.mkdir()
    wheel.write_bytes(zipped("one/a.py", f"\nx = '{TOKEN}'\n".encode()))
    with pytest.raises(SecretError) as caught:
        reading.read(project, wheels=[wheel])
    (detail,) = caught.value.details
    assert detail.startswith("`one-1-py3-none-any.whl!/one/a.py:2`: github-token (")
    mark = detail.rpartition(" ")[2]
    assert reading.read(project, wheels=[wheel], allow_secrets=[mark]).warnings == ()
    assert reading.read(project, wheels=[tmp_path / "missing.whl"]).warnings == ()  # the build says so elsewhere


@pytest.mark.spec("SECRET-17")
def test_placeholders_are_no_secrets_whatever_the_kind() -> None:
    for planted in PLANTED:
        if planted.form == "text" and planted.rule in {rule.rule for rule in RULES if rule.bits}:
            text = planted.text.replace("@", planted.secret[:-12] + "x" * 12, 1)
            assert found(planted.path, text.encode()) == [], planted


@pytest.mark.spec("SECRET-40")
@pytest.mark.parametrize(
    "piece",
    ["eyJ", "eyJa.eyJ", "_", "-", "-----BEGIN " + PRIVATE + "-----", "://a:b@", "https://", "A", "AKIA", "%3D", "Q~",
     "password=", "token: a1", '"auth":"', ":AA", ".aaaaaa.", "xoxb-1-", "sk-", "T3Blbk" + "FJ", "1", "a", "\n",
     "secret_access_key", "client-key-data:", "PuTTY-User-Key-File-2: "],
)  # fmt: skip
def test_work_grows_with_the_size_and_no_faster(piece: str) -> None:
    def steps(size: int) -> int:
        search = Search("a.yaml")
        search.feed((piece * (size // len(piece))).encode())
        search.finish()
        return search.steps

    small, large = steps(1 << 14), steps(1 << 16)
    assert large <= 4.2 * small + 200
    assert large <= 8 * (1 << 16)


def test_letters_drawn_by_lot_are_no_secrets() -> None:
    lot = random.Random(5)
    for alphabet in (
        string.printable,
        string.ascii_letters + string.digits + "-_.",
        string.hexdigits,
        "AKIASG.eyJ-_:/@",
    ):
        assert found("a.py", "".join(lot.choices(alphabet, k=1 << 19)).encode()) == []
    assert found("a.so", lot.randbytes(1 << 20)) == []
