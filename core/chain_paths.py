"""The paths from a device's certificate to those that profiles trust, whether they were sent or are found by their names."""

import msgspec

from core.crypto import chains
from core.crypto.chains import BrokenChain, Chain
from core.model import Profile, Strategy

MOST_AUTHORITIES = 8
"""Of one name. Each costs a check of a signature, for whoever comes with a certificate that claims to be theirs."""


class Path(msgspec.Struct, frozen=True):
    """A chain whose certificate at index `anchor` these profiles trust, which are at least one."""

    chain: Chain
    anchor: int
    profiles: tuple[Profile, ...]


def letting_in(profiles: tuple[Profile, ...]) -> tuple[Profile, ...]:
    """Return the profiles whose devices come with a chain now, not only before."""
    return tuple(each for each in profiles if each.strategy is Strategy.CERTIFICATE_CHAIN)


def paths_by_name(chain: Chain, profiles: tuple[Profile, ...]) -> list[Path]:
    """Return the paths to the authorities, of those that profiles trust, that signed the last certificate of a chain.

    Several have signed it where an authority's certificate was renewed and its key was not. Raises `BrokenChain` where none
    has, and where they are too many to be tried.
    """
    trusting: dict[str, list[Profile]] = {}
    for authority, profile in ((each.chain.authorities[0], each) for each in profiles if each.chain is not None):
        trusting.setdefault(authority, []).append(profile)
    if len(trusting) > MOST_AUTHORITIES:
        raise BrokenChain(check="chain.authorities")
    longer = ((chains.signed_by(chain, authority), some) for authority, some in trusting.items())
    paths = [Path(found, len(chain.texts), tuple(some)) for found, some in longer if found is not None]
    if not paths:
        raise BrokenChain(check="chain.signature")
    return paths


def willing(paths: list[Path], now: int) -> list[Profile]:
    """Return the profiles whose policy takes one of the paths: all of a path's, or those that look at signatures alone.

    Raises `BrokenChain` where none does, for what is wrong with the first path.
    """
    taking: list[Profile] = []
    broken: list[BrokenChain] = []
    for path in paths:
        try:
            chains.require_valid_path(path.chain, path.anchor, now)
            taking += path.profiles
        except BrokenChain as error:
            broken.append(error)
            taking += (each for each in path.profiles if each.chain is not None and each.chain.lax)
    if not taking:
        raise broken[0]
    return taking
