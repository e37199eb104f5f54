"""The options that `build`, `plan`, `lock` and `run` share, and the request made of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ociassemble.cli.command import in_section
from ociassemble.cli.start import changes
from ociassemble.cli.types import Base, OneOf
from ociassemble.errors import UsageError
from ociassemble.project.command import split_command
from ociassemble.project.keys import BASE_SOURCES, KINDS, LAYERS

if TYPE_CHECKING:
    from ociassemble.session.request import BuildRequest

F = TypeVar("F", bound=Callable[..., Any])

_FOLDER = click.Path(path_type=Path)


def _stack(decorators: list[Callable[[Any], Any]], section: str = "") -> Callable[[F], F]:
    """Decorators as one, in their order; with `section`, options that `--help` shows under that title."""

    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = in_section(section, decorator)(function) if section else decorator(function)
        return function

    return apply


_PULL = ("always", "missing", "never")

# What is asked of the base and the dependencies: a lock answers exactly this.
_asked = _stack(
    [
        click.option("-b", "--base", "--from", "base", type=Base(), metavar="REF", help="Base image; see `base list`."),
        click.option("--platform", multiple=True, metavar="LIST", help="linux/amd64,linux/arm64; `host`; `all`."),
        click.option("--kind", type=OneOf(KINDS), metavar="KIND",
                     help="auto, python, node, java, binary, directory."),
        click.option("--base-source", type=OneOf(BASE_SOURCES), metavar="WHERE",
                     help="auto, registry, debian: where the base comes from."),
        click.option("--strict-references", is_flag=True, default=None, help="Refuse short names of bases."),
        click.option("--pull", type=click.Choice(_PULL), default="always", metavar="WHEN",
                     help="When a tag is asked for again: always, missing, never."),
        click.option("--extra", multiple=True, metavar="NAME", help="An extra of the Python project."),
        click.option("--group", multiple=True, metavar="NAME", help="A dependency group of the Python project."),
        click.option("--requirements", metavar="FILE", help="The file that names the dependencies."),
        click.option("--wheel", multiple=True, type=_FOLDER, metavar="FILE", help="Add a wheel that you built."),
        click.option("--ca-cert", multiple=True, type=_FOLDER, metavar="FILE",
                     help="An authority that programs in the image trust as well."),
        click.option("--lockfile", type=_FOLDER, metavar="FILE", help="Instead of APP/ociassemble.lock."),
        click.option("--ignorefile", type=_FOLDER, metavar="FILE",
                     help="Instead of .ociassembleignore or .dockerignore."),
    ],
    "Base and dependencies",
)  # fmt: skip
asking = _stack([click.argument("app", required=False, default=".", type=_FOLDER), _asked])

# What the config says. `KEY-` takes away what the base, the settings or the application's kind brought.
_config = _stack(
    [
        click.option("-e", "--env", multiple=True, metavar="K=V", help="Environment; K- takes one away."),
        click.option("-u", "--user", metavar="USER", help='UID[:GID] or a name of the base; "" for none.'),
        click.option("-w", "--workdir", metavar="DIR", help="Working directory; the application goes there."),
        click.option("--entrypoint", metavar="CMD", help="JSON array, or words as a shell splits them."),
        click.option("--cmd", metavar="CMD", help="Likewise; keeps the base's entrypoint."),
        click.option("--expose", multiple=True, metavar="PORT",
                     help="A port the application listens on, 8080 or 53/udp; PORT- takes one away."),
        click.option("--volume", multiple=True, metavar="DIR",
                     help="A folder meant for a volume; DIR- takes one away."),
        click.option("--stop-signal", metavar="SIGNAL", help="What asks the application to end, like SIGINT."),
        click.option("-l", "--label", multiple=True, metavar="K=V", help="A label of the config; K- takes one away."),
        click.option("-a", "--annotation", multiple=True, metavar="K=V",
                     help="An annotation of the manifest; index:K=V of the index, index,manifest:K=V of both."),
        click.option("--annotate", metavar="LIST",
                     help="Where annotations come from unasked: project (default), git, none."),
    ],
    "The image's config",
)  # fmt: skip

_health = _stack(
    [
        click.option("--healthcheck", type=click.Choice(["none"]), metavar="none",
                     help="No check, whatever the base says."),
        click.option("--healthcheck-cmd", metavar="CMD",
                     help="What is run to see whether it is well: JSON array, or words as a shell splits them."),
        click.option("--healthcheck-interval", metavar="TIME", help="Between two checks, like 30s."),
        click.option("--healthcheck-timeout", metavar="TIME", help="How long one check may take."),
        click.option("--healthcheck-start-period", metavar="TIME", help="How long failures do not count at first."),
        click.option("--healthcheck-start-interval", metavar="TIME", help="Between two checks in that time."),
        click.option("--healthcheck-retries", type=int, metavar="N",
                     help="How many failures in a row count."),
    ],
    "Health check",
)  # fmt: skip

# What decides the image besides.
_files = _stack(
    [
        click.option("--add", multiple=True, metavar="SRC:DST",
                     help="Put project files elsewhere, too; [,chown=U:G][,chmod=M]."),
        click.option("--allow-secret", multiple=True, hidden=True),
        click.option("--compression", metavar="HOW", help="gzip, zstd or none, perhaps with :LEVEL."),
        click.option("--layers", type=OneOf(LAYERS), metavar="HOW",
                     help="auto, single, per-package: how dependencies are cut."),
    ],
    "Files and layers",
)  # fmt: skip

_ways = _stack(
    [
        click.option("--locked", is_flag=True, help="Fail unless the lock answers exactly this."),
        click.option("--no-lock", is_flag=True, help="Resolve anew; neither read nor need a lock."),
        click.option("--no-cache", is_flag=True, help="Build every layer again."),
        click.option("--cache-from", multiple=True, metavar="REF", help="Use finished layers of this image as well."),
        click.option("--cache-repo", metavar="REF",
                     help="A repository of finished layers: read, and with --push written."),
        click.option("--source-date-epoch", metavar="N", help="Seconds since 1970 for `created`, `git`, or `now`."),
    ],
    "How it is built",
)  # fmt: skip
shaping = _stack([_config, _health, _files, _ways])


_TIMES = ("interval", "timeout", "start_period", "start_interval", "retries")
_FROM_HOST = 'the host\'s environment is no input of a build: write `--env {0}="${0}"`; `KEY-` takes one away'


def request(given: dict[str, Any]) -> BuildRequest:
    """The request that the options say; whoever calls adds tags and destinations."""
    from ociassemble.session.request import BuildRequest

    if given.get("allow_secret"):
        raise UsageError(
            "`--allow-secret` is gone: a path would allow every secret that is put there later",
            hint="build without it, and copy the fingerprint of what may pass to the settings: [secrets] allow = [...]",
        )
    if given.get("base") == "":  # `-b "$BASE"`, and no such variable
        raise UsageError("`--base` names no image", hint="`ociassemble base list` shows short names; any image will do")
    if given.get("locked") and given.get("no_lock"):
        raise UsageError("`--locked` and `--no-lock` contradict each other", hint="leave one of them out")
    # A base may be a path of the host, which stays as it came.
    given = {name: value if name == "base" else _utf8(value) for name, value in given.items()}
    flags: dict[str, Any] = {
        "base": given.get("base"),
        "kind": given.get("kind"),
        "platforms": platforms(given.get("platform") or ()),
        "base_source": given.get("base_source"),
        "strict_references": given.get("strict_references"),
        "env": changes(given.get("env") or (), "--env", _FROM_HOST),
        "user": given.get("user"),
        "workdir": given.get("workdir"),
        "entrypoint": _words(given.get("entrypoint")),
        "cmd": _words(given.get("cmd")),
        "ports": given.get("expose"),
        "volumes": given.get("volume"),
        "stop_signal": given.get("stop_signal"),
        "healthcheck_cmd": _words(given.get("healthcheck_cmd")),
        "healthcheck_disable": True if given.get("healthcheck") else None,
        **{f"healthcheck_{name}": given.get(f"healthcheck_{name}") for name in _TIMES},
        "labels": changes(given.get("label") or (), "--label"),
        "annotations": changes(given.get("annotation") or (), "--annotation"),
        "annotate": platforms((given["annotate"],)) if given.get("annotate") else None,
        "add": given.get("add"),
        "compression": given.get("compression"),
        "layers": given.get("layers"),
        "python_extras": given.get("extra"),
        "python_groups": given.get("group"),
        "python_requirements": given.get("requirements"),
        "wheels": tuple(str(path) for path in given.get("wheel") or ()),
        "ca_certs": tuple(str(path) for path in given.get("ca_cert") or ()),
        "cache_from": given.get("cache_from"),
        "cache_repo": given.get("cache_repo"),
        "ignorefile": str(given["ignorefile"]) if given.get("ignorefile") else None,
    }
    return BuildRequest(
        application=given["app"],
        flags=flags,
        lockfile=given.get("lockfile"),
        locked=bool(given.get("locked")),
        use_lock=not given.get("no_lock"),
        use_cache=not given.get("no_cache"),
        pull=given.get("pull") or "always",
        created=_epoch(given.get("source_date_epoch")),
    )


def platforms(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Comma-separated and repeated lists as one."""
    return tuple(dict.fromkeys(part for text in texts for part in re.split(r"[,\s]+", text) if part))


def _utf8(value: Any) -> Any:
    """Texts as Unicode, whatever encoding the locale made Python read them with: they become bytes of an image."""
    if isinstance(value, tuple):
        return tuple(map(_utf8, value))
    if not isinstance(value, str) or value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raw = os.fsencode(value)
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"`{raw.decode(errors='backslashreplace')}` is not UTF-8") from error
    return value


def _words(text: str | None) -> list[str] | None:
    return None if text is None else list(split_command(text))


def _epoch(text: str | None) -> str | None:
    if text is None or text in ("git", "now") or (text.isascii() and text.isdigit()):
        return text
    raise UsageError(f"`--source-date-epoch {text}` is not a number of seconds", hint="or `git`, or `now`")
