"""Base images: what short names stand for, where a base comes from, and what is known about it."""
