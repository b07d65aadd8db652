"""One row of the operator API's table."""

from collections.abc import Callable
from typing import Any

import msgspec

from adapters.dialects.operator import bodies, writing
from adapters.exchange import Success


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One method on one path.

    `read` makes the command of path reference, query and body; `write` makes the answer of the result. `answer` is None where
    there is no JSON answer. A body with `may_omit_body` may be left out.
    """

    method: str
    path: str
    operation: str
    summary: str
    read: Callable[[Any, Any, Any], Any]
    query: type[bodies.Scoped] = bodies.Scoped
    body: Any = None
    may_omit_body: bool = False
    write: Callable[[Any], Any] = writing.nothing
    answer: Any = None
    success: Success = Success.OK
