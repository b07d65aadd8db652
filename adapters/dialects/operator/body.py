"""What all JSON objects have that operators send."""

import msgspec


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON object in which a misspelt field is told."""
