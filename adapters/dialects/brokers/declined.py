"""Questions whose answer is no, whoever is asked about."""

from typing import NoReturn

import msgspec

from core.errors import Reason, Refusal
from core.messages import Context


class Declined(msgspec.Struct, frozen=True, kw_only=True):
    """What the refusal says. It is no event: brokers ask such things with every connection."""

    detail: str
    check: str


async def decline(asked: Declined, context: Context) -> NoReturn:
    """Refuse. Raises `Refusal` FORBIDDEN."""
    raise Refusal(Reason.FORBIDDEN, asked.detail, check=asked.check)
