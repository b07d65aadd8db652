"""TLS on pyOpenSSL, for all that listens on TCP: asks for a client's certificate and refuses none for being unknown."""
