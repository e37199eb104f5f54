"""The kind `binary`: from a folder, or one file, to a layer and a start command (behaviour/binary-kind.md). Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from ociassemble.errors import ProjectError
from ociassemble.kinds.binary import recognise
from ociassemble.kinds.binary.find import Program, called, fitting, programs, refuse
from ociassemble.kinds.protocol import DefaultBase, LockedPackage, Recognition, ResolveRequest, place, workdir_of
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import ApplicationPlan, ConfigPlan, FileItem, FilesSource, LayerPlan, Reason
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree

# Files at the top of a folder from which programs are built: it is no folder of things that a program reads.
_SOURCES = re.compile(
    r"go\.(?:mod|work)|Cargo\.toml|CMakeLists\.txt|meson\.build|[Mm]akefile|GNUmakefile|configure(?:\.ac)?"
    r"|WORKSPACE(?:\.bazel)?|MODULE\.bazel|build\.zig|[^/]+\.(?:go|rs|c|cc|cpp|cxx|zig|nim|d|swift)"
)
_CPP = ("libstdc++.so.6", "libgcc_s.so.1", "libgomp.so.1")


class NoProgramError(ProjectError):
    """No program, several, or none for a platform that was asked for."""

    code = "project.no-program"


class MuslError(ProjectError):
    """A program that needs musl's loader, where no base was named that has it."""

    code = "project.musl"


class Binary:
    """A program that a compiler made: to /app, with what lies beside it."""

    name = recognise.NAME

    def recognise(self, tree: ProjectTree) -> Recognition | None:
        return recognise.recognise(tree)

    def default_base(self, tree: ProjectTree, settings: Settings, platforms: Sequence[Platform]) -> DefaultBase:
        """The smallest base that has what the program links against, on every platform (BINARY-10)."""
        # Without platforms (`all` of a base that is chosen here) every program counts.
        asked = [_chosen(tree, settings, platform) for platform in platforms] or [*_called(tree, settings.name or "")]
        if not asked:
            raise _none(tree)
        dynamic = [program for program in asked if not program.static]
        for program in dynamic:
            if "ld-musl-" in program.elf.interpreter:
                raise MuslError(
                    f"`{program.file.path}` needs musl's loader, `{program.elf.interpreter}`",
                    hint="link it statically (`cc -static`, `-C target-feature=+crt-static`), or name a base that has "
                    "musl, like Alpine's: `-b REF`",
                )
        for program in dynamic:
            needs = [name for name in program.elf.needed if name in _CPP]
            if needs:
                return DefaultBase("distroless/cc", f"`{program.file.path}` needs {', '.join(needs)}")
        if dynamic:
            return DefaultBase("distroless/base", f"`{dynamic[0].file.path}` is linked against glibc")
        names = ", ".join(dict.fromkeys(f"`{program.file.path}`" for program in asked))
        return DefaultBase("distroless/static", f"{names} {'is' if len(asked) == 1 else 'are'} static")

    def request(self, tree: ProjectTree, settings: Settings, facts: BaseFacts | None) -> ResolveRequest | None:
        return None

    def select(self, request: ResolveRequest, resolution: object, facts: BaseFacts) -> tuple[LockedPackage, ...]:
        return ()

    def plan(
        self, tree: ProjectTree, settings: Settings, facts: BaseFacts, packages: tuple[LockedPackage, ...]
    ) -> ApplicationPlan:
        """One layer with the program and what lies beside it; the program is the entrypoint (BINARY-20 on)."""
        program = _chosen(tree, settings, facts.platform)
        workdir = workdir_of(settings)
        path = posixpath.join(workdir, program.name)
        reasons = [Reason(f"starts `{path}`", f"{program.file.path}, a {_described(program)}")]
        beside, reason = _beside(tree, program)
        if reason is not None:
            reasons.append(reason)
        files = {item.path: item for item in place(tree, workdir, lambda file: file.path in beside)} if beside else {}
        files[path] = FileItem(
            path=path,
            kind="file",
            mode=0o755,
            digest=program.file.digest,
            size=program.file.size,
            source=program.file.path,
        )
        items = tuple(files[name] for name in sorted(files, key=lambda name: name.replace("/", "\0")))
        return ApplicationPlan(
            layers=(LayerPlan(title="application", role="application", sources=(FilesSource(items),)),),
            config=_config(settings, path, workdir),
            reasons=tuple(reasons),
        )


def claim(tree: ProjectTree) -> Recognition | None:
    """The folder as one of a program, where it has one."""
    found = _called(tree, "")
    if not found:
        return None
    paths = ", ".join(program.file.path for program in found[:3]) + (", ..." if len(found) > 3 else "")
    return Recognition(recognise.NAME, paths, weak="/" in found[0].file.path)


def _called(tree: ProjectTree, name: str) -> tuple[Program, ...]:
    """The program of the folder, for each of its platforms: the one there is, or that is named as the folder is."""
    return called(programs(tree), (name, tree.root.name))


def _chosen(tree: ProjectTree, settings: Settings, platform: Platform) -> Program:
    found = _called(tree, settings.name or "")
    if not found:
        raise _none(tree)
    program = fitting(found, platform)
    if program is None:
        there = sorted({program.platform for program in found})
        raise NoProgramError(
            f"there is no program for {platform}",
            details=[f"`{program.file.path}` is for {program.platform}" for program in found],
            hint=f"build it for {platform}, or pass `--platform {','.join(there)}`",
        )
    return program


def _none(tree: ProjectTree) -> ProjectError:
    several = sorted({program.name for program in programs(tree)})
    if several:
        return NoProgramError(
            f"the folder has several programs: {', '.join(several)}",
            hint="name one: as APP, or by `name` in the settings",
        )
    files = [file for file in tree.files if file.kind == "file" and "/" not in file.path]
    if len(files) == 1:
        return refuse(tree, files[0])
    return NoProgramError(
        "the folder has no program for Linux",
        hint="build it first; it is looked for at the top and in bin/, dist/, build/, out/ and target/release/, "
        "as far as the ignore file lets them be packed",
    )


def _beside(tree: ProjectTree, program: Program) -> tuple[frozenset[str], Reason | None]:
    """What of the folder comes along: all but programs and their folders, and nothing of a source tree."""
    others = [file.path for file in tree.files if file.path != program.file.path]
    if not others:
        return frozenset(), None
    source = next((path for path in others if _SOURCES.fullmatch(path)), None)
    if source is not None:
        evidence = f"{source}: this is a source tree; `--add SRC:DST` brings single things"
        return frozenset(), Reason("only the program is copied", evidence)
    known = {found.file.path for found in programs(tree)}
    made = {path.partition("/")[0] for path in known if "/" in path}
    kept = frozenset(path for path in others if path not in known and path.partition("/")[0] not in made)
    if not kept:
        return kept, None
    return kept, Reason("what lies beside the program is copied as well", "it may be read when it runs")


def _described(program: Program) -> str:
    if program.static:
        return f"static program for {program.platform}"
    return f"program for {program.platform}, linked against {program.elf.interpreter.rpartition('/')[2]}"


def _config(settings: Settings, path: str, workdir: str) -> ConfigPlan:
    """What is stated wins; a command is the program's arguments, whether or not it names the program first."""
    if settings.entrypoint is not None:
        return ConfigPlan(entrypoint=settings.entrypoint, cmd=settings.cmd, workdir=workdir)
    words = settings.cmd or ()
    own = (path, posixpath.basename(path), f"./{posixpath.basename(path)}")
    return ConfigPlan(entrypoint=(path,), cmd=words[1:] if words[:1] and words[0] in own else words, workdir=workdir)
