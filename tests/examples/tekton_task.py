"""The part of Tekton's Task (tekton.dev/v1) that our template uses, as a JSON Schema: names and types, nothing more.

Tekton publishes its schema only inside its own repository (config/300-crds/300-task.yaml); no package carries it. The
template was held against that one, too.
"""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}


def _object(required: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


_STEP = _object(
    ("name", "image"),
    name=TEXT,
    image=TEXT,
    workingDir=TEXT,
    env=_list(_object(("name",), name=TEXT, value={"type": "string"})),
    args=_list(TEXT),
    command=_list(TEXT),
    securityContext=_object(
        runAsNonRoot={"type": "boolean"},
        runAsUser={"type": "integer"},
        readOnlyRootFilesystem={"type": "boolean"},
        allowPrivilegeEscalation={"type": "boolean"},
        capabilities=_object(add=_list(TEXT), drop=_list(TEXT)),
    ),
    volumeMounts=_list(_object(("name", "mountPath"), name=TEXT, mountPath=TEXT, readOnly={"type": "boolean"})),
)

SCHEMA = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "tekton.dev/v1"},
    kind={"const": "Task"},
    metadata=_object(("name",), name=TEXT),
    spec=_object(
        ("steps",),
        description=TEXT,
        params=_list(
            _object(
                ("name",),
                name=TEXT,
                type={"enum": ["string", "array", "object"]},
                description=TEXT,
                default={"type": "string"},
            )
        ),
        workspaces=_list(
            _object(
                ("name",),
                name=TEXT,
                description=TEXT,
                optional={"type": "boolean"},
                readOnly={"type": "boolean"},
                mountPath=TEXT,
            )
        ),
        results=_list(_object(("name",), name=TEXT, description=TEXT, type={"enum": ["string", "array", "object"]})),
        steps=_list(_STEP),
        volumes=_list(_object(("name",), name=TEXT, emptyDir={"type": "object"})),
    ),
)
