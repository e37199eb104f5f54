"""The machine that figures are from: cores, CPU, memory, and the versions of all that took part."""

from __future__ import annotations

import gzip
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import measure

ASKED = {  # program -> how it tells its version
    "ociassemble": "--version",
    "uv": "--version",
    "tar": "--version",
    "crane": "version",
    "pigz": "--version",
    "igzip": "--version",
    "zstd": "--version",
    "umoci": "--version",
    "skopeo": "--version",
    "buildah": "--version",
    "buildkitd": "--version",
    "docker-registry": "--version",
}


def version(name: str, path: str) -> str:
    """What a program says, else what Debian's change log of it says."""
    found = shutil.which(name, path=path) or name
    log = Path(found).parent.parent / f"share/doc/{name}/changelog.Debian.gz"
    if name == "crane" and log.is_file():  # Debian's crane does not know its own version
        return gzip.decompress(log.read_bytes()).decode().partition("(")[2].partition(")")[0]
    try:
        said = measure.run(["sh", "-c", f'"$0" {ASKED[name]} 2>&1', found]).output
    except measure.Failed:
        return "?"
    words = [word.strip("v,*()") for line in said.splitlines()[:2] for word in line.split()]
    return next((word for word in words if word[:1].isdigit() and "." in word), "?")


def libraries() -> dict[str, str]:
    """The libraries that do the work in our process."""
    import zstandard
    from zlib_ng import zlib_ng

    return {
        "zlib-ng": str(zlib_ng.ZLIBNG_RUNTIME_VERSION),
        "libzstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
    }


def about(path: str) -> dict[str, Any]:
    """What a reader must know about this machine, and nothing that names it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cores": measure.cores(),
        "cpu": model or platform.machine(),
        "memory": pages,
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": sys.version.split()[0],
        "load": os.getloadavg()[0],
        "versions": {**{name: version(name, path) for name in ASKED if shutil.which(name, path=path)}, **libraries()},
    }
