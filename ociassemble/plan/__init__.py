"""The plan: pure values from which layers are built; JSON both ways; no I/O."""
