"""Start commands as people write them: a JSON array, or words split as a shell splits them (PACK-50 on).

No shell runs in the image, so what only a shell could mean is refused, with a hint, and not taken by its letters.
"""

from __future__ import annotations

import json
import re

from ociassemble.errors import UsageError

_OPERATORS = frozenset("|&;<>()$`*?[~#\n")
_IN_DOUBLE_QUOTES = frozenset("$`")
_ASSIGNMENT = r"[A-Za-z_][A-Za-z0-9_]*="


class CommandError(UsageError):
    """A start command that is no list of words."""

    code = "usage.command"


def split_command(text: str) -> tuple[str, ...]:
    """The words of a command: those of a JSON array of strings, else split as a POSIX shell would.

    Raises `CommandError` for a broken array, an open quote, and for anything unquoted that a shell would act on.
    """
    stripped = text.strip()
    if "\0" in text:
        raise CommandError("a command cannot hold a NUL character")
    if stripped.startswith("["):
        return _array(stripped)
    words = _words(stripped)
    if words and re.match(_ASSIGNMENT, words[0]):
        raise CommandError(
            f"`{words[0]}` in front of a command needs a shell, and the image has none",
            hint=f"set it in the image: `--env {words[0]}`, or `env` in the settings",
        )
    return words


def _array(text: str) -> tuple[str, ...]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(
            f"`{text:.80}` is not a JSON array of strings", hint='write it like `["python", "-m", "app"]`'
        ) from error
    if not all(isinstance(word, str) and "\0" not in word for word in value):
        raise CommandError(
            f"`{text:.80}` is not a JSON array of strings", hint='write it like `["python", "-m", "app"]`'
        )
    return tuple(value)


def _words(text: str) -> tuple[str, ...]:
    words: list[str] = []
    word: str | None = None  # None between words; "" is a word too, when quoted
    quote = ""
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if quote == "'":
            if character == "'":
                quote = ""
            else:
                word = (word or "") + character
        elif quote == '"':
            if character == '"':
                quote = ""
            elif character in _IN_DOUBLE_QUOTES:
                raise _needs_shell(text, character)
            elif character == "\\" and text[position : position + 1] in ('"', "\\", "$", "`", "\n"):
                word = (word or "") + text[position].replace("\n", "")
                position += 1
            else:
                word = (word or "") + character
        elif character in "'\"":
            quote = character
            word = word or ""
        elif character == "\\":
            if position == len(text):
                raise CommandError(f"`{text:.80}` ends in a backslash")
            if text[position] != "\n":
                word = (word or "") + text[position]
            position += 1
        elif character in " \t\r":
            if word is not None:
                words.append(word)
            word = None
        elif character in _OPERATORS and not (character in "~#" and word is not None):
            raise _needs_shell(text, character)
        else:
            word = (word or "") + character
    if quote:
        raise CommandError(f"`{text:.80}`: the quote {quote} is not closed")
    if word is not None:
        words.append(word)
    return tuple(words)


def _needs_shell(text: str, character: str) -> CommandError:
    shown = "a line break" if character == "\n" else f"`{character}`"
    if character == "$":
        hint = "servers read PORT and the like themselves; for a real `$` use single quotes or a JSON array"
    else:
        hint = "put it in single quotes to pass it as it is, or write a JSON array"
    return CommandError(f"`{text:.80}`: {shown} needs a shell, and the image has none", hint=hint)
