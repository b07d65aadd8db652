"""CoAP (RFC 7252), on aiocoap with parts replaced: generic over the routes of all dialects."""
