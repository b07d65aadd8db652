"""The rules for a profile whose devices come with a chain of certificates, and for one whose devices get certificates here."""

import msgspec
from msgspec import UNSET

from core.credentials import credential_id
from core.crypto.authorities import Authority, Distrusted, read_authorities, read_authority, require_trustworthy
from core.crypto.certificates import NotACertificate
from core.crypto.chains import BrokenChain, subject_name
from core.errors import Reason, Refusal
from core.messages import Certificate
from core.model import ChainPolicy, CredentialKind, IssuingPolicy, Profile, Strategy
from core.operate import patterns, values
from core.operate.trust_rules import ChainRules, IssuingRules

DAY_SECONDS = 86_400
USUAL_DAYS = 365
MOST_DAYS = 3_660

_CERTIFICATE = "profile.chain_certificate"


def policy(strategy: Strategy, rules: ChainRules | None, now: int) -> ChainPolicy | None:
    """Return the policy of a new profile, None where its devices come otherwise. Raises `Refusal` MALFORMED."""
    if strategy is Strategy.CERTIFICATE_CHAIN:
        return _revised(None, rules or ChainRules(), now)
    if rules is not None:
        raise values.malformed("chain: it goes with the strategy certificate_chain alone", "profile.chain")
    return None


def changed(profile: Profile, strategy: Strategy | None, rules: ChainRules | None, now: int) -> ChainPolicy | None:
    """Return the policy of a profile after a change; it stays with a profile that lets devices in otherwise for a while.

    Raises `Refusal` MALFORMED, and UNPROCESSABLE where there is nothing to change.
    """
    before = profile.chain
    if (strategy or profile.strategy) is Strategy.CERTIFICATE_CHAIN:
        _require_certificates(profile)
        return _revised(before, rules or ChainRules(), now) if rules is not None or before is None else before
    if rules is None:
        return before
    if before is None:
        detail = "chain: the profile's devices do not come with a chain; the strategy certificate_chain makes them"
        raise Refusal(Reason.UNPROCESSABLE, detail, check="profile.not_chain")
    return _revised(before, rules, now)


def require_kind_fits(kind: CredentialKind | None, chain: ChainPolicy | None) -> None:
    """Check the one kind of credential of a profile whose devices bring certificates. Raises `Refusal` MALFORMED."""
    if chain is not None and kind not in (None, CredentialKind.X509_CERTIFICATE):
        raise values.malformed(
            "credential_kind: devices that come with a chain have x509_certificate", "profile.credential_kind"
        )


def issuing(before: IssuingPolicy | None, rules: IssuingRules | None) -> IssuingPolicy | None:
    """Return the policy of what certificates devices get here, None for none. Raises `Refusal` MALFORMED."""
    if rules is None:
        return None
    before = before or IssuingPolicy(lifetime_s=USUAL_DAYS * DAY_SECONDS)
    lifetime_s = before.lifetime_s
    if rules.lifetime_days is not UNSET:
        if not 1 <= rules.lifetime_days <= MOST_DAYS:
            detail = f"issuing.lifetime_days: 1 to {MOST_DAYS} days are possible, not {rules.lifetime_days}"
            raise values.malformed(detail, "profile.issuing_lifetime")
        lifetime_s = rules.lifetime_days * DAY_SECONDS
    return IssuingPolicy(lifetime_s=lifetime_s, key_pairs=before.key_pairs if rules.key_pairs is UNSET else rules.key_pairs)


def _revised(before: ChainPolicy | None, rules: ChainRules, now: int) -> ChainPolicy:
    """Return a policy with what the rules say of it. What it already trusted is not looked at anew, unless it gets stricter."""
    said = {name: value for name in ("create", "lax") if (value := getattr(rules, name)) is not UNSET}
    if rules.pattern is not UNSET:
        said["pattern"] = patterns.require_pattern(rules.pattern)
    authorities = _authorities(before, rules)
    anchor, name = credential_id(Certificate(authorities[0].text)), _name(authorities[0])
    texts = tuple(each.text for each in authorities)
    draft = before or ChainPolicy(anchor=anchor, anchor_name=name, authorities=texts)
    after = msgspec.structs.replace(draft, anchor=anchor, anchor_name=name, authorities=texts, **said)
    if not after.lax and (before is None or before.lax or before.authorities != texts):
        _require_trustworthy(authorities, now)
    return after


def _authorities(before: ChainPolicy | None, rules: ChainRules) -> tuple[Authority, ...]:
    try:
        if rules.certificate is not UNSET:
            return read_authorities(rules.certificate)
    except NotACertificate as error:
        detail = f"chain.certificate: the certificate of an authority is needed, as PEM: {error}"
        raise values.malformed(detail, _CERTIFICATE) from error
    if before is None:
        raise values.malformed("chain.certificate: the certificate of an authority is needed, as PEM", _CERTIFICATE)
    return tuple(map(read_authority, before.authorities))


def _name(authority: Authority) -> str:
    try:
        return subject_name(authority.certificate)
    except BrokenChain as error:
        raise values.malformed("chain.certificate: the first certificate's subject cannot be read", _CERTIFICATE) from error


def _require_trustworthy(authorities: tuple[Authority, ...], now: int) -> None:
    try:
        require_trustworthy(authorities, now)
    except Distrusted as error:
        raise values.malformed(f"chain.certificate: {error}; a lax profile takes it", "profile.chain_authority") from error


def _require_certificates(profile: Profile) -> None:
    if profile.credential_kind not in (None, CredentialKind.X509_CERTIFICATE):
        detail = f"the profile's devices have credentials of the kind {profile.credential_kind.value} alone, for good"
        raise Refusal(Reason.UNPROCESSABLE, detail, check="profile.strategy")
