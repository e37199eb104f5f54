"""ociassemble: put an application into an OCI image without a container daemon.

START HERE: `ociassemble.build` reads as the table of the walk from a folder to a pushed image.
"""

__version__ = "0.1.0.dev0"
