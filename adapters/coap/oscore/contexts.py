"""The security contexts in use: found by what a message names, taken up and left in good order, bounded in number."""

import asyncio
import logging
from collections import OrderedDict
from functools import partial
from typing import Any

from adapters.coap.config import CoapConfig
from adapters.coap.oscore.context import Key, SecurityContext
from adapters.coap.oscore.naming import Naming
from adapters.exchange import Carrier, Exchange, Meter, Peer
from core.errors import Reason, Refusal
from core.messages import OscoreQuestion, ProvenLogin
from core.oscore_states import OscoreStates

log = logging.getLogger("adapters.coap")


class SecurityContexts:
    """The contexts of all addresses and transports together; the one used least recently makes room.

    Nobody gets in here who has not shown that it has the key. Of several gateways over one registry the one that was spoken to
    last has a device's replay window. Each looks in the registry at every message whether that is itself still, so that none
    takes a message that another has had; a device that comes to another one is asked for an echo (RFC 8613, appendix B.1.2).
    Belongs to one event loop.
    """

    def __init__(self, states: OscoreStates, meter: Meter, config: CoapConfig) -> None:
        self._states = states
        self._meter = meter
        self._most = config.oscore_contexts
        self._contexts: OrderedDict[Key, SecurityContext] = OrderedDict()
        self._beginning: dict[Key, asyncio.Task[SecurityContext]] = {}
        self._leaving: dict[Key, asyncio.Task[None]] = {}
        self._renewing: dict[SecurityContext, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._contexts)

    async def find(self, naming: Naming, exchange: Exchange, peer: Peer) -> SecurityContext | None:
        """Return the context that a message names; None: there is none. It may be one that is not begun.

        Raises `Refusal` as `Exchange.security_context` does.
        """
        context = self.in_use((naming.device_id, naming.id_context))
        if context is not None:
            return context
        known = await exchange.security_context(OscoreQuestion(naming.device_id, naming.id_context), peer)
        return None if known is None else SecurityContext(known)

    def in_use(self, key: Key) -> SecurityContext | None:
        """Return the context that was begun under these names."""
        context = self._contexts.get(key)
        if context is not None:
            self._contexts.move_to_end(key)
        return context

    async def begun(self, context: SecurityContext, exchange: Exchange, peer: Peer) -> SecurityContext:
        """Return the one context that is begun under the names of this one, whose key has been shown.

        Raises `Refusal` as `Exchange.login` and `OscoreStates.open` do.
        """
        key = context.key
        while (there := self.in_use(key)) is not None:
            if await self._is_ours(there):
                return there
            self._leave(there)
            context = await self._anew(context, exchange, peer)  # others may have begun it by then
        task = self._beginning.get(key)
        if task is None:
            task = self._beginning[key] = asyncio.get_running_loop().create_task(self._begin(context, exchange, peer))
            task.add_done_callback(partial(self._settled, key))
        return await asyncio.shield(task)

    async def reserve(self, context: SecurityContext) -> None:
        """Wait until the context has a number to use. Raises `Refusal`, also where it is of no use any more."""
        while not context.broken and context.spent:
            task = self._renewing.get(context)
            if task is None:
                task = self._renewing[context] = asyncio.get_running_loop().create_task(self._renew(context))
                task.add_done_callback(partial(self._renewed, context))
            await asyncio.shield(task)
        if context.broken:
            raise Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check="identity.gone")

    async def close(self) -> None:
        """Leave all contexts in good order."""
        await asyncio.gather(*self._beginning.values(), *self._renewing.values(), return_exceptions=True)
        for context in tuple(self._contexts.values()):
            self._leave(context)
        await asyncio.gather(*self._leaving.values(), return_exceptions=True)

    async def _is_ours(self, context: SecurityContext) -> bool:
        """Tell whether nobody else has taken a context up since this gateway did. Raises `Refusal` UNAVAILABLE."""
        newest = await self._states.newest(context.lease)
        if newest == context.lease.state.version:
            return not context.broken
        renewing = self._renewing.get(context)
        if renewing is not None:  # what is newer may be our own
            await asyncio.wait((renewing,))
        return newest is not None and newest <= context.lease.state.version and not context.broken

    async def _anew(self, context: SecurityContext, exchange: Exchange, peer: Peer) -> SecurityContext:
        """Return a context that is not begun, in place of one that is left."""
        device_id, id_context = context.key
        known = await exchange.security_context(OscoreQuestion(device_id, id_context), peer)
        if known is None:
            raise Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check="identity.gone")
        return SecurityContext(known)

    async def _begin(self, context: SecurityContext, exchange: Exchange, peer: Peer) -> SecurityContext:
        leaving = self._leaving.get(context.key)
        if leaving is not None:  # what it leaves is what this one begins with
            await asyncio.wait((leaving,))
        context.identity = await exchange.login(ProvenLogin(context.identity), Carrier.COAP, peer)
        credential = context.identity.credential
        if credential is None:
            raise Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check="identity.gone")
        context.begin(await self._states.open(credential))
        self._contexts[context.key] = context
        context.leave = exchange.attend(context.identity, peer, partial(self._leave, context))
        if len(self._contexts) > self._most:
            self._meter.bound("coap.oscore_contexts")
            self._leave(next(iter(self._contexts.values())))
        self._count()
        return context

    def _settled(self, key: Key, task: asyncio.Task[SecurityContext]) -> None:
        del self._beginning[key]
        _heard(task)

    async def _renew(self, context: SecurityContext) -> None:
        context.renew(await self._states.advance(context.lease))

    def _renewed(self, context: SecurityContext, task: asyncio.Task[None]) -> None:
        del self._renewing[context]
        _heard(task)

    def _leave(self, context: SecurityContext) -> None:
        """Break a context: nothing is opened or protected with it any more, so its numbers and its window are final."""
        if context.broken:
            return
        context.broken = True
        del self._contexts[context.key]
        context.leave()
        task = self._leaving[context.key] = asyncio.get_running_loop().create_task(self._write(context))
        task.add_done_callback(lambda _: self._leaving.pop(context.key, None))
        self._count()

    async def _write(self, context: SecurityContext) -> None:
        try:
            await self._states.close(context.lease, context.next_number, context.window)
        except Refusal:
            # Nothing is lost but time: the next message is asked for an echo, and a few numbers are skipped.
            log.warning("The state of an OSCORE context could not be written.")

    def _count(self) -> None:
        self._meter.level("coap.oscore_contexts", len(self._contexts))


def _heard(task: asyncio.Task[Any]) -> None:
    """Take note of how something ended: those who wait for it are told; perhaps nobody does any more."""
    if not task.cancelled():
        task.exception()
