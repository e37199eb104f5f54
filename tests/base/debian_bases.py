"""Bases from Debian packages in tests: small stand-ins for every package of the recipe, and Google's shape."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ociassemble.attest import openpgp
from ociassemble.base.debian import recipe as recipes
from ociassemble.base.debian.assemble import BasePlan, assemble_base, resolve_packages
from ociassemble.base.debian.recipe import Recipe
from ociassemble.content.blob import Blob
from ociassemble.content.compress import codec
from ociassemble.content.store import Store
from ociassemble.image.image import Image, Layer
from ociassemble.net import download
from ociassemble.net.wire import Wire
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.platform import Platform
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.locked_base import DebianPackage
from ociassemble.progress import Progress
from ociassemble.sources import debian
from ociassemble.sources.debian import Mirror
from tests.debian_archive import NOW, Archive, Certificate, File, Package, deb, elf, folder, link, served

ARCHITECTURES = {"amd64": ("x86_64-linux-gnu", 62), "arm64": ("aarch64-linux-gnu", 183)}
VERSIONS = {"libc6": "2.41-12", "python3.13-minimal": "3.13.5-2", "zlib1g": "1:1.3.1-1"}


@contextlib.contextmanager
def mirror(root: Path, image: str) -> Iterator[tuple[str, tuple[DebianPackage, ...], openpgp.Keyring]]:
    """A mirror with stand-ins for all that `image` is made of: its URL, the packages of amd64, who signed it."""
    certificate = Certificate()
    keyring = openpgp.read_keyring([certificate.ring], frozenset({certificate.primary.name}))
    recipe = recipes.load()
    make_archive(Archive(root, certificate.signer), recipe.image(image).packages)
    with served(root) as url:
        (packages,) = resolve_packages(
            recipe,
            image,
            [Platform.parse("linux/amd64")],
            debian.discover(url),
            fetch=fetch,
            verify=lambda data: openpgp.verify(data, keyring).text,
            now=NOW,
        )
        yield url, packages, keyring


@functools.cache
def wire() -> Wire:
    return Wire()


def fetch(url: str, limit: int) -> bytes:
    return download.get(wire(), url, limit=limit).data


# --- small packages ------------------------------------------------------------------------------------------


def stand_in(name: str, architecture: str) -> Package:
    """A package with files like those of the real one, and next to nothing in them."""
    triplet, machine = ARCHITECTURES[architecture]
    libraries = f"usr/lib/{triplet}"
    files = [
        File(f"usr/share/doc/{name}/copyright", f"terms of {name}\n".encode()),
        File(f"usr/share/doc/{name}/changelog.gz", b"changes"),
        File(f"usr/share/lintian/overrides/{name}", b"x"),
    ]
    if name == "base-files":
        files += [folder("tmp", 0o1777), folder("root", 0o700), folder("home"), folder("var/tmp", 0o1777)]
        files += [File("usr/lib/os-release", b"ID=debian\n"), File("etc/debian_version", b"13.0\n")]
        files += [link(path, f"usr/{path}") for path in ("bin", "lib", "sbin")]
        files += [link("lib64", "usr/lib64")] * (architecture == "amd64")
        files.append(link("etc/os-release", "../usr/lib/os-release"))
    elif name == "ca-certificates":
        files.append(File("usr/share/ca-certificates/mozilla/A.crt", b"-A-\n"))
    elif name == "libc6":
        files += [
            File(f"etc/ld.so.conf.d/{triplet}.conf", f"/lib/{triplet}\n/usr/lib/{triplet}\n".encode()),
            File(f"{libraries}/libc.so.6", elf("libc.so.6", machine=machine), 0o755),
            File(f"{libraries}/gconv/BIG5.so", b"x"),
            File(f"{libraries}/gconv/UTF-16.so", b"x"),
        ]
    elif name == "libc-bin":
        files += [
            File("etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n"),
            File("usr/sbin/ldconfig", b"x", 0o755),
            File("usr/bin/ldd", b"x", 0o755),
        ]
    elif name == "python3.13-minimal":
        files.append(File("usr/bin/python3.13", b"x", 0o755))
    elif name == "libpython3.13-stdlib":
        files += [File("usr/lib/python3.13/json.py", b"x"), File("usr/lib/python3.13/test/support.py", b"x")]
    elif name.startswith("lib") or name == "zlib1g":
        files.append(File(f"{libraries}/{name}.so.1", elf(f"{name}.so.1", ["libc.so.6"], machine=machine)))
    version = VERSIONS.get(name, "1.0-1")
    return Package(name, version, deb(name, files, version=version, architecture=architecture), architecture)


def make_archive(archive: Archive, names: Iterable[str]) -> None:
    """The three suites of trixie with a stand-in for each of `names`; libssl3t64 comes from security."""
    packages = [stand_in(name, architecture) for name in sorted(set(names)) for architecture in ARCHITECTURES]
    security = [item for item in packages if item.name == "libssl3t64"]
    archive.suite("debian", "trixie", [item for item in packages if item.name != "libssl3t64"], valid=None)
    archive.suite("debian", "trixie-updates", [])
    archive.suite("debian-security", "trixie-security", security, pool="pool/updates/main")


# --- building ------------------------------------------------------------------------------------------------


def build(plan: BasePlan, packages: Sequence[DebianPackage], mirror: Mirror, store: Store, *, jobs: int = 2) -> Image:
    """The image of `plan`, its packages fetched from `mirror`."""
    by_digest = {package.digest: package for package in packages}

    def bring_one(urls: Sequence[str], ref: ArtifactRef) -> None:
        download.fetch(wire(), urls, ref.digest, ref.size, store)

    def bring(refs: tuple[ArtifactRef, ...]) -> None:
        debian.fetch_packages([by_digest[ref.digest] for ref in refs], mirror, bring_one)

    return assemble_base(
        plan, codec=codec("gzip", role="base"), store=store, fetch=bring, jobs=jobs, progress=Progress()
    )


# --- Google's shape ------------------------------------------------------------------------------------------


def google_recipe() -> Recipe:
    """Google's package lists with a layer for each package and generated file: 13, 17, 21 and 48 layers."""
    return recipes.parse((Path(__file__).parent / "google.json").read_bytes(), "Google's recipe")


def google_shape(image: Image) -> Image:
    """`image` without what rules_oci does not write: `created`, `history`, annotations of layers."""
    document = {key: value for key, value in image.config.document.items() if key not in ("created", "history")}
    if image.platform.architecture == "arm64":
        document["variant"] = "v8"
    config = ImageConfig.create(document)
    layers = tuple(
        Layer(
            blob=Blob(descriptor=layer.descriptor.with_(annotations={}), source=layer.blob.source),
            diff_id=layer.diff_id,
        )
        for layer in image.layers
    )
    manifest = Manifest.create(
        config=config.descriptor,
        layers=[layer.descriptor for layer in layers],
        annotations={"org.opencontainers.image.source": "https://mirror.example/distroless"},
    )
    return Image(manifest=manifest, config=config, config_blob=Blob.of(config.raw, config.descriptor), layers=layers)


def _write_google_recipe() -> None:
    """How google.json was made from the shipped recipe; kept so that it can be made again."""
    ours = json.loads((Path(recipes.__file__).parent / "recipes" / "debian13.json").read_text())
    static = ours["images"]["static"]["layers"][0]["sources"]
    generated = {item.get("file", item.get("directory", "")): item for item in static if "package" not in item}
    layers = [[{"package": name}] for name in ("base-files", "netbase", "tzdata", "tzdata-legacy", "media-types")]
    layers += [
        [],
        [generated["/etc/passwd"]],
        [generated["/root"], generated["/home"], generated["/home/nonroot"]],
        [generated["/etc/group"]],
        [generated["/tmp"]],
        [generated["/etc/nsswitch.conf"]],
        [generated["/usr/lib/os-release"]],
        [item for item in static if "ca-certificates" in (item.get("package"), *item.get("packages", ()))],
    ]
    python = [
        "libbz2-1.0", "libdb5.3t64", "libexpat1", "liblzma5", "libsqlite3-0", "libuuid1", "libncursesw6", "libtinfo6",
        "zlib1g", "libcom-err2", "libcrypt1", "libc-bin", "libgssapi-krb5-2", "libk5crypto3", "libkeyutils1",
        "libkrb5-3", "libkrb5support0", "libnsl2", "libreadline8t64", "libtirpc3t64", "libffi8",
        "libpython3.13-minimal", "libpython3.13-stdlib", "python3.13-minimal", "python3.13-venv",
    ]  # fmt: skip
    derived = ours["images"]["python3"]["layers"][-1]["sources"][-1]
    python3 = [[{"package": name}] for name in python]
    python3 += [[item for item in ours["images"]["python3"]["layers"][-1]["sources"] if "link" in item]]
    python3 += [[{**derived, "packages": sorted({*derived["packages"], *python})}]]
    ours["name"], ours["rules"] = "google13", []
    del ours["archives"]

    def titled(sources: list[list[dict[str, object]]]) -> list[dict[str, object]]:
        return [{"title": f"layer {number}", "sources": items} for number, items in enumerate(sources, 1)]

    def packages(*names: str) -> list[dict[str, object]]:
        return titled([[{"package": name}] for name in names])

    images = ours["images"]
    ours["images"] = {
        "static": {**images["static"], "layers": titled(layers)},
        "base-nossl": {"from": "static", "layers": packages("libc6")},
        "base": {"from": "static", "layers": packages("libc6", "libssl3t64", "libzstd1", "zlib1g")},
        "cc": {"from": "base", "layers": packages("libgomp1", "libstdc++6", "libgcc-s1", "gcc-14-base")},
        "python3": {**images["python3"], "layers": titled(python3)},
    }
    text = json.dumps(ours, indent=1, ensure_ascii=False) + "\n"
    (Path(__file__).parent / "google.json").write_text(text)


if __name__ == "__main__":
    _write_google_recipe()
