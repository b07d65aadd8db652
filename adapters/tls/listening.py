"""Listens for TLS connections."""

import asyncio
from collections.abc import Callable

from adapters.tls.contexts import Contexts
from adapters.tls.transport import TlsTransport


async def listen(
    make_protocol: Callable[[], asyncio.BaseProtocol],
    host: str,
    port: int,
    *,
    contexts: Contexts,
    handshake_seconds: float,
    backlog: int,
) -> asyncio.Server:
    """Listen for TLS and give each connection a protocol, whose transport is a `TlsTransport`.

    A handshake may take `handshake_seconds`, 0: as long as it likes. Raises `OSError` where the address is taken or not ours.
    """

    def accept() -> TlsTransport:
        return TlsTransport(make_protocol(), contexts, handshake_seconds)

    return await asyncio.get_running_loop().create_server(accept, host, port, backlog=backlog)
