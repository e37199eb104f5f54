"""Images: immutable values over verified documents and lazily opened blobs.

A registry keeps a graph: an index points at manifests, a manifest at a config and at layers, each by digest. A
`Node` is that graph as it is, whatever it holds (images, attestations, artifacts), and is what gets copied. An
`Image` is one node understood: manifest, config, layers with their diff_ids.
"""
