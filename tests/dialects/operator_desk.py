"""The operator API without its sockets: one request through decode, use case and encode or refuse."""

import json
from typing import Any

from adapters.dialects import operator
from adapters.exchange import Carrier, Inbound, Outbound, Peer, Route
from core.errors import Refusal
from core.messages import Context
from core.model import Secret
from tests.operating import ADMIN, Desk

ROUTES = {route.operation: route for route in operator.ROUTES}


class Api:
    """The operator API without its sockets."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.context = Context("correlation-1", "http", "operator", "192.0.2.1")

    async def ask(
        self, operation: str, ref: str = "", body: object = None, query: dict[str, str] | None = None, bearer: Secret = ADMIN
    ) -> Outbound:
        """Send one request through decode, use case and encode or refuse."""
        route: Route = ROUTES[operation]
        self.desk.clock.advance(0.001)
        inbound = Inbound(
            carrier=Carrier.HTTP,
            method=route.method,
            path=route.path.replace("{id}", ref),
            peer=Peer("192.0.2.1"),
            params={"id": ref} if "{id}" in route.path else {},
            query=query or {},
            headers={"authorization": f"Bearer {bearer.reveal()}"},
            body=b"" if body is None else json.dumps(body).encode(),
        )
        form = ""
        try:
            decoded = operator.decode(route, inbound)
            form = decoded.form
            use_case: Any = operator.describe if isinstance(decoded.message, operator.DescribeApi) else self.desk.operate
            return operator.encode(await use_case(decoded.message, self.context), form, inbound)
        except Refusal as refusal:
            return operator.refuse(refusal, form, inbound)

    async def get(self, operation: str, ref: str = "", body: object = None, query: dict[str, str] | None = None) -> Any:
        """Send one request and return the JSON of the answer."""
        return json.loads((await self.ask(operation, ref, body, query)).body)
