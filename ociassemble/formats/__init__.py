"""Pure grammars over bytes and streams: tar, zip, ar, deb822, ELF, OpenPGP. Total: they return or raise our error."""
