"""The table of verbs. A new verb is one line here and one module beside it.

The module is imported when the verb is used; `ociassemble --help` shows this table and imports none of them.
"""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """Where a verb is: the module below `ociassemble.cli`, the click command in it, and its line of help."""

    module: str
    attribute: str
    help: str


VERBS: dict[str, Verb] = {
    "init": Verb("init", "init", "Write a settings file to begin with."),
    "build": Verb("build", "build", "Put an application into an image."),
    "plan": Verb("plan", "plan", "Show what a build would do."),
    "lock": Verb("lock", "lock", "Resolve once and record every byte."),
    "run": Verb("run", "run", "Start an image or an application with a runtime of this host."),
    "push": Verb("copy", "push", "Push an image to a registry."),
    "pull": Verb("copy", "pull", "Fetch an image from a registry."),
    "copy": Verb("copy", "copy", "Copy an image from place to place."),
    "ls": Verb("look", "ls", "List tags of a repository, or the local store."),
    "manifest": Verb("look", "manifest", "Print a manifest or index."),
    "config": Verb("look", "config", "Print an image's config."),
    "digest": Verb("look", "digest", "Print an image's digest."),
    "inspect": Verb("look", "inspect", "Show what an image is."),
    "validate": Verb("look", "validate", "Read and check every blob of an image."),
    "explain": Verb("explain", "explain", "Say why each layer of an image is there."),
    "verify": Verb("verify", "verify", "Build an image once more, and compare."),
    "bundle": Verb("bundle", "bundle", "Carry all that a build needs to where there is no network."),
    "base": Verb("base", "base", "List base images, or assemble one from Debian packages."),
    "login": Verb("login", "login", "Keep a name and password for a registry."),
    "logout": Verb("login", "logout", "Forget the name and password for a registry."),
    "cache": Verb("cache", "cache", "Show, check and shrink the store of this machine."),
    "registry": Verb("registry", "registry", "Serve a registry from a folder."),
    "completion": Verb("completion", "completion", "Print the completion script of a shell."),
}

ALIASES: dict[str, str] = {"cp": "copy"}
