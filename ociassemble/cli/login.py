"""`login` and `logout`: names and passwords of registries."""

from __future__ import annotations

import sys

import click

from ociassemble.cli.command import Command
from ociassemble.cli.start import session
from ociassemble.errors import UsageError

_LONGEST = 64 << 10  # bytes of a password


@click.command(cls=Command)
@click.argument("host")
@click.option("-u", "--username", required=True, metavar="USER", help="The name.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.pass_context
def login(ctx: click.Context, /, host: str, username: str, password_stdin: bool) -> None:
    """Check a name and password with the registry HOST, and keep them.

    They go where docker keeps them ($DOCKER_CONFIG/config.json, else ~/.docker/config.json) or to --authfile; where
    that file names a credential helper, to the helper.
    """
    from ociassemble.operations.accounts import login as run

    password = _password(password_stdin)
    with session(ctx) as (this, console):
        kept = run(this, host, username, password)
        this.progress.info(f"`{host}` takes it; kept by {kept}")
        console.result(f"logged in to {host}")


@click.command(cls=Command)
@click.argument("host")
@click.pass_context
def logout(ctx: click.Context, /, host: str) -> None:
    """Forget the name and password for the registry HOST."""
    from ociassemble.operations.accounts import logout as run

    with session(ctx) as (this, console):
        gone = run(this, host)
        console.result(f"logged out of {host}" if gone else f"not logged in to {host}")


def _password(stdin: bool) -> str:
    """Never on the command line, where every user of the machine can read it."""
    if stdin:
        raw = sys.stdin.buffer.read(_LONGEST + 1)
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = ""
        text = text.removesuffix("\n").removesuffix("\r")
        if not text or len(raw) > _LONGEST or "\n" in text:
            raise UsageError("standard input has no password", hint='`printf %s "$TOKEN" | ociassemble login ...`')
        return text
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask for a password on", hint="pass it with `--password-stdin`")
    password: str = click.prompt("Password", hide_input=True, err=True)
    return password
