"""One digest: the same lock, files and version give the same bytes on every machine (specs/behaviour/digest.md)."""
