"""What the guard found, what a fingerprint allows, and the refusal (specs/behaviour/secrets.md, SECRET-30 on)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from ociassemble.errors import PolicyError

SHOWN = 50  # findings in one message

# A fingerprint stands in settings that others may read, so guessing the secret from it must cost something: it is
# slow to make (4 ms), and differs with path and rule.
_ROUNDS = 10_000


class SecretError(PolicyError):
    """Files to be packed look like secrets; `details` lists them, with what allows each."""

    code = "policy.secret"


class Finding(NamedTuple):
    """Something that looks like a secret. It holds nothing of it but the length.

    `path` is relative to the project; what is in an archive has the archive's path, `!/` and its own. `line` counts
    from 1 and is None where there are no lines: in binary files and where the name is what tells; `offset` is in bytes.
    """

    path: str
    line: int | None
    offset: int
    rule: str
    what: str
    size: int  # bytes of the secret; 0 where the name tells
    fingerprint: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line is not None else self.path
        size = f", {self.size} characters" if self.size else ""
        if self.line is None and self.size:
            size += f" at byte {self.offset}"
        return f"`{place}`: {self.rule} ({self.what}{size}), fingerprint {self.fingerprint}"


def finding(path: str, rule: str, what: str, secret: bytes, *, line: int | None, offset: int) -> Finding:
    """A finding of the content."""
    return Finding(path, line, offset, rule, what, len(secret), fingerprint(path, rule, secret))


def fingerprint(path: str, rule: str, secret: bytes) -> str:
    """What allows this secret, of this kind, in this file: 16 hexadecimal digits. It survives moving lines."""
    salt = f"ociassemble-secret\0{rule}\0{path}".encode(errors="surrogateescape")
    return hashlib.pbkdf2_hmac("sha256", secret, salt, _ROUNDS, 8).hex()


def refuse(findings: Iterable[Finding], allowed: Iterable[str], ignorefile: str) -> list[str]:
    """Raise `SecretError` for every finding whose fingerprint is not allowed; else warnings, for people.

    A fingerprint that allows nothing any more is worth a warning: the secret it stood for is gone.
    """
    fine = tuple(allowed)
    found = sorted(set(findings))
    left = [one for one in found if one.fingerprint not in fine]
    if not left:
        used = {one.fingerprint for one in found}
        return [f"the settings allow a secret `{one}` that is not there" for one in fine if one not in used]
    many = len(left) > 1
    details = [str(one) for one in left[:SHOWN]]
    if len(left) > SHOWN:
        details.append(f"and {len(left) - SHOWN} more")
    outer = left[0].path.partition("!/")[0]
    raise SecretError(
        f"the folder holds {f'{len(left)} things that look like secrets' if many else 'what looks like a secret'}; "
        "nothing was packed",
        details=details,
        hint=f"take it out, or add a line `{outer}` to {ignorefile}; what must be in the image is allowed in the "
        f'settings: [secrets] allow = ["{left[0].fingerprint}"]',
    )
