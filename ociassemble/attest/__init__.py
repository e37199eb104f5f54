"""Supply chain: who signed what. The only room that does cryptography."""
