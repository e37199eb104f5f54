"""Facts of a base, read from its layers and config; nothing of it is run (`BaseFacts` says what they are for)."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping

from ociassemble.content.store import Store, ingest_all, read_record
from ociassemble.errors import Error, IntegrityError
from ociassemble.formats.deb822 import parse as parse_deb822
from ociassemble.image.filesystem import FileSystem, read_filesystem
from ociassemble.image.image import Image
from ociassemble.oci.digest import Digest
from ociassemble.plan.facts import DEFAULT_PATH, BaseFacts, DirectoryFact, NodeFacts, PythonFacts, TrustFact
from ociassemble.plan.layout import VERSION
from ociassemble.progress import Progress

_PYTHON = re.compile(r"python(3\.\d+)(t?)", re.ASCII)
_MUSL = re.compile(r"(?:usr/)?lib/ld-musl-[a-z0-9_]+\.so\.1", re.ASCII)
_GLIBC = re.compile(r"(?:usr/)?lib(?:64)?(?:/[a-z0-9_]+-linux-gnu[a-z0-9]*)?/libc\.so\.6", re.ASCII)
_SAID = re.compile(rb"GNU C Library [^\n]{0,80}version (\d+\.\d+)")
_NODE = re.compile(r"(?:.+/)?bin/node(?:js)?")
# What `process.release.sourceUrl` tells: every build of the Node project has it among its strings.
_NODE_SAYS = re.compile(rb"/download/release/v(\d{1,3}\.\d{1,3}\.\d{1,3})/")
_NODE_ANNOTATION = "com.google.distroless.nodejs.version"
_NODE_PACKAGE = re.compile(r"nodejs(?:-current|-\d+(?:\.\d+)?)?", re.ASCII)
# Where programs of the distributions find the authorities they trust, all in one file.
_BUNDLES = (
    "etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Wolfi, distroless
    "etc/ssl/cert.pem",  # Alpine, LibreSSL
    "etc/pki/tls/certs/ca-bundle.crt",  # Fedora and its kin
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ssl/ca-bundle.pem",  # SUSE
    "var/lib/ca-certificates/ca-bundle.pem",
)
_WANTED = re.compile(
    r"(?:usr/lib|etc)/os-release|var/lib/dpkg/status(?:\.d/[^/]+)?|(?:usr/)?lib/apk/db/installed|" + _GLIBC.pattern,
    re.ASCII,
)


class LockedFactsError(IntegrityError):
    """A base is not what the facts in a lock say of it."""

    code = "integrity.locked-facts"


def read_facts(image: Image, store: Store, *, progress: Progress, jobs: int, label: str) -> BaseFacts:
    """The facts of `image`, from the store where an earlier build read them (they are a function of its digest)."""
    key = f"{image.digest.hex}.v{VERSION}"
    if (known := read_record(store, "facts", key, BaseFacts.from_document)) is not None:
        return known
    bundle = image.config.env.get("SSL_CERT_FILE", "").strip("/")

    def wanted(path: str) -> bool:
        return path == bundle or _wanted(path)

    found = read_filesystem(image, wanted, sought=_sought, progress=progress, jobs=jobs, label=label)
    facts = facts_of(image, found)
    for item in facts.trust:  # a layer that adds to them reads them from there
        ingest_all(store, [found.files[item.path.strip("/")]], item.digest, item.size)
    store.put_record("facts", key, json.dumps(facts.document(), sort_keys=True).encode())
    return facts


def read_trust(image: Image, facts: BaseFacts, store: Store, *, progress: Progress, jobs: int, label: str) -> None:
    """Bring the bundles of `facts.trust` into the store, from the layers of `image`, where they are not there yet.

    Only a layer that adds certificates needs them: a build whose facts come from a lock opens no layer for less.
    Raises `IntegrityError` where the base has other bytes than its facts say.
    """
    missing = {item.path.strip("/"): item for item in facts.trust if store.size(item.digest) != item.size}
    if not missing:
        return
    found = read_filesystem(image, missing.__contains__, progress=progress, jobs=jobs, label=label)
    for path, item in missing.items():
        if path not in found.files:
            raise LockedFactsError(
                f"the base has no `{item.path}`, of which the lock tells",
                hint="the lock was changed by hand: run `ociassemble lock`",
            )
        ingest_all(store, [found.files[path]], item.digest, item.size)


def _wanted(path: str) -> bool:
    return path in _BUNDLES or (_WANTED.fullmatch(path) is not None and not path.endswith(".md5sums"))


def _sought(path: str) -> re.Pattern[bytes] | None:
    return _NODE_SAYS if _NODE.fullmatch(path) else None


def facts_of(image: Image, files: FileSystem) -> BaseFacts:
    """The facts, given the merged view."""
    config = image.config
    release = _os_release(files)
    packages = dict(_packages(files))
    libc, libc_version = _libc(files, packages)
    directories = (
        DirectoryFact(path, item.mode, item.uid, item.gid)
        for path, item in sorted(files.paths.items())
        if item.kind == "directory"
    )
    return BaseFacts(
        platform=image.platform,
        distribution=release.get("ID", ""),
        distribution_version=release.get("VERSION_ID", ""),
        libc=libc,
        libc_version=libc_version,
        python=_python(image, files, release, packages),
        node=_node(image, files, packages),
        user=config.user,
        workdir=config.workdir,
        env=config.env,
        entrypoint=config.entrypoint,
        cmd=config.cmd,
        links=dict(sorted(files.links().items())),
        directories=tuple(item for item in directories if not item.plain),
        programs=_programs(image, files),
        trust=tuple(_trust(image, files)),
    )


def _trust(image: Image, files: FileSystem) -> Iterator[TrustFact]:
    """The bundles there are, each once wherever links lead to it."""
    stated = image.config.env.get("SSL_CERT_FILE")
    for path in dict.fromkeys(files.resolve(name) for name in ((stated,) if stated else ()) + _BUNDLES):
        item, data = files.paths.get(path), files.files.get(path)
        if item is not None and item.kind == "file" and data is not None and b"-----BEGIN CERTIFICATE-----" in data:
            yield TrustFact(f"/{path}", Digest.of(data), len(data), item.mode & 0o777, item.uid, item.gid)


def _programs(image: Image, files: FileSystem) -> tuple[str, ...]:
    """What could be started: executables in the folders on PATH, and the program of the base's own start command."""
    folders = {files.resolve(folder) for folder in image.config.env.get("PATH", DEFAULT_PATH).split(":")}
    started = (image.config.entrypoint + image.config.cmd)[:1]
    found = {path for path in started if path.startswith("/") and _executable(files, path)}
    found.update(f"/{path}" for path in files.paths if posixpath.dirname(path) in folders and _executable(files, path))
    return tuple(sorted(found))


def _executable(files: FileSystem, path: str) -> bool:
    item = files.paths.get(files.resolve(path))
    return item is not None and item.kind == "file" and bool(item.mode & 0o111)


def _os_release(files: FileSystem) -> dict[str, str]:
    raw = files.read("etc/os-release") or files.read("usr/lib/os-release") or b""
    found = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.isidentifier():
            found[name] = value.strip().strip("\"'")
    return found


def _packages(files: FileSystem) -> Iterator[tuple[str, str]]:
    """Installed packages with their versions, from dpkg's and apk's databases."""
    for path, raw in files.files.items():
        if path.startswith("var/lib/dpkg/"):
            try:
                stanzas = parse_deb822(raw, f"`/{path}`")
            except Error:
                continue
            for stanza in stanzas:
                # status.d has no `Status`; "deinstall ok config-files" is of a package that is gone.
                if "package" in stanza and stanza.get("status", "installed").split()[-1:] == ["installed"]:
                    yield stanza["package"], stanza.get("version", "")
        elif path.endswith("apk/db/installed"):
            for block in raw.decode("utf-8", "replace").split("\n\n"):
                fields = dict(line.split(":", 1) for line in block.splitlines() if ":" in line)
                if "P" in fields:
                    yield fields["P"], fields.get("V", "")


def _libc(files: FileSystem, packages: Mapping[str, str]) -> tuple[str, str]:
    found = [path for path in files.paths if _GLIBC.fullmatch(path)]
    said = [match[1].decode() for path in found if (match := _SAID.search(files.read(path) or b""))]
    # A Debian with the package `musl` is glibc's; an Alpine with a layer of compatibility has a libc.so.6 of its own.
    if not said and not (found and "libc6" in packages) and any(_MUSL.fullmatch(path) for path in files.paths):
        return "musl", _short(packages.get("musl", ""))
    if not found:
        return "", ""
    for name in ("libc6", "glibc"):
        if name in packages:
            return "glibc", _short(packages[name])
    return "glibc", said[0] if said else ""


def _short(version: str) -> str:
    """`2.41` of `2.41-12+deb13u4` or `1.2.5-r9`."""
    found = re.match(r"(?:\d+:)?(\d+\.\d+)", version)
    return found[1] if found else ""


def _python(
    image: Image, files: FileSystem, release: Mapping[str, str], packages: Mapping[str, str]
) -> PythonFacts | None:
    interpreter = _interpreter(image, files)
    if interpreter is None:
        return None
    path, minor, threads = interpreter
    prefix = posixpath.dirname(posixpath.dirname(path))
    debian = "debian" in (release.get("ID", ""), *release.get("ID_LIKE", "").split())
    if debian and prefix == "/usr":
        # Debian keeps /usr for its own packages; posix_local is the scheme of everything else.
        prefix, folder = "/usr/local", "dist-packages"
    else:
        folder = "site-packages"
    return PythonFacts(
        interpreter=path,
        minor=minor,
        version=_python_version(image, minor, packages),
        prefix=prefix,
        site=f"{prefix}/lib/python{minor}{threads}/{folder}",
        free_threaded=bool(threads),
    )


def _interpreter(image: Image, files: FileSystem) -> tuple[str, str, str] | None:
    """The file that runs, its minor version, and "t" if it is free-threaded."""
    folders = tuple(dict.fromkeys(image.config.env.get("PATH", DEFAULT_PATH).split(":")))
    names = [item for item in image.config.entrypoint[:1] if "python" in item]
    names += [posixpath.join(folder, name) for name in ("python3", "python") for folder in folders]
    for name in names:
        found = _usable(files, name)
        if found:
            return found
    # One walk over all paths, however many folders a base's PATH names.
    inside: dict[str, list[str]] = {files.resolve(folder): [] for folder in folders}
    for path in files.paths:
        if (here := inside.get(posixpath.dirname(path))) is not None:
            here.append(path)
    for paths in inside.values():
        for path in sorted(paths):
            found = _usable(files, "/" + path)
            if found:
                return found
    return None


def _usable(files: FileSystem, name: str) -> tuple[str, str, str] | None:
    path = files.resolve(name)
    item = files.paths.get(path)
    said = _PYTHON.fullmatch(posixpath.basename(path))
    if item is None or item.kind != "file" or not item.mode & 0o111 or said is None:
        return None
    return "/" + path, said[1], said[2]


def _python_version(image: Image, minor: str, packages: Mapping[str, str]) -> str:
    said = [image.config.env.get("PYTHON_VERSION", "")]
    said += (packages.get(name, "") for name in (f"python{minor}-minimal", f"python-{minor}", "python3"))
    for text in said:
        found = re.match(r"(?:\d+:)?(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)", text)
        if found and found[1].startswith(minor + "."):
            return found[1]
    return ""


def _node(image: Image, files: FileSystem, packages: Mapping[str, str]) -> NodeFacts | None:
    """The Node that the base itself starts, else the first on PATH, else the one of distroless, which is on no PATH."""
    config = image.config
    folders = config.env.get("PATH", DEFAULT_PATH).split(":")
    names = [item for item in (*config.entrypoint[:1], *config.cmd[:1]) if item.startswith("/")]
    names += (posixpath.join(folder, name) for folder in folders for name in ("node", "nodejs"))
    for name in (*names, "/nodejs/bin/node"):
        path = files.resolve(name)
        if posixpath.basename(path) in ("node", "nodejs") and _executable(files, path):
            return NodeFacts(interpreter=f"/{path}", version=_node_version(image, files, path, packages))
    return None


def _node_version(image: Image, files: FileSystem, path: str, packages: Mapping[str, str]) -> str:
    """What the file says itself, else the distribution's package, else what the image says about itself."""
    if (said := _NODE_SAYS.fullmatch(files.files.get(path, b""))) is not None:
        return said[1].decode("ascii")
    texts = [version for name, version in sorted(packages.items()) if _NODE_PACKAGE.fullmatch(name)]
    if not path.startswith("usr/bin/"):
        texts.clear()  # a package's would be there
    texts += (image.config.env.get("NODE_VERSION", ""), image.manifest.annotations.get(_NODE_ANNOTATION, ""))
    for text in texts:
        if found := re.match(r"(?:\d+:)?v?(\d+\.\d+\.\d+)", text, re.ASCII):
            return found[1]
    return ""
