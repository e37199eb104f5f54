"""For tests, ours and others': images made to order, in every dialect that registries hold.

Nothing outside this room imports it. `images` makes layers from dictionaries, images and indexes of both dialects
(OCI and Docker schema 2), and writes them to a layout or a registry.
"""
