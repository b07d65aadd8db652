"""Profiles as rows of a database and back."""

import msgspec

from core.model import (
    ChainPolicy,
    ClaimPolicy,
    CredentialKind,
    Hook,
    IssuingPolicy,
    Plain,
    Profile,
    Reprovision,
    SignedPolicy,
    Strategy,
)
from storage.rows import Row, firmware, json_object, json_text

# Columns in the order in which the functions below take and give them, each under its table's name so that joins may use them.
_PROFILE = (
    "profile.id, profile.tenant, profile.name, profile.strategy, profile.reprovision, profile.provision_key, "
    "profile.provision_secret, profile.options, profile.created_at, profile.updated_at, profile.version, "
    "profile.previous_secret, profile.previous_until, profile.signed, profile.credential_kind, profile.firmware, "
    "profile.metadata, profile.chain, profile.issuing, profile.plain, profile.claims, profile.hook"
)
PROFILE = f"{_PROFILE}, profile.made"
PROFILE_WRITTEN = f"{_PROFILE}, profile.anchor, profile.anchor_name, profile.budget"
PROFILE_INSERTED = f"{PROFILE_WRITTEN}, profile.made"


def profile_row(profile: Profile) -> Row:
    """Return a profile's row, with what stands behind it: what it is found by, and how many devices its key may make."""
    return (
        profile.id,
        profile.tenant,
        profile.name,
        profile.strategy.value,
        profile.reprovision.value,
        profile.provision_key,
        profile.provision_secret,
        msgspec.json.encode(profile.options).decode(),
        profile.created_at,
        profile.updated_at,
        profile.version,
        profile.previous_secret,
        profile.previous_until,
        json_text(profile.signed),
        profile.credential_kind.value if profile.credential_kind is not None else None,
        json_text(profile.firmware),
        json_text(profile.metadata),
        json_text(profile.chain),
        json_text(profile.issuing),
        profile.plain.value if profile.plain is not None else None,
        json_text(profile.claims),
        json_text(profile.hook),
        profile.chain.anchor if profile.chain is not None else None,
        profile.chain.anchor_name if profile.chain is not None else None,
        profile.claims.allowance if profile.claims is not None else None,
    )


def inserted_row(profile: Profile) -> Row:
    """Return the row of a new profile: what its key makes is counted from the beginning where that has limits."""
    return *profile_row(profile), 0 if profile.claims is not None else None


def profile(row: Row) -> Profile:
    """Return the profile of a row."""
    return Profile(
        id=row[0],
        tenant=row[1],
        name=row[2],
        strategy=Strategy(row[3]),
        reprovision=Reprovision(row[4]),
        provision_key=row[5],
        provision_secret=row[6],
        options=msgspec.json.decode(row[7], type=tuple[str, ...]),
        created_at=row[8],
        updated_at=row[9],
        version=row[10],
        previous_secret=row[11],
        previous_until=row[12],
        signed=None if row[13] is None else msgspec.json.decode(row[13], type=SignedPolicy),
        credential_kind=None if row[14] is None else CredentialKind(row[14]),
        firmware=firmware(row[15]),
        metadata=json_object(row[16]),
        chain=None if row[17] is None else msgspec.json.decode(row[17], type=ChainPolicy),
        issuing=None if row[18] is None else msgspec.json.decode(row[18], type=IssuingPolicy),
        plain=None if row[19] is None else Plain(row[19]),
        claims=None if row[20] is None else msgspec.json.decode(row[20], type=ClaimPolicy),
        hook=None if row[21] is None else msgspec.json.decode(row[21], type=Hook),
        made=row[22],
    )
