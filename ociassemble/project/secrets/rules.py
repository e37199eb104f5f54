"""What secrets look like, as data (specs/behaviour/secrets.md, SECRET-10 on).

Each kind has an id that never changes, sieves that find where one may be, and a pattern that decides. A sieve is
what stands right before its anchor, and what begins with the anchor: a byte that is rare in files, so that a search
for it costs next to nothing. Every pattern has bounded repetitions only and looks at most `REACH` bytes ahead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from ociassemble.project.secrets import plausible

REACH = 8 << 10  # bytes
WEAK = frozenset({"url-password", "assigned-secret"})  # kinds that give way to any other at the same place


class Sieve(NamedTuple):
    """Where a secret may be: `before` (of fixed width), then `rest`, whose first byte is the anchor."""

    before: bytes
    rest: bytes


class Context(NamedTuple):
    """What a check may know beyond the match itself."""

    path: str
    config: bool  # a file that is made of settings
    found: re.Match[bytes]
    starts: bool  # nothing but white space stands before the match in the file


Check = Callable[[bytes, Context], bool]
# What may stand in a program's strings by chance is looked for in text alone, or in files of settings alone.
Where = Literal["anywhere", "text", "config"]


class Rule(NamedTuple):
    """One kind of secret. The group `secret` of the pattern, or all of it, is the secret."""

    rule: str
    what: str
    sieves: tuple[Sieve, ...]
    pattern: bytes
    check: Check | None = None
    bits: float = 3.0  # of randomness a byte; 0 leaves it to the check
    lead: int = 12  # how many bytes of the pattern may stand before the anchor
    files: tuple[str, ...] = ()  # ends of the names of the only files that are searched; () is all
    head: bytes = b""  # what the pattern begins with, where much may stand before the anchor
    where: Where = "anywhere"
    end: bytes = rb"(?![0-9A-Za-z])"  # what may follow, where the pattern is of fixed length


def _s(before: bytes, rest: bytes) -> Sieve:
    return Sieve(before, rest)


def _checksum(secret: bytes, _: Context) -> bool:
    return plausible.checksum62(secret)


def _jwt(secret: bytes, _: Context) -> bool:
    return plausible.signed_token(secret)


def _snowflake(secret: bytes, _: Context) -> bool:
    return plausible.snowflake(secret)


_REFERENCES = (b"$", b"{", b"<", b"%")
_INDEX_FILES = ("pip.conf", "pip.ini", "uv.toml", ".condarc", ".npmrc", ".yarnrc.yml", ".yarnrc.yaml")


def _of_an_index(context: Context) -> bool:
    """Whether the file is where logins of package indexes are kept: what stands there is none of a manual."""
    return context.path.rpartition("/")[2].lower() in _INDEX_FILES


def _url(secret: bytes, context: Context) -> bool:
    if _of_an_index(context):
        return not secret.startswith(_REFERENCES)
    user, host = context.found["user"], context.found["host"]
    if secret == user or not plausible.real_host(host):
        return False
    return plausible.password(secret, strict=not context.config)


def _key_data(secret: bytes, _: Context) -> bool:
    return (plausible.decoded(secret) or b"").startswith(b"-----BEGIN")


def _not_a_reference(secret: bytes, context: Context) -> bool:
    return not secret.startswith(_REFERENCES) and (_of_an_index(context) or plausible.random(secret, 3.0))


def _index_token(secret: bytes, context: Context) -> bool:
    return _of_an_index(context) and not secret.startswith(_REFERENCES)


def _private_key(secret: bytes, context: Context) -> bool:
    """A marker alone is code that writes or reads keys; in a key's own file it is enough."""
    if context.starts or context.path.lower().endswith((".pem", ".key")):
        return True
    text = re.sub(rb"\\\\?[rn]", b"\n", secret)
    # Strings of code that are put together line by line; a `+` of base64 itself stays.
    plain = (re.sub(rb"[\"'`]\s*\+\s*\Z|\A\s*\+\s*[\"'`]", b"", line) for line in text.split(b"\n"))
    lines = [line.strip(b" \t\r\"'`,\\") for line in plain]
    # OpenPGP ends with a checksum in a line of its own (RFC 9580 6.1).
    body = b"".join(line for line in lines if re.fullmatch(rb"[0-9A-Za-z+/]+={0,2}", line))
    return plausible.key(body, encrypted=b"ENCRYPTED" in secret or b"DEK-Info" in secret)


def _putty(secret: bytes, context: Context) -> bool:
    return context.starts or re.search(rb"Private-Lines: [0-9]", secret) is not None


def _login(secret: bytes, _: Context) -> bool:
    return plausible.login(secret)


def _assigned(secret: bytes, _: Context) -> bool:
    return plausible.assigned(secret)


_KEY = _s(b"PRIVATE ", rb"KEY")
_PEM = rb"-----BEGIN (?:[0-9A-Z]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?P<secret>(?:[^-]|-(?!----)){0,6000})"

RULES: tuple[Rule, ...] = (
    # ------------------------------------------------------------------------------------------- clouds
    Rule(
        "aws-access-key",
        "AWS access key",
        (_s(b"", rb"AKIA"), _s(b"", rb"ASIA"), _s(b"", rb"ABIA"), _s(b"", rb"ACCA")),
        rb"(?<![0-9A-Z])A(?:KI|SI|BI|CC)A[A-Z2-7]{16}",
        bits=2.8,
    ),
    Rule(
        "aws-secret-key",
        "AWS secret access key",
        (
            _s(b"", rb"secret_access_key"),
            _s(b"SECRET_ACCESS_", rb"KEY"),
            _s(b"ecretAccess", rb"Key"),
            _s(b"ecret", rb"Key"),
        ),
        rb"(?i:secret_?(?:access_?)?key)[\"']?\s{0,4}(?:[:=]|=>|,)\s{0,4}[\"']?(?P<secret>[0-9A-Za-z/+]{40})(?![0-9A-Za-z/+=])",
        bits=4.0,
        lead=24,
        end=b"",
    ),
    Rule("google-api-key", "Google API key", (_s(b"", rb"AIza"),), rb"AIza[\w-]{35}", bits=3.5),
    Rule("google-client-secret", "Google OAuth client secret", (_s(b"GOCSPX", rb"-"),), rb"GOCSPX-[\w-]{28}"),
    Rule(
        "google-access-token", "Google OAuth access token", (_s(b"ya29", rb"\."),), rb"ya29\.[\w-]{40,1024}", bits=3.5
    ),
    Rule(
        "azure-storage-key",
        "Azure storage account key",
        (_s(b"Account", rb"Key="),),
        rb"AccountKey=(?P<secret>[0-9A-Za-z+/]{86}==)",
        bits=4.0,
    ),
    Rule(
        "azure-shared-access-key",
        "Azure shared access key",
        (_s(b"SharedAccess", rb"Key="),),
        rb"SharedAccessKey=(?P<secret>[0-9A-Za-z+/]{43}=)",
        bits=4.0,
    ),
    Rule(
        "azure-sas-token",
        "Azure shared access signature",
        (_s(b"", rb"%3[Dd]"),),
        rb"sig=(?P<secret>(?:[0-9A-Za-z]|%2[BbFf]){43}%3[Dd])",
        lead=136,
        head=b"sig=",
        bits=3.5,
    ),
    Rule(
        "azure-client-secret",
        "Azure client secret",
        (_s(b"Q", rb"~"),),
        rb"[\w.~-]{3}[0-9]Q~[\w.~-]{31,34}",
        lead=5,
        bits=3.5,
    ),
    Rule("alibaba-access-key", "Alibaba Cloud access key", (_s(b"LT", rb"AI5t"),), rb"LTAI5t[0-9A-Za-z]{18}", bits=3.0),
    Rule("digitalocean-token", "DigitalOcean token", (_s(b"do[opr]_v1", rb"_"),), rb"do[opr]_v1_[0-9a-f]{64}"),
    Rule("heroku-key", "Heroku API key", (_s(b"HRKU", rb"-AA"),), rb"HRKU-AA[\w-]{58}", bits=3.5),
    Rule("databricks-token", "Databricks token", (_s(b"", rb"dapi"),), rb"dapi[0-9a-f]{32}", where="config"),
    Rule(
        "planetscale-password",
        "PlanetScale password or token",
        (_s(b"pscale_(?:tkn|pwd)", rb"_"),),
        rb"pscale_(?:tkn|pwd)_[\w.-]{32,64}",
    ),
    Rule(
        "tailscale-key",
        "Tailscale key",
        (_s(b"tskey", rb"-"),),
        rb"tskey-(?:api|auth|client|scim|webhook)-[\w]{8,24}-[0-9A-Za-z]{24,40}",
    ),
    # ------------------------------------------------------------------------------------------- forges and registries
    Rule("github-token", "GitHub token", (_s(b"gh[oprsu]", rb"_"),), rb"gh[oprsu]_[0-9A-Za-z]{36}", _checksum),
    Rule(
        "github-token",
        "GitHub token",
        (_s(b"github_pat", rb"_"),),
        rb"github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}",
        bits=4.0,
    ),
    Rule(
        "gitlab-token",
        "GitLab token",
        (_s(b"gl(?:pat|oas)", rb"-"), _s(b"gl(?:dt|rt)", rb"-"), _s(b"gl(?:cbt|ptt)", rb"-"), _s(b"glsoat", rb"-")),
        rb"gl(?:pat|oas|dt|rt|cbt|ptt|soat)-[\w-]{20,300}(?:\.[\w.]{4,40})?",
    ),
    Rule(
        "bitbucket-token",
        "Atlassian or Bitbucket token",
        (_s(b"", rb"ATATT3xFfGF0"), _s(b"", rb"ATCTT3xFfGN0"), _s(b"", rb"ATBB")),
        rb"AT(?:ATT3xFfGF0|CTT3xFfGN0)[\w=-]{100,400}|ATBB[0-9A-Za-z]{24}[0-9A-F]{8}",
        bits=3.5,
    ),
    Rule("npm-token", "npm access token", (_s(b"npm", rb"_"),), rb"npm_[0-9A-Za-z]{36}", _checksum),
    Rule(
        "npm-auth-token",
        "package registry token",
        (_s(b"", rb":_authToken"), _s(b"", rb":_password")),
        rb":_(?:authToken|password)\s{0,4}=\s{0,4}[\"']?(?P<secret>[^\s\"'\\]{3,512})",
        _not_a_reference,
        bits=0,
        where="text",
        end=b"",
    ),
    Rule("pypi-token", "Python package index token", (_s(b"pypi", rb"-AgE"),), rb"pypi-AgE[\w-]{50,1024}", bits=3.5),
    Rule("rubygems-token", "RubyGems token", (_s(b"rubygems", rb"_"),), rb"rubygems_[0-9a-f]{48}"),
    Rule("docker-token", "Docker Hub token", (_s(b"dckr_[op]at", rb"_"),), rb"dckr_[op]at_[\w-]{27,32}", bits=3.5),
    # ------------------------------------------------------------------------------------------- services
    Rule(
        "slack-token",
        "Slack token",
        (_s(b"xox[abcdeoprs]", rb"-"), _s(b"xapp", rb"-")),
        rb"(?:xox[abcdeoprs]|xapp)-(?:[0-9A-Za-z]{1,64}-){1,6}[0-9A-Za-z]{16,256}",
    ),
    Rule(
        "slack-webhook",
        "Slack webhook",
        (_s(b"", rb"://hooks\.slack"),),
        rb"://hooks\.slack\.com/(?:services|workflows)/(?P<secret>[0-9A-Za-z]{6,16}/[0-9A-Za-z]{6,16}/[0-9A-Za-z]{16,48})",
        bits=3.8,
    ),
    Rule(
        "discord-webhook",
        "Discord webhook",
        (_s(b"", rb"://(?:\w{1,8}\.)?discord(?:app)?\.com/api"),),
        rb"://(?:\w{1,8}\.)?discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/(?P<secret>[0-9]{17,20}/[\w-]{60,80})",
        bits=3.5,
    ),
    Rule(
        "discord-token",
        "Discord bot token",
        (_s(b"", rb"\.[\w-]{6}\.[\w-]{27}"),),
        rb"[MNO][\w-]{22,28}\.[\w-]{6}\.[\w-]{27,40}",
        _snowflake,
        lead=29,
    ),
    Rule("telegram-token", "Telegram bot token", (_s(b"", rb":AA"),), rb"[0-9]{8,10}:AA[\w-]{33}", lead=10, bits=3.5),
    Rule("stripe-key", "Stripe live key", (_s(b"[rs]k_live", rb"_"),), rb"[rs]k_live_[0-9A-Za-z]{24,247}", bits=3.5),
    Rule("square-token", "Square token", (_s(b"sq0(?:atp|csp)", rb"-"),), rb"sq0(?:atp-[\w-]{22}|csp-[\w-]{43})"),
    Rule("shopify-token", "Shopify token", (_s(b"shp(?:at|ca|pa|ss)", rb"_"),), rb"shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}"),
    Rule("twilio-key", "Twilio API key", (_s(b"S", rb"K[0-9a-f]{32}"),), rb"SK[0-9a-f]{32}"),
    Rule("sendgrid-key", "SendGrid API key", (_s(b"SG", rb"\."),), rb"SG\.[\w-]{22}\.[\w-]{43}", bits=3.5),
    Rule("mailgun-key", "Mailgun key", (_s(b"key", rb"-[0-9a-f]{32}"),), rb"key-[0-9a-f]{32}"),
    Rule("postman-key", "Postman API key", (_s(b"PMAK", rb"-"),), rb"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    Rule("linear-key", "Linear API key", (_s(b"lin_api", rb"_"),), rb"lin_api_[0-9A-Za-z]{40}", bits=3.5),
    Rule("new-relic-key", "New Relic API key", (_s(b"NRAK", rb"-"),), rb"NRAK-[0-9A-Z]{27}"),
    Rule("grafana-token", "Grafana token", (_s(b"glsa", rb"_"),), rb"glsa_[0-9A-Za-z]{32}_[0-9a-f]{8}", bits=3.5),
    Rule(
        "sentry-token", "Sentry token", (_s(b"sntrys", rb"_"),), rb"sntrys_eyJ[0-9A-Za-z=+/]{40,400}_[0-9A-Za-z+/]{43}"
    ),
    Rule("supabase-token", "Supabase token", (_s(b"sbp", rb"_"),), rb"sbp_[0-9a-f]{40}"),
    Rule("vault-token", "Vault token", (_s(b"hv[bs]", rb"\."),), rb"hv[bs]\.[\w-]{60,300}", bits=3.5),
    Rule(
        "terraform-token",
        "Terraform Cloud token",
        (_s(b"", rb"\.atlasv1\."),),
        rb"[0-9A-Za-z]{14}\.atlasv1\.[\w-]{60,80}",
        lead=14,
    ),
    Rule("pulumi-token", "Pulumi token", (_s(b"pul", rb"-[0-9a-f]{40}"),), rb"pul-[0-9a-f]{40}"),
    # ------------------------------------------------------------------------------------------- models
    Rule(
        "openai-key",
        "OpenAI key",
        (_s(b"T3BlbkF", rb"J"),),
        rb"sk-[\w-]{20,100}T3BlbkFJ[\w-]{20,100}",
        lead=110,
        head=b"sk-",
        bits=3.5,
    ),
    Rule("anthropic-key", "Anthropic key", (_s(b"sk", rb"-ant-"),), rb"sk-ant-[a-z0-9]{3,10}-[\w-]{80,120}", bits=3.5),
    Rule("huggingface-token", "Hugging Face token", (_s(b"hf", rb"_"),), rb"hf_[0-9A-Za-z]{34}", bits=3.8),
    Rule("replicate-token", "Replicate token", (_s(b"r8", rb"_"),), rb"r8_[0-9A-Za-z]{37}", bits=3.8),
    # ------------------------------------------------------------------------------------------- formats
    Rule(
        "gcp-service-account",
        "Google service account key",
        (_KEY,),
        rb"\"private_key\\{0,4}\"\s{0,8}:\s{0,8}\\{0,4}\"" + _PEM,
        _private_key,
        bits=0,
        lead=90,
        head=b'"private_key',
        end=b"",
    ),
    Rule("private-key", "private key", (_KEY,), _PEM, _private_key, bits=0, lead=56, head=b"-----BEGIN ", end=b""),
    Rule(
        "putty-key",
        "PuTTY private key",
        (_s(b"PuTTY", rb"-User-Key-File"),),
        rb"PuTTY-User-Key-File-[0-9]: (?P<secret>(?:ssh|ecdsa)-[\w-]{3,30}(?:\s|\\[nr])(?s:.){0,4000})",
        _putty,
        bits=0,
        lead=16,
        end=b"",
    ),
    Rule("age-key", "age secret key", (_s(b"AGE-SECRET-", rb"KEY-1"),), rb"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}"),
    Rule(
        "jwt",
        "signed token (JWT)",
        (_s(b"ey", rb"J"),),
        rb"eyJ[\w-]{8,300}\.eyJ[\w-]{8,6000}\.[\w-]{20,1400}",
        _jwt,
        bits=0,
        lead=2,
    ),
    Rule(
        "kubeconfig-key",
        "Kubernetes client key",
        (_s(b"client", rb"-key-data"),),
        rb"client-key-data[\"']?:\s{0,4}[\"']?(?P<secret>[0-9A-Za-z+/]{64,6000}={0,2})",
        _key_data,
        bits=0,
        end=b"",
    ),
    Rule(
        "url-password",
        "password in a URL",
        (_s(b"", rb"://[^\s/:@]{0,64}:[^\s/@]{3,128}@"),),
        # Where the scheme begins tells nothing, and would have to be tried at each of its letters.
        rb"(?<=[0-9A-Za-z+.-][0-9A-Za-z])://(?P<user>[^\s/:@'\"<>`\\]{0,64}):(?P<secret>[^\s/@'\"<>`\\]{3,128})@"
        rb"(?P<host>\[[0-9A-Fa-f:.]{2,40}\]|[0-9A-Za-z._-]{1,128}|[$%<{(])",
        _url,
        lead=0,
        bits=0,
        where="text",
        end=b"",
    ),
    # ------------------------------------------------------------------------------------------- settings
    Rule(
        "index-token",
        "package registry token in its settings",
        (_s(b"", rb"_auth"), _s(b"", rb"_password"), _s(b"", rb"npmauth")),
        rb"(?:(?<![\w:])_(?:auth|authToken|password)|npmAuth(?:Token|Ident))\s{0,4}[:=]\s{0,4}[\"']?"
        rb"(?P<secret>[^\s\"']{3,512})",
        _index_token,
        bits=0,
        files=_INDEX_FILES,
        where="config",
        end=b"",
    ),
    Rule(
        "registry-login",
        "registry credentials",
        (_s(b"", rb'"auth"'),),
        rb'"auth"\s{0,4}:\s{0,4}"(?P<secret>[0-9A-Za-z+/]{8,4000}={0,2})"',
        _login,
        bits=0,
        files=(".json", "config"),
        where="config",
        end=b"",
    ),
    Rule(
        "assigned-secret",
        "password or token in settings",
        tuple(_s(b"", word) for word in (rb"passw", rb"secret", rb"token", rb"api_key", rb"apikey", rb"api-key")),
        rb"(?i:password|passwd|secret|secret[_-]?key|token|api[_-]?key)[\"']?[ \t]{0,8}(?:[:=]|=>)[ \t]{0,8}"
        rb"[\"']?(?P<secret>[^\s\"']{7,127}[^\s\"',;])(?=[\"'\s,;]|\Z)",
        _assigned,
        bits=0,
        where="config",
        lead=0,
        end=b"",
    ),
)
