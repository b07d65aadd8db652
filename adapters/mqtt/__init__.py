"""The MQTT endpoint: versions 3.1, 3.1.1 and 5, one connection one session, nothing routed between connections."""
