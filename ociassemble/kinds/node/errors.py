"""What can be wrong with a Node project; each class owns the stable code that scripts may rely on."""

from __future__ import annotations

from ociassemble.errors import ProjectError


class ManifestError(ProjectError):
    """A package.json that cannot be read."""

    code = "project.package-json"


class LockMissingError(ProjectError):
    """Dependencies, and no package-lock.json that says which."""

    code = "project.package-lock-missing"


class PackageLockError(ProjectError):
    """A package-lock.json that cannot be read, or names what cannot be fetched by hash."""

    code = "project.package-lock"


class DisagreeError(ProjectError):
    """package.json and package-lock.json name different dependencies."""

    code = "project.package-lock-disagrees"


class UnsupportedPackageError(ProjectError):
    """A package that is required does not work on the platform that is built for."""

    code = "project.package-platform"


class NativeAddonError(ProjectError):
    """A package must be compiled when it is installed."""

    code = "project.native-addon"


class NoNodeError(ProjectError):
    """The base holds no Node."""

    code = "project.no-node"


class NodeVersionError(ProjectError):
    """The base's Node is not one that the application accepts."""

    code = "project.node-version"


class NodeStartError(ProjectError):
    """How the application starts is unknown, ambiguous, or needs a shell or a build."""

    code = "project.node-start"


class WorkspaceError(ProjectError):
    """There is no workspace of that name, or its folder is missing."""

    code = "project.workspace"
