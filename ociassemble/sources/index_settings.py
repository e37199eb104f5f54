"""Which Python indexes are configured, and by whom (specs/behaviour/lock.md, LOCK-16 and LOCK-18).

The settings win, then uv's own environment and files, then pip's; the first that names anything is taken whole,
so that no index is asked that its owner did not put beside the others. Nothing here knows the name of any index: a
default that nobody wrote down is asked of the installed tool (`ask_default`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from ociassemble import _run
from ociassemble.errors import Error, UsageError
from ociassemble.net.url import Origin, is_loopback, origin

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.ASCII | re.IGNORECASE)
_DEFAULT = re.compile(r"--index-url <\w+>.*?\(\s*default:?\s+(\S+?)\s*\)", re.DOTALL)
_EMITTED = re.compile(r"^--index-url\s+(\S+)$", re.MULTILINE)

By = Literal["settings", "uv", "pip", "default"]
Read = Callable[[Path], "bytes | None"]  # a file's bytes, None where there is none


class IndexSettingError(UsageError):
    """A configured index is not a URL or folder, or a file that configures indexes cannot be read."""

    code = "usage.index"


class Index(NamedTuple):
    """A simple index (PEP 503, PEP 691). `url` has neither userinfo nor a slash at its end."""

    url: str  # http, https or file
    userinfo: str = ""  # "user:password", percent-encoded as it was written
    name: str = ""

    @classmethod
    def parse(cls, text: str, folder: Path, name: str = "") -> Index:
        """From a URL, or from a path relative to `folder`."""
        text = text.strip()
        if not _SCHEME.match(text):
            text = (folder / text).absolute().as_uri()
        try:
            parts = urlsplit(text)
            _ = parts.port
        except ValueError:
            raise IndexSettingError("a configured package index is not a URL", details=[_shown(text)]) from None
        userinfo, _, authority = parts.netloc.rpartition("@")
        local = parts.scheme == "file" and authority in ("", "localhost")
        if not local and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise IndexSettingError(f"the package index `{_shown(text)}` is neither http, https nor file")
        return cls(f"{parts.scheme}://{authority}{parts.path.rstrip('/')}", userinfo, name)

    @property
    def origin(self) -> Origin | None:
        return None if self.url.startswith("file:") else origin(self.url)

    @property
    def secret_url(self) -> str:
        """With its userinfo: for asking, never for showing."""
        return self.url.replace("://", f"://{self.userinfo}@", 1) if self.userinfo else self.url

    def page(self, name: str) -> str:
        """The URL of the page of a package, by its normalised name."""
        return f"{self.url}/{name}/"

    def __repr__(self) -> str:
        return f"Index({_shown(self.url)!r}{', with credentials' if self.userinfo else ''})"


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSettings:
    """The indexes of one run. `default` None means that nobody named one and the tool has not been asked yet."""

    by: By = "default"
    default: Index | None = None
    extra: tuple[Index, ...] = ()
    find_links: tuple[str, ...] = ()  # absolute paths, or URLs of pages
    no_index: bool = False
    netrc: Mapping[str, str] = field(default_factory=dict, repr=False)  # host -> userinfo

    @property
    def indexes(self) -> tuple[Index, ...]:
        """In the order they are searched: uv looks at extra indexes first; pip prefers none."""
        if self.no_index:
            return ()
        default = () if self.default is None else (self.default,)
        return (*default, *self.extra) if self.by == "pip" else (*self.extra, *default)

    @property
    def merged(self) -> bool:
        """Whether versions of all indexes compete, as pip has it; else the first index with a package decides."""
        return self.by == "pip"

    def needs_default(self) -> bool:
        return self.default is None and not self.no_index

    def with_default(self, url: str) -> IndexSettings:
        """With the default that the installed tool told."""
        return replace(self, default=Index.parse(url, Path("/")))

    def authorised(self, url: str) -> str:
        """`url` with the userinfo that belongs to its origin, if there is any; for asking, never for showing."""
        if "@" in url.partition("://")[2].partition("/")[0]:
            return url
        try:
            where = origin(url)
        except Error:
            return url
        found = [index.userinfo for index in self._all() if index.userinfo and index.origin == where]
        if not found and (where.scheme == "https" or is_loopback(where.host)):
            found = [self.netrc[where.host]] if where.host in self.netrc else []
        return url.replace("://", f"://{found[0]}@", 1) if found else url

    def secrets(self) -> tuple[str, ...]:
        """Every text that must not be shown."""
        userinfos = [*(index.userinfo for index in self._all() if index.userinfo), *self.netrc.values()]
        passwords = [userinfo.partition(":")[2] for userinfo in userinfos]
        return tuple(text for text in (*userinfos, *passwords) if text)

    def _all(self) -> tuple[Index, ...]:
        return (*self.extra, *(() if self.default is None else (self.default,)))


class Named(NamedTuple):
    """What one tool's environment and files name, the most important first."""

    default: Index | None = None
    extra: tuple[Index, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False

    def over(self, lower: Named) -> Named:
        """Merged with what is less important."""
        return Named(
            self.default or lower.default,
            tuple(dict.fromkeys((*self.extra, *lower.extra))),
            tuple(dict.fromkeys((*self.find_links, *lower.find_links))),
            self.no_index or lower.no_index,
        )


def discover(
    *,
    index_url: str | None,
    extra_index_urls: Iterable[str],
    find_links: Iterable[str],
    environment: Mapping[str, str],
    home: Path,
    prefix: Path,
    folder: Path,
    project: Mapping[str, bytes],
    read: Read | None = None,
) -> IndexSettings:
    """The configured indexes.

    The first three are the settings' own. `prefix` is where our installation is (pip's site configuration),
    `folder` the project's folder, `project` its `uv.toml`, `pyproject.toml` and requirements files by name as far
    as they are there. `read` reads the files of uv, pip and netrc; it is for tests.
    """
    from ociassemble.sources import pip_config, uv_config

    read = read or read_file
    stated = Named(
        None if index_url is None else Index.parse(index_url, folder),
        tuple(Index.parse(url, folder) for url in extra_index_urls),
        tuple(place(item, folder) for item in find_links),
    )
    levels: tuple[tuple[By, Callable[[], Named]], ...] = (
        ("settings", lambda: stated),
        ("uv", lambda: uv_config.named(environment, home, folder, project, read)),
        ("pip", lambda: pip_config.named(environment, home, prefix, folder, read)),
    )
    netrc = _netrc(Path(environment.get("NETRC") or home / ".netrc"), read)
    for by, level in levels:
        named = level()
        if named != Named():
            return IndexSettings(by=by, netrc=netrc, **named._asdict())
    return IndexSettings(netrc=netrc)


def ask_default(uv: str | None, *, python: Path, environment: Mapping[str, str], folder: Path) -> str:
    """The index that the installed tool uses where nobody named one: uv's, else pip's; they are run in `folder`.

    Raises IndexSettingError where neither tool is there or tells.
    """
    asked = []
    if uv is not None:
        asked.append(([uv, "pip", "compile", "--offline", "--emit-index-url", "--python", str(python), "-"], _EMITTED))
    pip = _run.find("pip", path=environment.get("PATH"))
    asked.append(([str(python), "-m", "pip", "download", "--help"], _DEFAULT))
    if pip is not None:
        asked.append(([pip, "download", "--help"], _DEFAULT))
    plain = {name: value for name, value in environment.items() if not name.startswith(("PIP_", "COLUMNS"))}
    for argv, pattern in asked:
        try:
            done = _run.run(argv, environment=plain, folder=folder, timeout=60, check=False)
        except Error:
            continue
        found = pattern.search(done.stdout.decode("utf-8", "replace"))
        if done.returncode == 0 and found:
            return found[1]
    raise IndexSettingError(
        "no package index is configured, and neither uv nor pip is there to tell its default",
        hint="set `index-url` in [tool.ociassemble.python], or install uv: `pip install 'ociassemble[uv]'`",
    )


def complete(index: IndexSettings, uv: str | None, *, python: Path, environment: Mapping[str, str]) -> IndexSettings:
    """`index` with a default, asked of the installed tool where nobody named one."""
    if not index.needs_default():
        return index
    root = Path(python.anchor or "/")  # no settings of a project there
    return index.with_default(ask_default(uv, python=python, environment=environment, folder=root))


def place(text: str, folder: Path) -> str:
    """A `find-links` place: a URL of http or https as it is, anything else as an absolute path."""
    if text.lower().startswith("file:"):
        from urllib.parse import unquote

        return unquote(urlsplit(text).path)
    return text if _SCHEME.match(text) else str((folder / text).absolute())


def _netrc(path: Path, read: Read) -> dict[str, str]:
    """Host to userinfo; a file that cannot be read counts as none, as for pip and uv."""
    import netrc
    from urllib.parse import quote

    if read(path) is None:
        return {}
    try:
        hosts = netrc.netrc(str(path)).hosts
    except (netrc.NetrcParseError, OSError, ValueError):
        return {}
    return {
        host.lower(): f"{quote(login, safe='')}:{quote(password or '', safe='')}"
        for host, (login, _, password) in hosts.items()
        if host != "default"
    }


def read_file(path: Path) -> bytes | None:
    """The bytes of a file of settings, None where there is none that we may read."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return None
    except (OSError, ValueError) as error:
        raise IndexSettingError(f"`{path}` cannot be read: {error}") from error


def _shown(url: str) -> str:
    from ociassemble.net.url import redact

    return redact(url)
