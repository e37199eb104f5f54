"""What `login` and `logout` keep: entries of docker's config.json (or podman's auth.json), or a credential helper's.

The file stays what it was but for one entry; it is replaced at once, and nobody else may read it (0600).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ociassemble import _files
from ociassemble.errors import UsageError
from ociassemble.registry.credentials import (
    CredentialHelperError,
    CredentialsFileError,
    Sources,
    normal_key,
    parse_document,
    run_helper,
    server_name,
)


class LoginError(UsageError):
    """A name or password that cannot be kept, or no place to keep it."""

    code = "usage.login"


def place(sources: Sources) -> Path:
    """The file that `login` writes: the first that credentials are read from."""
    if not sources.files:
        raise LoginError("there is no place for credentials", hint="name one with `--authfile FILE`")
    return sources.files[0]


def keep(file: Path, host: str, username: str, password: str, sources: Sources) -> str:
    """Keep a name and password for `host` (canonical) in `file`, or where it says; returns who has them now."""
    if not username or ":" in username or not password or "\0" in username + password:
        raise LoginError("a name has no colon in it, and neither name nor password is empty")
    with _alone(file):
        return _keep(file, host, username, password, sources)


def _keep(file: Path, host: str, username: str, password: str, sources: Sources) -> str:
    document = _read(file)
    helper = _helper(document, host)
    if helper:
        data = {"ServerURL": server_name(host), "Username": username, "Secret": password}
        done = run_helper(helper, "store", json.dumps(data).encode(), source=str(file), sources=sources)
        if done.returncode != 0:
            raise CredentialHelperError(
                f"the credential helper `docker-credential-{helper}` did not keep it: status {done.returncode}"
            )
        _write(file, document, host, {})
        return f"docker-credential-{helper}"
    packed = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    _write(file, document, host, {"auth": packed})
    return str(file)


def forget(file: Path, host: str, sources: Sources) -> bool:
    """Remove what `file` and its helper keep for `host`; whether there was anything."""
    if not file.exists():
        return False
    with _alone(file):
        return _forget(file, host, sources)


def _forget(file: Path, host: str, sources: Sources) -> bool:
    document = _read(file)
    helper = _helper(document, host)
    gone = False
    if helper:
        done = run_helper(helper, "erase", server_name(host).encode(), source=str(file), sources=sources)
        gone = done.returncode == 0
    if any(normal_key(key) == host for key in document.get("auths") or {}):
        _write(file, document, host, None)
        gone = True
    return gone


def _alone(file: Path) -> AbstractContextManager[None]:
    """Two logins at once would each write what the other has not read."""
    folder = file.resolve().parent  # people link such files to where they keep all of them
    _files.directory(folder)
    return _files.locked(folder, shared=False)


def _helper(document: Mapping[str, Any], host: str) -> Any:
    helpers = document.get("credHelpers") or {}
    return next((name for key, name in helpers.items() if normal_key(key) == host), document.get("credsStore") or "")


def _read(file: Path) -> Mapping[str, Any]:
    try:
        return parse_document(file.read_bytes(), str(file))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CredentialsFileError(f"`{file}` cannot be read: {error.strerror}") from None


def _write(file: Path, document: Mapping[str, Any], host: str, entry: Mapping[str, Any] | None) -> None:
    auths = {key: value for key, value in (document.get("auths") or {}).items() if normal_key(key) != host}
    if entry is not None:
        auths[server_name(host)] = entry
    text = json.dumps({**document, "auths": auths}, indent=2, ensure_ascii=False) + "\n"
    _files.write_atomic(file.resolve(), text.encode(), mode=0o600, durable=True)
