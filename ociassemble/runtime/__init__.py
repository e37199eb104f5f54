"""Start an image with a container runtime of the host. Nothing here unpacks an image: runtimes and umoci do.

`probe` says which runtimes are there and why others are not used; `run` and `start` start an image out of an OCI
layout: read-only root, the image's own user, no capabilities, a tmpfs on /tmp.
"""
