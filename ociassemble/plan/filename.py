"""What the lock is called."""

FILENAME = "ociassemble.lock"
