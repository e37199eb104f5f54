"""The guard: files that look like secrets are refused before a byte is packed (specs/behaviour/packing.md, PACK-30 on).

By name where a name says it all, by the first block of content where it does not. What is excluded is not looked
at; what must be in the image is allowed by its path, one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ociassemble.errors import PolicyError


class SecretError(PolicyError):
    """Files to be packed look like secrets; `details` lists all of them."""

    code = "policy.secret"


class Finding(NamedTuple):
    """A file that looks like a secret, and what kind of."""

    path: str
    what: str


_EXAMPLES = (".example", ".sample", ".template")
# Full matches of a lower-case path's end, from a folder border on.
_NAMES: tuple[tuple[str, str], ...] = (
    (r"\.env(\.[^/]+)?", "environment file"),
    (r"id_(rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk)", "SSH private key"),
    (r".+\.(p12|pfx)", "PKCS #12 key store"),
    (r".+\.ppk", "PuTTY private key"),
    (r"secring\.gpg|\.gnupg/.*private-keys.*", "OpenPGP private key"),
    (r"\.aws/credentials|\.aws/(sso|cli)/cache/.+", "AWS credentials"),
    (
        r"(\.config/|\.)gcloud/(credentials\.db|access_tokens\.db|legacy_credentials/.+)"
        r"|application_default_credentials\.json",
        "Google credentials",
    ),
    (
        r"\.azure/(accesstokens\.json|msal_token_cache\..+|service_principal_entries\..+|azureprofile\.json)",
        "Azure credentials",
    ),
    (r"[._]netrc", "login file (netrc)"),
    (r"\.pypirc", "package index credentials"),
    (r"\.docker/config\.json|\.dockercfg|\.dockerconfigjson|\.config/containers/auth\.json", "registry credentials"),
    (r"\.kube/config|(.+\.)?kubeconfig", "Kubernetes credentials"),
    (r"\.git-credentials|\.config/git/credentials", "git credentials"),
    (r"\.config/gh/hosts\.yml", "forge credentials"),
    (r"\.pgpass", "database password"),
    (r"\.vault-token", "Vault token"),
    (r"(.+\.)?tfstate(\.backup)?|credentials\.tfrc\.json", "Terraform state or credentials"),
    (r"\.cargo/credentials(\.toml)?|\.gem/credentials|\.composer/auth\.json", "package index credentials"),
)
_BY_NAME = re.compile(
    "|".join(f"(?P<n{number}>(?:.*/)?(?:{text}))" for number, (text, _) in enumerate(_NAMES)), re.DOTALL
)
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY( BLOCK)?-----")
_KEY_STARTS = (b"-----BEGIN ", b"PuTTY-User-Key-File-", b"AGE-SECRET-KEY-1")
_SERVICE_ACCOUNT = re.compile(rb'"type"\s*:\s*"service_account"')
# A value that is an environment variable's name is no secret: `${NPM_TOKEN}`.
_NPM_TOKEN = re.compile(rb"(?m)^[^#;\n]*(_authToken|_auth|_password)\s*=\s*[\"']?(?!\$\{)[^\s\"']")
_YARN_TOKEN = re.compile(rb"(?m)^\s*npmAuth(Token|Ident)\s*:\s*[\"']?(?!\$\{)[^\s\"']")
_URL_LOGIN = re.compile(rb"(?m)^[^#;\n]*://[^/\s:@$]+:[^/\s@$]+@")


def by_name(path: str) -> str | None:
    """What kind of secret the name of `path` promises, or None."""
    lowered = path.lower()
    found = _BY_NAME.fullmatch(lowered)
    if found is None:
        return None
    if found.lastgroup == "n0" and lowered.endswith(_EXAMPLES):
        return None
    return next(what for number, (_, what) in enumerate(_NAMES) if found.group(f"n{number}") is not None)


def by_content(path: str, head: bytes) -> str | None:
    """What kind of secret the file at `path` is by its first block (`inside.BLOCK`), or None."""
    name = path.rpartition("/")[2].lower()
    start = head[:64].lstrip()
    if start.startswith(_KEY_STARTS) or name.endswith((".pem", ".key")):
        if _PRIVATE_KEY.search(head) or start.startswith(_KEY_STARTS[1:]):
            return "private key"
    elif name.endswith(".json"):
        if b'"private_key"' in head and _SERVICE_ACCOUNT.search(head):
            return "Google service account key"
    elif name == ".npmrc":
        if _NPM_TOKEN.search(head):
            return "package registry token"
    elif name in (".yarnrc.yml", ".yarnrc.yaml"):
        if _YARN_TOKEN.search(head):
            return "package registry token"
    elif name in ("pip.conf", "pip.ini", "uv.toml", ".condarc") and _URL_LOGIN.search(head):
        return "package index credentials"
    return None


def refuse(findings: Iterable[Finding], allowed: Iterable[str], ignorefile: str) -> None:
    """Raise `SecretError` for every finding that is not at or below an allowed path."""
    fine = {path.removeprefix("./").strip("/") for path in allowed}
    left = [
        finding
        for finding in sorted(set(findings))
        if not any(finding.path == path or finding.path.startswith(path + "/") for path in fine if path)
    ]
    if not left:
        return
    first = left[0].path
    count = "a file that looks" if len(left) == 1 else f"{len(left)} files that look"
    raise SecretError(
        f"the folder holds {count} like a secret; nothing was packed"
        if len(left) == 1
        else f"the folder holds {count} like secrets; nothing was packed",
        details=(f"`{path}`: {what}" for path, what in left),
        hint=f"add a line `{first}` to {ignorefile}, or pass `--allow-secret {first}` "
        "(settings: `allow-secrets`) if it must be in the image",
    )
