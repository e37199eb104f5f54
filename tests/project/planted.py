"""Secrets to plant, drawn by lot from fixed seeds and put together here: no file of the repository holds one.

Each row: the rule that must find it, the file it is planted in, and how the file is written. `@` in a text is where
the secret goes; the secret is on the line that `@` is on.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import marshal
import random
import string
import tarfile
import uuid
import zipfile
from collections.abc import Callable
from typing import Literal, NamedTuple

ALNUM = string.digits + string.ascii_uppercase + string.ascii_lowercase
HEX = string.hexdigits[:16]
B64 = string.ascii_letters + string.digits + "+/"
URL = string.ascii_letters + string.digits + "_-"
B32 = string.ascii_uppercase + "234567"

Draw = Callable[[random.Random], str]


class Planted(NamedTuple):
    """A secret, where it is planted and what must be said."""

    rule: str
    path: str
    text: str  # with `@` in the place of the secret
    draw: Draw
    form: str = "text"  # how the file is made of the text: see `content`

    @property
    def secret(self) -> str:
        return self.draw(random.Random(f"{self.rule} {self.path}"))


def of(prefix: str, alphabet: str, size: int, suffix: str = "") -> Draw:
    return lambda lot: prefix + "".join(lot.choices(alphabet, k=size)) + suffix


def joined(*draws: Draw) -> Draw:
    return lambda lot: "".join(draw(lot) for draw in draws)


def checked(prefix: str) -> Draw:
    """A token of thirty characters and the CRC-32 of them in base 62."""

    def draw(lot: random.Random) -> str:
        body = "".join(lot.choices(ALNUM, k=30))
        value, digits = binascii.crc32(body.encode()), ""
        for _ in range(6):
            value, digit = divmod(value, 62)
            digits = ALNUM[digit] + digits
        return prefix + body + digits

    return draw


def jwt(**payload: object) -> Draw:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    def draw(lot: random.Random) -> str:
        head = {"alg": "HS256", "typ": "JWT"}
        return ".".join((*(part(json.dumps(one).encode()) for one in (head, payload)), part(lot.randbytes(32))))

    return draw


def der(lot: random.Random, size: int) -> bytes:
    body = b"\x02\x01\x00" + lot.randbytes(size)
    return b"0\x82" + len(body).to_bytes(2, "big") + body


def openssh(lot: random.Random, size: int) -> bytes:
    return b"openssh-key-v1\0\0\0\0\x04none" + lot.randbytes(size)


def pgp(lot: random.Random, size: int) -> bytes:
    return b"\x95\x03\x98\x04" + lot.randbytes(size)


def anything(lot: random.Random, size: int) -> bytes:
    return lot.randbytes(size)


def pem(
    kind: str, start: Callable[[random.Random, int], bytes], size: int = 600, newline: str = "\n", head: str = ""
) -> Draw:
    def draw(lot: random.Random) -> str:
        text = base64.b64encode(start(lot, size)).decode()
        lines = [text[at : at + 64] for at in range(0, len(text), 64)]
        dashes = "-" * 5
        first, last = (f"{dashes}{word} {kind}{dashes}" for word in ("BEGIN", "END"))
        return newline.join([first, *([head, ""] if head else []), *lines, last, ""])

    return draw


def login() -> Draw:
    return lambda lot: base64.b64encode(f"robot:{''.join(lot.choices(ALNUM, k=20))}".encode()).decode()


def snowflake(lot: random.Random) -> str:
    number = base64.b64encode(str(lot.randrange(10**17, 10**18)).encode()).decode().rstrip("=")
    return f"{number}.{''.join(lot.choices(ALNUM, k=6))}.{''.join(lot.choices(URL, k=38))}"


def certificate(lot: random.Random) -> str:
    return base64.b64encode(pem("EC PRIVATE KEY", der, 80)(lot).encode()).decode()


PRIVATE = "PRIVATE KEY"
TODAY = {"iss": "https://login.registry.example", "sub": "svc-7", "exp": 1893456000}

BY_NAME = {
    "env-file", "ssh-key-file", "key-store", "netrc", "database-password", "git-credentials", "password-file",
    "terraform-state",
}  # fmt: skip

PLANTED: tuple[Planted, ...] = (
    # -------------------------------------------------------------------------------- names
    Planted("env-file", ".env", "A=@\n", of("", ALNUM, 6)),
    Planted("env-file", "deploy/.env.production", "A=@\n", of("", ALNUM, 6)),
    Planted("ssh-key-file", "home/id_ed25519", "@", of("", ALNUM, 6)),
    Planted("key-store", "conf/client.p12", "@", of("", ALNUM, 6)),
    Planted("key-store", "conf/signing.jks", "@", of("", ALNUM, 6)),
    Planted("netrc", "home/.netrc", "machine registry.example login a password @\n", of("", ALNUM, 6)),
    Planted("database-password", ".pgpass", "db:5432:a:b:@\n", of("", ALNUM, 6)),
    Planted("git-credentials", ".git-credentials", "https://a:@@registry.example\n", of("", ALNUM, 6)),
    Planted("password-file", "www/.htpasswd", "a:$apr1$@\n", of("", ALNUM, 6)),
    Planted("terraform-state", "infra/terraform.tfstate", "{@}", of("", ALNUM, 6)),
    Planted("env-file", "build/site.zip!/site/.env", "A=@\n", of("", ALNUM, 6), "zip"),
    # -------------------------------------------------------------------------------- clouds
    Planted("aws-access-key", "app/settings.py", "import os\n\nKEY = '@'\n", of("AK" + "IA", B32, 16)),
    Planted(
        "aws-access-key",
        "web/bundle.min.js",
        'var a=1;!function(){x({id:"@",z:2})}();',
        of("AS" + "IA", B32, 16),
        "long line",
    ),
    Planted(
        "aws-secret-key",
        "conf/aws.ini",
        "[default]\nregion = eu-central-1\naws_secret_access_key = @\n",
        of("", B64, 40),
    ),
    Planted(
        "aws-secret-key",
        "src/client.js",
        "const c = {\n  accessKeyId: id,\n  secretAccessKey: '@',\n}\n",
        of("", B64, 40),
    ),
    Planted(
        "google-api-key",
        "web/index.html",
        "<p>\n<script src='https://maps.example/js?key=@&v=3'></script>\n",
        of("AI" + "za", URL, 35),
    ),
    Planted(
        "gcp-service-account",
        "conf/sa.json",
        '{\n  "type": "service_account",\n  "private_key": "@",\n  "a": 1\n}\n',
        pem(PRIVATE, der, newline="\\n"),
    ),
    Planted("google-client-secret", "conf/client.json", '{"web": {"client_secret": "@"}}', of("GOC" + "SPX-", URL, 28)),
    Planted(
        "azure-storage-key",
        "appsettings.json",
        '{\n "Blob": "DefaultEndpointsProtocol=https;AccountName=a;Account' + 'Key=@;EndpointSuffix=core"\n}\n',
        of("", B64, 86, "=="),
    ),
    Planted(
        "azure-shared-access-key",
        "conf/bus.yaml",
        "bus:\n  url: Endpoint=sb://a/;SharedAccess" + "Key=@\n",
        of("", B64, 43, "="),
    ),
    Planted(
        "azure-sas-token",
        "notes.txt",
        "curl 'https://a.registry.example/b?sv=2024-11-04&sp=r&sig=@'\n",
        of("", ALNUM, 43, "%3D"),
    ),
    Planted(
        "azure-client-secret",
        "deploy.sh",
        "#!/bin/sh\n\nexport SECRET='@'\n",
        joined(of("", ALNUM, 3), of("8Q" + "~", ALNUM, 34)),
    ),
    Planted("digitalocean-token", "infra/main.tf", 'provider "x" {\n  token = "@"\n}\n', of("dop" + "_v1_", HEX, 64)),
    Planted("heroku-key", "deploy.rb", "key = '@'\n", of("HRKU" + "-AA", URL, 58)),
    Planted("databricks-token", "databricks.cfg", "[DEFAULT]\nhost = x\ntoken = @\n", of("da" + "pi", HEX, 32)),
    Planted("alibaba-access-key", "src/oss.ts", "export const id = `@`;\n", of("LT" + "AI5t", ALNUM, 18)),
    # -------------------------------------------------------------------------------- forges and registries
    Planted("github-token", "ci/release.py", "a = 1\r\ntoken = '@'\r\n", checked("gh" + "p_")),
    Planted("github-token", "ci/app.yaml", "\ufeffname: ci\ntoken: @\n", checked("gh" + "s_")),
    Planted("github-token", "build/tool.pyc", "def f():\n    return '@'\n", checked("gh" + "o_"), "pyc"),
    Planted(
        "github-token",
        "docker/Dockerfile.dev",
        "FROM scratch\nARG T=@\n",
        joined(of("github" + "_pat_", ALNUM, 22), of("_", ALNUM, 59)),
    ),
    Planted(
        "gitlab-token", "ci/push.sh", "git push https://oauth2:@@registry.example/a.git\n", of("gl" + "pat-", URL, 20)
    ),
    Planted("npm-token", "ci/publish.mjs", "process.env.T ??= '@'\n", checked("np" + "m_")),
    Planted(
        "npm-auth-token",
        ".npmrc",
        "registry=https://registry.example/\n//registry.example/:_auth" + "Token=@\n",
        of("", HEX, 36),
    ),
    Planted(
        "npm-auth-token",
        "docker/Dockerfile.web",
        'RUN echo "//registry.example/:_auth' + 'Token=@" > .npmrc\n',
        of("", ALNUM, 36),
    ),
    Planted(
        "pypi-token", "Makefile", "upload:\n\ttwine upload -p @ dist/*\n", of("py" + "pi-AgEIcHlwaS5vcmc", URL, 120)
    ),
    Planted("rubygems-token", "Rakefile", "ENV['K'] = '@'\n", of("ruby" + "gems_", HEX, 48)),
    Planted("docker-token", "ci/login.sh", "docker login -p @\n", of("dck" + "r_pat_", ALNUM, 27)),
    Planted("registry-login", "conf/pull.json", '{"auths": {"registry.example": {\n"auth": "@"}}}', login()),
    # -------------------------------------------------------------------------------- services
    Planted(
        "slack-token",
        "bot/main.go",
        'package main\n\nconst t = "@"\n',
        joined(of("xo" + "xb-", string.digits, 12), of("-", string.digits, 13), of("-", ALNUM, 24)),
    ),
    Planted(
        "slack-webhook",
        "alerts.yml",
        "url: https://hooks." + "slack.com/services/@\n",
        joined(of("T", ALNUM, 9), of("/B", ALNUM, 9), of("/", ALNUM, 24)),
    ),
    Planted("discord-token", "bot/index.js", "\n\nclient.login('@')\n", snowflake),
    Planted(
        "discord-webhook",
        "bot/hook.py",
        "u = 'https://discord" + ".com/api/webhooks/@'\n",
        joined(of("", "123456789", 18), of("/", URL, 68)),
    ),
    Planted(
        "telegram-token", "bot/bot.php", "<?php\n$t = '@';\n", joined(of("", "123456789", 10), of(":A" + "A", URL, 33))
    ),
    Planted("stripe-key", "shop/pay.rb", "Stripe.api_key = '@'\n", of("sk" + "_live_", ALNUM, 24)),
    Planted("stripe-key", "shop/old.js", "x='\\n@'\n", of("rk" + "_live_", ALNUM, 99)),
    Planted("square-token", "shop/square.py", "T = '@'\n", of("sq0" + "atp-", URL, 22)),
    Planted("shopify-token", "shop/theme.toml", "[a]\nt = '@'\n", of("shp" + "at_", HEX, 32)),
    Planted("twilio-key", "sms/send.cs", 'var k = "@";\n', of("S" + "K", HEX, 32)),
    Planted("sendgrid-key", "mail/send.py", "k = '@'\n", joined(of("S" + "G.", ALNUM, 22), of(".", ALNUM, 43))),
    Planted("mailgun-key", "mail/mg.py", "k = '@'\n", of("ke" + "y-", HEX, 32)),
    Planted("vault-token", "ops/unseal.sh", "vault login @\n", of("hv" + "s.CAES", URL, 90)),
    Planted(
        "terraform-token",
        "infra/cloud.hcl",
        'token = "@"\n',
        joined(of("", ALNUM, 14), of(".atlas" + "v1.", ALNUM, 67)),
    ),
    Planted(
        "openai-key", "ai/chat.py", "k = '@'\n", joined(of("sk" + "-proj-", ALNUM, 74), of("T3Blbk" + "FJ", ALNUM, 74))
    ),
    Planted("anthropic-key", "ai/claude.ts", "k = '@'\n", of("sk" + "-ant-api03-", ALNUM, 93, "AA")),
    Planted(
        "huggingface-token",
        "ai/load.ipynb",
        '{"cells": [{"source": ["login(\\"@\\")"]}]}',
        of("h" + "f_", string.ascii_letters, 34),
    ),
    Planted("google-access-token", "ai/vertex.sh", "T=@\n", of("ya2" + "9.a0", URL, 160)),
    Planted("planetscale-password", "db/run.sh", "T='@'\n", of("pscale" + "_tkn_", ALNUM, 43)),
    Planted("tailscale-key", "net/up.sh", "T='@'\n", joined(of("tskey" + "-auth-", ALNUM, 12), of("-", ALNUM, 32))),
    Planted("bitbucket-token", "ci/clone.sh", "T='@'\n", of("ATATT3" + "xFfGF0", URL, 170, "=0A1B2C3D")),
    Planted("postman-key", "api/test.js", "k='@'\n", joined(of("PM" + "AK-", HEX, 24), of("-", HEX, 34))),
    Planted("linear-key", "bot/linear.ts", "k='@'\n", of("lin" + "_api_", ALNUM, 40)),
    Planted(
        "new-relic-key", "apm/newrelic.js", "k='@'\n", of("NR" + "AK-", string.ascii_uppercase + string.digits, 27)
    ),
    Planted("grafana-token", "apm/grafana.py", "k='@'\n", joined(of("gl" + "sa_", ALNUM, 32), of("_", HEX, 8))),
    Planted("sentry-token", "apm/release.sh", "k='@'\n", joined(of("sntr" + "ys_eyJ", ALNUM, 120), of("_", B64, 43))),
    Planted("supabase-token", "db/link.sh", "k='@'\n", of("sb" + "p_", HEX, 40)),
    Planted("pulumi-token", "infra/up.sh", "k='@'\n", of("pu" + "l-", HEX, 40)),
    Planted("replicate-token", "ai/run.py", "k='@'\n", of("r" + "8_", ALNUM, 37)),
    # -------------------------------------------------------------------------------- formats
    Planted("private-key", "tls/server.pem", "@", pem("RSA " + PRIVATE, der)),
    Planted("private-key", "app/keys.py", 'A = 1\nKEY = """@"""\n', pem("EC " + PRIVATE, der, 120)),
    Planted("private-key", "deploy_key", "@", pem("OPENSSH " + PRIVATE, openssh)),
    Planted("private-key", "app/pgp.txt", "A key:\n\n@", pem("PGP " + PRIVATE + " BLOCK", pgp)),
    Planted(
        "private-key", "k8s/tls.yaml", "data:\n  key: |\n    @\n", pem("ENCRYPTED " + PRIVATE, der, newline="\n    ")
    ),
    Planted(
        "private-key",
        "app/old.js",
        "const k = '@';\n",
        pem("RSA " + PRIVATE, anything, newline="\\n", head="Proc-Type: 4,ENCRYPTED\\nDEK-Info: AES-128-CBC,00FF"),
    ),
    Planted("private-key", "tls/dsa.txt", "\n\n@", pem("DSA " + PRIVATE, der, newline="\r\n")),
    Planted(
        "putty-key",
        "ops/key.txt",
        "@",
        lambda lot: "PuTTY-User-" + "Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n" + of("", B64, 44)(lot),
    ),
    Planted(
        "age-key",
        "ops/keys.txt",
        "# created: today\n@\n",
        of("AGE-SECRET" + "-KEY-1", "02456789ACDEFGHJKLMNPQRSTUVWXYZ", 58),
    ),
    Planted("jwt", "app/api.py", "HEADERS = {\n  'Authorization': 'Bearer @'}\n", jwt(**TODAY)),
    Planted("kubeconfig-key", "k8s/admin.conf", "users:\n- user:\n    client-key-data: @\n", certificate),
    Planted(
        "url-password",
        "app/db.py",
        "a = 1\nURL = 'postgres://app:@@db.registry.test.acme-shop.net:5432/app'\n",
        of("qX7", ALNUM, 14),
    ),
    Planted(
        "url-password", "conf/app.properties", "a=1\nspring.url=amqp://svc:@@mq.acme-shop.net/\n", of("q7", ALNUM, 9)
    ),
    Planted(
        "url-password",
        "pip.conf",
        "[global]\nindex-url = https://ci:@@pypi.acme-shop.net/simple\n",
        of("q7", ALNUM, 20),
    ),
    Planted("assigned-secret", "conf/app.toml", "[db]\nuser = 'a'\npassword = '@'\n", of("q7R!", ALNUM, 14)),
    Planted("assigned-secret", "conf/prod.tfvars", 'db_password = "@"\n', of("q7R", ALNUM, 24)),
    Planted("assigned-secret", "k8s/values.yaml", "auth:\n  apiKey: @\n", of("q7", HEX, 30)),
    Planted("index-token", "web/.npmrc", "a=1\n_auth = @\n", of("", ALNUM, 12)),
    Planted("index-token", ".yarnrc.yml", "a: 1\nnpmAuthToken: '@'\n", of("", ALNUM, 12)),
    Planted(
        "url-password", "pip.ini", "[global]\nindex-url = https://user:@@registry.example/simple\n", of("", "abc", 6)
    ),
    # -------------------------------------------------------------------------------- where they hide
    Planted("github-token", "dist/app.zip!/app/config.py", "a = 1\nb = '@'\n", checked("gh" + "p_"), "zip"),
    Planted(
        "stripe-key", "dist/app.jar!/META-INF/app.properties", "a=1\nkey=@\n", of("sk" + "_live_", ALNUM, 24), "zip"
    ),
    Planted("npm-token", "dist/app.tar.gz!/app/.npmrc.bak", "\n\n\n@\n", checked("np" + "m_"), "tar.gz"),
    Planted(
        "slack-token", "dist/app.tar!/b.txt", "@", joined(of("xo" + "xp-", string.digits, 12), of("-", HEX, 32)), "tar"
    ),
    Planted(
        "openai-key",
        "dist/a.pyz!/__main__.py",
        "x = '@'\n",
        joined(of("sk" + "-", ALNUM, 20), of("T3Blbk" + "FJ", ALNUM, 20)),
        "pyz",
    ),
    Planted(
        "github-token",
        "dist/all.zip!/lib/one.whl!/one/a.pyc",
        "x = 1\ny = '@'\n",
        checked("gh" + "p_"),
        "pyc in whl in zip",
    ),
    Planted(
        "sendgrid-key",
        "dump.sql.gz!/dump.sql",
        "--\n\ninsert '@';\n",
        joined(of("S" + "G.", ALNUM, 22), of(".", ALNUM, 43)),
        "gz",
    ),
    Planted("aws-access-key", "data/big.csv", "@", of("AK" + "IA", B32, 16), "across 1 MiB"),
    Planted("private-key", "data/big.sql", "@", pem("RSA " + PRIVATE, der), "across 1 MiB"),
    Planted("gitlab-token", "win/config.ini", "[a]\nb = @\n", of("gl" + "pat-", ALNUM, 20), "utf-16"),
    Planted("jwt", "bin/server", "@", jwt(**TODAY), "between NULs"),
)


def content(planted: Planted) -> tuple[str, bytes, int | None]:
    """The file to plant it in, its bytes, and the line the secret is on (None in binary files)."""
    secret = planted.secret
    text = planted.text.replace("@", secret, 1)
    line: int | None = planted.text[: planted.text.index("@")].count("\n") + 1
    outer, *names = planted.path.split("!/")
    data = text.encode()
    match planted.form:
        case "zip":
            data = zipped(names[0], data)
        case "pyz":
            data = zipped(names[0], data, b"#!/usr/bin/env python3\n")
        case "tar":
            data = tarred(names[0], data, "w")
        case "tar.gz":
            data = tarred(names[0], data, "w:gz")
        case "gz":
            data = gzip.compress(data)
        case "pyc":
            data, line = bytecode(text), None
        case "pyc in whl in zip":
            data, line = zipped(names[0], zipped(names[1], bytecode(text))), None
        case "long line":
            data = b"x=1;" * 100_000 + data + b";y=2" * 100_000
        case "across 1 MiB":
            before = rows((1 << 20) - len(secret) // 2)
            line = before.count("\n") + 1
            data = f"{before}{secret}\n{rows(3 << 20)}".encode()
        case "utf-16":
            data = text.encode("utf-16")
        case "between NULs":
            data, line = b"\x7fELF" + bytes(200) + b"word" + data + b"0word\0" + bytes(100), None
    return outer, data, line if planted.rule not in BY_NAME else None


def bytecode(text: str) -> bytes:
    """`text` compiled, as a .pyc holds it."""
    return b"\x0a\x0d\x0d\x0a" + bytes(12) + marshal.dumps(compile(text, "a.py", "exec"))


def zipped(name: str, data: bytes, head: bytes = b"") -> bytes:
    made = io.BytesIO()
    made.write(head)
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "nothing\n" * 50)
        archive.writestr(name, data)
    return made.getvalue()


def tarred(name: str, data: bytes, mode: Literal["w", "w:gz"]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


def rows(size: int) -> str:
    """So many bytes of lines without secrets; the last one is whole."""
    lot = random.Random(size)
    words = ["".join(lot.choices("etaoin shrdlu", k=9)) for _ in range(500)]
    text = "".join(f"{lot.choice(words)},{lot.randrange(1000)}\n" for _ in range(size // 12))
    return text[: size - 1] + "\n"


def wrong(prefix: str) -> Draw:
    """A token of which the last character of the checksum is another one."""

    def draw(lot: random.Random) -> str:
        token = checked(prefix)(lot)
        return token[:-1] + ("A" if token[-1] != "A" else "B")

    return draw


# What looks like a secret and is none: each must pass.
NEAR: tuple[tuple[str, str, str, Draw], ...] = (
    ("manual's access key", "a.py", "k='@'", lambda _: "AK" + "IAIOSFODNN7EXAMPLE"),
    ("manual's other access key", "a.py", "k='@'", lambda _: "AK" + "IAI44QH8DHBEXAMPLE"),
    (
        "manual's secret key",
        "aws.ini",
        "aws_secret_access_key = @\n",
        lambda _: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ),
    ("part of a longer word", "a.py", "k='@'", of("XAK" + "IA", B32, 16)),
    ("too long", "a.py", "k='@'", of("AK" + "IA", B32, 20)),
    ("one letter again and again", "a.py", "k='@'", lambda _: "AK" + "IA" + "A" * 16),
    ("wrong checksum", "a.py", "k='@'", wrong("gh" + "p_")),
    ("wrong checksum of npm", "a.py", "k='@'", wrong("np" + "m_")),
    ("GitHub placeholder", "a.md", "@", lambda _: "gh" + "p_" + "x" * 36),
    ("npm function names", "a.js", "@()", lambda _: "np" + "m_config_registry_is_a_variable_name_that_is_long"),
    ("git commit", "a.txt", "@", of("", HEX, 40)),
    ("git commit in settings", "a.toml", "rev = '@'", of("", HEX, 40)),
    ("sha256 in a lock", "uv.lock", 'hash = "sha256:@"', of("", HEX, 64)),
    ("sha256 in requirements", "requirements.txt", "a==1 --hash=sha256:@", of("", HEX, 64)),
    ("SRI", "package-lock.json", '"integrity": "sha512-@=="', of("", B64, 86)),
    ("go.sum", "go.sum", "a v1.0.0 h1:@=", of("", B64, 43)),
    ("uuid", "a.yaml", "id: @", lambda lot: str(uuid.UUID(bytes=lot.randbytes(16)))),
    ("uuid as client secret's name", "a.yaml", "secretRef: @", lambda lot: str(uuid.UUID(bytes=lot.randbytes(16)))),
    ("image in base64", "a.css", "url(data:image/png;base64,@==)", of("iVBORw0KGgo", B64, 4000)),
    ("source map", "a.js", "//# sourceMappingURL=data:application/json;base64,@", of("eyJ2ZXJzaW9u", B64, 4000)),
    ("certificate", "a.pem", "@", lambda lot: pem(PRIVATE, der)(lot).replace(PRIVATE, "CERTIFICATE")),
    ("public key", "a.pem", "@", lambda lot: pem(PRIVATE, der)(lot).replace(PRIVATE, "PUBLIC KEY")),
    ("PGP public key", "a.asc", "@", lambda lot: pem("PGP PUBLIC KEY BLOCK", pgp)(lot)),
    ("PGP signature", "a.asc", "@", lambda lot: pem("PGP SIGNATURE", pgp)(lot)),
    ("marker in code", "a.py", "MARK = b'@'\nEND = b'x'\n", lambda _: "-" * 5 + "BEGIN " + PRIVATE + "-" * 5),
    (
        "marker with a format",
        "a.go",
        'fmt.Sprintf("@%s", body)',
        lambda _: "-" * 5 + "BEGIN RSA " + PRIVATE + "-" * 5 + "\\n",
    ),
    (
        "key of a manual",
        "README.md",
        "@",
        lambda _: (
            "Put it here:\n\n"
            + "-" * 5
            + "BEGIN "
            + PRIVATE
            + "-" * 5
            + "\n...\n"
            + "-" * 5
            + "END "
            + PRIVATE
            + "-" * 5
        ),
    ),
    ("ssh public key", "id_ed25519.pub", "ssh-ed25519 @ a@b", of("AAAAC3NzaC1lZDI1NTE5AAAAI", B64, 43)),
    ("jwt of the manual", "README.md", "@", jwt(sub="1234567890", name="J", iat=1516239022)),
    ("jwt without issuer", "METADATA", "@", jwt(some="payload")),
    ("jwt without signature", "a.py", "t='@'", lambda lot: jwt(**TODAY)(lot).rpartition(".")[0] + "."),
    (
        "jwt alg none",
        "a.py",
        "t='@'",
        lambda lot: (
            base64.urlsafe_b64encode(b'{"alg":"none","a":12}').decode().rstrip("=")
            + "."
            + ".".join(jwt(**TODAY)(lot).split(".")[1:])
        ),
    ),
    ("url: user:pass@localhost", "a.py", "u='postgres://@@localhost/db'", lambda _: "user:pass"),
    ("url: strong at localhost", "a.yaml", "u: postgres://app:@@localhost:5432/db", of("q7X", ALNUM, 14)),
    ("url: placeholder host", "a.py", "u='postgres://app:@@example.com/db'", of("q7X", ALNUM, 14)),
    ("url: variable", "a.yaml", "u: postgres://app:@@db.acme.net/db", lambda _: "${DB_PASSWORD}"),
    ("url: braces", "a.py", "u=f'postgres://app:@@db.acme.net/db'", lambda _: "{password}"),
    ("url: scott and tiger", "a.py", "u='oracle://scott:@@db.acme.net/db'", lambda _: "tiger"),
    ("url: no password", "a.py", "u='https://@.acme.net:8080/a@b'", lambda _: "host"),
    ("url: scoped package", "a.js", "import 'https://cdn.acme.net:443/@'", lambda _: "npm/@babel/core@7.0.0"),
    ("url: ipv6", "a.py", "u='http://[@]:80/'", lambda _: "2001:db8::1"),
    ("setting: variable", "a.yaml", "password: @", lambda _: "${DB_PASSWORD:-none}"),
    ("setting: template", "a.yaml", "password: '@'", lambda _: "{{ .Values.db.password1 }}"),
    ("setting: name of a secret", "a.yaml", "existingSecret: @", lambda _: "my-release-postgresql-15"),
    ("setting: place in a vault", "a.yaml", "secret: @", lambda _: "kv-v2/data/app1#password"),
    ("setting: path", "a.ini", "password = @", lambda _: "/run/secrets/db_password1"),
    ("setting: word", "a.toml", "password = '@'", lambda _: "changeme123"),
    ("setting: key of a token", "a.json", '{"token": "@"}', lambda _: "authentication.token.expired2"),
    ("setting: message", "fr.json", '{"password": "@"}', lambda _: "Mot de passe (8 caractères)"),
    ("setting in code", "a.py", "password = '@'", of("q7R!", ALNUM, 14)),
    ("stripe test key", "a.py", "k='@'", of("sk" + "_test_", ALNUM, 24)),
    ("stripe placeholder", "a.py", "k='@'", lambda _: "sk" + "_live_" + "x" * 24),
    ("slack placeholder", "a.py", "k='@'", lambda _: "xo" + "xb-your-token-goes-here-and-is-long"),
    ("google placeholder", "a.py", "k='@'", lambda _: "AI" + "za" + "Sy" + "X" * 33),
    (
        "sendgrid-like attributes",
        "a.py",
        "@",
        lambda _: "MSG.some_attribute_that_is.long_and_has_other_parts_that_are_longer_still",
    ),
    ("openai placeholder", "a.py", "k='@'", lambda _: "sk" + "-your-key-here-1234567890abcdef"),
    ("telegram-like ratio", "a.py", "x[12345678:AA]", lambda _: ""),
    (
        "emulator's storage key",
        "a.json",
        '"AccountKey=@"',
        lambda _: "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSR" + "Z6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    ),
    ("npmrc with a variable", ".npmrc", "//registry.example/:_authToken=@", lambda _: "${NPM_TOKEN}"),
    ("yarn with a variable", ".yarnrc.yml", 'npmAuthToken: "@"', lambda _: "${TOKEN}"),
    ("pip with variables", "pip.conf", "index-url = https://${USER}:@@registry.example/simple", lambda _: "${TOKEN}"),
    ("pip without a login", "pip.conf", "index-url = https://@/simple", lambda _: "registry.example"),
    ("kubeconfig certificate", "a.conf", "client-certificate-data: @", certificate),
    ("registry without login", "a.json", '{"auths": {"registry.example": {"auth": "@"}}}', lambda _: ""),
    ("sas without signature", "a.txt", "?sv=1&sig=@", lambda _: "xxx%3D"),
    ("environment example", ".env.example", "A=@", lambda _: "b"),
    ("host key, public", "ssh_host_rsa_key.pub", "ssh-rsa @", of("AAAAB3NzaC1yc2E", B64, 300)),
    ("truststore", "truststore.jks", "@", lambda _: "b"),
    ("C++ names", "a.map", "@", lambda _: "_ZN4grpc15CompletionQueue23AsyncNextInternalERESt6_dapi_ghp_"),
    ("age public key", "a.txt", "@", of("age1", "qpzry9x8gf2tvdw0s3jn54khce6mua7l", 58)),
)
