"""The rules for what operators may write: names, claim keys and secrets, options, metadata, credentials.

What breaks one is refused MALFORMED, with a sentence that never repeats a secret.
"""

import binascii
from collections.abc import Iterable
from typing import Any

from core import credentials, strategy
from core.crypto.tokens import LOWER_AND_DIGITS, random_text
from core.errors import Reason, Refusal
from core.issuer import TOKEN_CHARACTERS, Issuer
from core.messages import AccessToken, Certificate, ClientSecret, CredentialValue, Lwm2m, MqttBasic, Oscore
from core.metadata import METADATA_BYTES, METADATA_LEVELS, is_shallow, is_small
from core.model import Profile, Secret
from core.operate import kinds
from core.operate.messages import (
    ProposedBasic,
    ProposedCertificate,
    ProposedCredential,
    ProposedOscore,
    ProposedSecret,
    ProposedToken,
    ProposedTriple,
)
from core.ports import Entropy

TEXT_CHARACTERS = 255
LABEL_CHARACTERS = 1_024  # of what people call a device, which may hold anything
SECRET_CHARACTERS_AT_LEAST = 8
CLAIM_CHARACTERS = 20
CERTIFICATE_CHARACTERS = 16_384
OSCORE_ID_BYTES = 4  # of the ids that are drawn: few enough for a message, and hardly two alike

_BEGIN = "-----BEGIN "


def draw_claim_text(entropy: Entropy) -> str:
    """Draw a claim key or secret: 20 characters of `[a-z0-9]` (103 bits), as ThingsBoard makes them."""
    return LOWER_AND_DIGITS.draw(CLAIM_CHARACTERS, entropy)


def require_label(text: str, what: str) -> str:
    """Return the name of a profile or token without the white space around it. Raises `Refusal` MALFORMED."""
    trimmed = text.strip()
    require_text(trimmed, what)
    return trimmed


def require_text(text: str, what: str, at_least: int = 1, *, of: str = "") -> None:
    """Check length and characters of a text. Raises `Refusal` MALFORMED; `of` is the entity it is a part of, for the check."""
    if not at_least <= len(text) <= TEXT_CHARACTERS:
        needed = f"{what}: {at_least} to {TEXT_CHARACTERS} characters are needed, not {len(text)}"
        raise malformed(needed, f"{of or what}.length")
    if credentials.has_control_characters(text):
        raise malformed(f"{what}: control characters are not allowed", f"{of or what}.characters")


def require_size(text: str, what: str, most: int, *, of: str) -> None:
    """Check that a text, which may hold anything, is not too long. Raises `Refusal` MALFORMED as `require_text` does."""
    if len(text) > most:
        raise malformed(f"{what}: more than {most} characters", f"{of}.length")


def require_secret(secret: Secret) -> None:
    """Check a provision secret. Raises `Refusal` MALFORMED."""
    require_text(secret.reveal(), "provision_secret", SECRET_CHARACTERS_AT_LEAST)


def require_device_name(text: str) -> str:
    """Return a device's name without the white space around it. Raises `Refusal` MALFORMED."""
    try:
        name = strategy.require_name(text)
        strategy.require_writable(name)
    except Refusal as refusal:
        raise malformed(refusal.detail, refusal.check) from refusal
    if not name:
        raise malformed("the device name is empty", "device.name_missing")
    return name


def require_options(options: Iterable[str], known: frozenset[str]) -> tuple[str, ...]:
    """Return the options, each once. Raises `Refusal` MALFORMED with the known ones for any other."""
    chosen = tuple(dict.fromkeys(options))
    unknown = [option for option in chosen if option not in known]
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        raise malformed(f"options: one is not known, known are: {names}", "profile.options")
    return chosen


def require_metadata(metadata: dict[str, Any]) -> None:
    """Check depth and size of a device's metadata. Raises `Refusal` MALFORMED."""
    if not is_shallow(metadata):
        raise malformed(f"metadata: more than {METADATA_LEVELS} levels deep", "metadata.depth")
    if not is_small(metadata):
        raise malformed(f"metadata: more than {METADATA_BYTES} bytes", "metadata.size")


def require_seconds(seconds: int, what: str, at_least: int, at_most: int) -> None:
    """Check a length of time. Raises `Refusal` MALFORMED."""
    if not at_least <= seconds <= at_most:
        raise malformed(f"{what}: {at_least} to {at_most} seconds are possible, not {seconds}", f"{what}.bounds")


def complete(proposal: ProposedCredential, profile: Profile, issuer: Issuer) -> CredentialValue:
    """Return the credential that is meant for a device of a profile, its missing parts drawn.

    Raises `Refusal` MALFORMED where it cannot become one, UNPROCESSABLE where the profile has no devices with such a one.
    """
    value = _complete(proposal, profile, issuer)
    kinds.require_kind(profile, credentials.KIND[type(value)])
    for text in _texts(value):
        if len(text) > TEXT_CHARACTERS:
            raise malformed(f"credential: a part has more than {TEXT_CHARACTERS} characters", "credential.length")
    try:
        credentials.require_valid(value)
    except Refusal as refusal:
        raise malformed(refusal.detail, refusal.check) from refusal
    return value


def malformed(detail: str, check: str) -> Refusal:
    """Make the refusal of a value."""
    return Refusal(Reason.MALFORMED, detail, check=check)


def _complete(proposal: ProposedCredential, profile: Profile, issuer: Issuer) -> CredentialValue:
    match proposal:
        case ProposedToken(token=token):
            return issuer.new_token() if token is None else AccessToken(token)
        case ProposedSecret(secret=secret):
            return issuer.new_secret() if secret is None else ClientSecret(secret)
        case ProposedTriple():
            return issuer.new_triple(profile.signed.product_key if profile.signed is not None else "")
        case ProposedBasic():
            return _complete_basic(proposal, issuer.entropy)
        case ProposedCertificate(text=text):
            return _certificate(text)
        case ProposedOscore():
            return _complete_oscore(proposal, issuer.entropy)
        case _:
            return proposal


def _complete_basic(proposal: ProposedBasic, entropy: Entropy) -> MqttBasic:
    client_id, username, password = proposal.client_id, proposal.username, proposal.password
    if not client_id and not username:
        username = random_text(TOKEN_CHARACTERS, entropy)
    if password is None:
        password = Secret(random_text(TOKEN_CHARACTERS, entropy) if username else "")
    return MqttBasic(client_id, username, password)


def _complete_oscore(proposal: ProposedOscore, entropy: Entropy) -> Oscore:
    device_id, secret = proposal.device_id, proposal.secret
    return Oscore(
        device_id=entropy.draw(OSCORE_ID_BYTES).hex() if device_id is None else device_id.lower(),
        server_id=proposal.server_id.lower(),
        secret=Secret(entropy.draw(credentials.OSCORE_SECRET_BYTES).hex() if secret is None else secret.reveal().lower()),
        salt=proposal.salt.lower(),
        id_context=proposal.id_context.lower(),
    )


def _certificate(text: str) -> Certificate:
    """Take one certificate. That it is base64 keeps out what would never match, and keys pasted by mistake."""
    if len(text) > CERTIFICATE_CHARACTERS:
        raise malformed(f"certificate: more than {CERTIFICATE_CHARACTERS} characters", "credential.length")
    value = credentials.certificate(text.strip())
    try:
        if text.count(_BEGIN) > 1 or not binascii.a2b_base64(value.text, strict_mode=True):
            raise _not_a_certificate()
    except ValueError as error:
        raise _not_a_certificate() from error
    return value


def _not_a_certificate() -> Refusal:
    return malformed("certificate: one certificate is needed, as PEM or base64", "credential.certificate")


def _texts(value: CredentialValue) -> tuple[str, ...]:
    match value:
        case AccessToken(token=token):
            return (token.reveal(),)
        case ClientSecret(secret=secret):
            return (secret.reveal(),)
        case MqttBasic(client_id=client_id, username=username, password=password):
            return (client_id, username, password.reveal())
        case Lwm2m(endpoint=endpoint):
            return (endpoint,)
        case Oscore(secret=secret):
            return (value.device_id, value.server_id, secret.reveal(), value.salt, value.id_context)
        case _:
            return ()
