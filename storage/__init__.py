"""The device registry as a pluggable repository."""
