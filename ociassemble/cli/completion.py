"""`ociassemble completion SHELL`: the script that makes a shell complete verbs, options, choices, files and images."""

from __future__ import annotations

import os
from typing import Any

import click

from ociassemble.cli.command import Command
from ociassemble.cli.console import console

VARIABLE = "_OCIASSEMBLE_COMPLETE"
# bash breaks words at `:` and `=`, which names of images are full of. So the line as it stands is asked about, and from
# the answers is cut what bash thinks is another word already.
_BASH = r"""_ociassemble_completion() {
    local answer type value cut word
    word="${COMP_LINE:0:COMP_POINT}"
    word="${word##*[[:space:]]}"
    cut="${word%"${COMP_WORDS[COMP_CWORD]}"}"
    case "${COMP_WORDS[COMP_CWORD]}" in ":" | "=") cut="$word" ;; esac
    COMPREPLY=()
    while IFS= read -r answer; do
        type="${answer%%,*}"
        value="${answer#*,}"
        case "$type" in
            dir) compopt -o dirnames 2> /dev/null ;;
            file) compopt -o default 2> /dev/null ;;
            plain) COMPREPLY+=("${value#"$cut"}") ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" _OCIASSEMBLE_COMPLETE=bash_complete "$1")
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace 2> /dev/null
    return 0
}
complete -o nosort -F _ociassemble_completion ociassemble
"""


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
    from click.shell_completion import FishComplete, ShellComplete, ZshComplete

    if shell == "bash":
        script = _BASH
    else:
        kinds: dict[str, type[ShellComplete]] = {"zsh": ZshComplete, "fish": FishComplete}
        script = kinds[shell](ctx.find_root().command, {}, "ociassemble", VARIABLE).source()
    with console(ctx) as out:
        out.result(script.rstrip("\n"))


def answer(root: click.Command, program: str, instruction: str) -> int:
    """Answer a shell that asks what may stand next (`VARIABLE` is set); click's protocol, but for bash's words."""
    from click.shell_completion import BashComplete, add_completion_class, shell_complete, split_arg_string

    class Bash(BashComplete):
        def get_completion_args(self) -> tuple[list[str], str]:
            line = os.environ.get("COMP_LINE")
            if line is None:
                return super().get_completion_args()
            words = split_arg_string(line)
            last = words.pop() if words and not line[-1:].isspace() else ""
            return words[1:], last

    add_completion_class(Bash, "bash")
    arguments: dict[str, Any] = {}
    try:
        return shell_complete(root, arguments, program, VARIABLE, instruction)
    except click.UsageError:  # a line that is wrong already has no continuation
        return 0
