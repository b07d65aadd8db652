"""The UDP sockets: opened by us, so that two servers never share a port unawares."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, cast

from adapters.coap.remote import Remote
from adapters.exchange import Meter

log = logging.getLogger("adapters.coap")

Receive = Callable[[Remote, bytes], None]


class Endpoint(asyncio.DatagramProtocol):
    """One bound socket. While its send buffer is full it takes no datagrams: their answers could only pile up."""

    _transport: asyncio.DatagramTransport  # always there once the loop knows the endpoint

    def __init__(self, receive: Receive, meter: Meter) -> None:
        self._receive = receive
        self._meter = meter
        self._paused = False
        self._closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Pass a datagram on."""
        if self._paused:
            self._meter.bound("coap.send_buffer")
        else:
            self._receive(Remote(self, addr), data)

    def error_received(self, exc: Exception) -> None:
        """Ignore an ICMP error: anyone can forge one, and a device that hung up is no reason to stop its request."""

    def pause_writing(self) -> None:
        """Stop taking datagrams."""
        self._paused = True

    def resume_writing(self) -> None:
        """Take datagrams again."""
        self._paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._closed.set_result(None)

    def send(self, datagram: bytes, address: tuple[Any, ...]) -> None:
        """Send one datagram; nothing is sent after `close`."""
        if not self._transport.is_closing():
            self._transport.sendto(datagram, address)

    async def close(self) -> None:
        """Give the port back."""
        self._transport.close()
        await self._closed


async def listen(host: str, port: int, receive_buffer_bytes: int, receive: Receive, meter: Meter) -> tuple[Endpoint, int]:
    """Bind a UDP socket and serve it; returns the port, which the system chose where `port` is 0.

    A host that is bound to a wildcard on a machine with several addresses may answer from another one than was asked: bind
    each address by itself there. Raises `OSError`, among others EADDRINUSE.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    bound = _bind(family, address, receive_buffer_bytes)
    try:
        _, endpoint = await loop.create_datagram_endpoint(lambda: Endpoint(receive, meter), sock=bound)
    except BaseException:
        bound.close()
        raise
    return endpoint, bound.getsockname()[1]


def _bind(family: int, address: tuple[Any, ...], receive_buffer_bytes: int) -> socket.socket:
    # Neither SO_REUSEADDR nor SO_REUSEPORT: with them a second server starts without an error and takes half the devices.
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # so that 0.0.0.0 and :: can both be bound
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # the kernel counts its own overhead, socket(7)
    if granted < receive_buffer_bytes:
        log.warning("The receive buffer is %d bytes, not %d; net.core.rmem_max limits it.", granted, receive_buffer_bytes)
    return sock
