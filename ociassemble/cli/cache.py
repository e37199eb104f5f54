"""`cache info`, `cache verify`, `cache prune`: the store of this machine."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING

import click

from ociassemble.cli.command import Command, Group
from ociassemble.cli.failure import printable
from ociassemble.cli.shown import size
from ociassemble.cli.start import session
from ociassemble.cli.types import format_option
from ociassemble.errors import UsageError

if TYPE_CHECKING:
    from ociassemble.content.gc import Collected

_AGE = re.compile(r"(\d{1,6})(s|m|h|d|w)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIZE = re.compile(r"(\d{1,15})\s*(?:([kKMGT])(i?B)?|B)|0", re.ASCII)  # kB: 1000, k and KiB: 1024; only 0 has no unit
_KEPT = "30d"  # where nothing is said
_WORDS = {"blob": "blobs", "record": "records", "partial": "unfinished downloads", "trash": "in the trash"}


@click.group(cls=Group)
def cache() -> None:
    """The store of this machine: what is in it, whether it is whole, and less of it."""


@cache.command(cls=Command)
@format_option
@click.pass_context
def info(ctx: click.Context, /, form: str) -> None:
    """Show where the store is, and what it holds."""
    from ociassemble.operations.cache import info as look

    with session(ctx) as (this, console):
        found = look(this)
        if form == "json":
            console.result_json(
                {
                    "cacheDir": found.cache_dir,
                    "folder": found.folder,
                    "writable": found.writable,
                    **{_JSON[kind]: _amount(amount) for kind, amount in found.amounts.items()},
                    "recordKinds": {kind: _amount(amount) for kind, amount in found.records.items()},
                    "inUseSince": list(found.since),
                    "disk": {"free": found.free, "total": found.total},
                }
            )
            return
        console.result(f"cache dir             {printable(found.cache_dir)}")
        console.result(f"store                 {printable(found.folder)}{'' if found.writable else ' (read-only)'}")
        for kind, words in (*_WORDS.items(), ("image", "local images")):
            amount = found.amounts[kind]
            of = " of the blobs" if kind == "image" else ""
            console.result(f"{words:<20} {amount.number:>6} {size(amount.bytes):>10}{of}")
        console.result(f"disk                  {size(found.free)} free of {size(found.total)}")
        nobody = "by no other process" if found.writable else "not known: who only reads a store leaves no mark in it"
        console.result(f"in use                {'by other processes' if found.since else nobody}")


_JSON = {"blob": "blobs", "record": "records", "partial": "unfinished", "trash": "trash", "image": "images"}


@cache.command(cls=Command)
@format_option
@click.pass_context
def verify(ctx: click.Context, /, form: str) -> int:
    """Read all of the store again; what went bad is named and removed.

    Ends with the status 7 where something was bad. What was removed is fetched or built again when it is needed.
    """
    from ociassemble.operations.cache import verify as look

    with session(ctx) as (this, console):
        found = look(this)
        if form == "json":
            console.result_json(
                {
                    "blobs": _amount(found.blobs),
                    "records": _amount(found.records),
                    "names": found.names,
                    "bad": [{**bad._asdict(), "of": list(bad.of)} for bad in found.bad],
                }
            )
            return 7 if found.bad else 0
        for bad in found.bad:
            of = f" ({', '.join(bad.of)})" if bad.of else ""
            console.result(printable(f"{bad.kind} {bad.name} {bad.problem}{of}"))
        blobs = f"{found.blobs.number} blobs ({size(found.blobs.bytes)})"
        looked = f"{blobs}, {found.records.number} records, {found.names} local images"
        console.result(f"{looked}: {f'{len(found.bad)} bad' if found.bad else 'all as they should be'}")
        return 7 if found.bad else 0


@cache.command(cls=Command)
@click.option(
    "--older-than",
    metavar="AGE",
    help=f"What was not used for AGE: 12h, 30d, 8w; with --repo, was written before. [default: {_KEPT}]",
)
@click.option("--max-size", metavar="SIZE", help="The least used, until SIZE is left: 500MB, 10GB.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Everything, local images and their names included; all records of --repo.",
)
@click.option("--repo", metavar="REF", help="Records of layers (`build --cache-repo`) there, instead of the store.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@format_option
@click.pass_context
def prune(
    ctx: click.Context,
    /,
    older_than: str | None,
    max_size: str | None,
    everything: bool,
    repo: str | None,
    dry_run: bool,
    form: str,
) -> None:
    """Make the store smaller.

    Local images and what they are made of stay, unless --all. Builds may go on meanwhile: what they found stays.
    """
    from ociassemble.operations.cache import prune as run

    if repo is not None and max_size is not None:
        raise UsageError(
            "`--max-size` is of the store: how much of `--repo` is needed, a registry does not tell",
            hint="`--older-than 30d`, or `--all`",
        )
    if everything and (older_than is not None or max_size is not None):
        raise UsageError("`--all` leaves nothing for `--older-than` or `--max-size` to choose")
    if repo is not None:
        _records(ctx, repo, None if everything else _age(_KEPT if older_than is None else older_than), dry_run, form)
        return
    # A variable that is not set makes an empty text, which is no age: it must not mean all, or the default.
    said = _KEPT if older_than is None and max_size is None else older_than
    age = _age(said) if said is not None else None
    most = _bytes(max_size) if max_size is not None else None
    with session(ctx) as (this, console):
        done, names = run(this, older_than=age, max_bytes=most, everything=everything, dry_run=dry_run)
        kinds = Counter(item.kind for item in done.items)
        if max_size is not None and most is not None and done.kept > most:
            this.progress.warn(_over(max_size, done, "would stay" if dry_run else "stay"))
        if form == "json":
            console.result_json(
                {
                    "dryRun": dry_run,
                    "freed": done.freed,
                    "waiting": done.waiting,
                    "kept": done.kept,
                    "keptFor": {"images": done.rooted, "processes": done.in_use},
                    "names": list(names),
                    **{_JSON[kind]: kinds[kind] for kind in ("blob", "record", "partial")},
                }
            )
            return
        for name in names:
            console.result(printable(f"local:{name}"))
        took = ", ".join(f"{kinds[kind]} {_WORDS[kind]}" for kind in ("blob", "record", "partial") if kinds[kind])
        console.result(f"{'would free' if dry_run else 'freed'} {size(done.freed)} ({took or 'nothing to take away'})")
        if done.waiting:
            console.result(f"{size(done.waiting)} more are in the trash while builds run that may use them")
        console.result(f"{size(done.kept)} {'would stay' if dry_run else 'stay'}")


def _over(max_size: str, done: Collected, stay: str) -> str:
    """Why more stays than was asked for, and what can be done about it."""
    reasons = []
    if done.rooted:
        reasons.append(
            f"local images hold {size(done.rooted)} (`ociassemble ls` names them, `cache prune --all` takes them, too)"
        )
    if done.in_use:
        reasons.append(f"processes that run now may use {size(done.in_use)} (prune again when they have ended)")
    return f"{size(done.kept)} {stay}, which is more than `--max-size {max_size}`: {' and '.join(reasons)}"


def _records(ctx: click.Context, repo: str, older_than: int | None, dry_run: bool, form: str) -> None:
    """`cache prune --repo`."""
    from ociassemble.operations.cache_repository import prune as run

    with session(ctx) as (this, console):
        done = run(this, repo, older_than=older_than, now=time.time(), dry_run=dry_run)
        if form == "json":
            records = [item._asdict() for item in done]
            console.result_json({"dryRun": dry_run, "repository": repo, "records": records})
            return
        for item in done:
            console.result(printable(f"{item.tag} {size(item.size)} {item.created}".rstrip()))
        console.result(f"{len(done)} record{'' if len(done) == 1 else 's'} {'would be ' if dry_run else ''}deleted")


def _amount(amount: tuple[int, int]) -> dict[str, int]:
    return dict(zip(("count", "bytes"), amount, strict=True))


def _age(text: str) -> int:
    """Seconds of `12h`, `30d`."""
    found = _AGE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"`--older-than {text}` is no age", hint="`--older-than 30d`; s, m, h, d, w")
    return int(found[1]) * _SECONDS[found[2]]


def _bytes(text: str) -> int:
    """Bytes of `500MB`, `10GB` (powers of 1000), `10GiB`, `10G` (powers of 1024)."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"`--max-size {text}` is no size", hint="`--max-size 10GB`; B, MB, GB, MiB, GiB")
    power = " KMGT".index((found[2] or " ").upper())
    return int(found[1] or 0) * int((1000 if found[3] == "B" else 1024) ** power)
