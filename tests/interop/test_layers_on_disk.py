"""Our view of a base's layers is what umoci makes of them on disk, whatever the layers do to each other."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path
from typing import Any

import pytest

from ociassemble.image.filesystem import read_filesystem
from ociassemble.image.image import Layer
from ociassemble.progress import Progress
from ociassemble.testing.images import Content, File, Folder, Hardlink, Link, image, lay_out, layer, opaque, whiteout
from tests.peers import Peer

pytestmark = pytest.mark.interop


def random_layers(seed: int) -> list[Layer]:
    """Layers over few names, so that they meet: folders again, links to folders, whiteouts, hard links, other kinds.

    Below `d*` and `l*` (folders, links to them) there is more; `f*` and `x*` have nothing below them, which no
    runtime would unpack.
    """
    dice = random.Random(seed)

    def folder() -> str:
        parts = [dice.choice(["d1", "d2", "l1", "l2"]), *(dice.choice(["d1", "d2"]) for _ in range(dice.randrange(2)))]
        return "/".join(parts)

    def attributes() -> tuple[int, int]:
        return dice.choice([0, 1000]), dice.choice([0, 65532])

    def one(files: list[str]) -> tuple[str, Content]:
        kind = dice.choice(["file"] * 4 + ["folder"] * 2 + ["link", "other", "hard", "hard"])
        if kind == "folder":
            parts = folder().replace("l", "d")
            return parts, Folder(dice.choice([0o755, 0o700, 0o1777]), *attributes())
        if kind == "link":
            files.clear()  # a path may lead elsewhere from here on
            return dice.choice(["l1", "l2"]), Link(dice.choice(["d1", "/d2", "../d1/d2", ".", "d2/./d1/../d1"]))
        if kind == "hard" and files:
            return f"{folder()}/h", Hardlink(dice.choice(files))
        if kind == "other":
            other: list[Content] = [File("x", 0o600), Folder(0o711), Link("nowhere")]
            return dice.choice(["x1", "x2"]), dice.choice(other)
        files.append(f"{folder()}/f{dice.randrange(2)}")
        return files[-1], File(str(dice.random()), dice.choice([0o644, 0o755, 0o600]), *attributes())

    layers = []
    for number in range(4):
        files: list[str] = []
        entries = [one(files) for _ in range(dice.randint(2, 8))]
        if number and dice.random() < 0.7:
            where = dice.choice([folder(), f"{folder()}/f0", "l1", "l2", "x1"])
            gone = opaque(folder()) if dice.random() < 0.4 else whiteout(where)
            entries.insert(0, (gone, ""))
        layers.append(layer(entries, dialect=dice.choice(["ustar", "gnu", "pax"])))
    return layers


def tree(root: Path) -> dict[str, tuple[Any, ...]]:
    """What is below a folder: kind, mode, owner and group, and where links point."""
    found: dict[str, tuple[Any, ...]] = {}
    for place in sorted(root.rglob("*")):
        info = place.lstat()
        kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}
        kind = kinds[stat.S_IFMT(info.st_mode)]
        mode = 0o777 if kind == "symlink" else stat.S_IMODE(info.st_mode)
        found[str(place.relative_to(root))] = (kind, mode, info.st_uid, info.st_gid)
        if kind == "symlink":
            found[str(place.relative_to(root))] += (os.readlink(place),)  # noqa: PTH115  (a Path would tidy the text)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_our_view_of_layers_is_what_umoci_unpacks(umoci: Peer, tmp_path: Path, seed: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("owners need root")
    made = image(random_layers(seed), execution={"Cmd": ["/x"]})
    lay_out(made, tmp_path / "image", "t")
    unpacked = umoci("unpack", "--image", f"{tmp_path}/image:t", tmp_path / "bundle", check=False)
    view = read_filesystem(made, lambda path: False, progress=Progress(), jobs=1, label="x")
    ours = {
        path: (item.kind, item.mode, item.uid, item.gid, *([item.target] * (item.kind == "symlink")))
        for path, item in view.paths.items()
    }

    assert unpacked.returncode == 0, unpacked.stderr
    assert ours == tree(tmp_path / "bundle" / "rootfs")
