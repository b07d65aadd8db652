"""Digests, sealing and tokens: the only place of the core that touches cryptography."""
