"""CoAP over DTLS 1.2 (RFC 7252, section 9; RFC 6347), from datagrams to plain messages and back."""
