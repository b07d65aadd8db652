"""The registry in PostgreSQL, which several gateways may share."""
