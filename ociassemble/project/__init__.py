"""The source tree: which files of a folder are packed, and the settings that stand beside them."""
