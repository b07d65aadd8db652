"""A request that CoAP itself refuses, before anybody asked what it means."""

from aiocoap.numbers.codes import Code

from core.errors import Reason


class Fault(Exception):
    """What is wrong with a request, and how CoAP says so.

    `bound` names it for the metrics and for operators; `detail` is safe to send. `recorded` tells whether the exchange is to
    record it: not where the path is unknown, nor where a block goes astray and the transfer starts anew. `size1` is the
    largest body taken, in bytes; `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: Code,
        reason: Reason,
        bound: str,
        detail: str,
        *,
        recorded: bool = True,
        size1: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.reason = reason
        self.bound = bound
        self.detail = detail
        self.recorded = recorded
        self.size1 = size1
        self.retry_after = retry_after
