"""Application kinds: each says what it recognises, what must be resolved, and what the layers hold."""
