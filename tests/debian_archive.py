"""A Debian archive made in a test: packages, OpenPGP keys and signatures, signed suites, and a mirror on loopback.

Written from the formats' specifications, not with the code under test.
"""

from __future__ import annotations

import base64
import hashlib
import io
import lzma
import struct
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, utils

NOW = 1_795_000_000  # 2026-11-18T10:26:40Z, when everything in these tests happens
DAY = 86400


# --- packages ------------------------------------------------------------------------------------------------


class File(NamedTuple):
    """One member of a data.tar; `kind` is tarfile's type."""

    path: str
    data: bytes = b""
    mode: int = 0o644
    kind: bytes = tarfile.REGTYPE
    target: str = ""
    uid: int = 0
    gid: int = 0


def folder(path: str, mode: int = 0o755) -> File:
    return File(path, mode=mode, kind=tarfile.DIRTYPE)


def link(path: str, target: str) -> File:
    return File(path, mode=0o777, kind=tarfile.SYMTYPE, target=target)


def tarball(files: Sequence[File]) -> bytes:
    """As dpkg writes it: GNU format, names beginning with `./`, the root first."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for file in (File(".", mode=0o755, kind=tarfile.DIRTYPE), *files):
            member = tarfile.TarInfo("./" + file.path if file.path != "." else "./")
            member.type, member.mode, member.linkname = file.kind, file.mode, file.target
            member.uid, member.gid, member.size, member.mtime = file.uid, file.gid, len(file.data), NOW
            archive.addfile(member, io.BytesIO(file.data))
    return buffer.getvalue()


def ar(members: Sequence[tuple[str, bytes]]) -> bytes:
    result = b"!<arch>\n"
    for name, data in members:
        result += f"{name:<16}{NOW:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data
        result += b"\n" * (len(data) % 2)
    return result


def control(name: str, version: str, architecture: str) -> bytes:
    return (
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
        "Maintainer: Nobody <nobody@mirror.example>\nDescription: made for a test\n with a second line\n"
    ).encode()


def deb(
    name: str, files: Sequence[File], *, version: str = "1.0-1", architecture: str = "amd64", text: bytes = b""
) -> bytes:
    """A package; parents are added, md5sums are right. `text` replaces the control file."""
    paths = {file.path for file in files}
    parents = dict.fromkeys(
        "/".join(file.path.split("/")[:depth]) for file in files for depth in range(1, len(file.path.split("/")))
    )
    data = [*(folder(path) for path in sorted(parents) if path not in paths), *files]
    sums = "".join(
        f"{hashlib.md5(file.data, usedforsecurity=False).hexdigest()}  {file.path}\n"
        for file in files
        if file.kind == tarfile.REGTYPE
    )
    meta = [File("control", text or control(name, version, architecture)), File("md5sums", sums.encode())]
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", lzma.compress(tarball(meta))),
            ("data.tar.xz", lzma.compress(tarball(data))),
        ]
    )


def elf(soname: str = "", needed: Sequence[str] = (), *, machine: int = 62, kind: int = 3) -> bytes:
    """A 64-bit little-endian ELF file with a load segment, a dynamic segment and nothing to execute."""
    strings = b"\0"
    entries = []
    for tag, name in [(14, soname)] * bool(soname) + [(1, name) for name in needed]:
        entries.append((tag, len(strings)))
        strings += name.encode() + b"\0"
    headers = 64 + 2 * 56
    dynamic = b"".join(struct.pack("<qQ", tag, value) for tag, value in (*entries, (5, headers), (0, 0)))
    at = headers + len(strings)
    size = at + len(dynamic)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
    head += struct.pack("<IIQQQQQQ", 2, 6, at, at, at, len(dynamic), len(dynamic), 8)
    return head + strings + dynamic


# --- OpenPGP -------------------------------------------------------------------------------------------------


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def mpi(value: int) -> bytes:
    return value.bit_length().to_bytes(2, "big") + value.to_bytes((value.bit_length() + 7) // 8, "big")


def subpacket(number: int, data: bytes) -> bytes:
    return bytes([len(data) + 1, number]) + data


class Key:
    """One secret key: Ed25519, or RSA of `bits`."""

    def __init__(self, *, bits: int = 0, created: int = NOW - 100 * DAY) -> None:
        self.secret: Any = rsa.generate_private_key(65537, bits) if bits else ed25519.Ed25519PrivateKey.generate()
        self.algorithm = 1 if bits else 22
        if bits:
            numbers = self.secret.public_key().public_numbers()
            material = mpi(numbers.n) + mpi(numbers.e)
        else:
            point = self.secret.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            material = bytes.fromhex("092b06010401da470f01") + mpi(int.from_bytes(b"\x40" + point, "big"))
        self.body = b"\x04" + created.to_bytes(4, "big") + bytes([self.algorithm]) + material
        self.hashed = b"\x99" + len(self.body).to_bytes(2, "big") + self.body
        self.fingerprint = hashlib.sha1(self.hashed, usedforsecurity=False).digest()

    @property
    def name(self) -> str:
        return self.fingerprint.hex().upper()

    def sign(
        self,
        data: bytes,
        kind: int,
        *,
        created: int = NOW - DAY,
        extra: bytes = b"",
        unhashed: bytes = b"",
        hash: int = 8,
        issuer: bytes | None = None,
    ) -> bytes:
        """The body of a signature packet over `data`."""
        area = subpacket(2, created.to_bytes(4, "big")) + extra
        area += subpacket(33, b"\x04" + (self.fingerprint if issuer is None else issuer))
        head = bytes([4, kind, self.algorithm, hash]) + len(area).to_bytes(2, "big") + area
        algorithm = {2: hashes.SHA1(), 8: hashes.SHA256(), 10: hashes.SHA512()}[hash]
        name = {2: "sha1", 8: "sha256", 10: "sha512"}[hash]
        digest = hashlib.new(name, data + head + b"\x04\xff" + len(head).to_bytes(4, "big")).digest()
        if self.algorithm == 1:
            raw = self.secret.sign(digest, padding.PKCS1v15(), utils.Prehashed(algorithm))
            numbers = mpi(int.from_bytes(raw, "big"))
        else:
            raw = self.secret.sign(digest)
            numbers = mpi(int.from_bytes(raw[:32], "big")) + mpi(int.from_bytes(raw[32:], "big"))
        unhashed += subpacket(16, (self.fingerprint if issuer is None else issuer)[-8:])
        return head + len(unhashed).to_bytes(2, "big") + unhashed + digest[:2] + numbers


class Certificate:
    """A primary key with a user id and perhaps a signing subkey; `ring` is its public form."""

    def __init__(
        self,
        *,
        subkey: bool = True,
        bits: int = 0,
        lifetime: int = 1000 * DAY,
        back: bool = True,
        revoked: bool = False,
        subkey_revoked: bool = False,
    ) -> None:
        self.primary = Key(bits=bits)
        name = b"Archive of a test"
        uid = b"\xb4" + len(name).to_bytes(4, "big") + name
        created = NOW - 100 * DAY
        ends = subpacket(9, lifetime.to_bytes(4, "big"))
        self.ring = packet(6, self.primary.body)
        if revoked:
            self.ring += packet(2, self.primary.sign(self.primary.hashed, 0x20, created=created))
        self.ring += packet(13, name)
        flags = subpacket(27, b"\x01" if subkey else b"\x03")
        self.ring += packet(2, self.primary.sign(self.primary.hashed + uid, 0x13, created=created, extra=flags + ends))
        self.signer = self.primary
        if subkey:
            self.signer = Key(bits=bits)
            over = self.primary.hashed + self.signer.hashed
            unhashed = subpacket_long(32, self.signer.sign(over, 0x19, created=created)) if back else b""
            self.ring += packet(14, self.signer.body)
            self.ring += packet(
                2,
                self.primary.sign(over, 0x18, created=created, extra=subpacket(27, b"\x02") + ends, unhashed=unhashed),
            )
            if subkey_revoked:
                self.ring += packet(2, self.primary.sign(over, 0x28, created=created))


def subpacket_long(number: int, data: bytes) -> bytes:
    return b"\xff" + (len(data) + 1).to_bytes(4, "big") + bytes([number]) + data


def armoured(signatures: bytes) -> str:
    text = base64.b64encode(signatures).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    checksum = base64.b64encode(crc24(signatures)).decode()
    return f"-----BEGIN PGP SIGNATURE-----\n\n{lines}\n={checksum}\n-----END PGP SIGNATURE-----\n"


def crc24(data: bytes) -> bytes:
    register = 0xB704CE
    for bit in (byte >> shift & 1 for byte in data for shift in range(7, -1, -1)):
        top = register >> 23 & 1
        register = register << 1 & 0xFFFFFF
        if top ^ bit:
            register ^= 0x864CFB
    return register.to_bytes(3, "big")


def clearsigned(text: str, *signers: Key, **how: Any) -> bytes:
    """`text` as a cleartext signed message."""
    lines = text.removesuffix("\n").split("\n")
    signed = "\r\n".join(line.rstrip(" \t") for line in lines).encode()
    signatures = b"".join(packet(2, key.sign(signed, how.get("kind", 1), **_signing(how))) for key in signers)
    body = "\n".join("- " + line if line.startswith("-") else line for line in lines)
    return f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{body}\n{armoured(signatures)}".encode()


def _signing(how: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in how.items() if key != "kind"}


# --- suites and mirrors --------------------------------------------------------------------------------------


class Package(NamedTuple):
    """A package in a suite; `data` is the .deb."""

    name: str
    version: str
    data: bytes
    architecture: str = "amd64"

    @property
    def filename(self) -> str:
        return f"{self.name}_{self.version.partition(':')[2] or self.version}_{self.architecture}.deb"


def stamp(seconds: int) -> str:
    from email.utils import formatdate

    return formatdate(seconds).replace("-0000", "UTC")


class Archive:
    """Writes `ROOT/ARCHIVE/dists/...` and the pool, signed by `key`."""

    def __init__(self, root: Path, key: Key) -> None:
        self.root = root
        self.key = key

    def suite(
        self,
        archive: str,
        name: str,
        packages: Sequence[Package],
        *,
        architectures: Sequence[str] = ("amd64", "arm64"),
        by_hash: bool = True,
        valid: int | None = 7 * DAY,
        date: int = NOW - DAY,
        codename: str = "",
        pool: str = "pool/main",
    ) -> Path:
        """One suite; returns its InRelease file. Later packages of one name stand beside earlier ones."""
        base = self.root / archive / "dists" / name
        sums = []
        for architecture in architectures:
            here = [item for item in packages if item.architecture in (architecture, "all")]
            index = lzma.compress("\n".join(self._stanza(archive, item, pool) for item in here).encode())
            digest = hashlib.sha256(index).hexdigest()
            path = f"main/binary-{architecture}/Packages.xz"
            place = base / (f"main/binary-{architecture}/by-hash/SHA256/{digest}" if by_hash else path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(index)
            sums.append(f" {digest} {len(index):>8} {path}")
        text = f"Origin: Test\nSuite: stable\nCodename: {codename or name}\nDate: {stamp(date)}\n"
        if valid is not None:
            text += f"Valid-Until: {stamp(date + valid)}\n"
        text += "Acquire-By-Hash: yes\n" if by_hash else ""
        text += "SHA256:\n" + "\n".join(sums) + "\n"
        base.mkdir(parents=True, exist_ok=True)
        release = base / "InRelease"
        release.write_bytes(clearsigned(text, self.key))
        return release

    def _stanza(self, archive: str, package: Package, pool: str) -> str:
        path = f"{pool}/{package.name[0]}/{package.name}/{package.filename}"
        place = self.root / archive / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(package.data)
        return (
            f"Package: {package.name}\nVersion: {package.version}\nArchitecture: {package.architecture}\n"
            f"Description: {package.name}\nFilename: {path}\nSize: {len(package.data)}\n"
            f"SHA256: {hashlib.sha256(package.data).hexdigest()}\n"
        )


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def served(root: Path) -> Iterator[str]:
    """`root` on loopback; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
