"""`ociassemble lock`: resolve once, record every byte, build the same from then on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from ociassemble.cli.command import Command
from ociassemble.cli.request import asking, request
from ociassemble.cli.start import session
from ociassemble.cli.types import format_option
from ociassemble.errors import UsageError


@click.command(cls=Command)
@asking
@click.option("--no-base", is_flag=True, help="Leave the base open: one lock for a base that moves.")
@click.option(
    "--upgrade",
    multiple=True,
    is_flag=False,
    flag_value="*",
    metavar="[NAME]",
    help="Let versions move: all, or those of NAME.",
)
@click.option("--check", is_flag=True, help="Fail if the lock does not answer; write nothing.")
@click.option("--missing", is_flag=True, help="Print what the store lacks of the lock there is; write nothing.")
@format_option
@click.pass_context
def lock(
    ctx: click.Context,
    /,
    no_base: bool,
    upgrade: tuple[str, ...],
    check: bool,
    missing: bool,
    form: str,
    **given: Any,
) -> None:
    """Write APP's ociassemble.lock: base, packages and dependency layers by digest.

    Versions of packages stay as they are in the lock that is there, where they still fit; the base is resolved anew,
    and what moved is told. `--check` compares the lock with the project alone, and asks no server; with `--upgrade` it
    resolves, and fails if anything moved. `[build] run` of the settings is run first, as for a build.
    """
    if missing and (check or no_base or upgrade):
        other = "--check" if check else "--no-base" if no_base else "--upgrade"
        raise UsageError(
            f"`--missing` and `{other}` ask for different things",
            hint="`ociassemble lock --missing` looks at the lock that is there, and at the store",
        )
    if missing:
        from ociassemble.operations.missing import wants_of

        with session(ctx) as (this, console):
            console.result(wants_of(this, request(given)).dump().decode().rstrip("\n"))
        return
    from ociassemble.operations.locking import check_lock, write_lock
    from ociassemble.operations.locking import lock as make
    from ociassemble.session.inputs import lock_path

    asked = replace(
        request(given),
        use_lock=False,
        pin_base=not no_base,
        keep="*" not in upgrade,
        upgrade=tuple(name for name in upgrade if name != "*"),
    )
    with session(ctx) as (this, console):
        path = lock_path(asked)
        if check and not upgrade:
            made, changed, moved = check_lock(asked, this), False, None
        else:
            found = make(asked, this)
            changed = write_lock(found, path, check=check, upgrade=asked.upgrade)
            made, moved = found.lock, found.changes
            for line in found.lines:
                this.progress.info(line)
        if form == "json":
            console.result_json(
                {
                    "lock": str(path),
                    "changed": changed,
                    "platforms": {
                        name: {
                            "base": str(item.base.digest) if item.base is not None else None,
                            "packages": len(item.packages),
                            "layers": len(item.layers),
                            **({"moved": moved[name].document()} if moved and moved[name].any else {}),
                        }
                        for name, item in sorted(made.platforms.items())
                    },
                }
            )
            return
        count = len({package.name for platform in made.platforms.values() for package in platform.packages})
        state = "fresh" if check else "written" if changed else "unchanged"
        this.progress.info(f"{path.name}: {count} packages, {state}")
        console.result(str(path))
