"""What protects one request and everything that answers it, as those see it who answer (OSCORE, RFC 8613)."""

from collections.abc import Hashable
from typing import Protocol

from aiocoap import Message

from core.messages import Identity


class Seal(Protocol):
    """The protection that one request came with."""

    @property
    def identity(self) -> Identity:
        """Return the device whose key it is."""
        ...

    @property
    def context(self) -> Hashable:
        """Return what all requests that are protected alike have in common."""
        ...

    @property
    def broken(self) -> bool:
        """Tell whether the key is good for nothing any more."""
        ...

    async def ready(self, *, later: bool = False) -> None:
        """Wait until one message can be protected. Raises `Refusal` where that cannot be."""
        ...

    def protect(self, message: Message, *, later: bool = False) -> Message:
        """Return the message (an aiocoap `Message`) that carries a response; call `ready` right before.

        Here and there `later` is for notifications: what follows the first response.
        """
        ...
