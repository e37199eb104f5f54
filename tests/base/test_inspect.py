"""Facts of bases as they are in the wild, read from what is in their layers; nothing of them is run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ociassemble.base.inspect import facts_of, read_facts, read_trust
from ociassemble.content.memory import MemoryStore
from ociassemble.errors import IntegrityError
from ociassemble.image.filesystem import read_filesystem
from ociassemble.image.image import Image, Layer
from ociassemble.oci.digest import Digest
from ociassemble.plan.facts import BaseFacts, DirectoryFact, NodeFacts, PythonFacts
from ociassemble.progress import Event, Progress, Started
from ociassemble.testing.images import Content, File, Folder, Link, image, layer, opaque, program, whiteout

USRMERGE: dict[str, Content] = {"bin": Link("usr/bin"), "lib": Link("usr/lib"), "lib64": Link("usr/lib64")}
GLIBC = b"\0GNU C Library (made for a test) stable release version 2.36.\0"
SLIM = {
    "PATH": "/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHON_VERSION": "3.12.8",
}


def facts(*layers: dict[str, Content] | Layer, env: dict[str, str] | None = None, **execution: Any) -> BaseFacts:
    execution["Env"] = [f"{key}={value}" for key, value in (env or {}).items()]
    made = image([item if isinstance(item, Layer) else layer(item) for item in layers], execution=execution)
    return read_facts(made, MemoryStore(), progress=Progress(), jobs=2, label="a base")


def python(*layers: dict[str, Content], env: dict[str, str] | None = None, **execution: Any) -> PythonFacts | None:
    return facts(*layers, env=env, **execution).python


def dpkg(*packages: tuple[str, str], status: str = "install ok installed") -> str:
    return "\n".join(f"Package: {name}\nStatus: {status}\nVersion: {version}\n" for name, version in packages)


def apk(*packages: tuple[str, str]) -> str:
    return "\n".join(f"C:Q1abc=\nP:{name}\nV:{version}\nA:x86_64\nF:usr\n" for name, version in packages)


# --- whose base it is ----------------------------------------------------------------------------------------


def test_like_googles() -> None:
    control = "Package: {}\nVersion: {}\nArchitecture: amd64\nDescription: one\n two\n"
    found = facts(
        {
            **USRMERGE,
            "usr/lib/os-release": 'NAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n',
            "etc/os-release": Link("../usr/lib/os-release"),
        },
        {
            "tmp": Folder(0o1777),
            "root": Folder(0o700),
            "home": Folder(),
            "home/nonroot": Folder(0o700, 65532, 65532),
            "usr/local": Folder(),
        },
        {
            "usr/lib/x86_64-linux-gnu/libc.so.6": program(),
            "var/lib/dpkg/status.d/libc6": control.format("libc6", "2.41-12+deb13u1"),
            "var/lib/dpkg/status.d/libc6.md5sums": "d41d8cd98f00b204e9800998ecf8427e  usr/lib/x\n",
        },
        {
            "usr/bin/python3.13": program(),
            "var/lib/dpkg/status.d/python3.13-minimal": control.format("python3.13-minimal", "3.13.5-2+deb13u2"),
        },
        {"usr/bin/python": Link("/usr/bin/python3"), "usr/bin/python3": Link("/usr/bin/python3.13")},
        User="65532",
        WorkingDir="/home/nonroot",
        Entrypoint=["/usr/bin/python3.13"],
        env={"LANG": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )

    assert (found.distribution, found.distribution_version) == ("debian", "13")
    assert (found.libc, found.libc_version) == ("glibc", "2.41")
    assert found.python == PythonFacts(
        interpreter="/usr/bin/python3.13",
        minor="3.13",
        version="3.13.5",
        prefix="/usr/local",
        site="/usr/local/lib/python3.13/dist-packages",
    )
    assert (found.user, found.workdir, found.entrypoint) == ("65532", "/home/nonroot", ("/usr/bin/python3.13",))
    assert found.links == {"bin": "usr/bin", "lib": "usr/lib"}  # nothing is in usr/lib64 here
    assert found.directories == (
        DirectoryFact("home/nonroot", 0o700, 65532, 65532),
        DirectoryFact("root", 0o700, 0, 0),
        DirectoryFact("tmp", 0o1777, 0, 0),
    )
    assert found.programs == ("/usr/bin/python", "/usr/bin/python3", "/usr/bin/python3.13")


def test_like_an_official_python() -> None:
    """One Python of Debian's beside the one that counts, which is not Debian's and has no package."""
    found = facts(
        {
            **USRMERGE,
            "usr/lib64/ld-linux-x86-64.so.2": Link("../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
            "etc/os-release": "ID=debian\nVERSION_ID='12'\n",
            "usr/lib/x86_64-linux-gnu/libc.so.6": program(GLIBC),
            "usr/bin/python3.11": program(),
            "usr/bin/python3": Link("python3.11"),
            "var/lib/dpkg/status": dpkg(("libc6", "2.36-9+deb12u14"), ("python3.11-minimal", "3.11.2-6")),
        },
        {
            "usr/local/bin/python3.12": program(),
            "usr/local/bin/python3": Link("python3.12"),
            "usr/local/bin/python": Link("python3"),
        },
        env=SLIM,
        Cmd=["python3"],
    )

    assert (found.distribution, found.distribution_version, found.libc, found.libc_version) == (
        "debian", "12", "glibc", "2.36",
    )  # fmt: skip
    assert found.python == PythonFacts(
        interpreter="/usr/local/bin/python3.12",
        minor="3.12",
        version="3.12.8",
        prefix="/usr/local",
        site="/usr/local/lib/python3.12/site-packages",
    )
    assert (found.user, found.entrypoint, found.cmd) == ("", (), ("python3",))
    assert found.links == {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
    assert "/usr/local/bin/python" in found.programs


@pytest.mark.parametrize("database", ["lib/apk/db/installed", "usr/lib/apk/db/installed"])
@pytest.mark.parametrize("merged", [False, True])
def test_like_wolfi(database: str, merged: bool) -> None:
    found = facts(
        {
            **(USRMERGE if merged else {"lib": Folder(), "lib64": Folder()}),
            "usr/lib": Folder(),
            "etc/os-release": 'ID=wolfi\nNAME="Wolfi"\nVERSION_ID="20230201"\n',
            "lib/libc.so.6": program(),
            "lib/ld-linux-x86-64.so.2": program(),
            "usr/bin/python3.13": program(),
            "usr/bin/python3": Link("python3.13"),
            "usr/bin/python": Link("python3"),
            database: apk(("glibc", "2.41-r3"), ("python-3.13-base", "3.13.1-r2"), ("python-3.13", "3.13.1-r2")),
        },
        Entrypoint=["/usr/bin/python"],
        User="65532",
    )

    assert (found.distribution, found.libc, found.libc_version) == ("wolfi", "glibc", "2.41")
    assert found.python == PythonFacts(
        interpreter="/usr/bin/python3.13",
        minor="3.13",
        version="3.13.1",
        prefix="/usr",
        site="/usr/lib/python3.13/site-packages",
    )


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_like_alpine(architecture: str) -> None:
    loader = f"lib/ld-musl-{architecture}.so.1"
    found = facts(
        {
            "etc/os-release": 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.21.0\n',
            loader: program(),
            f"lib/libc.musl-{architecture}.so.1": Link(loader.rpartition("/")[2]),
            "usr/bin/python3.12": program(),
            "usr/bin/python3": Link("python3.12"),
            "lib/apk/db/installed": apk(("musl", "1.2.5-r8"), ("python3", "3.12.8-r1")),
        }
    )

    assert (found.distribution, found.distribution_version) == ("alpine", "3.21.0")
    assert (found.libc, found.libc_version) == ("musl", "1.2")
    assert found.python is not None
    assert (found.python.version, found.python.site) == ("3.12.8", "/usr/lib/python3.12/site-packages")


def test_an_alpine_with_a_python_of_its_own() -> None:
    found = facts(
        {
            "etc/os-release": "ID=alpine\n",
            "lib/ld-musl-x86_64.so.1": program(),
            "usr/local/bin/python3.14": program(),
            "usr/local/bin/python3": Link("python3.14"),
            "lib/apk/db/installed": apk(("musl", "1.2.5-r8")),
        },
        env={**SLIM, "PYTHON_VERSION": "3.14.0rc2"},
    )

    assert found.python is not None
    assert found.python.version == "3.14.0rc2"
    assert found.python.site == "/usr/local/lib/python3.14/site-packages"


def test_like_ubuntu_and_fedora() -> None:
    base: dict[str, Content] = {"usr/bin/python3.12": program(), "usr/bin/python3": Link("python3.12")}
    ubuntu = python({**base, "etc/os-release": "ID=ubuntu\nID_LIKE=debian\n"})
    fedora = facts(
        {**base, "etc/os-release": 'ID="fedora"\n', "usr/lib64/libc.so.6": program(GLIBC), "lib64": Link("usr/lib64")}
    )

    assert ubuntu is not None
    assert ubuntu.site == "/usr/local/lib/python3.12/dist-packages"
    assert fedora.python is not None
    assert fedora.python.site == "/usr/lib/python3.12/site-packages"
    assert (fedora.libc, fedora.libc_version) == ("glibc", "2.36")  # by what the library says itself


# --- the C library -------------------------------------------------------------------------------------------


def test_neither() -> None:
    found = facts({"app": program()})

    assert (found.libc, found.libc_version, found.distribution, found.python) == ("", "", "", None)


def test_a_debian_with_the_package_musl_is_glibcs() -> None:
    other: dict[str, Content] = {"lib/ld-musl-x86_64.so.1": program()}
    packages = dpkg(("libc6", "2.36-9"), ("musl", "1.2.3-1"))
    real = {"usr/lib/x86_64-linux-gnu/libc.so.6": program(GLIBC), "var/lib/dpkg/status": packages}
    linked = {"lib/x86_64-linux-gnu/libc.so.6": Link("libc-2.31.so"), "var/lib/dpkg/status": packages}

    assert facts({**other, **real}).libc == "glibc"
    assert facts({**other, **linked}).libc == "glibc"


def test_an_alpine_with_a_layer_of_compatibility_is_musls() -> None:
    found = facts(
        {
            "lib/ld-musl-x86_64.so.1": program(),
            "lib/libc.so.6": Link("libgcompat.so.0"),
            "lib/libgcompat.so.0": program(),
            "lib/apk/db/installed": apk(("musl", "1.2.5-r0"), ("gcompat", "1.1.0-r4")),
        }
    )

    assert (found.libc, found.libc_version) == ("musl", "1.2")


def test_a_version_nobody_tells_is_empty() -> None:
    assert facts({"lib64/libc.so.6": program()}).libc_version == ""
    assert facts({"lib/ld-musl-x86_64.so.1": program()}).libc_version == ""


@pytest.mark.parametrize("status", ["deinstall ok config-files", "purge ok not-installed", "install ok unpacked", ""])
def test_packages_that_are_not_installed_say_nothing(status: str) -> None:
    found = facts({"usr/lib/libc.so.6": program(GLIBC), "var/lib/dpkg/status": dpkg(("libc6", "9.9"), status=status)})

    assert found.libc_version == "2.36"


@pytest.mark.parametrize(
    "database", ["no field\n", "Package: a\nPackage: b\n", b"\xff\xfe", " folded\n", "Package: libc6\n\0: 1\n"]
)
def test_a_database_that_cannot_be_read_says_nothing(database: str | bytes) -> None:
    found = facts(
        {
            "usr/lib/libc.so.6": program(GLIBC),
            "var/lib/dpkg/status": database,
            "lib/apk/db/installed": database,
            "etc/os-release": database,
        }
    )

    assert (found.libc, found.libc_version, found.distribution) == ("glibc", "2.36", "")


# --- Python --------------------------------------------------------------------------------------------------


def test_the_entrypoints_interpreter_comes_first() -> None:
    base: dict[str, Content] = {
        "usr/bin/python3.13": program(),
        "usr/bin/python3": Link("python3.13"),
        "opt/python/bin/python3.11": program(),
        "opt/python/bin/python": Link("python3.11"),
    }
    found = python(base, Entrypoint=["/opt/python/bin/python", "-I"])

    assert found is not None
    assert (found.interpreter, found.prefix) == ("/opt/python/bin/python3.11", "/opt/python")
    assert found.site == "/opt/python/lib/python3.11/site-packages"


def test_without_links_the_file_on_path_is_found() -> None:
    found = python({"usr/bin/python3.13": program(), "usr/bin/python3.13-config": program()})

    assert found is not None
    assert found.interpreter == "/usr/bin/python3.13"


def test_links_over_two_folders() -> None:
    found = python(
        {
            "usr/bin/python3": Link("/etc/alternatives/python3"),
            "etc/alternatives/python3": Link("/usr/bin/python3.11"),
            "usr/bin/python3.11": program(),
        }
    )

    assert found is not None
    assert found.interpreter == "/usr/bin/python3.11"


def test_a_path_through_a_merged_folder() -> None:
    found = facts({**USRMERGE, "usr/bin/python3.13": program()}, env={"PATH": "/bin"})

    assert found.python is not None
    assert found.python.interpreter == "/usr/bin/python3.13"
    assert found.programs == ("/usr/bin/python3.13",)


def test_free_threaded() -> None:
    found = python({"usr/local/bin/python3.14t": program(), "usr/local/bin/python3": Link("python3.14t")}, env=SLIM)

    assert found is not None
    assert (found.minor, found.free_threaded) == ("3.14", True)
    assert found.site == "/usr/local/lib/python3.14t/site-packages"
    assert found.version == ""  # PYTHON_VERSION is of another minor version: it says nothing


@pytest.mark.parametrize(
    "layers",
    [
        [{"usr/bin/python3.13": File(b"", 0o644)}],
        [{"usr/bin/python3": Link("python3.13")}],
        [{"usr/bin/python3": Link("python3")}],
        [{"usr/bin/python3.13": Folder()}],
        [{"usr/bin/python2.7": program(), "usr/bin/python": Link("python2.7")}],
        [{"usr/bin/python3.13": program()}, {whiteout("usr/bin/python3.13"): ""}],
        [{"usr/bin/python3.13": program()}, {opaque("usr/bin"): ""}],
        [{"usr/sbin/x/python3.13": program()}],
    ],
    ids=["not executable", "dangling", "a loop", "a folder", "2.7", "removed", "hidden", "not on PATH"],
)
def test_what_is_no_python(layers: list[dict[str, Content]]) -> None:
    assert python(*layers) is None


# --- Node ----------------------------------------------------------------------------------------------------

SAYS = b"\0" * 70_000 + b"https://nodejs.org/download/release/v24.19.0/node-v24.19.0.tar.gz\0" + b"\0" * 70_000


def node(*layers: dict[str, Content], env: dict[str, str] | None = None, **execution: Any) -> NodeFacts | None:
    return facts(*layers, env=env, **execution).node


def test_the_node_of_distroless_is_on_no_path_and_its_file_says_which_it_is() -> None:
    found = node({"nodejs/bin/node": program(SAYS), "nodejs/LICENSE": "x"}, Entrypoint=["/nodejs/bin/node"])

    assert found == NodeFacts(interpreter="/nodejs/bin/node", version="24.19.0")
    assert found.major == "24"
    assert node({"nodejs/bin/node": program(SAYS)}) == found  # though nothing starts it


def test_the_node_of_docker_library() -> None:
    base: dict[str, Content] = {"usr/local/bin/node": program(), "usr/local/bin/nodejs": Link("node")}
    found = node(base, env={**SLIM, "NODE_VERSION": "22.23.2"}, Entrypoint=["docker-entrypoint.sh"], Cmd=["node"])

    assert found == NodeFacts(interpreter="/usr/local/bin/node", version="22.23.2")


def test_the_file_is_believed_before_the_environment() -> None:
    found = node({"usr/local/bin/node": program(SAYS)}, env={**SLIM, "NODE_VERSION": "20.1.0"})

    assert found is not None
    assert found.version == "24.19.0"


@pytest.mark.parametrize(
    ("database", "version"),
    [
        ({"var/lib/dpkg/status": dpkg(("nodejs", "20.19.2+dfsg-1"), ("libnode115", "1"))}, "20.19.2"),
        ({"lib/apk/db/installed": apk(("nodejs", "22.16.0-r2"), ("npm", "11.3.0-r1"))}, "22.16.0"),
        ({"lib/apk/db/installed": apk(("nodejs-current", "23.11.1-r0"))}, "23.11.1"),
        ({"usr/lib/apk/db/installed": apk(("nodejs-24", "24.11.1-r3"))}, "24.11.1"),
        ({"var/lib/dpkg/status": dpkg(("nodejs-doc", "20.19.2+dfsg-1"))}, ""),
    ],
)
def test_the_node_of_a_distribution(database: dict[str, Content], version: str) -> None:
    found = node({"usr/bin/node": program(), "usr/bin/nodejs": Link("node"), **database})

    assert found == NodeFacts(interpreter="/usr/bin/node", version=version)


def test_a_distributions_package_says_nothing_about_a_node_of_another_place() -> None:
    database: dict[str, Content] = {"var/lib/dpkg/status": dpkg(("nodejs", "20.19.2+dfsg-1"))}
    both = {**database, "usr/bin/node": program(), "usr/local/bin/node": program()}

    assert node(both) == NodeFacts(interpreter="/usr/local/bin/node", version="")


@pytest.mark.parametrize(
    "layers",
    [
        [{"nodejs/bin/node": ""}],
        [{"usr/bin/node": Folder()}],
        [{"usr/bin/node": Link("nodejs")}],
        [{"opt/bin/node": program(SAYS)}],
        [{"usr/bin/node": program(SAYS)}, {whiteout("usr/bin/node"): ""}],
        [{"usr/bin/node": Link("nodetool"), "usr/bin/nodetool": program()}],
    ],
    ids=["not executable", "a folder", "dangling", "not on PATH", "removed", "something else"],
)
def test_what_is_no_node(layers: list[dict[str, Content]]) -> None:
    assert node(*layers) is None


def test_facts_of_node_survive_the_cache() -> None:
    found = facts({"nodejs/bin/node": program(SAYS)})

    assert BaseFacts.from_document(json.loads(json.dumps(found.document()))) == found


# --- programs, folders, config -------------------------------------------------------------------------------


def test_programs_are_those_on_path_and_the_bases_own() -> None:
    found = facts(
        {
            "usr/bin/a": program(),
            "usr/bin/not": "",
            "usr/bin/to-a": Link("a"),
            "usr/bin/gone": Link("nowhere"),
            "usr/bin/deep/b": program(),
            "opt/start": program(),
            "opt/other": program(),
        },
        env={"PATH": "/usr/bin"},
        Entrypoint=["/opt/start"],
    )

    assert found.programs == ("/opt/start", "/usr/bin/a", "/usr/bin/to-a")


def test_upper_layers_decide() -> None:
    found = facts(
        {"etc/os-release": "ID=old\n", "srv": Folder(0o700), "tmp": Folder(0o755)},
        {"etc/os-release": "ID=new\n", "srv": Folder(0o755), "tmp": Folder(0o1777)},
    )

    assert found.distribution == "new"
    assert found.directories == (DirectoryFact("tmp", 0o1777, 0, 0),)


def test_a_config_that_says_nothing() -> None:
    made = image([layer({"a": ""})], more={"config": None})
    found = read_facts(made, MemoryStore(), progress=Progress(), jobs=1, label="a base")

    assert (found.user, found.workdir, found.env, found.entrypoint, found.cmd) == ("", "", {}, (), ())


# --- read once -----------------------------------------------------------------------------------------------


class Counted:
    """A base whose layers count how often they are opened."""

    def __init__(self) -> None:
        self.opened = 0
        made = image([layer({"etc/os-release": "ID=x\n", "tmp": Folder(0o1777)}), layer({"b": ""})])
        self.image = Image(
            manifest=made.manifest,
            config=made.config,
            config_blob=made.config_blob,
            layers=tuple(Layer(blob=self._counted(item), diff_id=item.diff_id) for item in made.layers),
        )

    def _counted(self, item: Layer) -> Any:
        def source() -> Any:
            self.opened += 1
            return item.blob.source()

        return type(item.blob)(descriptor=item.descriptor, source=source)

    def read(self, store: MemoryStore, told: list[Event] | None = None) -> BaseFacts:
        progress = Progress(None if told is None else told.append)
        return read_facts(self.image, store, progress=progress, jobs=2, label="a base")


def test_facts_are_read_once_and_kept_by_digest() -> None:
    base, store = Counted(), MemoryStore()
    told: list[Event] = []
    first = base.read(store)
    second = base.read(store, told)

    assert base.opened == 2
    assert first == second
    assert not any(isinstance(item, Started) for item in told)
    assert [key for kind, key in store.records if kind == "facts"] == [f"{base.image.digest.hex}.v4"]


@pytest.mark.parametrize("kept", [b"", b"{", b"[]", b"null", b"{}", b'{"platform": 1}', b"\xff", b"1" * 5000])
def test_facts_that_cannot_be_read_are_read_again(kept: bytes) -> None:
    base, store = Counted(), MemoryStore()
    wanted = base.read(store)
    store.records = dict.fromkeys(store.records, kept)

    assert base.read(store) == wanted
    assert base.opened == 4
    assert BaseFacts.from_document(json.loads(next(iter(store.records.values())))) == wanted


def test_facts_survive_their_json() -> None:
    made = image([layer({**USRMERGE, "usr/bin/python3.13": program(), "tmp": Folder(0o1777, 5, 6)})])
    found = facts_of(made, read_filesystem(made, lambda path: True, progress=Progress(), jobs=1, label=""))

    assert BaseFacts.from_document(json.loads(json.dumps(found.document()))) == found


def test_nothing_is_kept_of_a_base_that_lies() -> None:
    store = MemoryStore()
    made = image([layer({"a": ""}, diff_id=Digest.of(b"other"))])

    with pytest.raises(IntegrityError):
        read_facts(made, store, progress=Progress(), jobs=1, label="a base")
    assert store.records == {}


# --- whom it trusts ------------------------------------------------------------------------------------------

PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"


@pytest.mark.spec("PACK-81")
def test_bundles_are_found_once_wherever_links_lead() -> None:
    found = facts(
        {
            "etc/ssl/certs/ca-certificates.crt": File(PEM.encode(), 0o555, 3, 4),
            "etc/ssl/cert.pem": Link("certs/ca-certificates.crt"),
            "etc/ssl/ca-bundle.pem": "no certificates",
            "opt/company.pem": PEM + PEM,
        },
        env={"SSL_CERT_FILE": "/opt/company.pem"},
    ).trust
    assert [(item.path, item.mode, item.uid, item.gid) for item in found] == [
        ("/opt/company.pem", 0o644, 0, 0), ("/etc/ssl/certs/ca-certificates.crt", 0o555, 3, 4),
    ]  # fmt: skip
    assert found[1].digest == Digest.of(PEM.encode()) and found[1].size == len(PEM)
    fedora = facts(
        {
            "etc/pki/tls/certs/ca-bundle.crt": Link("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
            "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem": File(PEM.encode(), 0o444),
        }
    ).trust
    assert [item.path for item in fedora] == ["/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"]
    assert facts({"etc/ssl/cert.pem": Link("nowhere")}, env={"SSL_CERT_FILE": "/none"}).trust == ()


@pytest.mark.spec("PACK-81")
def test_bundles_are_kept_and_read_again_when_they_are_gone() -> None:
    store, made = MemoryStore(), image([layer({"etc/ssl/cert.pem": PEM})])

    def read() -> BaseFacts:
        return read_facts(made, store, progress=Progress(), jobs=2, label="a base")

    first = read()
    digest = first.trust[0].digest
    with store.open(digest) as stream:
        assert stream.read() == PEM.encode()
    assert read() == first
    store.discard(digest)
    # Facts need no bytes of it; a layer that adds to it does.
    assert read() == first and store.size(digest) is None
    read_trust(made, first, store, progress=Progress(), jobs=2, label="a base")
    assert store.size(digest) == len(PEM)
