"""node_modules by pnpm or Yarn: the tool runs on copies of the inputs, and what it lays down becomes artifacts.

Implements specs/behaviour/pnpm-yarn.md. No registry knows these artifacts: where the store has lost one, the tool
runs again, and must lay down the same bytes.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ociassemble import _files, _run
from ociassemble._run import ToolMissingError
from ociassemble.content.store import Store
from ociassemble.errors import IntegrityError, OfflineError, ProjectError, ToolError
from ociassemble.kinds.node.installed import Target
from ociassemble.kinds.protocol import LockedPackage, Resolution, ResolveRequest
from ociassemble.lock import modules_pack
from ociassemble.lock.application import MAX_LOCK, Application
from ociassemble.oci.platform import Platform
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts
from ociassemble.progress import Progress

_SHOWN = 20  # lines of a tool that failed
_PNPM = (10, 14)  # the first that is told the platform on its command line
# Read where they are, and no input that a lock answers: they say where packages come from, and may hold tokens.
_CONFIGURATION = (".npmrc", ".yarnrc")
_ENVIRONMENT = {
    "CI": "true",  # nothing is asked
    "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
    "YARN_IGNORE_PATH": "1",  # no program of the project is run in Yarn's place
    "npm_config_manage_package_manager_versions": "false",
    "npm_config_package_manager_strict": "false",
    "npm_config_update_notifier": "false",
}


class ModulesToolError(ToolError):
    """pnpm or Yarn failed."""

    code = "tool.node-modules"


class ModulesPlatformError(ProjectError):
    """Yarn lays packages down for the machine it runs on, and another one is asked for."""

    code = "project.yarn-platform"


class ModulesOfflineError(OfflineError):
    """`--offline`, and Yarn or pnpm would have to download packages."""

    code = "offline.node-modules"


class ModulesChangedError(IntegrityError):
    """pnpm or Yarn lays down other bytes than were locked."""

    code = "integrity.node-modules"


class Tool(NamedTuple):
    """A program that lays down node_modules, and its arguments for a platform."""

    name: str
    arguments: Callable[[Target, str, bool], list[str]]  # platform, workspace folder, offline
    links_commands: bool  # whether its .bin folders hold links; else scripts with paths of this machine


def _pnpm(target: Target, workspace: str, offline: bool) -> list[str]:
    words = ["install", "--prod", "--frozen-lockfile", "--ignore-scripts", "--ignore-pnpmfile"]
    words += ["--config.enable-global-virtual-store=false", "--config.side-effects-cache=false"]
    words += ["--os", target.os, "--cpu", target.cpu, *(["--libc", target.libc] if target.libc else [])]
    return words + (["--offline"] if offline else []) + (["--filter", f"{{./{workspace}}}..."] if workspace else [])


def _yarn(target: Target, workspace: str, offline: bool) -> list[str]:
    words = ["install", "--production", "--frozen-lockfile", "--ignore-scripts", "--ignore-engines"]
    return [*words, "--non-interactive", "--no-progress", *(["--offline"] if offline else [])]


TOOLS = {"pnpm-lock": Tool("pnpm", _pnpm, False), "yarn-lock": Tool("yarn", _yarn, True)}


class ModulesSupply:
    """`Supply` of what pnpm or Yarn lays down. `environment` is the user's, `host` the machine we run on."""

    def __init__(
        self,
        application: Application,
        *,
        environment: Mapping[str, str],
        host: Platform,
        offline: bool,
        store: Store,
        progress: Progress,
    ) -> None:
        self._application = application
        self._environment = environment
        self._host = host
        self._offline = offline
        self._store = store
        self._progress = progress

    def given(self) -> Sequence[LockedPackage]:
        return ()

    def resolve(self, request: ResolveRequest, facts: Sequence[BaseFacts]) -> Resolution:
        found = {str(item.platform): self._laid_down(request, item) for item in facts}
        text = json.dumps({name: [package.document() for package in packages] for name, packages in found.items()})
        return Resolution(request.form, text)

    def fetch(
        self, artifacts: Sequence[ArtifactRef], packages: Sequence[LockedPackage], facts: Sequence[BaseFacts]
    ) -> None:
        request = self._application.request
        for item in facts:
            if request is not None and self._missing(artifacts):
                self._laid_down(request, item)
        if lost := self._missing(artifacts):
            raise ModulesChangedError(
                f"`{TOOLS[request.form].name if request else 'the tool'}` lays down other files than were locked",
                details=[artifact.filename for artifact in lost[:10]],
                hint="lock again with `ociassemble lock`, and look at what changed",
            )

    def _missing(self, artifacts: Sequence[ArtifactRef]) -> list[ArtifactRef]:
        return [artifact for artifact in artifacts if self._store.size(artifact.digest) is None]

    def _laid_down(self, request: ResolveRequest, facts: BaseFacts) -> tuple[LockedPackage, ...]:
        """Run the tool for one platform; what it laid down is in the store."""
        tool, target, tree = TOOLS[request.form], Target.of(facts), self._application.tree
        if tool.name == "yarn" and facts.platform.architecture != self._host.architecture:
            raise ModulesPlatformError(
                f"Yarn 1 installs for the machine it runs on ({self._host}), and {facts.platform} is asked for",
                hint=f"build {facts.platform} on such a machine, or keep a lock of pnpm or npm: both know platforms",
            )
        program = _found(tool, request.primary, self._environment)
        with _files.temporary_directory("ociassemble-modules-") as made:
            scratch = made.resolve()
            for path in (*request.inputs, *(name for name in _CONFIGURATION if tree.has(name))):
                _files.directory((scratch / path).parent)
                _files.write_atomic(scratch / path, tree.bytes_of(path, MAX_LOCK))
            if tool.name == "pnpm":
                self._check_version(program, scratch)
            words = tool.arguments(target, request.package, self._offline)
            self._progress.info(f"running: {tool.name} {' '.join(words)} (for {facts.platform})")
            self._run(tool, [program, *words], scratch, request.primary)
            packed = modules_pack.pack(
                scratch, self._store, commands=tool.links_commands, outside=lambda path: tree.packed(path) is not None
            )
            for problem in modules_pack.addons(scratch, target.cpu):
                self._progress.warn(f"{facts.platform}: {problem}")
        return packed

    def _run(self, tool: Tool, words: list[str], scratch: Path, primary: str) -> None:
        last: deque[str] = deque(maxlen=_SHOWN)
        status = _run.follow(words, line=last.append, environment=self._child(), folder=scratch)
        if status == 0:
            return
        said = [line.replace(str(scratch), ".") for line in last if line.strip()]
        text = "\n".join(said)
        if self._offline and re.search(r"ERR_PNPM_NO_OFFLINE|offline mirror|OFFLINE", text, re.IGNORECASE):
            raise ModulesOfflineError(
                f"`{tool.name}` has not all packages of `{primary}` at hand, and `--offline` forbids to ask for them",
                details=said,
                hint="build once without `--offline`",
            )
        raise ModulesToolError(
            f"`{tool.name}` failed with status {status} on `{primary}`",
            details=said,
            hint="it ran on a copy of the lock and the package.json files: does `"
            + " ".join((tool.name, *tool.arguments(Target("linux", "x64", ""), "", False)[:3]))
            + "` work in the project?",
        )

    def _check_version(self, program: str, scratch: Path) -> None:
        done = _run.run([program, "--version"], environment=self._child(), folder=scratch, timeout=60, check=False)
        found = re.match(rb"\s*([0-9]+)\.([0-9]+)\.", done.stdout)
        if found is not None and (int(found[1]), int(found[2])) < _PNPM:
            shown = done.stdout.decode("ascii", "replace").strip()
            raise ModulesToolError(
                f"pnpm {shown} cannot be told for which platform it installs",
                hint="pnpm 10.14 and later can: upgrade it",
            )

    def _child(self) -> dict[str, str]:
        own = {name: value for name, value in self._environment.items() if not name.startswith("OCIASSEMBLE_")}
        return own | _ENVIRONMENT


def _found(tool: Tool, primary: str, environment: Mapping[str, str]) -> str:
    program = _run.find(tool.name, path=environment.get("PATH"))
    if program is None:
        raise ToolMissingError(
            f"`{primary}` needs {tool.name}, and it is not on PATH",
            hint=f"install it (`npm install --global {tool.name}`), or write a package-lock.json, which needs no tool",
        )
    return program
