"""The vocabulary: frozen values of the OCI image and distribution specifications. No I/O, no third parties."""
