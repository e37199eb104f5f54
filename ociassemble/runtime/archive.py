"""The archive that `docker load` and `nerdctl load` read: an OCI layout with Docker's own table of contents in front.

Engines before the containerd image store know only `manifest.json`; all of them take compressed layers.
"""

from __future__ import annotations

import json
from pathlib import Path

from ociassemble import _files
from ociassemble.content.blob import Blob
from ociassemble.content.verify import blocks
from ociassemble.errors import NotFoundError
from ociassemble.formats import tar
from ociassemble.oci.descriptor import Descriptor
from ociassemble.runtime.request import RunRequest


def write_archive(destination: Path, request: RunRequest, name: str) -> None:
    """Write the image of `request` as `name` ("host/repo:tag") to the file `destination`."""
    manifest = request.manifest
    index = {
        "schemaVersion": 2,
        "manifests": [
            {**manifest.descriptor.document(), "annotations": {"io.containerd.image.name": name}},
        ],
    }
    docker = [
        {
            "Config": _path(manifest.config),
            "RepoTags": [name],
            "Layers": [_path(layer) for layer in manifest.layers],
        }
    ]
    documents = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index).encode(),
        "manifest.json": json.dumps(docker).encode(),
        _path(manifest.descriptor): manifest.raw,
        _path(manifest.config): request.config.raw,
    }
    with _files.TemporaryFile(destination.parent) as out:
        for path, data in documents.items():
            out.write(tar.header(path, size=len(data)) + data + tar.padding(len(data)))
        for layer in {item.digest: item for item in manifest.layers}.values():
            out.write(tar.header(_path(layer), size=layer.size))
            _copy(request.layout / _path(layer), layer, out)
            out.write(tar.padding(layer.size))
        out.write(tar.END)
        out.commit(destination)


def _path(descriptor: Descriptor) -> str:
    return f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}"


def _copy(path: Path, layer: Descriptor, out: _files.TemporaryFile) -> None:
    try:
        stream = Blob(descriptor=layer, source=lambda: path.open("rb")).open()
    except OSError as error:
        raise NotFoundError(f"the layout lacks the blob {layer.digest}") from error
    with stream:
        for block in blocks(stream):
            out.write(block)
