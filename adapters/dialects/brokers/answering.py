"""What the answers to all brokers have in common."""

from typing import Final

import msgspec

from adapters.exchange import Outbound, Outcome, Success

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
NO_STORE: Final = (("Cache-Control", "no-store"),)  # what is revoked must not live on in a cache


def document(content: object, outcome: Outcome = Success.OK) -> Outbound:
    """Return an answer in JSON."""
    return Outbound(outcome=outcome, body=msgspec.json.encode(content), content_type=JSON, headers=NO_STORE)


def text(content: str, outcome: Outcome = Success.OK) -> Outbound:
    """Return an answer of a few words."""
    return Outbound(outcome=outcome, body=content.encode(), content_type=TEXT, headers=NO_STORE)
