"""CoAP (RFC 7252): aiocoap's messages and codec, under a transport, message layer and block-wise transfer of our own."""
