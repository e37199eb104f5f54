"""What holds for every test: loopback only, a home of its own, a clean working tree, and no silent rise of skips."""

from __future__ import annotations

import errno
import ipaddress
import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before hypothesis is imported by any test module: its folder must not appear in the working tree.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(os.environ.get("TMPDIR", "/tmp")) / "hypothesis"))

import hypothesis
import pytest

from tests.peers import crane, docker_registry, docker_registry_factory, runc, skopeo, umoci

__all__ = ["crane", "docker_registry", "docker_registry_factory", "runc", "skopeo", "umoci"]

REPOSITORY = Path(__file__).parent.parent
ALLOWED_SKIPS = Path(__file__).parent / "allowed-skips"
IN_CI = os.environ.get("CI", "").lower() in ("1", "true")

# The same examples on every run, so that a red run can be had again; `make test-long` looks further.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True, database=None, max_examples=60)
hypothesis.settings.register_profile("long", deadline=None, database=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


# --- the network: loopback, or marked `packages` -------------------------------------------------------------


class NetworkGuardError(RuntimeError):
    """A test without the mark `packages` tried to leave the machine."""


_DOCUMENTATION = tuple(
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)


class _Guard:
    """Stands at the socket seam of this process. What it refused fails the test even when code swallowed the error.

    Names and addresses reserved for documentation (RFC 2606, RFC 5737) answer as an unplugged cable would: a name
    does not resolve, an address is unroutable. That is how tests say "unreachable" without a network.
    """

    def __init__(self) -> None:
        self.open = False
        self.refused: list[str] = []
        self._connect, self._connect_ex, self._sendto = (
            socket.socket.connect,
            socket.socket.connect_ex,
            socket.socket.sendto,
        )
        self._getaddrinfo = socket.getaddrinfo

    def install(self) -> None:
        guard = self

        def connect(this: socket.socket, address: Any, /) -> None:
            guard.check(this, address)
            return guard._connect(this, address)

        def connect_ex(this: socket.socket, address: Any, /) -> int:
            guard.check(this, address)
            return guard._connect_ex(this, address)

        def sendto(this: socket.socket, data: Any, *rest: Any) -> int:
            guard.check(this, rest[-1])
            return guard._sendto(this, data, *rest)

        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            guard.check_name(host)
            return guard._getaddrinfo(host, *args, **kwargs)

        socket.socket.connect = connect  # type: ignore[method-assign]
        socket.socket.connect_ex = connect_ex  # type: ignore[method-assign]
        socket.socket.sendto = sendto  # type: ignore[method-assign,assignment]
        socket.getaddrinfo = getaddrinfo

    def check(self, this: socket.socket, address: Any) -> None:
        if self.open or this.family not in (socket.AF_INET, socket.AF_INET6):
            return
        self.check_name(address[0])

    def check_name(self, host: Any) -> None:
        if self.open or host is None:
            return
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
        if name in ("", "localhost") or name.endswith(".localhost"):
            return
        try:
            address = ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            if name.rstrip(".").rpartition(".")[2] in ("example", "invalid", "test"):
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
        else:
            if address.is_loopback or address.is_unspecified:
                return
            if any(address in network for network in _DOCUMENTATION):
                raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        self.refused.append(name)
        raise NetworkGuardError(f"this test may speak to loopback only, and tried `{name}`: mark it `packages`?")


_guard = _Guard()


@pytest.fixture(autouse=True)
def _loopback_only(request: pytest.FixtureRequest) -> Iterator[None]:
    _guard.open = request.node.get_closest_marker("packages") is not None
    _guard.refused.clear()
    yield
    refused = list(_guard.refused)
    _guard.open = False
    _guard.refused.clear()
    if refused:
        pytest.fail(f"the test tried to reach {', '.join(sorted(set(refused)))}; only loopback is allowed", False)


# --- the environment: nobody's settings, credentials or caches -----------------------------------------------

_HOMES = itertools.count()
_DROPPED = (
    "CI", "SOURCE_DATE_EPOCH", "DOCKER_CONFIG", "DOCKER_HOST", "DOCKER_CONTEXT", "REGISTRY_AUTH_FILE", "NETRC",
    "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PORT", "VIRTUAL_ENV", "CONTAINER_HOST", "COLUMNS",
)  # fmt: skip
# Where the package managers' own settings are: tests marked `packages` use the ones of this machine.
_SETTINGS = (
    ("PIP_CONFIG_FILE", (".config/pip/pip.conf", ".pip/pip.conf")),
    ("UV_CONFIG_FILE", (".config/uv/uv.toml",)),
    ("NPM_CONFIG_USERCONFIG", (".npmrc",)),
)
_REAL_HOME = Path.home()


@pytest.fixture(autouse=True)
def _own_home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HOME and the XDG folders are empty and the test's own; what steers us or our peers is unset."""
    home = tmp_path_factory.getbasetemp() / f"home-{next(_HOMES)}"
    home.mkdir(mode=0o700)
    for name in [key for key in os.environ if key.startswith("OCIASSEMBLE_")]:
        monkeypatch.delenv(name)
    for name in _DROPPED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    for name, below in (
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
        ("XDG_RUNTIME_DIR", ".run"),
    ):
        monkeypatch.setenv(name, str(home / below))
    if "UV_CACHE_DIR" not in os.environ:
        # One for the whole run: wheels are fetched once, and never into the user's own cache.
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path_factory.getbasetemp().parent / "uv-cache"))
    if request.node.get_closest_marker("packages") is not None:
        for name, places in _SETTINGS:
            for place in places:
                if name not in os.environ and (_REAL_HOME / place).is_file():
                    monkeypatch.setenv(name, str(_REAL_HOME / place))


# --- the run as a whole --------------------------------------------------------------------------------------


def _tree_state() -> str | None:
    """What git sees as changed or new in the working tree; None outside a checkout."""
    if not (REPOSITORY / ".git").exists() or shutil.which("git") is None:
        return None
    done = subprocess.run(
        ["git", "-c", f"safe.directory={REPOSITORY}", "status", "--porcelain", "--untracked-files=all"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout if done.returncode == 0 else None


def _is_controller(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    _guard.install()
    if _is_controller(config):
        config.stash[_before] = _tree_state()
        config.stash[_complaints] = []


_before = pytest.StashKey[str | None]()
_complaints = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI: fail when tests left something in the working tree, or when more are skipped than is committed."""
    config = session.config
    if not _is_controller(config):
        return
    complaints = config.stash[_complaints]
    before, after = config.stash[_before], _tree_state()
    if before is not None and after is not None and before != after:
        new = sorted(set(after.splitlines()) ^ set(before.splitlines()))
        complaints.append("the test run changed the working tree:\n  " + "\n  ".join(new))
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = sum(
        # crane comes from another suite's mirror: that it cannot be reached today is not ours to fail for.
        "crane is not installed" not in str(report.longrepr)
        for report in (reporter.stats.get("skipped", ()) if reporter is not None else ())
    )
    whole = not config.option.file_or_dir or config.option.file_or_dir == ["tests"]
    if whole and os.geteuid() == 0 and shutil.which("apt-get"):
        allowed = int(ALLOWED_SKIPS.read_text().split()[0])
        if skipped > allowed:
            complaints.append(f"{skipped} tests were skipped; tests/allowed-skips allows {allowed} with apt and root")
    if IN_CI and complaints and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for complaint in config.stash.get(_complaints, []):
        terminalreporter.write_line(("error: " if IN_CI else "note: ") + complaint, red=IN_CI, yellow=not IN_CI)
