"""Whether the installed aiocoap behaves as this adapter relies on: asked at every start, so that no field has to tell."""

import asyncio
from typing import Any

from aiocoap import Message
from aiocoap.numbers.codes import Code
from aiocoap.numbers.optionnumbers import OptionNumber

from adapters.coap.config import CoapConfig
from adapters.coap.decoding import Request, decode
from adapters.coap.message_layer import MessageLayer
from adapters.coap.notifier import Notifier
from adapters.coap.observers import Observers
from adapters.coap.remote import Remote
from adapters.coap.responder import VARYING_OPTIONS
from adapters.coap.retransmission import Retransmission
from adapters.exchange import Meter

QUESTION = bytes.fromhex("42 02 1234 abcd 42 beef 20 51 61 11 32 33 613d62 21 3c a1 08 ff 7b7d")
"""A confirmable POST to /a?a=b with an entity tag, Observe 0, Content-Format 50, Accept 60 and Block1 0/1/16."""

ANSWER = bytes.fromhex("62 44 1234 abcd c1 32 21 1e ff 7b7d")
"""Its acknowledgement, 2.04 with Content-Format 50, Max-Age 30 and the same payload."""

WAIT_SECONDS = 5.0


class Wire:
    """A sender that keeps what it was given."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[bytes] = asyncio.Queue()

    def send(self, datagram: bytes, address: tuple[Any, ...]) -> None:
        """Keep a datagram."""
        self.sent.put_nowait(datagram)


async def selftest(meter: Meter) -> None:
    """Send a request and its duplicate through the whole message layer, on no socket.

    Raises `RuntimeError` with one sentence where anything comes out differently.
    """
    try:
        faulty = _codec() or await _exchange(meter)
    except Exception as error:
        raise RuntimeError(f"The installed aiocoap does not fit this CoAP adapter: {error!r}.") from error
    if faulty:
        raise RuntimeError(f"The installed aiocoap does not fit this CoAP adapter: {faulty} came out differently.")


def _codec() -> str:
    """Return what the codec does differently, or nothing."""
    request = decode(QUESTION, Remote(Wire(), ("192.0.2.1", 5683)), CoapConfig())
    options = request.message.opt
    bare = Message(code=Code.POST, uri_path=("a",), uri_query=("a=b",), content_format=50, accept=60)
    observed = {
        "the fault": request.fault is None,
        "the path": options.uri_path == ("a",) and options.uri_query == ("a=b",),
        "a content format": (options.content_format, options.accept) == (50, 60),
        "a block": (options.block1.start, options.block1.more, options.block1.size) == (0, True, 16),
        "an entity tag": options.etags == (b"\xbe\xef",),
        "a wish to observe": options.observe == 0,
        "the key of a block-wise transfer": request.message.get_cache_key(VARYING_OPTIONS) == bare.get_cache_key(),
        "the number of an option": (OptionNumber.ECHO, OptionNumber.REQUEST_TAG) == (252, 292),
    }
    return next((name for name, right in observed.items() if not right), "")


async def _exchange(meter: Meter) -> str:
    """Return what the message layer does differently, or nothing."""
    wire, config = Wire(), CoapConfig()
    observers = Observers(meter, config)
    separate = Retransmission(config, meter, lost=observers.forget)
    layer = MessageLayer(separate, Notifier(observers, separate, meter, config), meter, config)
    remote = Remote(wire, ("192.0.2.1", 5683))
    for name in ("a response", "the answer to a duplicate"):
        layer.receive(_respond, remote, QUESTION)
        if await asyncio.wait_for(wire.sent.get(), WAIT_SECONDS) != ANSWER:
            return name
    await layer.drain(WAIT_SECONDS)
    return "" if wire.sent.empty() else "the number of responses"


async def _respond(request: Request) -> Message:
    return Message(code=Code.CHANGED, payload=request.message.payload, content_format=50, max_age=30)
