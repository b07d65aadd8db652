"""The options by which an operator says how far a profile's claim key reaches, and what a profile shows of that."""

import argparse

from msgspec import UNSET, UnsetType

from adapters.commands.claim_api import ClaimRate, ClaimRules, Claims
from adapters.commands.failure import UsageError
from adapters.commands.secret_input import read_text

_NONE = "none"
_SHOWN = 5


def add_claim_options(parser: argparse.ArgumentParser, changing: bool = False) -> None:
    """Declare them, as a group of their own in the help; what is there may go where it is `changing`."""
    goes = f"; {_NONE}: no limit any more" if changing else ""
    reach = parser.add_argument_group("how far the claim key reaches, should it leak")
    reach.add_argument("--budget", metavar="N", help=f"devices that it makes at most, ever{goes}")
    reach.add_argument("--opens", metavar="TIME", help=f"from when on it is good, such as 2027-03-01T00:00:00Z{goes}")
    reach.add_argument("--closes", metavar="TIME", help=f"from when on it is not any more{goes}")
    reach.add_argument(
        "--names",
        action="append",
        metavar="NAME",
        help="a device it is for, or a range meter-0001..meter-5000; may be repeated",
    )
    reach.add_argument("--names-file", metavar="FILE", help="the same, one a line")
    reach.add_argument("--names-pattern", metavar="RE", help="further names, of which it has to match all")
    reach.add_argument("--rate", metavar="N[:BURST]", help=f"devices a minute that get in{goes}")
    reach.add_argument("--source-rate", metavar="N[:BURST]", help=f"the same, from one address{goes}")
    reach.add_argument(
        "--tombstones",
        action=argparse.BooleanOptionalAction,
        help="deleted and revoked devices come back by firstlight device leave alone (when made: yes)",
    )
    if changing:
        reach.add_argument("--any-name", action="store_true", help="it is for devices of any name again")
        reach.add_argument("--no-limits", action="store_true", help="nothing limits it any more")


def claims_from(args: argparse.Namespace) -> ClaimRules | UnsetType | None:
    """Return what was said of the claim key's reach, None for no limits any more. Raises `UsageError`."""
    names = _names(args)
    pattern = _said(args.names_pattern)
    if getattr(args, "any_name", False):
        if names is not UNSET or pattern is not UNSET:
            raise UsageError("--any-name: it goes with no other option for names")
        names, pattern = (), ""
    rules = ClaimRules(
        budget=_budget(args.budget),
        opens_at=_or_none(args.opens),
        closes_at=_or_none(args.closes),
        names=names,
        pattern=pattern,
        rate=_rate(args.rate, "--rate"),
        source_rate=_rate(args.source_rate, "--source-rate"),
        tombstones=UNSET if args.tombstones is None else args.tombstones,
    )
    if not getattr(args, "no_limits", False):
        return UNSET if rules == ClaimRules() else rules
    if rules != ClaimRules():
        raise UsageError("--no-limits: it goes with no other option for the claim key")
    return None


def claim_fields(claims: Claims | None) -> list[tuple[str, str]]:
    """Return what a profile shows of all this."""
    if claims is None:
        return []
    names = ", ".join(claims.names[:_SHOWN]) + (f" and {len(claims.names) - _SHOWN} more" if len(claims.names) > _SHOWN else "")
    limits = [
        ("claim key burned", claims.burned_at),
        ("devices made", str(claims.made) if claims.budget is None else f"{claims.made} of {claims.budget}"),
        ("key good from", claims.opens_at),
        ("key good until", claims.closes_at),
        ("key is for", names),
        ("key is for names like", claims.pattern),
        ("devices a minute", _written(claims.rate)),
        ("from one address", _written(claims.source_rate)),
        ("deleted devices return", None if claims.tombstones else "yes"),
    ]
    return [(name, value) for name, value in limits if value]


def _names(args: argparse.Namespace) -> tuple[str, ...] | UnsetType:
    if args.names is None and args.names_file is None:
        return UNSET
    lines = read_text(args.names_file, "--names-file").splitlines() if args.names_file else []
    return tuple(each for each in (*(args.names or ()), *map(str.strip, lines)) if each)


def _budget(text: str | None) -> int | UnsetType | None:
    given = _or_none(text)
    if not isinstance(given, str):
        return given
    if not (given.isascii() and given.isdigit()):
        raise UsageError("--budget: a number of devices is needed")
    return int(given)


def _rate(text: str | None, option: str) -> ClaimRate | UnsetType | None:
    given = _or_none(text)
    if not isinstance(given, str):
        return given
    rate, _, burst = given.partition(":")
    if not all(each.isascii() and each.isdigit() for each in (rate, burst or rate)):
        raise UsageError(f"{option}: devices a minute are needed, and perhaps how many at once, such as 60 or 60:200")
    return ClaimRate(int(rate), int(burst or rate))


def _written(rate: ClaimRate | None) -> str:
    return "" if rate is None else f"{rate.per_minute}, {rate.burst} at once"


def _or_none(text: str | None) -> str | UnsetType | None:
    return UNSET if text is None else None if text == _NONE else text


def _said(text: str | None) -> str | UnsetType:
    return UNSET if text is None else text
