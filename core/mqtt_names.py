"""What the two names of an MQTT connection, user name and client id, may stand for (OASIS MQTT 5.0, section 3.1.3)."""

import re

import msgspec

from core.credentials import basic_id, triple_id
from core.model import CredentialKind
from core.triples import keys_of

SESSION_USER = "Auth:JWT"
"""The user name of a user whose password is the bearer token of a session (Xively)."""


class Place(msgspec.Struct, frozen=True):
    """Where a credential is looked for: its id, and the kinds that can be meant."""

    id: str
    kinds: frozenset[CredentialKind]


class MqttNames(msgspec.Struct, frozen=True):
    """The names as they were presented; either may be empty."""

    username: str = ""
    client_id: str = ""

    @property
    def name(self) -> str:
        """Return the one that names somebody by id: the client id where there is no user name."""
        return self.username or self.client_id

    def places(self) -> tuple[Place, ...]:
        """Return where to look for a credential, the first that is found counts.

        A triple comes before what operators and devices chose. Of that, client id and user name together, where a token cannot
        stand, come before the user name alone, as ThingsBoard has it.
        """
        keys = keys_of(self.username)
        found = [Place(triple_id(keys.product_key, keys.device_key), _TRIPLE)] if keys else []
        if self.client_id:
            found.append(Place(basic_id(self.client_id, self.username), _JOINT))
        if self.username:
            found.append(Place(self.username, _BY_NAME))
        return tuple(found)


_TRIPLE = frozenset({CredentialKind.DEVICE_SECRET})
_JOINT = frozenset({CredentialKind.MQTT_BASIC})
_BY_NAME = frozenset({CredentialKind.ACCESS_TOKEN, CredentialKind.MQTT_BASIC})

# UUIDv7 (RFC 9562, section 5.7). Random ids, as clients draw them, are others.
_DRAWN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def is_drawn_id(text: str) -> bool:
    """Tell whether a text has the form of the ids that this registry draws."""
    return _DRAWN_ID.fullmatch(text) is not None
