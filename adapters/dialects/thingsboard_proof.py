"""How a ThingsBoard device that asks for its identity again proves that it has its old credential.

The vendor has no such thing. Here it is the credential that the request itself proposes (`token`, or `clientId`, `username` and
`password`: the core compares them), over every protocol; or `Authorization` over HTTP, `?auth=` over CoAP, as
`adapters.dialects.device_api` reads them, so that another credential can be proposed beside it; or what the connection proved:
a certificate, a pre-shared key, an OSCORE context. The text of a certificate (`hash`) is no secret and proves nothing.
"""

from adapters.dialects.device_api.requests import presented, who
from adapters.exchange import Inbound
from core.errors import Refusal
from core.messages import Identity, MqttLogin, TokenLogin


def proof(inbound: Inbound) -> TokenLogin | MqttLogin | Identity | None:
    """Return what a device presents beside its request, None where that is nothing or cannot be read."""
    if inbound.identity is None and not presented(inbound):
        return None  # as nearly all do: not worth a refusal
    try:
        found = who(inbound)
    except Refusal:
        return None
    return found if isinstance(found, TokenLogin | MqttLogin | Identity) else None
