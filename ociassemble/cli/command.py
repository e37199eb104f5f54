"""What every verb shares: the lazy group, the global options, and an environment variable for each long option."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from ociassemble.cli.verbs import ALIASES, VERBS, Verb

PREFIX = "OCIASSEMBLE_"
_EVERYWHERE = (
    "--offline, --cache-dir, --authfile, --ca-file, --progress, -q, -v, -j, --debug and what else "
    "`ociassemble --help` lists. Every long option has an environment variable, OCIASSEMBLE_..."
)
F = TypeVar("F", bound=Callable[..., Any])
PROGRESS = ("auto", "tty", "plain", "json", "quiet")


class Globals(NamedTuple):
    """The options that may stand before the verb, or after it."""

    offline: bool = False
    cache_dir: Path | None = None
    authfile: Path | None = None
    insecure_registry: tuple[str, ...] = ()
    insecure_credentials: bool = False
    ca_file: Path | None = None
    registry_mirror: tuple[str, ...] = ()  # "HOST=MIRROR" each
    trust_realm: tuple[str, ...] = ()
    progress: str = "auto"
    quiet: bool = False
    verbose: int = 0
    jobs: int | None = None  # None: as many as there are cores
    debug: bool = False


def globals_of(ctx: click.Context | None) -> Globals:
    """The global options of this run, wherever on the command line they stood."""
    found = ctx.find_root().obj if ctx is not None else None
    return found if isinstance(found, Globals) else Globals()


def _global_options() -> list[click.Option]:
    folder, file = click.Path(path_type=Path), click.Path(dir_okay=False, path_type=Path)
    return [
        click.Option(["--offline"], is_flag=True, help="Use what is in the store; ask no server."),
        click.Option(["--cache-dir"], type=folder, metavar="DIR", help="Where blobs and records are kept."),
        click.Option(["--authfile"], type=file, metavar="FILE", help="Credentials of registries."),
        click.Option(["--insecure-registry"], multiple=True, metavar="HOST", help="Allow http to HOST."),
        click.Option(["--insecure-credentials"], is_flag=True, help="Send credentials to insecure registries, too."),
        click.Option(["--ca-file"], type=file, metavar="FILE", help="Authorities to trust as well (PEM)."),
        click.Option(["--registry-mirror"], multiple=True, metavar="HOST=MIRROR", help="Read from MIRROR instead."),
        click.Option(["--trust-realm"], multiple=True, metavar="HOST", help="Send passwords to HOST for tokens."),
        click.Option(["--progress"], type=click.Choice(PROGRESS), metavar="HOW", help="auto, tty, plain, json, quiet."),
        click.Option(["-q", "--quiet"], is_flag=True, help="Only warnings, errors and the result."),
        click.Option(["-v", "--verbose"], count=True, help="Say more."),
        click.Option(["-j", "--jobs"], type=click.IntRange(1, 1024), metavar="N", help="How much runs at once."),
        click.Option(["--debug"], is_flag=True, help="Show tracebacks."),
    ]  # fmt: skip


def _from_environment(option: click.Option) -> None:
    """`--cache-dir` is `OCIASSEMBLE_CACHE_DIR`, whatever the verb."""
    names = [name for name in option.opts if name.startswith("--")]
    if names and option.envvar is None:
        option.envvar = PREFIX + max(names, key=len)[2:].upper().replace("-", "_")


def _after_the_verb(option: click.Option) -> click.Option:
    """A twin of a global option that is taken after the verb as well, and recorded where the first one is."""
    name = str(option.name)

    def record(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if ctx.resilient_parsing or ctx.get_parameter_source(name) != click.core.ParameterSource.COMMANDLINE:
            return
        before = globals_of(ctx)
        if option.multiple or option.count:
            value = getattr(before, name) + value
        ctx.find_root().obj = before._replace(**{name: value})

    option.callback, option.expose_value, option.hidden = record, False, True
    return option


def in_section(title: str, option: Callable[[F], F]) -> Callable[[F], F]:
    """A click option (the decorator) that `--help` shows under `title`."""

    def apply(function: F) -> F:
        decorated = option(function)
        decorated.__click_params__[-1].section = title  # type: ignore[attr-defined]
        return decorated

    return apply


class Command(click.Command):
    """A verb: its long options can be set in the environment, and global options may follow it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = {opt for param in self.params if isinstance(param, click.Option) for opt in param.opts}
        for param in self.params:
            if isinstance(param, click.Option):
                _from_environment(param)
        for option in _global_options():
            if not own.intersection(option.opts):
                self.params.append(_after_the_verb(option))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options under the titles they were given; those without one first."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(param, "section", "Options"), []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records, col_max=34)
        with formatter.section("Everywhere"):
            indent = " " * formatter.current_indent
            text = click.wrap_text(_EVERYWHERE, formatter.width, initial_indent=indent, subsequent_indent=indent)
            formatter.write(f"{text}\n")


class Group(click.Group):
    """A verb that has verbs (`registry serve`)."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"subcommand_metavar": "VERB ...", **kwargs})

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not self.has(args[0]) and not args[0].startswith("-"):
            raise UnknownVerb(args[0], self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)

    def has(self, name: str) -> bool:
        """Whether there is a verb of this name."""
        return name in self.commands

    def verbs(self) -> list[tuple[str, str]]:
        """Every verb and its line of help."""
        return [(name, command.get_short_help_str(100)) for name, command in self.commands.items()]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(self.verbs())


class LazyGroup(Group):
    """The root: names and helps come from the table of verbs, modules are imported when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = VERBS.get(ALIASES.get(cmd_name, cmd_name))
        if verb is None:
            return None
        module = importlib.import_module(f"ociassemble.cli.{verb.module}")
        command: click.Command = getattr(module, verb.attribute)
        return command

    def has(self, name: str) -> bool:
        return ALIASES.get(name, name) in VERBS

    def verbs(self) -> list[tuple[str, str]]:
        return [(name, verb.help) for name, verb in VERBS.items()]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=verb.help) for name, verb in VERBS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


class UnknownVerb(click.UsageError):
    """A verb that a group does not have; `nearest` is the one that was probably meant, or ""."""

    def __init__(self, name: str, verbs: Sequence[str], ctx: click.Context) -> None:
        above = "".join(f"{word} " for word in ctx.command_path.split()[1:])
        super().__init__(f"there is no verb `{above}{name}`", ctx)
        import difflib

        self.nearest = next(iter(difflib.get_close_matches(name, verbs, 1)), "")


def _root() -> LazyGroup:
    options = _global_options()
    for option in options:
        _from_environment(option)

    @click.pass_context
    def begin(ctx: click.Context, /, **values: Any) -> None:
        values["progress"] = values["progress"] or "auto"
        ctx.obj = Globals(**values)

    return LazyGroup(
        "ociassemble",
        callback=begin,
        params=[*options, click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False,
                                       callback=_version, help="Show the version and exit.")],
        help="Put an application into an OCI image without a container daemon, a Dockerfile or root.",
        epilog="Every long option has an environment variable: --cache-dir is OCIASSEMBLE_CACHE_DIR. "
        "`ociassemble VERB --help` explains a verb.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        no_args_is_help=True,
    )  # fmt: skip


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from ociassemble import __version__

        click.echo(f"ociassemble {__version__}")
        ctx.exit()


root = _root()

__all__ = [
    "PREFIX",
    "Command",
    "Globals",
    "Group",
    "LazyGroup",
    "UnknownVerb",
    "Verb",
    "globals_of",
    "in_section",
    "root",
]
