"""OSCORE (RFC 8613): requests that are protected by themselves, whatever carries them; aiocoap does the cryptography."""
