"""Python source -> its syntax tree, without letting the Python that runs us decide more than it must.

A tree is only had where this Python knows the source's syntax, which may be newer. Callers that find nothing in a
tree must treat "cannot be parsed" as an error, and not as nothing found, where the image would differ by it.
"""

from __future__ import annotations

import ast
import warnings


def parse(data: bytes) -> ast.Module:
    """The tree of a module; `SyntaxError` for all that cannot be parsed, also what is nested too deeply.

    Warnings about the source (an invalid escape) are dropped: filters of the surroundings would make them errors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(data)
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(str(error)) from error
