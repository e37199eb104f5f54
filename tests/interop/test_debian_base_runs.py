"""The bases assembled from real Debian packages run, under runc, as root and as nonroot.

The expectations are those of distroless's own structure tests (`*/testdata/*.yaml` there): what must exist, what must
not, and what commands say. On top of them stand a static busybox, programs in C and C++, and the web applications of
examples/, built with the locks that are committed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ociassemble.base.debian import recipe as recipes
from tests.base.real_debian import real_mirror
from tests.debian_archive import served
from tests.interop import debian_programs as programs
from tests.interop.commands import Commands, once, shared
from tests.interop.containers import Unpacked, usable
from tests.interop.products import document_at, entries
from tests.peers import Peer, require
from tests.ports import free_port

pytestmark = [pytest.mark.packages, pytest.mark.interop]

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NAMES = ("static", "base-nossl", "base", "cc", "python3")
VARIANTS = ("nonroot", "root")
USERS = {"nonroot": ("65532", "/home/nonroot"), "root": ("0", "/")}
PASSWD = """\
root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
"""
GROUP = "root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n"
PATHS = (
    "tmp", "etc/passwd", "etc/group", "etc/os-release", "etc/ssl/certs/ca-certificates.crt", "etc/mime.types",
    "usr/share/doc/ca-certificates/copyright", "etc/services", "usr/share/doc/tzdata/copyright", "usr/share/zoneinfo",
    "root", "home/nonroot", "etc/nsswitch.conf", "var/lib/dpkg/status.d/base-files",
)  # fmt: skip


class Bases(NamedTuple):
    """`layout` has every base in both variants (`python3-nonroot`); `mirror` is what is left of Debian's archive.

    `programs` are some of the same release, to be put on top of them.
    """

    folder: Path
    layout: Path
    mirror: Path
    programs: Path

    def commands(self, **environment: str) -> Commands:
        """The command line, with the cache that the bases were assembled in."""
        return Commands(self.folder, **environment)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """Assembled once a run, by the command that users have, from packages that apt has fetched and verified."""
    usable()
    folder = shared(tmp_path_factory, "debian-bases")
    made = Bases(folder, folder / "layout", folder / "apt" / "mirror", folder / "programs")
    with once(folder) as wanted:
        if wanted():
            recipe, apt = recipes.load(), folder / "apt"
            apt.mkdir(exist_ok=True)
            real_mirror(apt, recipe.suites, [*recipe.image("python3").packages, *programs.PACKAGES])
            programs.extract(apt, made.programs)
            with served(made.mirror) as url:
                ociassemble = made.commands(OCIASSEMBLE_DEBIAN_MIRROR=url)
                for name in NAMES:
                    for variant in VARIANTS:
                        tag = f"oci:{made.layout}:{name}-{variant}"
                        ociassemble("base", "build", f"distroless/{name}:{variant}", "-o", tag)
            # From here on the suites are enough: what was assembled is in the store.
            for path in (*apt.glob("*.deb"), *made.mirror.glob("*/pool"), apt / "cache", apt / "state"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return made


@pytest.fixture(scope="module")
def unpacked(bases: Bases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Unpacked]]:
    """Images of layouts, each unpacked when it is asked for first, and gone at the end."""
    folder, known = tmp_path_factory.mktemp("unpacked"), dict[tuple[Path, str], Unpacked]()

    def find(tag: str, layout: Path = bases.layout) -> Unpacked:
        if (layout, tag) not in known:
            known[layout, tag] = Unpacked(layout, tag, folder / str(len(known)))
        return known[layout, tag]

    yield find
    shutil.rmtree(folder)


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def python(unpacked: Callable[..., Unpacked], variant: str) -> Unpacked:
    return unpacked(f"python3-{variant}")


@pytest.fixture(scope="module")
def on_top(
    bases: Bases, tmp_path_factory: pytest.TempPathFactory, unpacked: Callable[..., Unpacked]
) -> Callable[[str], Unpacked]:
    """A folder of programs on a base, built with the command line."""
    layout = tmp_path_factory.mktemp("on-top") / "layout"

    def build(base: str) -> Unpacked:
        if base not in (entries(layout) if layout.exists() else ()):
            bases.commands()(
                "build", bases.programs, "--kind", "directory", "--base", f"oci:{bases.layout}:{base}", "--platform",
                "linux/amd64", "--cmd", '["/app/busybox", "true"]', "-o", f"oci:{layout}:{base}",
            )  # fmt: skip
        return unpacked(base, layout)

    return build


# --- what is in them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_files_that_must_exist_and_files_that_must_not(
    name: str, unpacked: Callable[..., Unpacked], on_top: Callable[[str], Unpacked]
) -> None:
    # What is unpacked for other tests as well: on top of a base there is /app, and nothing else.
    root = (unpacked if name == "python3" else on_top)(f"{name}-nonroot").root

    for path in (*PATHS, *(["var/lib/dpkg/status.d/libc6"] if name != "static" else [])):
        assert (root / path).exists(), path
    assert (root / "etc/passwd").read_text() == PASSWD
    assert (root / "etc/group").read_text() == GROUP
    for path in ("etc/os-release", "usr/lib/os-release"):
        text = (root / path).read_text()
        assert 'PRETTY_NAME="Distroless"' in text
        assert 'VERSION="Debian GNU/Linux 13 (trixie)"' in text
    for path in ("bin", "sbin", "lib", "lib64"):
        assert (root / path).readlink() == Path(f"usr/{path}")
    for path in ("bin/sh", "bin/bash", "bin/dash", "usr/bin/perl", "busybox", "usr/bin/dpkg", "usr/bin/apt"):
        assert not os.path.lexists(root / path), path
    status = {path.name for path in (root / "var/lib/dpkg/status.d").iterdir() if path.suffix != ".md5sums"}
    assert status == set(recipes.load().image(name).packages)


@pytest.mark.parametrize("name", NAMES)
def test_the_variants_are_the_same_layers_for_another_user(name: str, bases: Bases) -> None:
    layers = []
    for variant, (uid, folder) in USERS.items():
        manifest = document_at(bases.layout, entries(bases.layout)[f"{name}-{variant}"])
        config = document_at(bases.layout, manifest["config"]["digest"])["config"]
        layers.append(manifest["layers"])
        env = dict(item.split("=", 1) for item in config["Env"])

        assert (config["User"], config.get("WorkingDir") or "/") == (uid, folder)
        assert config.get("Entrypoint") == (["/usr/bin/python3.13"] if name == "python3" else None)
        assert not config.get("Cmd")
        assert env["SSL_CERT_FILE"] == "/etc/ssl/certs/ca-certificates.crt"
        assert env.get("LANG") == ("C.UTF-8" if name == "python3" else None)
    assert layers[0] == layers[1]
    below = {"base-nossl": "static", "base": "static", "cc": "base", "python3": "cc"}.get(name)
    if below:
        lower = document_at(bases.layout, entries(bases.layout)[f"{below}-root"])["layers"]
        assert layers[0][: len(lower)] == lower


# --- programs on top of them ---------------------------------------------------------------------------------


def on(*names: str, both: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """Bases as nonroot; as root too where it is cheap (`both`), and all of them in the long run."""
    chosen = [pytest.param(name, "nonroot") for name in names]
    chosen += [pytest.param(name, "root", marks=() if name in both else pytest.mark.long) for name in names]
    return pytest.mark.parametrize(("name", "variant"), chosen)


@on("static", "cc", both=("static",))
def test_a_static_program(name: str, variant: str, on_top: Callable[[str], Unpacked]) -> None:
    """As the image's user, on a read-only root: who it is, what it can read, and that there is no shell."""
    done = on_top(f"{name}-{variant}").run("/app/busybox", "sh", "-c", programs.LOOK)
    user = USERS[variant][0]

    assert done.stderr == ""
    assert int(done.stdout.partition("certificates ")[2].partition("\n")[0]) > 100
    assert [line for line in done.stdout.splitlines() if "certificates" not in line] == [
        f"user {user}:{user} {variant} in /app",
        "release 1", "mime 1", "tcp 2", "Berlin yes", "home 700 65532 700 0 1777", "tmp can be written",
        "the root cannot", *(f"Cap{kind}:\t{'0' * 16}" for kind in ("Prm", "Eff", "Bnd", "Amb")),
    ]  # fmt: skip


@on("base-nossl", "base", "cc")
def test_programs_in_c(name: str, variant: str, on_top: Callable[[str], Unpacked]) -> None:
    """The C library's databases, time zones and converters; TLS where the base has it."""
    made = on_top(f"{name}-{variant}")
    libc = made.run("/app/busybox", "sh", "-c", programs.LIBC)
    tls = made.run("/app/busybox", "sh", "-c", programs.TLS)

    assert libc.stderr == ""
    user, https, *rest = (" ".join(line.split()) for line in libc.stdout.splitlines())
    assert user == "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin"
    assert https == "https 443/tcp"
    assert rest == ["héllo €", "hé", "€", "1"]
    if name == "base-nossl":
        assert "libssl.so.3: cannot open shared object file" in tls.stderr
    else:
        assert tls.stdout.splitlines() == ["OpenSSL 3", "1", "1", "ba7816bf"], tls.stderr


@on("cc")
def test_a_program_in_cxx(name: str, variant: str, on_top: Callable[[str], Unpacked]) -> None:
    """Its standard library is what `cc` has over `base`."""
    done = on_top(f"{name}-{variant}").run("/app/ninja", "-C", "/tmp")
    without = on_top("base-nonroot").run("/app/ninja", "--version")

    assert (done.returncode, done.stdout) == (1, "ninja: Entering directory `/tmp'\n")
    assert done.stderr == "ninja: error: loading 'build.ninja': No such file or directory\n"
    assert without.returncode == 127
    assert "libstdc++.so.6: cannot open shared object file" in without.stderr


# --- Python --------------------------------------------------------------------------------------------------


def test_hello_world(python: Unpacked, variant: str) -> None:
    done = python.start("-c", "import os; print('Hello World', os.getuid(), os.getcwd())")
    uid, folder = USERS[variant]

    assert (done.returncode, done.stdout) == (0, f"Hello World {uid} {folder}\n")


def test_there_is_no_shell(python: Unpacked) -> None:
    done = python.start("-c", "import subprocess; subprocess.run('echo a shell', shell=True)")

    assert done.returncode == 1
    assert "FileNotFoundError" in done.stderr
    assert "'/bin/sh'" in done.stderr
    assert done.stdout == ""


def test_text_is_utf_8(python: Unpacked) -> None:
    """A file with such a name in the working directory: the one expectation for which the root must be writable."""
    script = (
        "import locale, os, sys\n"
        "with open('h\\u00e9llo', 'w') as file: file.write('\\u00e9')\n"
        "print(os.listdir().count('h\\u00e9llo'), os.stat(b'h\\xc3\\xa9llo').st_size); os.remove('h\\u00e9llo')\n"
        "print('\\u00e9', sys.getfilesystemencoding(), sys.stdout.encoding, locale.getpreferredencoding())\n"
        "print(locale.setlocale(locale.LC_ALL, ''), locale.setlocale(locale.LC_ALL, 'C.UTF-8'))\n"
        "print('\\u00c9'.lower(), locale.strxfrm('\\u00e9') > locale.strxfrm('e'))\n"
    )
    done = python.start("-B", "-c", script, read_only=False)

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["1 2", "é utf-8 utf-8 UTF-8", "C.UTF-8 C.UTF-8", "é True"]


@pytest.mark.parametrize("name", ["/usr/bin/python3", "/usr/bin/python", "/usr/bin/python3.13", "/bin/python3"])
def test_its_version(name: str, python: Unpacked) -> None:
    done = python.run(name, "--version")
    status = (python.root / "var/lib/dpkg/status.d/python3.13-minimal").read_text()
    version = status.partition("\nVersion: ")[2].partition("-")[0]

    assert (done.stdout, done.stderr) == (f"Python {version}\n", "")


# Those that distroless's own test leaves out, as far as 3.13 has them, and two that do something when imported.
NOT_HERE = (
    "asyncio.windows_events", "asyncio.windows_utils", "ctypes.wintypes", "encodings.cp65001", "encodings.mbcs",
    "encodings.oem", "multiprocessing.popen_spawn_win32", "_pyrepl.windows_console", "_pyrepl._minimal_curses",
    "winreg", "_ios_support", "_distutils_system_mod", "unittest.__main__", "venv.__main__", "dbm.gnu",
    "lib2to3.pgen2.conv", "turtle", "this", "antigravity",
)  # fmt: skip
IMPORTS = f"""
import importlib, pkgutil, sys, warnings
warnings.simplefilter("ignore")
folder = "/usr/lib/python3.13"
def found(paths, prefix=""):
    for item in pkgutil.iter_modules(paths, prefix):
        yield item.name
        if item.ispkg:
            yield from found([f"{{folder}}/{{item.name.replace('.', '/')}}"], item.name + ".")
names = {{*found([folder, folder + "/lib-dynload"]), *sys.builtin_module_names, "_sqlite3", "_ssl", "zoneinfo"}}
failed = {{}}
for name in sorted(names - {set(NOT_HERE)!r}):
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = repr(error)
print(len(names), failed)
"""


def test_every_module_of_the_standard_library_can_be_imported(python: Unpacked) -> None:
    done = python.start("-c", IMPORTS)
    count, _, failed = done.stdout.splitlines()[-1].partition(" ")

    assert failed == "{}"
    assert int(count) > 500


def test_tls_and_the_loader(python: Unpacked) -> None:
    """Certificates with and without the variable that names them; libraries by name, as ctypes looks for them."""
    script = (
        "import ctypes, ctypes.util, os, sqlite3, ssl, zoneinfo\n"
        "print(len(ssl.create_default_context().get_ca_certs()) > 100)\n"
        "del os.environ['SSL_CERT_FILE']\n"
        "print(len(ssl.create_default_context().get_ca_certs()) > 100)\n"
        "for name in 'c', 'ssl', 'z', 'sqlite3', 'stdc++', 'gomp': ctypes.CDLL(ctypes.util.find_library(name))\n"
        "print(sqlite3.connect('/tmp/x').execute('select 1 + 1').fetchone()[0], zoneinfo.ZoneInfo('US/Eastern'))\n"
    )
    done = python.start("-c", script)

    assert (done.stdout, done.stderr) == ("True\nTrue\n2 US/Eastern\n", "")


def test_every_library_can_be_loaded(python: Unpacked) -> None:
    """So each finds those it needs: nothing was left out of the base that something in it links."""
    # One is made for debuggers, which bring the rest; the other reports on the process that loaded it.
    script = (
        "import ctypes, os\n"
        "found = [f'{folder}/{name}' for folder, _, names in os.walk('/usr/lib') for name in names\n"
        "         if '.so' in name and not name.startswith(('libthread_db', 'libmemusage'))]\n"
        "for path in found:\n"
        "    try: ctypes.CDLL(path)\n"
        "    except OSError as error:\n"
        "        print(path, error)\n"
        "print(len(found) > 100)\n"
    )
    done = python.start("-c", script)

    assert (done.stdout, done.stderr) == ("True\n", "")


# --- applications --------------------------------------------------------------------------------------------


@pytest.fixture
def built(bases: Bases, tmp_path: Path) -> Callable[[str], str]:
    """An example with its committed lock on the assembled base; where it is."""

    def build(example: str) -> str:
        place = f"oci:{tmp_path / 'image'}:t"
        with served(bases.mirror) as url:
            ociassemble = bases.commands(**{**os.environ, "OCIASSEMBLE_DEBIAN_MIRROR": url})
            done = ociassemble("build", EXAMPLES / example, "--locked", "--base-source", "debian",
                               "--platform", "linux/amd64", "-o", place)  # fmt: skip
        assert done.out.startswith(f"{place}@sha256:")
        assert "stale" not in done.err
        return place

    return build


class Service:
    """`ociassemble run`, as users start it."""

    def __init__(self, place: str, port: int, folder: Path) -> None:
        self.place, self.folder, self.port = place, folder, port
        folder.mkdir()
        self.log = folder.with_suffix(".log")
        command = [sys.executable, "-m", "ociassemble", "run", place, "-p", str(port), "--runtime", "runc"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, "TMPDIR": str(folder)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def get(self, path: str) -> bytes:
        """What it answers, once it does."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                    body: bytes = answer.read()
                    return body
            except urllib.error.HTTPError:
                raise
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def status(self) -> tuple[dict[str, str], str]:
        """What the kernel says of its first process, and how the root is mounted."""
        (state,) = self.folder.glob("*/*/state")
        runc = require("runc", "--root", str(state))
        (name,) = [path.name for path in state.iterdir()]
        process = Path(f"/proc/{runc.json('state', name)['pid']}")
        lines = (process / "status").read_text().splitlines()
        (root,) = [line for line in (process / "mountinfo").read_text().splitlines() if line.split()[4] == "/"]
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}, root.split()[5]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def serve(built: Callable[[str], str], tmp_path: Path) -> Iterator[Callable[[str], Service]]:
    started: list[Service] = []

    def start(example: str) -> Service:
        started.append(Service(built(example), free_port(), tmp_path / "run"))
        return started[-1]

    yield start
    for service in started:
        if service.process.poll() is None:
            service.stop()


def confined(service: Service) -> None:
    """It is uid 65532 without any capability, cannot get one, and its root is read-only."""
    status, options = service.status()

    assert status["Uid"].split() == status["Gid"].split() == ["65532"] * 4
    assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert options.split(",")[0] == "ro"


def test_flask_answers(serve: Callable[[str], Service], umoci: Peer, skopeo: Peer) -> None:
    service = serve("python-flask")
    health = json.loads(service.get("/health"))

    assert service.get("/").startswith(b"Hello from Flask")
    assert (health["status"], health["uid"], health["executable"]) == ("ok", 65532, "/usr/bin/python3.13")
    assert not health["standard_library_writable"] and not health["application_writable"]
    confined(service)
    assert service.stop() == 0, service.log.read_text()
    assert list(service.folder.iterdir()) == []
    seen_by_others(service.place.removeprefix("oci:"), umoci, skopeo)


def seen_by_others(place: str, umoci: Peer, skopeo: Peer) -> None:
    """The image that answered is one that umoci and skopeo see as we do."""
    layout = Path(place.rpartition(":")[0])
    digest = entries(layout)["t"]
    manifest = document_at(layout, digest)
    config = document_at(layout, manifest["config"]["digest"])
    history = umoci.json("stat", "--image", place, "--json")["history"]

    assert skopeo.json("inspect", f"oci:{place}")["Digest"] == digest
    assert [item["diff_id"] for item in history if not item.get("empty_layer")] == config["rootfs"]["diff_ids"]


def test_fastapi_answers(serve: Callable[[str], Service]) -> None:
    """With pydantic's compiled core, chosen for the base's Python and C library."""
    service = serve("python-fastapi")
    health: Any = json.loads(service.get("/health"))
    there = json.loads(service.get("/time/Europe/Helsinki"))

    assert (health["status"], health["uid"], health["root_writable"]) == ("ok", 65532, False)
    assert health["python"].startswith("3.13.")
    assert there["time"].endswith(("+02:00", "+03:00"))
    with pytest.raises(urllib.error.HTTPError, match="404"):
        service.get("/time/Nowhere/Else")
    confined(service)
    assert service.stop() in (0, 143), service.log.read_text()
    assert list(service.folder.iterdir()) == []


def test_plain_python_answers(serve: Callable[[str], Service]) -> None:
    service = serve("python-plain")

    assert json.loads(service.get("/health"))["uid"] == 65532
    confined(service)
    assert service.stop() == 0
