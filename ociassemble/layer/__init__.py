"""From plan to layer: keys, sources (wheels, Debian packages, files), the tar writer's rules, partitioning."""
