"""Where images live: registries, OCI layouts, the local image store. One source, one destination, one push order."""
