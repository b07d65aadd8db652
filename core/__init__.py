"""The domain: what a device is, who may come in, and what it is given. No I/O, no vendor, no protocol."""
