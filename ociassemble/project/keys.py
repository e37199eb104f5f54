"""Every setting: its name, its type, its meaning (specs/behaviour/packing.md, PACK-40 on).

One table, from which values are checked and from which the JSON Schema in specs/schema/settings.schema.json is
made; a test holds the file and the table together. The types are in `project.values`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ociassemble.project.values import (
    ANNOTATIONS,
    BOOLEAN,
    BY_NAME,
    COMMAND,
    COMMANDS,
    COMPRESSION,
    COUNT,
    DURATION,
    EPOCH,
    FINGERPRINTS,
    PATH,
    PATHS,
    PATTERNS,
    PORTS,
    REMOVABLE,
    SIGNAL,
    STRING,
    STRINGS,
    SettingError,
    Type,
    nearest,
    one_of,
    wrong,
)

KINDS = ("auto", "python", "node", "java", "binary", "directory")
BASE_SOURCES = ("auto", "registry", "debian")
LAYERS = ("auto", "single", "per-package")


class Key(NamedTuple):
    """One setting. A table inside the table (`python`) comes out of its check as fields by name."""

    name: str  # as written: kebab-case
    type: Type
    meaning: str

    @property
    def field(self) -> str:
        return self.name.replace("-", "_")


def _table(name: str, keys: Mapping[str, Key]) -> Type:
    """A table of its own keys; what comes out of its check are fields by name."""

    def check(value: Any, shown: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise wrong(shown, "a table", value)
        return fields(value, keys, f"{name}.")

    return Type(check, {"type": "object", "additionalProperties": False, "properties": _properties(keys)})


def _properties(keys: Mapping[str, Key]) -> dict[str, Any]:
    return {name: {**key.type.schema, "description": key.meaning} for name, key in keys.items()}


def _keys(*keys: Key) -> dict[str, Key]:
    return {key.name: key for key in keys}


HEALTHCHECK_KEYS = _keys(
    Key("cmd", COMMAND, "What is run in the container to see whether it is well; nothing in it takes the base's away."),
    Key("interval", DURATION, "Time between two checks, like 30s."),
    Key("timeout", DURATION, "How long one check may take."),
    Key("start-period", DURATION, "How long failures do not count after the start."),
    Key("start-interval", DURATION, "Time between two checks while the application starts."),
    Key("retries", COUNT, "How many failures in a row make the container unhealthy."),
    Key("disable", BOOLEAN, "No check, whatever the base says."),
)

BUILD_KEYS = _keys(
    Key("run", COMMANDS, "Commands to run in the project's folder before it is read, like npm run build. No shell."),
    Key("include", PATTERNS, "Paths to pack though an ignore file leaves them out, like dist/**."),
    Key("exclude", PATTERNS, "Paths to leave out, whatever else includes them."),
)

NODE_KEYS = _keys(
    Key("workspace", STRING, "The workspace that is the application: its name, or its folder."),
    Key("omit-optional", BOOLEAN, "Leave optional dependencies out, as `npm ci --omit=optional` does."),
    Key("prebuilt", BOOLEAN, "Pack the project's node_modules folder as it is, and install nothing."),
)

PYTHON_KEYS = _keys(
    Key("extras", STRINGS, "Extras of the project to install."),
    Key("groups", STRINGS, "Dependency groups to install."),
    Key("index-url", STRING, "The package index to ask, instead of the configured one. Never recorded."),
    Key("extra-index-urls", STRINGS, "Further package indexes. Never recorded."),
    Key("find-links", STRINGS, "Folders or pages of wheels to look into. Never recorded."),
    Key("requirements", STRING, "The file that names the dependencies, where there is more than one."),
    Key("site", STRING, "The directory of the image for packages, instead of the base's own."),
    Key("package", STRING, "The workspace member to build."),
)

SECRETS_KEYS = _keys(
    Key(
        "allow",
        FINGERPRINTS,
        "Fingerprints of what looks like a secret and must be in the image, as the refusal tells.",
    ),
)

KEYS = _keys(
    Key("name", STRING, "The application's name, for titles and default tags."),
    Key("base", STRING, "The base image: a short name or a reference."),
    Key("kind", one_of(*KINDS), "The kind of application, instead of finding out."),
    Key("tags", STRINGS, "Names for the result."),
    Key("platforms", STRINGS, "Platforms to build for, like linux/arm64; `all` of the base."),
    Key("env", REMOVABLE, "Environment variables; false takes the base's away."),
    Key("labels", REMOVABLE, "Labels of the image; false takes the base's away."),
    Key("annotations", REMOVABLE, "Annotations of the manifest, or `index:KEY` of the index, or `index,manifest:KEY`."),
    Key("annotate", ANNOTATIONS, "Where annotations come from unasked: project (the default), git, none."),
    Key("user", STRING, "The user the image runs as: a name, a number, or user:group."),
    Key("workdir", STRING, "The working directory, where the application is put."),
    Key("entrypoint", COMMAND, "The entrypoint: a list of words, or one string split as a shell splits it."),
    Key("cmd", COMMAND, "The command: a list of words, or one string split as a shell splits it."),
    Key("ports", PORTS, "Ports the application listens on; `8080-` takes one away."),
    Key("volumes", STRINGS, "Directories that are meant to be volumes; `/data-` takes one away."),
    Key("stop-signal", SIGNAL, "The signal that ends the application, like SIGINT."),
    Key("healthcheck", _table("healthcheck", HEALTHCHECK_KEYS), "How to see whether the application is well."),
    Key("add", STRINGS, "Further files: SRC:DST[,chown=U:G][,chmod=M]."),
    Key("wheels", PATHS, "Wheels you built yourself, relative to the folder."),
    Key("ca-certs", PATHS, "Authorities that programs in the image trust as well: PEM or DER files."),
    Key("ignorefile", PATH, "The ignore file, instead of .ociassembleignore or .dockerignore."),
    Key("base-source", one_of(*BASE_SOURCES), "Where a known base comes from."),
    Key("bases", BY_NAME, "What short base names stand for."),
    Key("compression", COMPRESSION, "How layers are compressed: gzip, zstd or none, and a level."),
    Key("layers", one_of(*LAYERS), "How dependencies are cut into layers."),
    Key("debian-mirror", STRING, "A mirror that holds debian/ and debian-security/. Never recorded."),
    Key("node-mirror", STRING, "A mirror of Node's releases, holding v24.21.0/ and so on. Never recorded."),
    Key("build", _table("build", BUILD_KEYS), "What is done before the folder is packed, and what is packed of it."),
    Key("node", _table("node", NODE_KEYS), "Settings of Node applications."),
    Key("python", _table("python", PYTHON_KEYS), "Settings of Python applications."),
    Key("secrets", _table("secrets", SECRETS_KEYS), "What the guard against secrets lets pass."),
    Key("strict-references", BOOLEAN, "Refuse short base names."),
    Key("cache-from", STRINGS, "Images of registries whose finished layers are used as well."),
    Key("cache-repo", STRING, "A repository of finished layers: read, and written by builds that push."),
    Key("source-date-epoch", EPOCH, "What `created` says: seconds since 1970, git or now. SOURCE_DATE_EPOCH wins."),
)

# Keys that are tables with keys of their own.
TABLES: dict[str, dict[str, Key]] = {
    "build": BUILD_KEYS,
    "healthcheck": HEALTHCHECK_KEYS,
    "node": NODE_KEYS,
    "python": PYTHON_KEYS,
    "secrets": SECRETS_KEYS,
}
# Settings there were, and what there is now.
_GONE = {"allow-secrets": "secrets are allowed one by one: build, and copy the fingerprint to `[secrets] allow`"}

# What the option of a setting is called, where it is called otherwise.
OPTIONS = {
    "tags": "tag",
    "platforms": "platform",
    "labels": "label",
    "annotations": "annotation",
    "ports": "expose",
    "volumes": "volume",
    "wheels": "wheel",
    "ca-certs": "ca-cert",
    "extras": "extra",
    "groups": "group",
}


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a settings file; specs/schema/settings.schema.json is this, written down."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": 'Settings of ociassemble: ociassemble.toml, [tool.ociassemble], or "ociassemble" in package.json',
        "type": "object",
        "additionalProperties": False,
        "properties": _properties(KEYS),
    }


def fields(table: Mapping[str, Any], keys: Mapping[str, Key] = KEYS, prefix: str = "") -> dict[str, Any]:
    """The checked values of a table by field name; `SettingError` for an unknown key or a wrong type."""
    result: dict[str, Any] = {}
    for name, value in table.items():
        key = keys.get(name)
        if key is None:
            raise SettingError(
                f"there is no setting `{prefix}{name}`", hint=_GONE.get(name) or nearest(name, tuple(keys))
            )
        result[key.field] = key.type.check(value, f"`{prefix}{name}`")
    return result
