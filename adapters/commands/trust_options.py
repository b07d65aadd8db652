"""The options by which an operator says how far a profile's devices are trusted: chains, certificates, unprotected wires."""

import argparse
from typing import TypeVar

from msgspec import UNSET, UnsetType

from adapters.commands.failure import UsageError
from adapters.commands.secret_input import read_text
from adapters.commands.trust_api import Chain, ChainRules, Issuing, IssuingRules
from core.model import Plain

T = TypeVar("T")

_GATEWAY = "default"
_YES_NO = {True: "yes", False: "no"}


def add_trust_options(parser: argparse.ArgumentParser, changing: bool = False) -> None:
    """Declare them, as groups of their own in the help; what is there may go where it is `changing`."""
    switch = argparse.BooleanOptionalAction
    chain = parser.add_argument_group("devices with a chain of certificates (strategy certificate_chain)")
    chain.add_argument("--certificate", "--chain-certificate", metavar="FILE", help="what chains have to come to (PEM)")
    chain.add_argument("--pattern", metavar="RE", help="finds the device's name in the common name (when made: (.*))")
    chain.add_argument("--create", action=switch, help="make devices that are not known (when made: yes)")
    chain.add_argument("--lax", action=switch, help="look at signatures alone, as ThingsBoard does (when made: no)")
    issuing = parser.add_argument_group("certificates from this gateway")
    issuing.add_argument("--issue-days", type=int, metavar="N", help="devices may have one that is good for so many days")
    issuing.add_argument("--issue-keys", action=switch, help="they may have its key made here, too (when made: no)")
    wire = parser.add_argument_group("what devices may do without TLS, DTLS or OSCORE")
    words = [each.value for each in Plain]
    if changing:
        issuing.add_argument("--no-issue", action="store_true", help="devices may have none any more")
        words.append(_GATEWAY)
    wire.add_argument("--plain", choices=words, help="challenge: what carries no secret (default: what the gateway says)")


def chain_from(args: argparse.Namespace) -> ChainRules | None:
    """Return what was said of chains, None for nothing. Raises `UsageError`."""
    rules = ChainRules(
        certificate=read_text(args.certificate, "--certificate") if args.certificate else UNSET,
        pattern=_said(args.pattern),
        create=_said(args.create),
        lax=_said(args.lax),
    )
    return None if rules == ChainRules() else rules


def issuing_from(args: argparse.Namespace) -> IssuingRules | UnsetType | None:
    """Return what was said of certificates, None for none any more. Raises `UsageError`."""
    rules = IssuingRules(lifetime_days=_said(args.issue_days), key_pairs=_said(args.issue_keys))
    if not getattr(args, "no_issue", False):
        return UNSET if rules == IssuingRules() else rules
    if rules != IssuingRules():
        raise UsageError("--no-issue: it goes with neither --issue-days nor --issue-keys")
    return None


def plain_from(args: argparse.Namespace) -> str | UnsetType | None:
    """Return what was said of unprotected wires, None for what the gateway says."""
    return None if args.plain == _GATEWAY else _said(args.plain)


def trust_fields(chain: Chain | None, issuing: Issuing | None, plain: str | None) -> list[tuple[str, str]]:
    """Return what a profile shows of all this."""
    shown: list[tuple[str, str]] = []
    if chain is not None:
        shown += [("chain's certificate", chain.anchor), ("name pattern", chain.pattern)]
        shown += [("creates devices", _YES_NO[chain.create]), ("signatures alone", _YES_NO[chain.lax])]
    if issuing is not None:
        shown += [("certificates for", f"{issuing.lifetime_days} days"), ("with keys", _YES_NO[issuing.key_pairs])]
    return [*shown, ("unprotected wires", plain)] if plain is not None else shown


def _said(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value
