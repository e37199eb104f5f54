"""Bytes by digest: blobs that open lazily and verify themselves, the store on disk, the codecs."""
