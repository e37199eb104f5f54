"""Locking: whether a lock is fresh, and asking resolvers where it is not."""
