"""CoAP over TCP and TLS (RFC 8323): framing, signaling and connections; requests are answered as those in datagrams are."""
