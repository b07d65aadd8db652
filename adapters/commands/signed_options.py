"""The options by which an operator says how devices are let in that sign."""

import argparse

from msgspec import UNSET, UnsetType

from adapters.commands.issuing_api import SignedRules
from core.model import Reallocation

_NO_TOLERANCE = "none"


def add_signed_options(parser: argparse.ArgumentParser) -> None:
    """Declare them, as a group of their own in the help."""
    group = parser.add_argument_group("devices that sign (strategy signed)")
    switch = argparse.BooleanOptionalAction
    group.add_argument("--auto-activation", action=switch, help="give credentials at once (when made: yes)")
    group.add_argument("--self-registration", action=switch, help="take unknown serials (when made: yes)")
    group.add_argument(
        "--timestamp-tolerance",
        type=_tolerance,
        default=UNSET,
        metavar="S|none",
        help="seconds that a signature's time may be off, none: it is not looked at (when made: 900)",
    )
    group.add_argument(
        "--reallocation", choices=[each.value for each in Reallocation], default=UNSET, help="what becomes of master data"
    )
    group.add_argument("--product-key", default=UNSET, help="letters and digits (when made: generated)")
    group.add_argument("--mqtt-url", default=UNSET, metavar="URL", help="where devices go: tcp or ssl://HOST:PORT")
    group.add_argument("--http-url", default=UNSET, metavar="URL", help="where devices go: http or https://HOST[:PORT]")


def signed_from(args: argparse.Namespace) -> SignedRules | None:
    """Return what was said, None for nothing."""
    rules = SignedRules(
        auto_activation=UNSET if args.auto_activation is None else args.auto_activation,
        self_registration=UNSET if args.self_registration is None else args.self_registration,
        timestamp_tolerance_s=args.timestamp_tolerance,
        reallocation=args.reallocation,
        product_key=args.product_key,
        mqtt_url=args.mqtt_url,
        http_url=args.http_url,
    )
    return None if rules == SignedRules() else rules


def _tolerance(text: str) -> int | UnsetType | None:
    if text == _NO_TOLERANCE:
        return None
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of seconds nor {_NO_TOLERANCE}")
    return int(text)
