"""The Python kind: which packages a project needs, where they go, how it starts (specs/behaviour/python-kind.md)."""
