"""What an explanation of a check consists of."""

import msgspec


class Explanation(msgspec.Struct, frozen=True):
    """A sentence or two on what happened, and what mends it."""

    meaning: str
    remedy: str
