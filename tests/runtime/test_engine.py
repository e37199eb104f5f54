"""podman, docker and nerdctl: what they are asked to do, and that nothing of ours stays with them.

The engine here is a small program that writes down what it is asked. The archive it is given is read by skopeo.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.errors import IntegrityError
from ociassemble.progress import Event, Note, Progress
from ociassemble.runtime.probe import NoRuntimeError, RuntimeChoice, RuntimeRefusedError
from ociassemble.runtime.request import Port
from ociassemble.runtime.run import run, start
from tests.peers import Peer
from tests.runtime.layouts import request_of

ENGINE = r"""#!/bin/sh
printf '%s\n' "$*" >> "$0.log"
case "$1" in
  load) [ -s "$4" ] || exit 9
    [ -f "$0.keep" ] && cp "$4" "$(cat "$0.keep")"; exit $(cat "$0.load" 2>/dev/null || echo 0) ;;
  start) echo 'from the container'; exit $(cat "$0.status" 2>/dev/null || echo 0) ;;
  inspect) cat "$0.started" 2>/dev/null || echo '2026-01-01T00:00:00Z' ;;
esac
"""


@pytest.fixture
def engine(tmp_path: Path) -> RuntimeChoice:
    program = tmp_path / "podman"
    program.write_text(ENGINE)
    program.chmod(0o755)
    return RuntimeChoice("podman", (str(program),), "1.0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "scratch"
    place.mkdir()
    return place


@pytest.fixture
def layout(tmp_path: Path, umoci: Peer) -> Path:
    """A layout with the image `t`, made by umoci."""
    place, page = tmp_path / "layout", tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("hello\n")
    umoci("init", "--layout", place)
    umoci("new", "--image", f"{place}:t")
    umoci("insert", "--image", f"{place}:t", page, "/www")
    umoci("insert", "--image", f"{place}:t", page, "/www2")
    umoci("config", "--image", f"{place}:t", "--config.env=PORT=8080", "--config.user=65532")
    return place


def asked(engine: RuntimeChoice) -> list[list[str]]:
    log = Path(engine.programs[0] + ".log")
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


pytestmark = pytest.mark.interop


def test_what_an_engine_is_asked(engine: RuntimeChoice, layout: Path, folder: Path, tmp_path: Path) -> None:
    with (tmp_path / "output").open("wb") as output:
        asked_for = request_of(layout, "t", port=Port("", 9000), args=["serve"], env={"A": "1"})
        running = start(engine, asked_for, folder=folder, output=output)
        assert running.wait(30) == 0
    words = asked(engine)

    assert [line[0] for line in words] == ["load", "create", "start", "rm", "rmi"]
    create = words[1]
    for wanted in (
        ["--cap-drop", "ALL"],
        ["--security-opt", "no-new-privileges"],
        ["--tmpfs", "/tmp:mode=1777"],
        ["--read-only"],
        ["--publish", "127.0.0.1:9000:8080"],
        ["--env", "A=1"],
    ):
        at = create.index(wanted[0])
        assert create[at : at + len(wanted)] == wanted
    image = create[-2]
    assert create[-1] == "serve"
    assert words[4] == ["rmi", image]
    assert words[3] == ["rm", "--force", create[create.index("--name") + 1]]
    assert (tmp_path / "output").read_text() == "from the container\n"
    assert running.address == ("127.0.0.1", 9000)
    assert list(folder.iterdir()) == []


def test_the_status_is_the_containers(engine: RuntimeChoice, layout: Path, folder: Path) -> None:
    Path(engine.programs[0] + ".status").write_text("125")

    assert start(engine, request_of(layout, "t"), folder=folder).wait(30) == 125


@pytest.mark.parametrize(("file", "text"), [("load", "1"), ("started", "0001-01-01T00:00:00Z")])
def test_an_engine_that_cannot_is_passed_over_and_left_clean(
    engine: RuntimeChoice, layout: Path, folder: Path, file: str, text: str
) -> None:
    Path(engine.programs[0] + f".{file}").write_text(text)
    Path(engine.programs[0] + ".status").write_text("125")
    events: list[Event] = []
    with pytest.raises(NoRuntimeError) as caught:
        run([engine], request_of(layout, "t"), folder=folder, progress=Progress(events.append))

    assert len(caught.value.details) == 1
    assert [event.level for event in events if isinstance(event, Note)][-1] == "warning"
    assert [line[0] for line in asked(engine)][-2:] == ["rm", "rmi"]
    assert list(folder.iterdir()) == []


def test_an_engine_that_is_gone_refuses(engine: RuntimeChoice, layout: Path, folder: Path) -> None:
    Path(engine.programs[0]).unlink()
    with pytest.raises(RuntimeRefusedError):
        start(engine, request_of(layout, "t"), folder=folder)


def test_the_archive_is_one_that_every_engine_reads(
    engine: RuntimeChoice, layout: Path, folder: Path, skopeo: Peer, tmp_path: Path
) -> None:
    Path(engine.programs[0] + ".keep").write_text(str(tmp_path / "kept.tar"))
    request = request_of(layout, "t")
    assert start(engine, request, folder=folder).wait(30) == 0
    for form in ("docker-archive", "oci-archive"):
        skopeo("copy", f"{form}:{tmp_path / 'kept.tar'}", f"oci:{tmp_path / form}:t")
        copied = request_of(tmp_path / form, "t")
        assert copied.config.diff_ids == request.config.diff_ids
        assert copied.config.user == "65532"


def test_a_spoilt_layer_is_never_handed_over(engine: RuntimeChoice, layout: Path, folder: Path) -> None:
    request = request_of(layout, "t")
    blob = layout / "blobs" / "sha256" / request.image.manifest.layers[0].digest.hex
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    with pytest.raises(IntegrityError):
        start(engine, request, folder=folder)

    assert list(folder.iterdir()) == []
    assert "load" not in [line[0] for line in asked(engine)]
