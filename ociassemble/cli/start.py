"""From a click context to a session: the only place where the process's environment becomes a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from ociassemble.cli.command import Globals, globals_of
from ociassemble.cli.console import Console, console
from ociassemble.content.store import BlobMissingError
from ociassemble.errors import OfflineError, UsageError

if TYPE_CHECKING:  # help and usage errors do not wait for what builds images
    from ociassemble.session import Session
    from ociassemble.session.environment import Options
    from ociassemble.session.request import BuildRequest

_OPEN_FILES = 8192


@contextmanager
def session(ctx: click.Context) -> Iterator[tuple[Session, Console]]:
    """The session and the console of one verb."""
    from ociassemble.session import Session
    from ociassemble.session.environment import Environment

    _allow_open_files()
    with console(ctx) as shown:
        this = Session(Environment.of_process(), options(globals_of(ctx)), shown.progress)
        try:
            yield this, shown
        finally:
            this.close()


@contextmanager
def naming_all(request: BuildRequest, this: Session) -> Iterator[None]:
    """Under `--offline`, an error about one thing that a build lacks becomes one about everything (OFFLINE-5)."""
    try:
        yield
    except (OfflineError, BlobMissingError) as error:
        from ociassemble.operations.missing import completed

        found = completed(error, request, this)
        if found is error:
            raise
        raise found from error


def _allow_open_files() -> None:
    """Take what the host grants: all wheels of a layer are open at once, and some hosts start with 256 files."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def options(given: Globals) -> Options:
    """The global options as plain values."""
    from ociassemble.registry.endpoints import parse_mirror
    from ociassemble.session.environment import Options

    return Options(
        offline=given.offline,
        cache_dir=given.cache_dir,
        authfile=given.authfile,
        insecure_registries=given.insecure_registry,
        insecure_credentials=given.insecure_credentials,
        ca_file=given.ca_file,
        registry_mirrors=dict(parse_mirror(text) for text in given.registry_mirror),
        trusted_realms=given.trust_realm,
        jobs=given.jobs,
    )


def changes(texts: tuple[str, ...], flag: str, hint: str = "") -> Mapping[str, str | None]:
    """`KEY=VALUE` sets, `KEY-` unsets. `hint` is what to say of a lone `KEY`, which stands for `{0}` in it."""
    found: dict[str, str | None] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if equals and key:
            found[key] = value
        elif not equals and len(text) > 1 and text.endswith("-"):
            found[text[:-1]] = None
        else:
            raise UsageError(
                f"`{flag} {text}` is not of the form KEY=VALUE",
                hint=hint.format(text) if hint and not equals else "`KEY-` takes a key of the base away",
            )
    return found
