"""Who the devices are that showed a certificate when their connection was made."""

from collections.abc import Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from adapters.exchange import Carrier, Exchange, Peer
from core.errors import Reason, Refusal
from core.messages import CertificateLogin, Identity

_ASK_AGAIN = frozenset({Reason.TOO_MANY, Reason.UNAVAILABLE, Reason.INTERNAL})


class Proofs:
    """The identities of the connections that came with a certificate, asked for at the first request of each."""

    def __init__(self, lost: Callable[[RequestHandler], None]) -> None:
        """Keep no identity yet. `lost` ends what is still being sent on a connection whose identity is no longer true."""
        self._lost = lost
        self._known: dict[RequestHandler, _Known] = {}

    async def identity(self, request: web.BaseRequest, exchange: Exchange, peer: Peer) -> Identity | None:
        """Return whose certificate it is, None where there is none or nobody knows it: then it stays so.

        Raises `Refusal` where that cannot be told now.
        """
        handler, transport = request.protocol, request.transport
        known = self._known.get(handler)
        if known is not None:
            known.is_asking = True
            return known.identity
        chain: tuple[bytes, ...] = (transport.get_extra_info("peer_chain") or ()) if transport is not None else ()
        if not chain:
            return None
        try:
            identity = await exchange.login(CertificateLogin(chain), Carrier.HTTP, peer)
        except Refusal as refusal:
            if refusal.reason in _ASK_AGAIN:
                raise
            return self._keep(handler, _Known(None))
        return self._keep(handler, self._attended(handler, exchange, identity, peer))

    def still(self, handler: RequestHandler, identity: Identity | None) -> Identity | None:
        """Return an identity as long as it is true: a body may take long to come."""
        known = self._known.get(handler)
        return None if known is not None and known.is_over else identity

    def answered(self, handler: RequestHandler) -> bool:
        """Take note that a request is answered; tells whether its connection has to be closed then."""
        known = self._known.get(handler)
        if known is None:
            return False
        known.is_asking = False
        return known.is_over

    def lost(self, handler: RequestHandler) -> None:
        """Forget a connection that is lost."""
        known = self._known.pop(handler, None)
        if known is not None:
            known.leave()

    def _keep(self, handler: RequestHandler, known: "_Known") -> Identity | None:
        if handler.connected:
            self._known[handler] = known
        else:
            known.leave()  # lost meanwhile, which nobody will tell again
        return known.identity

    def _attended(self, handler: RequestHandler, exchange: Exchange, identity: Identity, peer: Peer) -> "_Known":
        known = _Known(identity)

        def ended() -> None:
            known.identity, known.is_over = None, True
            self._lost(handler)
            if not known.is_asking:
                handler.force_close()

        known.leave = exchange.attend(identity, peer, ended)
        return known


class _Known:
    """An identity, as long as it is true, and what ends the watch over it."""

    def __init__(self, identity: Identity | None) -> None:
        self.identity = identity
        self.is_asking = True  # a request is being answered, which this was asked for
        self.is_over = False
        self.leave: Callable[[], None] = _nothing


def _nothing() -> None:
    """End no watch."""
