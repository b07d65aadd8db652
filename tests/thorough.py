"""How many examples a random search tries: a part of them with every change, all of them for `make test THOROUGH=1`."""

import os


def often(usually: int, thoroughly: int) -> int:
    """Return the number that holds for this run."""
    return thoroughly if os.environ.get("THOROUGH") else usually
