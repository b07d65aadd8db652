"""The transport of a connection whose first bytes were looked at: it has its client's address, and begins anew."""

import asyncio
from typing import Any, cast


class ProxiedTransport:
    """A socket's transport, but for who is at the other end.

    It is to what stands behind it an `asyncio.Transport`, as uvloop's are, which do not inherit from that either: what is not
    here is the other one's. Until `begin` nothing is read: who is told of a connection does not expect its first bytes in the
    same turn of the loop.
    """

    __slots__ = ("_begun", "_outer", "_peername", "_wants_to_read")

    def __init__(self, outer: asyncio.Transport, client: tuple[str, int] | None) -> None:
        outer.pause_reading()
        self._outer = outer
        self._peername = client
        self._begun = False
        self._wants_to_read = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outer, name)

    def begin(self, data: bytes) -> None:
        """Hand on what was received already, and then whatever comes, as far as it is wanted."""
        self._begun = True
        if self._outer.is_closing():
            return
        try:
            if data:
                cast(asyncio.Protocol, self._outer.get_protocol()).data_received(data)
        except Exception:
            self._outer.abort()  # as a transport does when `data_received` raises
            raise
        if self._wants_to_read and not self._outer.is_closing():
            self._outer.resume_reading()

    def pause_reading(self) -> None:
        """Hand on no more data."""
        self._wants_to_read = False
        self._outer.pause_reading()

    def resume_reading(self) -> None:
        """Hand on data again."""
        self._wants_to_read = True
        if self._begun:
            self._outer.resume_reading()

    def is_reading(self) -> bool:
        """Tell whether data are handed on, or will be."""
        return self._wants_to_read and not self._outer.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the client's address and port (`peername`), or what the socket's transport knows."""
        if name == "peername" and self._peername is not None:
            return self._peername
        return self._outer.get_extra_info(name, default)
