"""The Python kind: which packages a project needs, where they go, how it starts (specs/behaviour/python-kind.md)."""

from ociassemble.kinds.python.kind import Python as Python
