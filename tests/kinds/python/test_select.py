"""From a lock to the wheels of one platform (PY-11 to PY-15)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ociassemble.errors import Error
from ociassemble.kinds.protocol import LockedPackage, Resolution, ResolveRequest
from ociassemble.kinds.python import select
from ociassemble.kinds.python.errors import (
    LockedHashError,
    LockError,
    NoWheelError,
    PythonVersionError,
    WeakHashError,
)
from ociassemble.plan.facts import BaseFacts
from tests.kinds.python import samples

PURE = "py3-none-any"
LINUX = "cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64"
ARM = "cp313-cp313-manylinux_2_17_aarch64.manylinux2014_aarch64"


def sha(letter: str) -> str:
    return letter * 64


HASHES = f'hashes = {{ sha256 = "{sha("a")}" }}'


def entry(name: str, wheels: Sequence[str], *extra: str, version: str = "1.0", key: str = "wheels") -> str:
    return "\n".join(
        ["[[packages]]", f'name = "{name}"', f'version = "{version}"', f"{key} = [{', '.join(wheels)}]", *extra, ""]
    )


def wheel(filename: str, digest: str = sha("a"), size: int | None = 10, hashes: str | None = None) -> str:
    told = "" if size is None else f", size = {size}"
    hashes = f'{{ sha256 = "{digest}" }}' if hashes is None else hashes
    return f'{{ url = "https://registry.example/packages/{filename}"{told}, hashes = {hashes} }}'


def lock(*entries: str, head: str = "") -> str:
    return f'lock-version = "1.0"\ncreated-by = "test"\n{head}\n' + "\n".join(entries)


def chosen(
    text: str, facts: BaseFacts | None = None, form: str = "requirements", **request: object
) -> tuple[LockedPackage, ...]:
    asked = ResolveRequest("python", form, "pylock.toml", (), **request)  # type: ignore[arg-type]
    return select.select(asked, Resolution("pylock", text), facts or samples.distroless())


def test_one_wheel_a_platform_sorted_by_name() -> None:
    text = lock(
        entry("numpy", [wheel(f"numpy-1.0-{LINUX}.whl", sha("b"), None), wheel(f"numpy-1.0-{ARM}.whl", sha("c"))]),
        entry("click", [wheel("click-1.0-py3-none-any.whl")]),
    )
    assert [(item.name, item.version, item.artifact.size) for item in chosen(text)] == [
        ("click", "1.0", 10),
        ("numpy", "1.0", -1),
    ]
    (_, arm) = chosen(text, samples.distroless("linux/arm64"))
    assert arm.artifact.digest.hex == sha("c") and arm.artifact.filename == f"numpy-1.0-{ARM}.whl"


@pytest.mark.spec("PY-11")
def test_the_best_tag_then_the_highest_build_in_any_order() -> None:
    names = [f"x-1.0-{PURE}.whl", f"x-1.0-{LINUX}.whl", f"x-1.0-2-{LINUX}.whl", f"x-1.0-10-{LINUX}.whl"]
    wheels = [wheel(name, sha(letter)) for name, letter in zip(names, "abcd", strict=True)]
    for order in (wheels, wheels[::-1], wheels[2:] + wheels[:2]):
        (found,) = chosen(lock(entry("x", order)))
        assert found.artifact.filename == names[3] and found.artifact.digest.hex == sha("d")


@pytest.mark.spec("PY-10")
def test_markers_decide_for_the_base_and_not_for_this_machine() -> None:
    def marked(marker: str) -> str:
        return f'marker = "{marker}"'

    pure = [wheel("x-1.0-py3-none-any.whl")]
    assert chosen(lock(entry("x", pure, marked("python_version < '3.12'")))) == ()
    assert chosen(lock(entry("x", pure, marked("sys_platform == 'win32'")))) == ()
    assert len(chosen(lock(entry("x", pure, marked("python_full_version >= '3.13.5'"))))) == 1
    arm = lock(entry("x", pure, marked("platform_machine == 'aarch64'")))
    assert chosen(arm) == () and len(chosen(arm, samples.distroless("linux/arm64"))) == 1


def test_extras_and_groups_of_a_lock_that_has_them() -> None:
    text = lock(
        entry("x", [wheel("x-1.0-py3-none-any.whl")], "marker = \"'fast' in extras\""),
        entry("y", [wheel("y-1.0-py3-none-any.whl")], "marker = \"'web' in dependency_groups\""),
        head='extras = ["fast"]\ndependency-groups = ["web", "dev"]\ndefault-groups = ["web"]',
    )
    assert [item.name for item in chosen(text, form="pylock")] == ["y"]
    assert [item.name for item in chosen(text, form="pylock", extras=("fast",))] == ["x", "y"]
    with pytest.raises(LockError, match="no extra `slow`") as caught:
        chosen(text, form="pylock", extras=("slow",))
    assert caught.value.details == ("it has: fast",)
    with pytest.raises(LockError, match="no dependency group"):
        chosen(text, form="pylock", groups=("nope",))


@pytest.mark.spec("PY-13")
def test_no_wheel_names_what_was_wanted_and_what_is_there() -> None:
    sdist = 'sdist = { url = "https://registry.example/psycopg2-1.0.tar.gz", ' + HASHES + " }"
    text = lock(entry("psycopg2", [wheel("psycopg2-1.0-cp313-cp313-win_amd64.whl")], sdist))
    with pytest.raises(NoWheelError) as caught:
        chosen(text)
    error = caught.value
    assert error.message == "`psycopg2` 1.0 has no wheel for Python 3.13.5 on linux/amd64 (glibc 2.41)"
    assert error.details[0].startswith("wanted: cp313-cp313-manylinux_2_41_x86_64 (down to manylinux1_x86_64)")
    assert error.details[1] == "there: psycopg2-1.0-cp313-cp313-win_amd64.whl"
    assert "psycopg2-binary" in (error.hint or "") and "--wheel" in (error.hint or "")
    assert (error.code, error.exit_code) == ("project.no-wheel", 3)
    with pytest.raises(NoWheelError) as caught:
        chosen(
            lock(f'[[packages]]\nname = "docopt"\nversion = "0.6.2"\n{sdist.replace("psycopg2-1.0", "docopt-0.6.2")}')
        )
    assert "only its source" in caught.value.details[1] and "docopt-ng" in (caught.value.hint or "")


@pytest.mark.spec("PY-15")
def test_a_package_of_the_users_own_is_not_selected() -> None:
    text = lock(entry("x", [wheel("x-1.0-cp313-cp313-win_amd64.whl")]), entry("y", [wheel("y-1.0-py3-none-any.whl")]))
    assert [item.name for item in chosen(text, provided=("x",))] == ["y"]


@pytest.mark.spec("PY-6")
def test_the_hashes_of_the_input_are_enforced() -> None:
    text = lock(
        entry("x", [wheel(f"x-1.0-{LINUX}.whl", sha("a")), wheel("x-1.0-py3-none-any.whl", sha("b"))]),
        entry("y", [wheel("y-1.0-py3-none-any.whl", sha("c"))]),
    )
    y = ("y", (sha("c"),))
    found = chosen(text, required_hashes=(("x", (sha("b"),)), y))
    assert found[0].artifact.digest.hex == sha("b")  # what is allowed goes before what is better
    with pytest.raises(LockedHashError) as caught:
        chosen(text, required_hashes=(("x", (sha("d"),)), y))
    assert caught.value.exit_code == 7
    assert f"allowed: sha256:{sha('d')}" in caught.value.details
    assert f"found: sha256:{sha('a')} (x-1.0-{LINUX}.whl)" in caught.value.details
    with pytest.raises(LockedHashError, match="`x` has no --hash"):
        chosen(text, required_hashes=(y,))
    with pytest.raises(LockedHashError):
        chosen(text, required_hashes=(("x", ()), y))


@pytest.mark.spec("PY-12")
def test_only_sha256_names_an_artifact() -> None:
    weak = wheel("x-1.0-py3-none-any.whl", hashes='{ md5 = "d41d8cd98f00b204e9800998ecf8427e" }')
    with pytest.raises(WeakHashError, match="without a sha256"):
        chosen(lock(entry("x", [weak])))
    strong = wheel("x-1.0-py3-none-any.whl", sha("A"))
    assert chosen(lock(entry("x", [strong])))[0].artifact.digest.hex == sha("a")
    better = wheel(f"x-1.0-{LINUX}.whl", hashes='{ md5 = "d41d8cd98f00b204e9800998ecf8427e" }')
    assert chosen(lock(entry("x", [better, strong])))[0].artifact.filename == "x-1.0-py3-none-any.whl"


@pytest.mark.spec("PY-14")
def test_a_python_that_is_not_accepted_is_named() -> None:
    pure = [wheel("x-1.0-py3-none-any.whl")]
    with pytest.raises(PythonVersionError, match=r"the lock requires Python >=3\.14; the base has Python 3\.13\.5"):
        chosen(lock(entry("x", pure), head='requires-python = ">=3.14"'))
    with pytest.raises(PythonVersionError, match=r"x 1\.0 requires Python <3\.13"):
        chosen(lock(entry("x", pure, 'requires-python = "<3.13"')))


def test_local_folders_are_left_to_the_plan_and_wheels_by_path_are_taken() -> None:
    text = lock(
        '[[packages]]\nname = "app"\ndirectory = { path = ".", editable = true }\n',
        '[[packages]]\nname = "x"\narchive = { path = "vendor/x-1.0-py3-none-any.whl", ' + HASHES + " }\n",
        '[[packages]]\nname = "y"\narchive = { url = "https://registry.example/y-2%2Bcu-py3-none-any.whl#z", '
        + HASHES
        + " }\n",
    )
    assert [(item.name, item.version, item.artifact.filename) for item in chosen(text)] == [
        ("x", "1.0", "x-1.0-py3-none-any.whl"),
        ("y", "2+cu", "y-2+cu-py3-none-any.whl"),
    ]


def test_the_password_of_a_url_is_not_told() -> None:
    place = "https://user:secret@registry.example/x-1.0-py3-none-any.whl"
    with pytest.raises(LockError, match=r"`https://registry\.example/x") as found:
        chosen(lock(entry("x", [f'{{ path = "{place}", {HASHES} }}'])))
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", LockError),
        ("lock-version = ", LockError),
        ("a = " + "[" * 3000, LockError),
        (lock(entry("X_y", [wheel("x_y-1.0-py3-none-any.whl")])), LockError),
        (lock(entry("x", [wheel("x-1.0-py3-none-any.whl", "zz")])), LockError),
        (lock(entry("x", [wheel("x-1.0-py3-none-any.whl", size=-1)])), LockError),
        (lock(entry("x", [wheel("x-1.0.whl")])), LockError),
        (lock(entry("x", [wheel("y-1.0-py3-none-any.whl")])), LockError),
        (lock(entry("x", [f'{{ path = "../../x-1.0-py3-none-any.whl", {HASHES} }}'])), LockError),
        (lock(entry("x", [f'{{ path = "/etc/x-1.0-py3-none-any.whl", {HASHES} }}'])), LockError),
        (lock(entry("x", [f'{{ path = "a\\\\..\\\\..\\\\x-1.0-py3-none-any.whl", {HASHES} }}'])), LockError),
        (lock(entry("x", [wheel("x-1.0-py3-none-any.whl")], 'marker = "nonsense == 1"')), LockError),
        (
            lock(entry("x", [wheel("x-1.0-py3-none-any.whl")], f"marker = \"python_version > '{'9' * 5000}'\"")),
            LockError,
        ),
        (lock(entry("x", [wheel("x-1.0-py3-none-any.whl")]) * 2), LockError),
        (lock(head="environments = [\"sys_platform == 'win32'\"]\npackages = []"), LockError),
        (
            lock('[[packages]]\nname="x"\nvcs={type="git", url="https://registry.example/x", commit-id="1"}'),
            NoWheelError,
        ),
        (
            lock('[[packages]]\nname="x"\narchive={url="https://registry.example/x-1.tar.gz", ' + HASHES + "}"),
            NoWheelError,
        ),
        (
            lock('[[packages]]\nname="x"\narchive={url="https://[bad/x-1-py3-none-any.whl", ' + HASHES + "}"),
            Error,
        ),
    ],
)
def test_hostile_locks_are_errors_of_ours(text: str, kind: type[Error]) -> None:
    try:
        found = chosen(text)
    except Error as error:
        assert isinstance(error, kind), error
        assert error.message
    else:
        assert kind is Error and all("/" not in item.artifact.filename for item in found)
