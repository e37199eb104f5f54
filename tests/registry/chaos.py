"""A registry that works until it is told how to fail: an in-memory one behind a `ScriptedServer`'s rules."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from ociassemble.content.blob import Blob
from ociassemble.oci import mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.manifest import Manifest
from tests.net.scripted import Answer, Request, ScriptedServer


class ChaosRegistry(ScriptedServer):
    """Rules given with `on` are asked before the working registry. One repository's worth of state for all names."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__(address)
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.rules.append(("*", re.compile(r"/.*"), [self.work]))

    def add_blob(self, data: bytes, media_type: str = mediatype.OCI_LAYER) -> Descriptor:
        digest = Digest.of(data)
        self.blobs[digest] = data
        return Descriptor(media_type=media_type, digest=digest, size=len(data))

    def add_image(self, tag: str, layer: bytes = b"a layer") -> Manifest:
        config = self.add_blob(b'{"architecture":"amd64","os":"linux"}', mediatype.OCI_CONFIG)
        manifest = Manifest.create(config=config, layers=[self.add_blob(layer)])
        self.add_manifest(tag, manifest.raw, manifest.media_type)
        return manifest

    def add_manifest(self, tag: str, raw: bytes, media_type: str = mediatype.OCI_MANIFEST) -> None:
        self.manifests[tag] = self.manifests[Digest.of(raw)] = (media_type, raw)

    def work(self, request: Request) -> Answer:
        """What a registry does."""
        parts = urlsplit(request.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/v2/":
            return Answer()
        kind, _, identifier = parts.path.rpartition("/")
        if kind.endswith("/manifests"):
            return self._manifest(request, identifier)
        if request.method == "POST":
            repository = parts.path.removesuffix("/blobs/uploads/")
            return Answer(202, headers=(("Location", f"{repository}/blobs/uploads/1?_state=a%2Fb&empty="),))
        if request.method == "PUT":
            if Digest.of(request.body) != query["digest"]:
                return Answer(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}')
            self.blobs[query["digest"]] = request.body
            return Answer(201, headers=(("Docker-Content-Digest", query["digest"]),))
        data = self.blobs.get(identifier)
        if data is None:
            return Answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}')
        if found := re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", "")):
            start = int(found[1])
            where = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return Answer(206, data[start:], (("Content-Range", where),))
        return Answer(200, data)

    def _manifest(self, request: Request, identifier: str) -> Answer:
        if request.method == "PUT":
            found = (request.headers["content-type"], request.body)
            self.manifests[identifier] = self.manifests[Digest.of(request.body)] = found
            return Answer(201, headers=(("Docker-Content-Digest", Digest.of(request.body)),))
        if request.method == "DELETE":
            return Answer(202 if self.manifests.pop(identifier, None) else 404)
        if identifier not in self.manifests:
            return Answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        media_type, raw = self.manifests[identifier]
        return Answer(200, raw, (("Content-Type", media_type), ("Docker-Content-Digest", Digest.of(raw))))


def blob_of(data: bytes, media_type: str = mediatype.OCI_LAYER) -> Blob:
    """A blob in memory."""
    return Blob.of(data, Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data)))


class TokenServer(ScriptedServer):
    """Gives out `tokens` in turn for `GET /token` and `POST /token`; checks nothing, remembers everything."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__(address)
        self.given = 0
        self.on("*", r"/token.*", self.give)

    def give(self, request: Request) -> Answer:
        self.given += 1
        return Answer(body=b'{"token":"token-%d","expires_in":300}' % self.given)


def demand_bearer(registry: ScriptedServer, realm: str, *, scope: str = "", accepts: str = "Bearer token-") -> None:
    """From now on `registry` wants tokens of `realm` that begin as `accepts`."""
    then = list(registry.rules)
    work = registry.work if isinstance(registry, ChaosRegistry) else None

    def guard(request: Request) -> Answer:
        if request.headers.get("authorization", "").startswith(accepts):
            for method, pattern, replies in then:
                if method in (request.method, "*") and pattern.fullmatch(request.path):
                    found = replies.pop(0) if len(replies) > 1 else replies[0]
                    return found(request) if callable(found) else found
            assert work is not None
            return work(request)
        offer = f'Bearer realm="{realm}",service="test",scope="{scope}"' if scope else f'Bearer realm="{realm}"'
        return Answer(401, headers=(("WWW-Authenticate", offer),))

    registry.on("*", r"/v2/.*", guard)
