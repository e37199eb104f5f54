"""What runs on the assembled bases: programs of the same Debian release, out of packages that are not in the bases.

busybox is static; getent, iconv and zdump need the C library alone, openssl what `base` adds, ninja what `cc` adds.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.peers import require

# Packages to fetch besides those of the bases; getent, iconv and zdump are left out of libc-bin there.
PACKAGES = ("busybox-static", "ninja-build", "openssl")
PROGRAMS = {
    "busybox-static": ("busybox",),
    "libc-bin": ("getent", "iconv", "zdump"),
    "ninja-build": ("ninja",),
    "openssl": ("openssl",),
}

# A shell script for busybox; nothing of it is in the image.
LOOK = r"""
b=/app/busybox
for path in /bin/sh /bin/bash /bin/dash /usr/bin/sh /busybox /bin/busybox; do
    if $b test -e $path; then echo "there is a shell: $path"; fi
done
echo "user $($b id -u):$($b id -g) $($b id -un) in $($b pwd)"
echo "certificates $($b grep -c 'BEGIN CERTIFICATE' $SSL_CERT_FILE)"
echo "release $($b grep -c '^VERSION="Debian GNU/Linux 13 (trixie)"' /etc/os-release)"
echo "mime $($b grep -c '^text/html' /etc/mime.types)"
echo "tcp $($b grep -c '^https' /etc/services)"
echo "Berlin $($b test -r /usr/share/zoneinfo/Europe/Berlin && echo yes)"
echo "home $($b stat -c '%a %u' /home/nonroot) $($b stat -c '%a %u' /root) $($b stat -c %a /tmp)"
$b touch /tmp/here && echo "tmp can be written"
$b touch /there 2>/dev/null || echo "the root cannot"
$b grep -E '^Cap(Eff|Prm|Bnd|Amb):' /proc/self/status
"""

# Databases of the C library, converters and time zones.
LIBC = r"""
cd /app
./getent passwd 65532
./getent services https
printf 'h\351llo \244\n' | ./iconv -f ISO-8859-15 -t UTF-8
printf 'h\0\351\0\n\0' | ./iconv -f UTF-16LE -t UTF-8
printf '\200\n' | ./iconv -f CP1252 -t UTF-8
./zdump Europe/Berlin | ./busybox grep -Ec 'CES?T$'
"""

# The library reads its certificates where it looks by itself, and where it is told to.
TLS = r"""
cd /app
./openssl version | ./busybox cut -d. -f1
./openssl verify $SSL_CERT_FILE | ./busybox grep -c OK
unset SSL_CERT_FILE
./openssl verify /etc/ssl/certs/ca-certificates.crt | ./busybox grep -c OK
printf 'abc' | ./openssl dgst -sha256 -r | ./busybox cut -c1-8
"""


def extract(debs: Path, folder: Path) -> None:
    """Put the programs into `folder`, out of the packages in `debs`."""
    folder.mkdir()
    for package, names in PROGRAMS.items():
        (deb,) = debs.glob(f"{package}_*.deb")
        tree = folder.with_name(f"{package}.tree")
        require("dpkg-deb")("-x", deb, tree)
        for name in names:
            shutil.copy(tree / "usr/bin" / name, folder / name)
        shutil.rmtree(tree)
