"""Finished layers against the lock (LOCK-8)."""

from __future__ import annotations

import pytest

from ociassemble.content.blob import Blob
from ociassemble.image.image import Layer
from ociassemble.layer.build import BuiltLayer
from ociassemble.layer.key import layer_key
from ociassemble.lock.held import LockedLayerError, hold
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.plan.lock import LockedPlatform
from ociassemble.plan.locked import LockedFacts, LockedLayer
from ociassemble.plan.locked_base import RegistryBase
from ociassemble.plan.plan import LayerPlan, TextSource
from ociassemble.progress import Event, Note, Progress

PLAN = LayerPlan(title="dependencies", role="dependency", sources=(TextSource("/x", "x"),))
DATA = b"compressed"
DIGEST, DIFF_ID = Digest.of(DATA), Digest.of(b"tar")
CODEC = "gzip:zlib-ng/1:3:262144"
BASE = RegistryBase(Digest.of(b"base"), 1, "application/vnd.oci.image.manifest.v1+json", ())


def built(diff_id: Digest = DIFF_ID, codec: str = CODEC) -> BuiltLayer:
    descriptor = Descriptor(media_type="application/vnd.oci.image.layer.v1.tar+gzip", digest=DIGEST, size=len(DATA))
    return BuiltLayer(Layer(blob=Blob.of(DATA, descriptor), diff_id=diff_id), codec)


def locked(**changes: object) -> LockedPlatform:
    layer = LockedLayer("dependencies", layer_key(PLAN), DIFF_ID, DIGEST, len(DATA), CODEC)._replace(**changes)  # type: ignore[arg-type]
    return LockedPlatform(facts=LockedFacts("debian", "13", "glibc", "2.41"), base=BASE, layers=(layer,))


def held(lock: LockedPlatform, layer: BuiltLayer, *, strict: bool = True, plan: LayerPlan = PLAN) -> list[Event]:
    events: list[Event] = []
    hold(lock, (plan,), (layer,), strict=strict, progress=Progress(events.append))
    return events


@pytest.mark.spec("LOCK-8")
def test_the_locked_layer_passes() -> None:
    assert held(locked(), built()) == []


@pytest.mark.spec("LOCK-8")
@pytest.mark.parametrize("strict", [True, False])
def test_another_tar_under_the_same_key_is_refused(strict: bool) -> None:
    with pytest.raises(LockedLayerError, match="is not what was locked"):
        held(locked(), built(Digest.of(b"other tar")), strict=strict)


@pytest.mark.spec("LOCK-8")
@pytest.mark.parametrize("strict", [True, False])
def test_another_digest_under_the_same_codec_is_refused(strict: bool) -> None:
    with pytest.raises(LockedLayerError, match="not the locked digest"):
        held(locked(digest=Digest.of(b"other")), built(), strict=strict)


@pytest.mark.spec("LOCK-8")
def test_another_codec_is_told_and_refused_where_locked() -> None:
    (note,) = held(locked(), built(codec="none"), strict=False)
    assert isinstance(note, Note) and CODEC in note.text
    with pytest.raises(LockedLayerError, match="was locked as compressed by"):
        held(locked(), built(codec="none"))
    with pytest.raises(LockedLayerError, match="is not what was locked"):
        held(locked(), built(Digest.of(b"other tar"), codec="none"), strict=False)


@pytest.mark.spec("LOCK-8")
def test_an_unknown_layer_is_refused_on_a_pinned_base_only() -> None:
    other = PLAN._replace(links=(("lib", "usr/lib"),))
    with pytest.raises(LockedLayerError, match="is not in the lock"):
        held(locked(), built(), plan=other)
    assert held(locked(), built(), plan=other, strict=False) == []
    assert held(locked()._replace(base=None), built(), plan=other) == []


@pytest.mark.spec("LOCK-8")
def test_the_application_is_never_locked() -> None:
    assert held(locked(), built(Digest.of(b"x")), plan=PLAN._replace(role="application")) == []
