"""The front: a device that proved itself goes on to the broker behind this server, on the same connection."""
