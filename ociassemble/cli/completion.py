"""`ociassemble completion SHELL`: the script that makes a shell complete verbs and options."""

from __future__ import annotations

import click

from ociassemble.cli.command import Command
from ociassemble.cli.console import console
from ociassemble.errors import Error


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL (bash, zsh or fish).

    \b
    bash:  eval "$(ociassemble completion bash)"     in ~/.bashrc
    zsh:   eval "$(ociassemble completion zsh)"      in ~/.zshrc
    fish:  ociassemble completion fish | source      in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise Error(f"this click has no completion for {shell}")
    script = found(ctx.find_root().command, {}, "ociassemble", "_OCIASSEMBLE_COMPLETE").source()
    with console(ctx) as out:
        out.result(script.rstrip("\n"))
