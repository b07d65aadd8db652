"""MQTT 3.1, 3.1.1 and 5: an endpoint of our own, one session a connection, nothing routed between connections."""
