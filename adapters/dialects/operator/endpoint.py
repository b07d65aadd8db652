"""One row of the operator API's table."""

from collections.abc import Callable
from typing import Any

import msgspec

from adapters.dialects.operator import bodies, writing
from adapters.exchange import Inbound, Outbound, Success
from core.errors import Reason


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One method on one path.

    `read` makes the command of what the path refers to (a text, or a tuple where it captures more), of query and body; `write`
    makes the answer of the result. `answer` is None where there is no JSON answer. A body with `may_omit_body` may be left out.
    `refusals` are those that are this endpoint's own. `unpack` reads a body that may be JSON or one of the media types `takes`.
    `stream` sends a result bit by bit, as one of the media types `sends`, the first of which consists of `answer`s.
    """

    method: str
    path: str
    operation: str
    summary: str
    read: Callable[[Any, Any, Any], Any]
    query: type[bodies.Scoped] = bodies.Scoped
    body: Any = None
    may_omit_body: bool = False
    unpack: Callable[[Inbound], Any] | None = None
    takes: tuple[str, ...] = ()
    write: Callable[[Any], Any] = writing.nothing
    answer: Any = None
    stream: Callable[[Any, Inbound], Outbound] | None = None
    sends: tuple[str, ...] = ()
    success: Success = Success.OK
    refusals: tuple[Reason, ...] = ()
