import msgspec
import pytest

from core.configuration import Seals
from core.credentials import triple_id
from core.errors import Reason, Refusal
from core.handshakes import Handshakes
from core.limits import Rate
from core.lockout import Lockout
from core.messages import (
    AccessToken,
    ClientSecret,
    CredentialValue,
    Identity,
    Oscore,
    OscoreKnown,
    OscoreQuestion,
    Preshared,
    PresharedQuestion,
    ProvenClaim,
    ProvenLogin,
    ProvisionRequest,
    Triple,
)
from core.model import BootstrapConfig, Device, DeviceState, EventKind, Sealed, Secret, Strategy
from core.ports import Changes, Delete
from tests.core.registry import CONTEXT, KEY, SECRET, UNLIMITED, Registry, claim

CLIENT_SECRET = ClientSecret(Secret("0c9c2a52-0d8e-4a4d-8f6c-3a3c3d1c9a11"))
TRIPLE = Triple("pk1", "dk1", Secret("ds" * 16))
OSCORE = Oscore("0a", "ff", Secret("ab" * 16), "cd" * 8, "01")
EXTERNAL_KEY = Secret("external key")


def handshakes(registry: Registry, failures: Rate = UNLIMITED) -> Handshakes:
    return Handshakes(registry.repository, registry.issuer, registry.audit, Lockout(failures))


async def asked(registry: Registry, identity: str) -> Preshared:
    return await handshakes(registry).preshared(PresharedQuestion(identity), CONTEXT)


async def device(registry: Registry, value: CredentialValue, *, keep: bool = True) -> Device:
    return await registry.device(await registry.profile(key="some"), "m1", value, keep=keep, state=DeviceState.CONNECTED)


async def configured(
    registry: Registry, device: Device, external_id: str = "mac-1", key: Secret = EXTERNAL_KEY
) -> BootstrapConfig:
    bare = BootstrapConfig(
        id=device.id,
        tenant=device.tenant,
        external_id=external_id,
        external_key=Sealed(b""),
        active=True,
        created_at=1,
        updated_at=1,
    )
    config = Seals(registry.vault).with_external_key(bare, key)
    await registry.repository.commit(Changes(insert=(config,)))
    return config


async def is_nobody(registry: Registry, identity: str) -> bool:
    found = await asked(registry, identity)
    assert len(found.key.reveal()) == 32
    assert found.key != (await asked(registry, identity)).key
    return (found.identity, found.claim) == (None, "")


async def login(registry: Registry, identity: Identity) -> Identity:
    return await registry.authenticate(ProvenLogin(identity), CONTEXT)


async def refused(registry: Registry, identity: Identity) -> str:
    with pytest.raises(Refusal) as refusal:
        await login(registry, identity)
    assert refusal.value.reason is Reason.UNAUTHENTICATED
    return refusal.value.check


# Whose key it is


async def test_the_id_of_a_device_has_its_newest_client_secret() -> None:
    registry = Registry()
    known = await device(registry, ClientSecret(Secret("older")))
    registry.clock.advance(1)
    newer = await registry.issuer.issue(CLIENT_SECRET, known.id, keep=True)
    over = await registry.issuer.issue(ClientSecret(Secret("over")), known.id, keep=True, expires_at=registry.clock.now())
    token = await registry.issuer.issue(AccessToken(Secret("token")), known.id, keep=True)
    await registry.repository.commit(Changes(insert=(newer, over, token)))
    found = await asked(registry, known.id)
    assert found == Preshared(CLIENT_SECRET.secret, Identity(known.tenant, known.id, "m1", newer.id))
    assert found.identity is not None
    assert await login(registry, found.identity) == found.identity


async def test_a_secret_that_was_shown_once_is_no_key() -> None:
    registry = Registry()
    assert await is_nobody(registry, (await device(registry, CLIENT_SECRET, keep=False)).id)


async def test_a_device_without_a_client_secret_has_no_key() -> None:
    registry = Registry()
    assert await is_nobody(registry, (await device(registry, AccessToken(Secret("token")))).id)


async def test_the_keys_of_a_triple_have_its_secret() -> None:
    registry = Registry()
    known = await device(registry, TRIPLE)
    found = await asked(registry, "dk1&pk1")
    assert found.key == TRIPLE.secret
    assert found.identity is not None
    assert found.identity.device == known.id
    assert await login(registry, found.identity) == found.identity
    assert await is_nobody(registry, "pk1&dk1")
    assert await is_nobody(registry, triple_id("pk1", "dk1"))


async def test_a_triple_whose_time_is_over_is_nobodys() -> None:
    registry = Registry()
    known = await device(registry, CLIENT_SECRET)
    over = await registry.issuer.issue(TRIPLE, known.id, keep=True, expires_at=registry.clock.now() + 1000)
    await registry.repository.commit(Changes(insert=(over,)))
    found = await asked(registry, "dk1&pk1")
    assert found.identity is not None
    assert found.identity.until == registry.clock.now() + 1000
    registry.clock.advance(1)
    assert await is_nobody(registry, "dk1&pk1")
    assert await refused(registry, found.identity) == "login.proven"


async def test_an_external_id_has_its_external_key() -> None:
    registry = Registry()
    known = await device(registry, CLIENT_SECRET)
    config = await configured(registry, known)
    found = await asked(registry, "mac-1")
    assert found == Preshared(EXTERNAL_KEY, Identity(known.tenant, known.id, "m1", None))
    assert found.identity is not None
    assert await login(registry, found.identity) == found.identity
    await registry.repository.commit(Changes(delete=(Delete(config),)))
    assert await refused(registry, found.identity) == "login.proven"


async def test_a_claim_key_has_the_secret_of_its_profile_and_proves_the_claim() -> None:
    registry = Registry()
    await registry.profile()
    assert await asked(registry, KEY) == Preshared(Secret(SECRET), claim=KEY)
    provisioned = await registry.provision(ProvisionRequest(evidence=ProvenClaim(KEY), device_name="m2"), CONTEXT)
    assert provisioned.device.name == "m2"


@pytest.mark.parametrize("strategy", [Strategy.DISABLED, Strategy.SIGNED, Strategy.CERTIFICATE_CHAIN])
async def test_a_profile_that_takes_no_claims_has_no_key(strategy: Strategy) -> None:
    registry = Registry()
    await registry.profile(strategy)
    assert await is_nobody(registry, KEY)


async def test_a_key_that_is_empty_is_nobodys() -> None:
    registry = Registry()
    await registry.profile(secret="")
    await configured(registry, await device(registry, AccessToken(Secret("token"))), key=Secret(""))
    assert await is_nobody(registry, KEY)
    assert await is_nobody(registry, "mac-1")


@pytest.mark.parametrize("identity", ["", "a\0b", "\0", "x" * 129, "\u00e9" * 65, "\ud800", "nobody", "x" * 128, "a&b"])
async def test_whatever_else_is_asked_for_has_a_key_that_nobody_has(identity: str) -> None:
    assert await is_nobody(Registry(), identity)


async def test_a_device_comes_before_whoever_took_its_id_for_a_name() -> None:
    registry = Registry()
    known = await device(registry, CLIENT_SECRET)
    other = await registry.device(await registry.profile(key=known.id), "m2", AccessToken(Secret("token")))
    await configured(registry, other, known.id)
    assert (await asked(registry, known.id)).key == CLIENT_SECRET.secret


async def test_an_external_id_comes_before_a_claim_key() -> None:
    registry = Registry()
    await registry.profile(key="mac-1")
    await configured(registry, await device(registry, CLIENT_SECRET))
    assert (await asked(registry, "mac-1")).claim == ""


async def test_an_identity_that_is_not_known_costs_what_one_costs_that_is() -> None:
    registry = Registry()
    known = await device(registry, CLIENT_SECRET)
    await registry.profile()
    await configured(registry, await registry.device(await registry.profile(key="k"), "m2", TRIPLE))
    opened = set()
    for identity in ("nobody", known.id, "dk1&pk1", "mac-1", KEY):
        before = registry.vault.opened
        await asked(registry, identity)
        opened.add(registry.vault.opened - before)
    assert opened == {4}


# What is proved has still to be good


async def test_a_device_that_is_kept_out_is_told_so_after_its_handshake() -> None:
    registry = Registry()
    known = await device(registry, CLIENT_SECRET)
    found = (await asked(registry, known.id)).identity
    assert found is not None
    disabled = await registry.alter(known, enabled=False)
    assert (await asked(registry, known.id)).identity == found
    assert await refused(registry, found) == "device.disabled"
    await registry.alter(disabled, enabled=True)
    config = await configured(registry, known)
    assert await login(registry, found) == found
    inactive = msgspec.structs.replace(config, active=False, version=config.version + 1)
    await registry.repository.commit(Changes(replace=(inactive,)))
    assert await refused(registry, found) == "config.inactive"


async def test_a_credential_that_was_revoked_since_lets_nobody_in() -> None:
    registry = Registry()
    known = await device(registry, CLIENT_SECRET)
    found = (await asked(registry, known.id)).identity
    assert found is not None
    await registry.repository.commit(Changes(delete=tuple(map(Delete, (await registry.known("m1")).credentials))))
    assert await refused(registry, found) == "login.proven"
    await registry.repository.commit(Changes(delete=(Delete((await registry.known("m1")).device),)))
    assert await refused(registry, found) == "login.proven"


async def test_the_first_proven_login_is_noted() -> None:
    registry = Registry()
    known = await registry.device(await registry.profile(), "m1", CLIENT_SECRET, state=DeviceState.PROVISIONED)
    found = (await asked(registry, known.id)).identity
    assert found is not None
    await login(registry, found)
    assert (await registry.known("m1")).device.state is DeviceState.CONNECTED


# OSCORE


async def context_of(registry: Registry, device_id: bytes, id_context: bytes = b"") -> OscoreKnown | None:
    return await handshakes(registry).security_context(OscoreQuestion(device_id, id_context), CONTEXT)


async def test_a_context_is_known_by_both_of_its_ids() -> None:
    registry = Registry()
    known = await device(registry, OSCORE)
    (credential,) = (await registry.known("m1")).credentials
    found = await context_of(registry, b"\x0a", b"\x01")
    assert found == OscoreKnown(OSCORE, Identity(known.tenant, known.id, "m1", credential.id))
    assert await login(registry, found.identity) == found.identity
    for other in ((b"\x0a",), (b"", b"\x01"), (b"\xff", b"\x01"), (b"\x0a" * 8, b"\x01"), (b"\x0a", b"\x01" * 65)):
        assert await context_of(registry, *other) is None


async def test_a_context_that_is_over_or_was_not_kept_is_none() -> None:
    registry = Registry()
    known = await device(registry, OSCORE, keep=False)
    assert await context_of(registry, b"\x0a", b"\x01") is None
    over = await registry.issuer.issue(
        msgspec.structs.replace(OSCORE, device_id=""), known.id, keep=True, expires_at=registry.clock.now() + 1000
    )
    await registry.repository.commit(Changes(insert=(over,)))
    found = await context_of(registry, b"", b"\x01")
    assert found is not None
    assert found.identity.until == over.expires_at
    registry.clock.advance(1)
    assert await context_of(registry, b"", b"\x01") is None


# Too many wrong keys


async def test_a_source_with_too_many_wrong_keys_is_asked_to_wait() -> None:
    registry = Registry()
    await registry.profile()
    use_case = handshakes(registry, Rate(0.01, 2))
    use_case.mistrust(CONTEXT)
    assert (await use_case.preshared(PresharedQuestion(KEY), CONTEXT)).claim == KEY
    use_case.mistrust(CONTEXT)
    with pytest.raises(Refusal) as refusal:
        await use_case.preshared(PresharedQuestion(KEY), CONTEXT)
    assert (refusal.value.reason, refusal.value.check) == (Reason.TOO_MANY, "limit.login")
    with pytest.raises(Refusal):
        await use_case.security_context(OscoreQuestion(b""), CONTEXT)
    assert {event.kind for event in await registry.events()} == {EventKind.LOGIN_REFUSED}
    elsewhere = msgspec.structs.replace(CONTEXT, source="192.0.2.8")
    assert (await use_case.preshared(PresharedQuestion(KEY), elsewhere)).claim == KEY


async def test_wrong_keys_and_wrong_logins_are_counted_together() -> None:
    registry = Registry(failures=Rate(0.01, 1))
    await registry.profile()
    failures = registry.authenticate.failures
    Handshakes(registry.repository, registry.issuer, registry.audit, failures).mistrust(CONTEXT)
    with pytest.raises(Refusal) as refusal:
        await registry.authenticate(ProvenLogin(await device_identity(registry)), CONTEXT)
    assert refusal.value.check == "limit.login"


async def device_identity(registry: Registry) -> Identity:
    known = await device(registry, CLIENT_SECRET)
    return Identity(known.tenant, known.id, known.name, None)


# Proven claims


@pytest.mark.parametrize(
    ("strategy", "check"),
    [
        (Strategy.DISABLED, "profile.disabled"),
        (Strategy.SIGNED, "profile.signed"),
        (Strategy.CERTIFICATE_CHAIN, "profile.chain"),
    ],
)
async def test_a_proven_claim_gets_in_where_its_secret_would(strategy: Strategy, check: str) -> None:
    registry = Registry()
    with pytest.raises(Refusal) as unknown:
        await registry.provision(ProvisionRequest(evidence=ProvenClaim(KEY)), CONTEXT)
    assert unknown.value.check == "claim.key"
    await registry.profile(strategy)
    for request in (ProvisionRequest(evidence=ProvenClaim(KEY)), claim()):
        with pytest.raises(Refusal) as refusal:
            await registry.provision(request, CONTEXT)
        assert (refusal.value.reason, refusal.value.check) == (Reason.UNAUTHENTICATED, check)
        assert refusal.value.detail == unknown.value.detail
