"""Which kind of credential a device of a profile gets. Pure."""

from collections.abc import Sequence

from core.errors import Reason, Refusal
from core.model import Credential, CredentialKind, Profile
from core.operate.messages import (
    ProposedBasic,
    ProposedCredential,
    ProposedOscore,
    ProposedSecret,
    ProposedToken,
    ProposedTriple,
)

DRAWN: dict[CredentialKind, ProposedCredential] = {
    CredentialKind.ACCESS_TOKEN: ProposedToken(),
    CredentialKind.MQTT_BASIC: ProposedBasic(),
    CredentialKind.CLIENT_SECRET: ProposedSecret(),
    CredentialKind.DEVICE_SECRET: ProposedTriple(),
    CredentialKind.OSCORE: ProposedOscore(),
}
"""The kinds that can be drawn, each with the proposal that has it drawn; the others come from outside."""


def usual(profile: Profile, held: Sequence[Credential] = ()) -> CredentialKind:
    """Return the kind that a device gets where none is named: that of the newest it has, or of its profile.

    `held` are its credentials, oldest first. A kind that cannot be drawn gives way to an access token, unless the profile
    wants it.
    """
    if profile.credential_kind is not None:
        return profile.credential_kind
    for credential in reversed(held):
        if credential.kind in DRAWN:
            return credential.kind
    return CredentialKind.DEVICE_SECRET if profile.signed is not None else CredentialKind.ACCESS_TOKEN


def drawn(kind: CredentialKind) -> ProposedCredential:
    """Return the proposal of a drawn credential. Raises `Refusal` UNPROCESSABLE for a kind that comes from outside."""
    if kind not in DRAWN:
        raise _wrong_kind(f"a credential of the kind {kind.value} is given and cannot be drawn")
    return DRAWN[kind]


def require_kind(profile: Profile, kind: CredentialKind) -> None:
    """Raise `Refusal` UNPROCESSABLE where devices of the profile cannot have a credential of this kind."""
    wanted = profile.credential_kind
    if wanted not in (None, kind):
        raise _wrong_kind(f"devices of this profile have credentials of the kind {wanted.value} alone")
    if kind is CredentialKind.DEVICE_SECRET and profile.signed is None:
        raise _wrong_kind("only a profile whose devices sign has a product key to draw a triple for")


def _wrong_kind(detail: str) -> Refusal:
    return Refusal(Reason.UNPROCESSABLE, detail, check="credential.kind")
