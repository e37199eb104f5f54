"""The python3 base from real packages: apt agrees with what was chosen, ldconfig with the cache, and Python runs.

The expectations are those of distroless's own structure tests. Commands run by chroot, as root and as nonroot.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ociassemble.attest import openpgp
from ociassemble.base.debian import recipe as recipes
from ociassemble.base.debian.source import DebianBases
from ociassemble.base.names import expand
from ociassemble.content.compress import open_reader
from ociassemble.content.memory import MemoryStore
from ociassemble.formats import ldcache
from ociassemble.image.image import Image
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.locked_base import DebianBase, DebianPackage
from ociassemble.progress import Progress
from ociassemble.sources.npmrc import NpmSettings
from tests.base.debian_bases import wire
from tests.base.real_debian import RealMirror, real_mirror
from tests.debian_archive import served

pytestmark = pytest.mark.packages

AMD64 = Platform.parse("linux/amd64")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
    "LANG": "C.UTF-8",
}


class Base(NamedTuple):
    mirror: RealMirror
    releases: tuple[bytes, ...]
    packages: tuple[DebianPackage, ...]
    image: Image
    root: Path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    recipe = recipes.load()
    names = recipe.image("python3").packages
    mirror = real_mirror(tmp_path_factory.mktemp("apt"), recipe.suites, names)
    releases = tuple(path.read_bytes() for path in mirror.root.rglob("InRelease"))
    assert len(releases) == 3
    store = MemoryStore()
    with served(mirror.root) as url:
        (made,) = _bases(url, store)(expand("distroless/python3", overrides={}), [AMD64], {})
        # Suites are asked again, indexes and layers are not: the index is gone, and there is one core.
        for index in mirror.root.rglob("by-hash/SHA256/*"):
            index.unlink()
        (again,) = _bases(url, store, jobs=1)(expand("distroless/python3", overrides={}), [AMD64], {})
        assert again.image.digest == made.image.digest
        assert again.packages == made.packages
    image, packages = made.image, made.packages
    root = tmp_path_factory.mktemp("root")
    try:
        yield Base(mirror, releases, packages, image, root if _unpacked(image, root) else Path())
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _bases(url: str, store: MemoryStore, *, jobs: int = 2) -> DebianBases:
    return DebianBases(
        mirror=url, upstream=None, npm=NpmSettings, offline=False, wire=wire, store=store, use_records=True, jobs=jobs,
        transfers=4, progress=Progress(),
    )  # fmt: skip


def _unpacked(image: Image, root: Path) -> bool:
    """Whether the layers could be unpacked with their owners (here, for a test; the product never does)."""
    if os.geteuid() != 0:
        return False
    root.chmod(0o755)
    for layer in image.layers:
        with layer.blob.open() as stream:
            data = open_reader(stream, "gzip").read()
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(root, numeric_owner=True, filter="fully_trusted")
    os.mknod(root / "dev/null", 0o020666, os.makedev(1, 3))
    (root / "dev/null").chmod(0o666)
    return True


@pytest.fixture
def root(base: Base) -> Path:
    if base.root == Path():
        pytest.skip("unpacking with owners needs root")
    return base.root


@pytest.fixture(params=["0:0", "65532:65532"], ids=["root", "nonroot"])
def run(root: Path, request: pytest.FixtureRequest) -> object:
    """A command inside, as root and as nonroot."""
    chroot = shutil.which("chroot", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if chroot is None or platform.machine() != "x86_64":
        pytest.skip("commands of the image need chroot and an x86-64 host")

    def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [chroot, f"--userspec={request.param}", str(root), *command],
            env={**ENVIRONMENT, "HOME": "/tmp", **environment},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )

    return run


@pytest.mark.spec("DEBIAN-INDEX-2")
def test_the_locked_packages_make_the_same_base_without_any_suite(base: Base) -> None:
    shutil.rmtree(base.mirror.root / "debian/dists")
    name = expand("distroless/python3", overrides={})
    pin = DebianBase("python3:nonroot", base.packages, Digest.of(b""), 0, "", (), "none")
    with served(base.mirror.root) as url:
        (made,) = _bases(url, MemoryStore())(name, [AMD64], {"linux/amd64": pin})

    assert made.image.digest == base.image.digest


@pytest.mark.spec("DEBIAN-INDEX-4")
def test_apt_would_choose_the_same_packages(base: Base) -> None:
    ours = {item.name: (item.path.rpartition("/")[2], item.size, item.digest.hex) for item in base.packages}

    assert ours == base.mirror.chosen


def test_a_real_release_with_one_changed_byte(base: Base) -> None:
    for document in base.releases:
        data = bytearray(document)
        assert openpgp.verify(bytes(data), openpgp.debian_keyring()).signers
        data[len(data) // 2] ^= 1
        with pytest.raises(openpgp.SignatureError):
            openpgp.verify_release(bytes(data))


def test_paths_that_must_exist(root: Path) -> None:
    for path in (
        "tmp", "etc/passwd", "etc/group", "etc/os-release", "etc/ssl/certs/ca-certificates.crt", "etc/mime.types",
        "usr/share/doc/ca-certificates/copyright", "etc/services", "usr/share/doc/tzdata/copyright",
        "usr/share/zoneinfo/Europe/Berlin", "root", "home/nonroot", "var/lib/dpkg/status.d/libc6",
    ):  # fmt: skip
        assert (root / path).exists(), path
    for path in ("etc/os-release", "usr/lib/os-release"):
        text = (root / path).read_text()
        assert 'PRETTY_NAME="Distroless"' in text
        assert 'VERSION="Debian GNU/Linux 13 (trixie)"' in text
    assert (root / "etc/passwd").read_text() == (
        "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
        "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
    )
    assert (root / "etc/group").read_text() == "root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n"


@pytest.mark.spec("DEBIAN-IMAGE-3")
def test_nothing_is_set_id_or_writable_by_all(root: Path) -> None:
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / "home/nonroot").stat().st_uid == 65532
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        if not path.is_symlink() and path.name != "null":
            assert not mode & 0o6000, path
            assert not mode & 0o002 or mode & 0o1000, path
    assert all((root / name).is_symlink() for name in ("bin", "sbin", "lib", "lib64"))


@pytest.mark.spec("DEBIAN-DEB-5")
def test_md5sums_are_those_of_the_files(root: Path) -> None:
    import hashlib

    checked = 0
    for sums in (root / "var/lib/dpkg/status.d").glob("*.md5sums"):
        for line in sums.read_text().splitlines():
            digest, _, path = line.partition("  ")
            assert hashlib.md5((root / path).read_bytes(), usedforsecurity=False).hexdigest() == digest
            checked += 1
    assert checked > 1500


def test_every_copyright_is_there(root: Path, base: Base) -> None:
    for package in base.packages:
        path = root / "usr/share/doc" / package.name / "copyright"
        assert path.stat().st_size, package.name


@pytest.mark.spec("DEBIAN-CACHE-1")
def test_the_cache_is_what_its_own_ldconfig_writes(root: Path, tmp_path: Path) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("the image's ldconfig is for x86-64")
    ours = (root / "etc/ld.so.cache").read_bytes()
    done = subprocess.run(["chroot", root, "/sbin/ldconfig", "-C", "/tmp/cache"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr

    assert ldcache.decode(ours) == ldcache.decode((root / "tmp/cache").read_bytes())
    assert (root / "etc/ld.so.cache").read_bytes() == ours


SCRIPT = """
import ctypes, ctypes.util, importlib, os, ssl, sqlite3, subprocess, sys, warnings
warnings.simplefilter("ignore")
windows = {"asyncio.windows_events", "asyncio.windows_utils", "ctypes.wintypes", "encodings.mbcs", "encodings.oem",
           "multiprocessing.popen_spawn_win32", "_pyrepl.windows_console", "_pyrepl._minimal_curses", "_ios_support",
           "_distutils_system_mod", "unittest.__main__", "venv.__main__", "dbm.gnu", "turtle", "antigravity", "this"}
names, folder = set(), "/usr/lib/python3.13"
for base, folders, files in os.walk(folder):
    folders[:] = [name for name in folders if name != "__pycache__"]
    package = base[len(folder):].strip("/").replace("/", ".")
    for file in files:
        name = file.partition(".")[0] if base.endswith("lib-dynload") else file.removesuffix(".py")
        if file.endswith((".py", ".so")) and name != "__main__":
            names.add(name if not package or base.endswith("lib-dynload")
                      else package if name == "__init__" else f"{package}.{name}")
failed = []
for name in sorted(names - windows):
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed.append(f"{name}: {error}")
assert not failed, failed
assert len(names) > 450, len(names)
assert len(ssl.create_default_context().get_ca_certs()) > 100
assert sqlite3.connect(":memory:").execute("select 1").fetchone() == (1,)
for name in "c", "ssl", "z", "sqlite3", "stdc++":
    ctypes.CDLL(ctypes.util.find_library(name))
try:
    subprocess.run("true", shell=True)
except FileNotFoundError:
    pass
else:
    raise AssertionError("a shell")
os.chdir("/tmp")
name = f"h\\u00e9llo-{os.getuid()}"
open(name, "w").close()
os.remove(name)
print("h\\u00e9llo", sys.getfilesystemencoding(), sys.version_info[:2])
"""


def test_python_runs_and_has_all_of_its_library(run) -> None:  # type: ignore[no-untyped-def]
    done = run("/usr/bin/python3.13", "-B", "-c", SCRIPT)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "héllo utf-8 (3, 13)\n"


def test_python_by_its_other_names(run) -> None:  # type: ignore[no-untyped-def]
    for name in ("/usr/bin/python3", "/usr/bin/python", "/bin/python3"):
        assert run(name, "--version").stdout.startswith("Python 3.13.")


def test_tls_without_the_environment(run) -> None:  # type: ignore[no-untyped-def]
    code = "import os, ssl; del os.environ['SSL_CERT_FILE']; print(len(ssl.create_default_context().get_ca_certs()))"

    assert int(run("/usr/bin/python3", "-c", code).stdout) > 100


def test_ldconfig_reads_our_cache(run) -> None:  # type: ignore[no-untyped-def]
    done = run("/sbin/ldconfig", "-p")

    assert "libssl.so.3 (libc6,x86-64) => /lib/x86_64-linux-gnu/libssl.so.3" in done.stdout
