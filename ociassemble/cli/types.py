"""Types of arguments: what a shell can complete of them, and how each is called in help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ociassemble.errors import Error

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PLACES = ("oci:", "oci-archive:", "docker-archive:", "bundle:", "local:")


class OneOf(click.Choice[str]):
    """Words that are completed here and judged where settings are: with the nearest one in the error."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value


class Image(click.ParamType[str]):
    """The name of an image: completed from the local store, and with files after `oci:` and its kin."""

    name = "image"

    def __init__(self, *, folders: bool = False) -> None:
        self._folders = folders  # whether a folder is an answer as well

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        found = [*_local_names(ctx), *(word for word in PLACES if incomplete)]
        items = [CompletionItem(name) for name in found if name.startswith(incomplete)]
        if self._folders:
            items.append(CompletionItem(incomplete, type="dir"))
        return items


class Base(click.ParamType[str]):
    """A base image: the short names there are, and images of the local store."""

    name = "base"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from ociassemble.base.names import known

        return [CompletionItem(name) for name, _ in known() if name.startswith(incomplete)]


def _local_names(ctx: click.Context) -> list[str]:
    """Names of the local store; none where it cannot be read, for a shell that waits wants no errors."""
    from ociassemble.content.directory import DirectoryStore
    from ociassemble.session.environment import Environment, cache_folder
    from ociassemble.transports.local import names

    given = ctx.find_root().params.get("cache_dir")
    folder = cache_folder(Environment.of_process(), given) / "store"
    try:
        return [name for name, _ in names(DirectoryStore(folder))] if folder.is_dir() else []
    except Error:
        return []


format_option = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", metavar="HOW", help="text, json."
)
