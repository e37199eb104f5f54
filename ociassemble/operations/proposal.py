"""`init`: a settings file out of what a folder was recognised as. No server is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from ociassemble import _files
from ociassemble.base.names import expand
from ociassemble.content.place import check_place
from ociassemble.errors import Error, UsageError
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.lock.application import Application, read_lock, recognise
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts, NodeFacts, PythonFacts
from ociassemble.plan.plan import ApplicationPlan
from ociassemble.project.settings import Settings, load
from ociassemble.session import Session
from ociassemble.session.inputs import lock_path, tree_of
from ociassemble.session.platforms import asked_for
from ociassemble.session.request import BuildRequest

FILENAME = "ociassemble.toml"


class SettingsThereError(UsageError):
    """The folder has settings already."""

    code = "usage.init"


def proposal(session: Session, request: BuildRequest, *, force: bool) -> str:
    """The text of a settings file; it says what holds without it, so that a build with it is the same build.

    Raises `SettingsThereError` where there are settings already, unless they are the file that `force` replaces.
    """
    folder = request.application
    source = load(folder).source if folder.is_dir() and not (force and (folder / FILENAME).exists()) else None
    if source is not None:
        raise SettingsThereError(
            f"the settings of `{folder}` are in `{source}` already",
            hint="edit them, or write them anew with `--force`" if source == FILENAME else "edit them there",
        )
    settings = Settings().override(**request.flags)  # of a file that is replaced nothing counts
    host = session.host_platform()
    tree = tree_of(request, settings, session)
    application = recognise(tree, settings, asked_for(settings, host), session.progress)
    return _text(application, _planned(application, lock_path(request), host))


def write(text: str, path: Path, *, force: bool) -> None:
    """Write the file, never over one that is there unless `force` says so."""
    if path.exists() and not force:
        raise SettingsThereError(f"`{path}` is there already", hint="write it anew with `--force`")
    check_place(path)
    _files.write_atomic(path, text.encode(), durable=True)


def _planned(application: Application, lock: Path, platform: Platform) -> ApplicationPlan | None:
    """What the kind would plan on a base like its own; None where that takes packages that nobody has resolved."""
    packages: tuple[LockedPackage, ...] = ()
    try:
        if application.request is not None:
            found = read_lock(lock)
            if found is None:
                return None
            packages = next(iter(found.platforms.values())).packages
        return application.kind.plan(application.tree, application.settings, _facts(platform), packages)
    except (Error, StopIteration):
        return None


def _facts(platform: Platform) -> BaseFacts:
    """A base like the kinds' own, as far as a start command depends on it."""
    interpreter = PythonFacts(
        interpreter="/usr/bin/python3.13",
        minor="3.13",
        version="3.13.5",
        prefix="/usr/local",
        site="/usr/local/lib/python3.13/dist-packages",
    )
    return BaseFacts(
        platform=platform,
        distribution="debian",
        distribution_version="13",
        libc="glibc",
        libc_version="2.41",
        python=interpreter,
        node=NodeFacts(interpreter="/nodejs/bin/node", version="24.0.0"),
        user="65532",
        programs=("/nodejs/bin/node", "/usr/bin/python3.13"),
    )


def _text(application: Application, plan: ApplicationPlan | None) -> str:
    tree, kind = application.tree, application.kind
    name = expand(application.base, overrides={})
    lines = [
        "# Settings of ociassemble. As it stands, this file changes nothing: it says what was found out, and in",
        "# lines that begin with `#` what else can be said. Flags win over OCIASSEMBLE_... in the environment,",
        "# and that over this.",
        "",
        f"kind = {_string(kind.name)}",
        f"base = {_string(application.base)}" + _aside(name.expanded, application.base),
        "",
        "# For whom: by default linux on the architecture of the host that builds.",
        '# platforms = ["linux/amd64", "linux/arm64"]',
        f"# tags = [{_string('registry.example/' + _plain(tree.root.resolve().name) + ':latest')}]",
        "",
    ]
    command = plan.config if plan is not None else None
    words = (*(command.entrypoint or ()), *(command.cmd or ())) if command is not None else ()
    if words:
        lines += [_comment("# How it " + next(_reasons(plan, "starts"), "starts (found out from the folder)"))]
        lines += [f"# entrypoint = {_list(command.entrypoint)}"] if command and command.entrypoint else []
        lines += [f"# cmd = {_list(command.cmd)}"] if command and command.cmd else []
    elif plan is None:
        lines += ["# How it starts is decided from the installed packages; `ociassemble plan` shows it."]
        lines += ['# cmd = ["-m", "app"]']
    else:
        lines += ["# How it starts: nothing here says it.", '# cmd = ["/app/server"]']
    ports = [port.partition("/")[0] for port in command.ports] if command is not None else []
    env = {key: value for key, value in command.env.items() if value is not None} if command is not None else {}
    shown = ", ".join(f"{key} = {_string(value)}" for key, value in sorted(env.items())) or 'MODE = "production"'
    lines += [
        f"# ports = [{', '.join(ports) or '8080'}]",
        f"# env = {{ {shown} }}",
        '# user = "65532"                 # the default is the base\'s own',
        "",
        "# [healthcheck]                  # docker looks; Kubernetes has probes of its own",
        '# cmd = ["/usr/bin/python3", "-m", "app.health"]' if kind.name == "python" else '# cmd = ["/app/health"]',
        '# interval = "30s"',
        "",
        *_excluded(application),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _excluded(application: Application) -> list[str]:
    left = [path for path, _ in application.tree.left_out if path != FILENAME]
    what = f": {', '.join(left[:8])}{' and more' if len(left) > 8 else ''}" if left else ""
    ignore = application.tree.ignorefile
    more = f"`{ignore}` says what else" if ignore else "more can be named in `.ociassembleignore`, or `.dockerignore`"
    return [_comment(f"# Not packed{what}; {more}.")]


def _reasons(plan: ApplicationPlan | None, word: str) -> Iterator[str]:
    return (f"{text} ({why})" for text, why in (plan.reasons if plan is not None else ()) if text.startswith(word))


def _comment(text: str) -> str:
    """On one line, without what TOML forbids in comments."""
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f]+", " ", text.encode("utf-8", "replace").decode())


def _aside(text: str, same: str) -> str:
    return f"  # {_comment(text)}" if text != same else ""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "app"


def _string(text: str) -> str:
    """A basic string of TOML; JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(words: tuple[str, ...] | None) -> str:
    return f"[{', '.join(map(_string, words or ()))}]"
