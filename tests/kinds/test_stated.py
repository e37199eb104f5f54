"""What the user stated wins: config values, and `--add`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.errors import Error
from ociassemble.kinds.stated import AddError, AddMissingError, added, with_settings
from ociassemble.plan.plan import ConfigPlan, FilesSource
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree, read


@pytest.fixture
def tree(tmp_path: Path) -> ProjectTree:
    (tmp_path / "conf/deep").mkdir(parents=True)
    (tmp_path / "conf/a.toml").write_text("a")
    (tmp_path / "conf/deep/b.sh").write_text("b")
    (tmp_path / "conf/deep/b.sh").chmod(0o755)
    (tmp_path / "main.py").write_text("")
    return read(tmp_path)


def items(tree: ProjectTree, *texts: str) -> list[tuple[str, int, int, int]]:
    layers = added(tree, Settings(add=texts))
    assert len(layers) == 1
    (source,) = layers[0].sources
    assert isinstance(source, FilesSource)
    return [(item.path, item.mode, item.uid, item.gid) for item in source.items]


def test_nothing_to_add_is_no_layer(tree: ProjectTree) -> None:
    assert added(tree, Settings()) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("main.py:/srv/x.py", [("/srv/x.py", 0o644, 0, 0)]),
        ("main.py:/srv/", [("/srv/main.py", 0o644, 0, 0)]),
        ("./conf/a.toml:/etc/a.toml,chmod=640", [("/etc/a.toml", 0o640, 0, 0)]),
        ("main.py:/x,chown=65532", [("/x", 0o644, 65532, 65532)]),
        ("main.py:/x,chown=1:2,chmod=0755", [("/x", 0o755, 1, 2)]),
        (
            "conf:/etc/app,chmod=600",
            [("/etc/app/a.toml", 0o600, 0, 0), ("/etc/app/deep", 0o755, 0, 0), ("/etc/app/deep/b.sh", 0o600, 0, 0)],
        ),
    ],
)
def test_where_things_go(tree: ProjectTree, text: str, expected: list[tuple[str, int, int, int]]) -> None:
    assert items(tree, text) == expected


def test_the_whole_folder(tree: ProjectTree) -> None:
    assert [item[0] for item in items(tree, ".:/copy")] == [
        "/copy/conf", "/copy/conf/a.toml", "/copy/conf/deep", "/copy/conf/deep/b.sh", "/copy/main.py",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["main.py", "main.py:", ":/x", "main.py:x", "main.py:/a/../b", "main.py:/x,chown=root", "main.py:/x,chmod=4755",
     "main.py:/x,chown=4294967296", "main.py:/x,mode=1"],
)  # fmt: skip
def test_what_cannot_be_read(tree: ProjectTree, text: str) -> None:
    with pytest.raises(AddError):
        added(tree, Settings(add=(text,)))


@pytest.mark.parametrize("text", ["gone:/x", "../main.py:/x", "conf/gone/:/x"])
def test_what_is_not_in_the_project(tree: ProjectTree, text: str) -> None:
    with pytest.raises(AddMissingError) as caught:
        added(tree, Settings(add=(text,)))
    assert isinstance(caught.value, Error) and caught.value.hint


def test_settings_win_over_what_a_kind_decided() -> None:
    config = ConfigPlan(env={"PORT": "8080", "A": "1"}, workdir="/app", ports=("8080/tcp",))
    settings = Settings(env={"A": None, "B": "2"}, workdir="/srv", user="1000", ports=("9000/tcp",))
    result = with_settings(config, settings)
    assert result.env == {"PORT": "8080", "A": None, "B": "2"}
    assert (result.workdir, result.user, result.ports) == ("/srv", "1000", ("8080/tcp", "9000/tcp"))
