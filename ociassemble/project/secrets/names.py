"""Paths that promise a secret whatever the file holds (specs/behaviour/secrets.md, SECRET-1 on)."""

from __future__ import annotations

import re
from typing import NamedTuple


class Named(NamedTuple):
    """A rule about names."""

    rule: str
    what: str
    pattern: str  # matches the end of a lower-case path, from a folder border on


_EXAMPLES = (".example", ".sample", ".template", ".dist", ".defaults", ".schema")
NAMES: tuple[Named, ...] = (
    Named("env-file", "environment file", r"\.env(\.[^/]+)?"),
    Named("ssh-key-file", "SSH private key", r"id_(rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk)|ssh_host_[a-z0-9]+_key"),
    Named("key-store", "PKCS #12 key store", r".+\.(p12|pfx)"),
    Named("key-store", "Java key store", r"(?!(.*trust|cacerts))[^/]*\.(jks|jceks|keystore|bks)"),
    Named("putty-key", "PuTTY private key", r".+\.ppk"),
    Named("openpgp-key-file", "OpenPGP private key", r"secring\.gpg|\.gnupg/.*private-keys.*"),
    Named("aws-credentials", "AWS credentials", r"\.aws/credentials|\.aws/(sso|cli)/cache/.+"),
    Named(
        "google-credentials",
        "Google credentials",
        r"(\.config/|\.)gcloud/(credentials\.db|access_tokens\.db|legacy_credentials/.+)"
        r"|application_default_credentials\.json",
    ),
    Named(
        "azure-credentials",
        "Azure credentials",
        r"\.azure/(accesstokens\.json|msal_token_cache\..+|service_principal_entries\..+|azureprofile\.json)",
    ),
    Named("netrc", "login file (netrc)", r"[._]netrc"),
    Named("package-index-credentials", "package index credentials", r"\.pypirc"),
    Named(
        "registry-credentials",
        "registry credentials",
        r"\.docker/config\.json|\.dockercfg|\.dockerconfigjson|\.config/containers/auth\.json",
    ),
    Named("kubeconfig", "Kubernetes credentials", r"\.kube/config|(.+\.)?kubeconfig"),
    Named("git-credentials", "git credentials", r"\.git-credentials|\.config/git/credentials"),
    Named("forge-credentials", "forge credentials", r"\.config/gh/hosts\.yml|\.config/glab-cli/config\.yml"),
    Named("database-password", "database password", r"\.pgpass|pgpass\.conf|\.my\.cnf|\.mylogin\.cnf"),
    Named("password-file", "password hashes", r"\.htpasswd"),
    Named("vault-token-file", "Vault token", r"\.vault-token"),
    Named(
        "terraform-state",
        "Terraform state or credentials",
        r"(.+\.)?tfstate(\.[^/]*backup)?|credentials\.tfrc\.json|\.terraformrc",
    ),
    Named(
        "package-index-credentials",
        "package index credentials",
        r"\.cargo/credentials(\.toml)?|\.gem/credentials|\.composer/auth\.json",
    ),
)
_BY_NAME = re.compile(
    "|".join(f"(?P<n{number}>(?:.*/)?(?:{named.pattern}))" for number, named in enumerate(NAMES)), re.DOTALL
)


def by_name(path: str) -> Named | None:
    """The rule that the name of `path` alone breaks, or None. Any folder and any case counts."""
    lowered = path.lower()
    found = _BY_NAME.fullmatch(lowered)
    if found is None:
        return None
    if found.lastgroup == "n0" and lowered.endswith(_EXAMPLES):
        return None
    return next(named for number, named in enumerate(NAMES) if found.group(f"n{number}") is not None)
