"""What to do about something that is missing: which base or Debian package has it. Data and wording, no verdicts."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from ociassemble.audit.loader import Loaded, Missing
from ociassemble.audit.table import Table

# Libraries of the distroless bases, by the smallest that has them.
_BASES = {
    "base-nossl": ("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libresolv.so.2"),
    "base": ("libssl.so.3", "libcrypto.so.3", "libz.so.1", "libzstd.so.1"),
    "cc": ("libgcc_s.so.1", "libstdc++.so.6", "libgomp.so.1"),
}
# Debian 13's packages of libraries that programs and wheels ask for and minimal bases do not have.
_PACKAGES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libGLU.so.1": "libglu1-mesa",
    "libGLX.so.0": "libglx0",
    "libICE.so.6": "libice6",
    "libOpenGL.so.0": "libopengl0",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libXcursor.so.1": "libxcursor1",
    "libXext.so.6": "libxext6",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libXinerama.so.1": "libxinerama1",
    "libXrandr.so.2": "libxrandr2",
    "libXrender.so.1": "libxrender1",
    "libXss.so.1": "libxss1",
    "libXt.so.6": "libxt6t64",
    "libasound.so.2": "libasound2t64",
    "libatomic.so.1": "libatomic1",
    "libblas.so.3": "libblas3",
    "libbz2.so.1.0": "libbz2-1.0",
    "libcairo.so.2": "libcairo2",
    "libcom_err.so.2": "libcom-err2",
    "libcrypt.so.1": "libcrypt1",
    "libcups.so.2": "libcups2t64",
    "libcurl.so.4": "libcurl4t64",
    "libdbus-1.so.3": "libdbus-1-3",
    "libdrm.so.2": "libdrm2",
    "libexpat.so.1": "libexpat1",
    "libffi.so.8": "libffi8",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libgbm.so.1": "libgbm1",
    "libgeos_c.so.1": "libgeos-c1t64",
    "libgfortran.so.5": "libgfortran5",
    "libgio-2.0.so.0": "libglib2.0-0t64",
    "libglib-2.0.so.0": "libglib2.0-0t64",
    "libgobject-2.0.so.0": "libglib2.0-0t64",
    "libgthread-2.0.so.0": "libglib2.0-0t64",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libjpeg.so.62": "libjpeg62-turbo",
    "libkrb5.so.3": "libkrb5-3",
    "liblapack.so.3": "liblapack3",
    "liblber.so.2": "libldap2",
    "libldap.so.2": "libldap2",
    "liblzma.so.5": "liblzma5",
    "libmagic.so.1": "libmagic1t64",
    "libmariadb.so.3": "libmariadb3",
    "libncursesw.so.6": "libncursesw6",
    "libnspr4.so": "libnspr4",
    "libnss3.so": "libnss3",
    "libnuma.so.1": "libnuma1",
    "libodbc.so.2": "libodbc2",
    "libpango-1.0.so.0": "libpango-1.0-0",
    "libpangocairo-1.0.so.0": "libpangocairo-1.0-0",
    "libpangoft2-1.0.so.0": "libpangoft2-1.0-0",
    "libpcre2-8.so.0": "libpcre2-8-0",
    "libpng16.so.16": "libpng16-16t64",
    "libportaudio.so.2": "libportaudio2",
    "libpq.so.5": "libpq5",
    "libquadmath.so.0": "libquadmath0",
    "libreadline.so.8": "libreadline8t64",
    "libsasl2.so.2": "libsasl2-2",
    "libsndfile.so.1": "libsndfile1",
    "libsqlite3.so.0": "libsqlite3-0",
    "libtbb.so.12": "libtbb12",
    "libtiff.so.6": "libtiff6",
    "libtinfo.so.6": "libtinfo6",
    "libudev.so.1": "libudev1",
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libuuid.so.1": "libuuid1",
    "libwebp.so.7": "libwebp7",
    "libxcb.so.1": "libxcb1",
    "libxml2.so.2": "libxml2",
    "libxslt.so.1": "libxslt1.1",
    "libyaml-0.so.2": "libyaml-0-2",
}
_HAS = {name: base for base, names in _BASES.items() for name in names}


def platform(architecture: str) -> str:
    """For a program that was built for another machine."""
    return f"build the program for the image's platform, or the image with `--platform linux/{architecture}`"


def libc(table: Table) -> str:
    """Which C library an image has, for people."""
    names = {posixpath.basename(path) for path in table.files.paths}
    if any(name.startswith("ld-musl-") for name in names):
        return "another C library (musl)" if "libc.so.6" not in names else "musl and glibc, but not this loader"
    return "another loader (glibc)" if "libc.so.6" in names else "no C library"


def named(interpreter: str) -> str:
    """A loader with the C library it belongs to."""
    kind = "musl" if "musl" in interpreter else "glibc" if posixpath.basename(interpreter).startswith("ld") else ""
    return f"the loader `{interpreter}`" + (f" ({kind})" if kind else "")


def loader(interpreter: str, table: Table) -> str:
    """For a loader that is not there."""
    if "musl" in interpreter:
        return "build it for glibc or statically, or choose a base that has musl (Alpine's)"
    if "musl" in libc(table):
        return "build it for musl or statically, or choose a base that has glibc: `--base distroless/base`"
    return "`--base distroless/base` has it; or build a static program (Go: CGO_ENABLED=0, Rust: a *-musl target)"


def library(name: str, table: Table) -> str:
    """For a library that is not there."""
    if name in _HAS and "musl" not in libc(table):
        return f"`--base distroless/{_HAS[name]}` has it"
    if name.startswith("libc.musl-"):
        return "it was built for musl: use a build for glibc"
    if name in _PACKAGES:
        return f"Debian's package `{_PACKAGES[name]}` has it; or build it in statically"
    if name.startswith("libpython"):
        return "it was built for another Python than the base's"
    return (
        "bring it along beside the program (RUNPATH `$ORIGIN`), name its folder in LD_LIBRARY_PATH, or link statically"
    )


def libraries(names: Iterable[str], table: Table) -> str:
    """For several libraries that are not there."""
    several = list(names)
    packages = dict.fromkeys(_PACKAGES[name] for name in several if name in _PACKAGES)
    if len(several) == 1 or len(packages) < 2:
        return library(next((name for name in several if name in _PACKAGES), several[0]), table)
    return f"Debian's packages {', '.join(f'`{name}`' for name in packages)} have them, or most of them"


def version(item: Missing, objects: Sequence[Loaded]) -> str:
    """For a library that is too old."""
    newest = ""
    for one in objects:
        if one.place == item.found and one.elf is not None:
            prefix = item.version.rpartition("_")[0] + "_"
            same = [text for text in one.elf.offers if text.startswith(prefix) and text[len(prefix) :][:1].isdigit()]
            newest = max(same, key=_numbers, default="")
    told = f"the image's newest is {newest}; " if newest else ""
    return f"{told}build it on the same release as the base or an older one, or choose a newer base"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part[:9]) for part in text.rpartition("_")[2].split(".") if part.isascii() and part.isdigit())
