"""`login` and `logout`: asked for at the registry first, kept where credentials are read from."""

from __future__ import annotations

import os

from ociassemble.errors import AuthError
from ociassemble.oci.reference import canonical_host
from ociassemble.registry.client import RegistryClient
from ociassemble.registry.credentials import Credential, Keychain, standard_sources
from ociassemble.registry.login import forget, keep, place
from ociassemble.session import Session


class LoginRefusedError(AuthError):
    """A registry that does not take the name and password that were given to `login`."""

    code = "auth.login"


def login(session: Session, host: str, username: str, password: str) -> str:
    """Check a name and password with the registry `host` and keep them; returns who keeps them."""
    host = canonical_host(host)
    sources = standard_sources(session.environment.variables, uid=os.getuid(), authfile=session.options.authfile)
    file = place(sources)
    credential = Credential(source="login", username=username, password=password)
    client = RegistryClient(
        session.wire,
        keychain=Keychain(explicit={host: credential}),
        trusted_realms=session.options.trusted_realms,
        insecure_credentials=session.options.insecure_credentials,
        progress=session.progress,
    )
    try:
        client.check_login(host)
    except AuthError as error:
        if error.code != "auth.unauthorized":
            raise
        raise LoginRefusedError(
            f"`{host}` does not take this name and password", hint="nothing was kept; try again, or use an access token"
        ) from error
    return keep(file, host, username, password, sources)


def logout(session: Session, host: str) -> bool:
    """Forget what is kept for `host`; whether anything was."""
    sources = standard_sources(session.environment.variables, uid=os.getuid(), authfile=session.options.authfile)
    host = canonical_host(host)
    gone = [forget(file, host, sources) for file in sources.files if file.exists()]  # every one of them
    return any(gone)
