"""`firstlight profile`: the rules that let devices in."""

import argparse
from typing import TYPE_CHECKING

import msgspec
from msgspec import UnsetType

from adapters.commands import api
from adapters.commands.claim_options import add_claim_options, claim_fields, claims_from
from adapters.commands.durations import add_overlap
from adapters.commands.hook_options import add_hook_options, hook_fields, hook_from
from adapters.commands.issuing_api import Signed
from adapters.commands.metadata_options import add_metadata, metadata_from
from adapters.commands.parsing import add_group, add_operation
from adapters.commands.secret_input import add_secret, read_secret
from adapters.commands.show import Screen
from adapters.commands.signed_options import add_signed_options, signed_from
from adapters.commands.trust_options import add_trust_options, chain_from, issuing_from, plain_from, trust_fields
from core.model import CredentialKind, Reprovision, Strategy

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

_STRATEGIES = [strategy.value for strategy in Strategy]
_KINDS = [kind.value for kind in CredentialKind]
_REPROVISIONS = [reprovision.value for reprovision in Reprovision]

_CREATE_EPILOG = """\
strategies:
  create_new       any device that knows key and secret is created
  pre_provisioned  only devices defined before (firstlight device define, import) get in
  signed           devices sign with the group's secret; --key is the group's id
  certificate_chain
                   devices come over TLS with a certificate that an authority signed (--certificate)
  disabled         nobody gets in

A device that asks again is refused (deny), given what it has (same), or given anew (rotate): what it had is good until it
first logs in with the new. It may have to prove that it has what it had (prove), or to wait for you (approve: firstlight
approval list). --option approve-new has devices wait that come for the first time.
Key and secret are generated unless given; the secret is shown once.

examples:
  firstlight profile create meters
  firstlight profile create meters --strategy pre_provisioned --reprovision same
  firstlight profile create meters --key meters-2026 --secret-file meters.secret
  firstlight profile create pumps --strategy signed --no-self-registration --mqtt-url ssl://mqtt.example.net:8883
  firstlight profile create valves --strategy certificate_chain --certificate factory-ca.pem --pattern '(.*)\\.example\\.com'
  firstlight profile create meters --issue-days 90 --plain challenge
  firstlight profile create meters --budget 5000 --names meter-0001..meter-5000 --closes 2027-04-01T00:00:00Z
"""


def add(commands: "Commands") -> None:
    """Declare the commands of this noun."""
    group = add_group(commands, "profile", "the rules that let devices in")
    create = add_operation(group, "create", _create, "make a profile and show its key and secret", _CREATE_EPILOG)
    create.add_argument("name", metavar="NAME")
    create.add_argument("--key", help="the key devices present (default: generated)")
    add_secret(create, "secret", "the secret devices present")
    create.add_argument("--credential-kind", choices=_KINDS, help="the only kind that its devices can have, for good")
    add_metadata(create, "a note")
    _add_rules(create)
    add_trust_options(create)
    add_claim_options(create)
    add_hook_options(create)
    add_operation(group, "list", _list, "list all profiles")
    for name, operation, summary in (
        ("show", _show, "show one profile"),
        ("disable", _disable, "let nobody in by a profile any more; devices it let in keep working"),
        ("burn", _burn, "make a profile's claim key worthless, for good; devices it let in keep working"),
        ("delete", _delete, "delete a profile that has no devices"),
    ):
        add_operation(group, name, operation, summary).add_argument("profile", metavar="NAME", help="name or id")
    change = add_operation(group, "change", _change, "change a profile's rules")
    change.add_argument("profile", metavar="NAME", help="name or id")
    change.add_argument("--name", help="a new name")
    _add_rules(change)
    add_trust_options(change, changing=True)
    add_claim_options(change, changing=True)
    add_hook_options(change, changing=True)
    rotate = add_operation(group, "rotate", _rotate, "give a profile a new secret in place of the old one")
    rotate.add_argument("profile", metavar="NAME", help="name or id")
    add_secret(rotate, "secret", "the new secret")
    add_overlap(rotate)


def _add_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strategy", choices=_STRATEGIES, help="who gets in (default when made: create_new)")
    parser.add_argument("--reprovision", choices=_REPROVISIONS, help="what who asks again gets (default when made: deny)")
    parser.add_argument("--option", action="append", metavar="NAME", help="switch a dialect's option on; may be repeated")
    add_signed_options(parser)


async def _create(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    issuing, plain, hook, claims = issuing_from(args), plain_from(args), hook_from(args), claims_from(args)
    profile = api.NewProfile(
        name=args.name,
        strategy=args.strategy,
        reprovision=args.reprovision,
        provision_key=args.key,
        provision_secret=read_secret(args, "secret"),
        options=tuple(args.option or ()),
        signed=signed_from(args),
        chain=chain_from(args),
        issuing=None if isinstance(issuing, UnsetType) else issuing,
        plain=None if isinstance(plain, UnsetType) else plain,
        claims=None if isinstance(claims, UnsetType) else claims,
        hook=None if isinstance(hook, UnsetType) else hook,
        credential_kind=args.credential_kind,
        metadata=metadata_from(args),
    )
    _present(await gateway.send("POST", "profiles", body=profile), screen)


async def _list(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    bodies = [body async for page in gateway.pages("profiles") for body in page]
    if screen.json:
        screen.documents(bodies)
        return
    profiles = [api.decode(body, api.Profile) for body in bodies]
    screen.table(
        ("NAME", "STRATEGY", "REPROVISION", "KEY", "CREATED", "ID"),
        [(each.name, each.strategy, each.reprovision, each.provision_key, each.created_at, each.id) for each in profiles],
    )


async def _show(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    _present(await gateway.get("profiles", args.profile), screen)


async def _change(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    options = None if args.option is None else tuple(args.option)
    change = api.ProfileChange(
        name=args.name,
        strategy=args.strategy,
        reprovision=args.reprovision,
        options=options,
        signed=signed_from(args),
        chain=chain_from(args),
        issuing=issuing_from(args),
        plain=plain_from(args),
        claims=claims_from(args),
        hook=hook_from(args),
    )
    _present(await gateway.send("PATCH", "profiles", args.profile, body=change), screen)


async def _disable(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    change = api.ProfileChange(strategy=Strategy.DISABLED.value)
    _present(await gateway.send("PATCH", "profiles", args.profile, body=change), screen)


async def _burn(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    _present(await gateway.send("POST", "profiles", args.profile, "burn"), screen)


async def _rotate(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    secret = api.NewSecret(read_secret(args, "secret"), args.overlap or 0)
    _present(await gateway.send("POST", "profiles", args.profile, "rotate", body=secret), screen)


async def _delete(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    await gateway.send("DELETE", "profiles", args.profile)
    screen.done("profile", args.profile, "deleted")


def _signed(signed: Signed) -> list[tuple[str, str]]:
    tolerance = signed.timestamp_tolerance_s
    return [
        ("auto activation", "yes" if signed.auto_activation else "no"),
        ("self registration", "yes" if signed.self_registration else "no"),
        ("timestamp tolerance", "none" if tolerance is None else f"{tolerance} s"),
        ("reallocation", signed.reallocation),
        ("product key", signed.product_key),
        ("MQTT address", signed.mqtt_url),
        ("HTTP address", signed.http_url),
    ]


def _present(body: bytes, screen: Screen) -> None:
    if screen.json:
        screen.document(body)
        return
    profile = api.decode(body, api.Profile)
    screen.fields(
        [
            ("name", profile.name),
            ("strategy", profile.strategy),
            ("reprovision", profile.reprovision),
            ("options", ", ".join(profile.options)),
            ("provision key", profile.provision_key),
            *([("provision secret", profile.provision_secret)] if profile.provision_secret else []),
            *([("old secret until", profile.previous_secret_until)] if profile.previous_secret_until else []),
            *([("credential kind", profile.credential_kind)] if profile.credential_kind else []),
            *(_signed(profile.signed) if profile.signed else []),
            *trust_fields(profile.chain, profile.issuing, profile.plain),
            *claim_fields(profile.claims),
            *hook_fields(profile.hook),
            *([("metadata", msgspec.json.encode(profile.metadata).decode())] if profile.metadata else []),
            ("created", profile.created_at),
            ("updated", profile.updated_at),
            ("id", profile.id),
        ]
    )
    if profile.provision_secret or (profile.hook and profile.hook.secret):
        screen.remark("the secret is not shown again")
