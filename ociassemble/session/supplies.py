"""Where the packages of an application come from: what each `Supply` is made with, of the session."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ociassemble.kinds.protocol import Resolution, ResolveRequest
from ociassemble.lock.application import MAX_LOCK, Application, read_lock
from ociassemble.lock.supply import Supply
from ociassemble.plan.facts import BaseFacts
from ociassemble.session import Session
from ociassemble.session.inputs import lock_path
from ociassemble.session.request import BuildRequest

if TYPE_CHECKING:
    from ociassemble.sources.index_settings import IndexSettings
    from ociassemble.sources.npm import Registries
    from ociassemble.sources.npmrc import NpmSettings


class Supplies:
    """The supplies of one build."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, request: BuildRequest, application: Application) -> Supply | None:
        """The supply of the application's packages, None where its kind has none."""
        ecosystem = application.request.ecosystem if application.request else application.kind.name
        session = self._session
        if ecosystem == "python":
            from ociassemble.lock.python import PythonSupply

            return PythonSupply(
                application,
                index=lambda: self._index(application),
                resolve=lambda asked, facts, index: self._resolve(request, application, asked, facts, index),
                wire=lambda: session.wire,
                store=session.store,
                progress=session.progress,
                jobs=session.transfers,
            )
        if ecosystem == "npm" and application.request and application.request.form != "package-lock":
            from ociassemble.lock.modules import ModulesSupply

            return ModulesSupply(
                application,
                environment=session.environment.variables,
                host=session.host_platform(),
                offline=session.options.offline,
                store=session.store,
                progress=session.progress,
            )
        if ecosystem == "npm":
            from ociassemble.lock.npm import NpmSupply

            return NpmSupply(
                application,
                registries=lambda: self._registries(application.tree.root),
                wire=lambda: session.wire,
                store=session.store,
                progress=session.progress,
                jobs=session.transfers,
            )
        return None

    # ------------------------------------------------------------------------------------ Python

    def _resolve(
        self,
        request: BuildRequest,
        application: Application,
        asked: ResolveRequest,
        facts: BaseFacts,
        index: IndexSettings,
    ) -> Resolution:
        from ociassemble.layer.wheel import wheel_name
        from ociassemble.lock.resolve import Upgrade, resolve

        environment = self._session.environment
        before = read_lock(lock_path(request)) if request.keep else None
        locked = [package for item in before.platforms.values() for package in item.packages] if before else []
        return resolve(
            asked,
            lambda path: application.tree.bytes_of(path, MAX_LOCK),
            minor=facts.python.minor if facts.python else "",
            index=index,
            environment=environment.variables,
            home=environment.home,
            python=environment.python,
            prefix=environment.prefix,
            trust=self._session.trust,
            offline=self._session.options.offline,
            wheels={wheel_name(path.name).name: path for path in application.settings.wheels},
            previous=locked,
            upgrade=Upgrade(names=request.upgrade),
            progress=self._session.progress,
        )

    def _index(self, application: Application) -> IndexSettings:
        from ociassemble.lock import uv
        from ociassemble.net.url import redact
        from ociassemble.sources import index_settings

        environment, tree, settings = self._session.environment, application.tree, application.settings.python
        inputs = application.request.inputs if application.request else ()
        names = [name for name in ("uv.toml", "pyproject.toml", *inputs) if tree.has(name)]
        found = index_settings.discover(
            index_url=settings.index_url,
            extra_index_urls=settings.extra_index_urls,
            find_links=settings.find_links,
            environment=environment.variables,
            home=environment.home,
            prefix=environment.prefix,
            folder=tree.root,
            project={name: tree.bytes_of(name, MAX_LOCK) for name in names},
        )
        if found.by != "default":
            # Without a lock the index says which bytes are right: nobody should have to guess who chose it.
            places = [redact(index.url) for index in found.indexes] + [redact(link) for link in found.find_links]
            self._session.progress.info(f"packages from {', '.join(places) or 'nowhere'} ({found.by} says so)")
        if self._session.options.offline:
            return found
        program = uv.find(environment=environment.variables, prefix=environment.prefix, python=environment.python)
        return index_settings.complete(found, program, python=environment.python, environment=environment.variables)

    # ------------------------------------------------------------------------------------ npm

    def npm(self, folder: Path) -> NpmSettings:
        """What npm is configured with for the project in `folder`; its registry always has a name."""
        found = self._npm_settings(folder)
        return found if found.registry else replace(found, registry=self._npm_default(), by="npm")

    def _registries(self, folder: Path) -> Registries:
        from ociassemble.net.url import redact
        from ociassemble.sources.npm import Registries

        found = self._npm_settings(folder)
        if found.registry:
            self._session.progress.info(f"npm packages from {redact(found.registry)} ({found.by} says so)")
        for scope, url in sorted(found.scopes.items()):
            who = "" if url in found.chosen else ": the project's .npmrc says so"
            self._session.progress.info(f"npm packages of {scope} from {redact(url)}{who}")
        # Asked for every package of a lock that names no URLs: npm takes half a second to answer.
        return Registries(found, functools.cache(self._npm_default))

    def _npm_settings(self, folder: Path) -> NpmSettings:
        """What npm's files and environment say for the project in `folder`; what is not followed is told."""
        from ociassemble import _run
        from ociassemble.net import trust
        from ociassemble.sources import npmrc

        environment = self._session.environment
        node = _run.find("node", path=environment.variables.get("PATH"))
        found = npmrc.discover(
            environment=environment.variables,
            home=environment.home,
            folder=folder,
            node=Path(node) if node else None,
            trusted=trust.files(self._session.trust),
        )
        for note in found.notes:
            self._session.progress.warn(note)
        for line in found.told:
            self._session.progress.info(line)
        return found

    def _npm_default(self) -> str:
        """The registry that the installed npm uses where nobody names one."""
        from ociassemble import _run
        from ociassemble.sources import npmrc

        environment = self._session.environment
        npm = _run.find("npm", path=environment.variables.get("PATH"))
        if npm is None:
            raise npmrc.no_registry("there is no npm to ask for its own")
        # Where the user's own file lies there is no project's. Build agents often have no home at all.
        folder = environment.home if environment.home.is_dir() else Path("/")
        return npmrc.ask_default(npm, environment=environment.variables, folder=folder)
