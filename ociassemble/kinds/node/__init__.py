"""The Node kind: which packages an application needs, where they go, how it starts (specs/behaviour/node-kind.md)."""
