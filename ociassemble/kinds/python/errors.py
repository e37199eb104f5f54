"""What can be wrong with a Python project; each class owns the stable code that scripts may rely on."""

from __future__ import annotations

from ociassemble.errors import IntegrityError, ProjectError


class InputError(ProjectError):
    """The file that says which packages are needed is missing, broken, or of a kind that cannot be used."""

    code = "project.python-input"


class RequirementsError(ProjectError):
    """A line of a requirements file that cannot be honoured."""

    code = "project.requirements"


class LockError(ProjectError):
    """A pylock.toml that breaks its specification (PEP 751), or does not cover what is asked of it."""

    code = "project.pylock"


class ManifestError(ProjectError):
    """A pyproject.toml that cannot be read."""

    code = "project.pyproject"


class NoWheelError(ProjectError):
    """A package has no wheel that the base's Python can import; sources are never built."""

    code = "project.no-wheel"


class NoPythonError(ProjectError):
    """The base holds no Python interpreter."""

    code = "project.no-python"


class PythonVersionError(ProjectError):
    """The base's Python is not one that the project or a package accepts."""

    code = "project.python-version"


class NeedsBuildError(ProjectError):
    """A local package must be compiled, or has files that only its build makes."""

    code = "project.needs-build"


class StartCommandError(ProjectError):
    """How the application starts is unknown, ambiguous, or needs a shell."""

    code = "project.start-command"


class NoServerError(ProjectError):
    """A web framework was recognised and no server for it is among the dependencies."""

    code = "project.no-server"


class LockedHashError(IntegrityError):
    """What was resolved is not what the input pins by hash."""

    code = "integrity.locked-hash"


class WeakHashError(IntegrityError):
    """A lock that names an artifact without a sha256."""

    code = "integrity.weak-hash"
