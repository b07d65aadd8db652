"""Fulfilment: what a device is given by what was decided, and the changes that go with it."""

import msgspec

from core import lifecycle, strategy, trials
from core.credentials import KIND, require_valid
from core.crypto.certificates import beginning
from core.crypto.tokens import new_id, random_text
from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.messages import Certificate, CredentialValue, MqttBasic, ProvenChain, Provisioned, ProvisionRequest
from core.model import Credential, CredentialKind, Device, DeviceId, DeviceState, Profile, ProfileId, Strategy
from core.ports import Changes
from core.proofs import Proof

GENERATED_NAME_CHARACTERS = 20

Given = tuple[Changes, Provisioned]
"""What is to be written, and what the device is told once it is."""


async def create(request: ProvisionRequest, name: str, profile: Profile, made_by: ProfileId, issuer: Issuer) -> Given:
    """Make a device with a credential. It counts as made by the claim key of `made_by`. Raises `Refusal`."""
    now, entropy = issuer.clock.now(), issuer.entropy
    device = Device(
        id=DeviceId(new_id(now, entropy)),
        tenant=profile.tenant,
        profile=profile.id,
        name=name or random_text(GENERATED_NAME_CHARACTERS, entropy),
        state=DeviceState.PROVISIONED,
        metadata=request.metadata,
        created_at=now,
        updated_at=now,
    )
    value, credential = await issue(request, device, profile, issuer)
    changes = Changes(insert=(device, credential), made_by=made_by)
    return changes, Provisioned(device=device, profile=profile, credential=value)


async def rotate(
    request: ProvisionRequest,
    device: Device,
    profile: Profile,
    held: tuple[Credential, ...],
    proof: Proof | None,
    issuer: Issuer,
) -> Given:
    """Give a device a new credential, on trial beside those that it has. Raises `Refusal`.

    A token that proves itself is not what the device proposes: another one is drawn. MQTT credentials that do are kept, as
    devices make those up themselves.
    """
    now = issuer.clock.now()
    if proof is not None and proof.proposed is not None and not isinstance(proof.proposed, MqttBasic):
        request = msgspec.structs.replace(request, credential=None)
    renewed = lifecycle.renew(device, now)
    value, credential = await issue(request, renewed, profile, issuer)
    begun = trials.begin(credential, held, now, used=proof.credential if proof is not None else None)
    changes = msgspec.structs.replace(begun, replace=(renewed, *begun.replace))
    return changes, Provisioned(device=renewed, profile=profile, credential=value)


def activate(device: Device, profile: Profile, held: tuple[Credential, ...], issuer: Issuer) -> Given:
    """Give a defined device the credential it has. Raises `Refusal`."""
    result = repeat(device, profile, held, issuer)
    return Changes(replace=(lifecycle.advance(device, DeviceState.PROVISIONED, issuer.clock.now()),)), result


def repeat(device: Device, profile: Profile, held: tuple[Credential, ...], issuer: Issuer) -> Provisioned:
    """Give a device the same credential again. Raises `Refusal` CONFLICT where that was not kept."""
    now = issuer.clock.now()
    valid = [credential for credential in held if not credential.is_over(now)]
    # A certificate that was made here later is beside what the device was given first, not in its place.
    valid.sort(key=lambda each: each.kind is not CredentialKind.X509_CERTIFICATE)
    value = issuer.reveal(valid[-1]) if valid else None
    if value is None:
        raise Refusal(Reason.CONFLICT, "the device's credential was given once and not kept", check="credential.not_kept")
    return Provisioned(device=device, profile=profile, credential=value)


async def issue(
    request: ProvisionRequest, device: Device, profile: Profile, issuer: Issuer
) -> tuple[CredentialValue, Credential]:
    """Make a device's credential of what it proposes, or else of what is drawn for it. Raises `Refusal`."""
    own = None if profile.strategy is Strategy.PRE_PROVISIONED else request.credential
    value = own or _drawn(profile, issuer)
    require_valid(value)
    _require_kind(KIND[type(value)], profile)
    until = request.evidence.until if isinstance(request.evidence, ProvenChain) else None
    return value, await issuer.issue(value, device.id, keep=strategy.keeps_credentials(profile), expires_at=until)


def certificates(held: tuple[Credential, ...]) -> tuple[Credential, ...]:
    """Return those of a device's credentials that are certificates."""
    return tuple(each for each in held if each.kind is CredentialKind.X509_CERTIFICATE)


def require_newest(request: ProvisionRequest, held: tuple[Credential, ...], issuer: Issuer) -> None:
    """Refuse a certificate that a later one has taken the place of: it may have been revoked, or its key be stolen.

    Raises `Refusal` FORBIDDEN.
    """
    since = request.evidence.since if isinstance(request.evidence, ProvenChain) else None
    # Certificates know whole seconds.
    if since is not None and any(_begins(each, issuer) // 1000 > since // 1000 for each in certificates(held)):
        raise Refusal(Reason.FORBIDDEN, "the device has a newer certificate", check="chain.superseded")


def _begins(credential: Credential, issuer: Issuer) -> int:
    """Return when the time of a certificate begins; of one that was not kept, when it was registered."""
    value = issuer.reveal(credential)
    begins = beginning(value.text) if isinstance(value, Certificate) else None
    return credential.created_at if begins is None else begins


def _drawn(profile: Profile, issuer: Issuer) -> CredentialValue:
    """Draw what a device of this profile has that brings nothing of its own: an access token where it may be anything."""
    return issuer.new_secret() if profile.credential_kind is CredentialKind.CLIENT_SECRET else issuer.new_token()


def _require_kind(kind: CredentialKind, profile: Profile) -> None:
    """Check that devices of a profile may have this kind of credential. Raises `Refusal` FORBIDDEN."""
    if profile.credential_kind not in (None, kind):
        raise Refusal(Reason.FORBIDDEN, "devices of this profile have another kind of credential", check="credential.kind")
