"""Puts TLS between accepted connections and a protocol."""

import asyncio
from collections.abc import Callable

from adapters.tls.contexts import Contexts
from adapters.tls.transport import TlsTransport


def over_tls(
    make_protocol: Callable[[], asyncio.BaseProtocol], *, contexts: Contexts, handshake_seconds: float
) -> Callable[[], TlsTransport]:
    """Return what gives each connection that is accepted a protocol, whose transport is a `TlsTransport`.

    A handshake may take `handshake_seconds`, 0: as long as it likes.
    """
    return lambda: TlsTransport(make_protocol(), contexts, handshake_seconds)
