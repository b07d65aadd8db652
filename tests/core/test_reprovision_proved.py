"""Re-provisioning that wants a proof of the old credential or key."""

import msgspec
import pytest

from core.credentials import secret_id
from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import (
    AccessToken,
    Certificate,
    CredentialValue,
    Identity,
    MqttBasic,
    MqttLogin,
    Provisioned,
    ProvisionRequest,
    TokenLogin,
)
from core.model import DEFAULT_TENANT, CredentialId, DeviceId, DirectoryEntry, EntryId, EntryKind, Reprovision, Secret, Strategy
from core.ports import Changes, Delete
from core.queries import LoginQuery, Query, S
from tests.core.faulty import FaultyRepository, no_fault, unavailable
from tests.core.registry import CONTEXT, Registry, claim

NAME = "meter-0042"
TOKEN = AccessToken(Secret("0wnT0kenOfTheDevice0"))
BASIC = MqttBasic("meter-0042", "field", Secret("pw-0042"))
CERTIFICATE = Certificate("MIIBszCCAVmgAwIBAgIU")
Proof = TokenLogin | MqttLogin | Identity | None


async def proving(value: CredentialValue | None = TOKEN, registry: Registry | None = None) -> Registry:
    """Return a registry whose only device has this credential, on a profile that wants proofs."""
    registry = registry or Registry()
    await registry.profile(reprovision=Reprovision.PROVE)
    await registry.provision(claim(NAME, value), CONTEXT)
    registry.clock.advance(1)
    return registry


async def ask(registry: Registry, value: CredentialValue | None = None, proof: Proof = None) -> Provisioned:
    registry.clock.advance(1)
    request: ProvisionRequest = msgspec.structs.replace(claim(NAME, value), proof=proof)
    return await registry.provision(request, CONTEXT)


async def refusal(registry: Registry, value: CredentialValue | None = None, proof: Proof = None) -> Refusal:
    with pytest.raises(Refusal) as refused:
        await ask(registry, value, proof)
    return refused.value


async def identity(registry: Registry, name: str = NAME) -> Identity:
    found = await registry.known(name)
    return Identity(found.device.tenant, found.device.id, name, found.credentials[-1].id)


async def test_without_a_proof_it_is_refused_as_if_nobody_could() -> None:
    registry = await proving()
    refused = await refusal(registry)
    assert (refused.reason, refused.check) == (Reason.CONFLICT, "reprovision.unproved")
    denying = Registry()
    await denying.profile()
    await denying.provision(claim(NAME), CONTEXT)
    denied = await refusal(denying)
    assert (denied.reason, denied.detail) == (refused.reason, refused.detail)
    (event,) = [event for event in await registry.events() if event.check]
    assert (event.check, event.device_name) == ("reprovision.unproved", NAME)


@pytest.mark.parametrize("proof", [TokenLogin(TOKEN.token), MqttLogin("", TOKEN.token.reveal())])
async def test_the_old_credential_is_a_proof(proof: Proof) -> None:
    registry = await proving()
    given = await ask(registry, proof=proof)
    assert given.credential != TOKEN
    assert [each.trial for each in (await registry.known(NAME)).credentials] == [False, True]


async def test_what_the_connection_proved_is_a_proof() -> None:
    registry = await proving()
    given = await ask(registry, proof=await identity(registry))
    assert given.credential != TOKEN


async def test_an_expected_device_proves_itself_the_same_way() -> None:
    registry = Registry()
    profile = await registry.profile(Strategy.PRE_PROVISIONED, Reprovision.PROVE)
    await registry.device(profile, NAME, TOKEN)
    assert (await ask(registry)).credential == TOKEN  # the first time nothing is wanted
    assert (await refusal(registry)).check == "reprovision.unproved"
    assert (await ask(registry, proof=TokenLogin(TOKEN.token))).credential != TOKEN


async def test_a_token_that_is_proposed_proves_itself_and_another_one_is_drawn() -> None:
    registry = await proving()
    given = await ask(registry, TOKEN)
    assert isinstance(given.credential, AccessToken)
    assert given.credential != TOKEN
    assert [each.trial for each in (await registry.known(NAME)).credentials] == [False, True]


async def test_mqtt_credentials_that_are_proposed_prove_themselves_and_stay() -> None:
    registry = await proving(BASIC)
    assert (await ask(registry, BASIC)).credential == BASIC
    assert [each.trial for each in (await registry.known(NAME)).credentials] == [False]
    await registry.authenticate(MqttLogin(BASIC.client_id, BASIC.username, BASIC.password), CONTEXT)


async def test_a_proof_beside_another_proposal_leads_to_that() -> None:
    registry = await proving()
    assert (await ask(registry, BASIC, TokenLogin(TOKEN.token))).credential == BASIC


@pytest.mark.parametrize(
    "wrong",
    [
        MqttBasic("meter-0042", "field", Secret("another password")),
        AccessToken(Secret("another token of nobody")),
        CERTIFICATE,
    ],
)
async def test_what_is_proposed_and_not_the_old_one_proves_nothing(wrong: CredentialValue) -> None:
    registry = await proving(BASIC)
    assert (await refusal(registry, wrong)).check == "reprovision.unproved"


async def test_a_token_that_reads_as_an_old_user_name_proves_nothing() -> None:
    registry = await proving(MqttBasic("", "field", Secret("pw-0042")))
    assert (await refusal(registry, AccessToken(Secret("field")))).check == "reprovision.unproved"
    tokens = await proving()
    assert (await refusal(tokens, MqttBasic("", TOKEN.token.reveal()))).check == "reprovision.unproved"


async def test_the_text_of_a_certificate_proves_nothing() -> None:
    registry = await proving(CERTIFICATE)
    assert (await refusal(registry, CERTIFICATE)).check == "reprovision.unproved"


async def test_a_credential_that_ended_proves_nothing() -> None:
    registry = await proving()
    (held,) = (await registry.known(NAME)).credentials
    ended = msgspec.structs.replace(held, expires_at=registry.clock.now(), version=held.version + 1)
    await registry.repository.commit(Changes(replace=(ended,)))
    assert (await refusal(registry, TOKEN)).check == "reprovision.unproved"
    assert (await refusal(registry, proof=TokenLogin(TOKEN.token))).check == "reprovision.unproved"


@pytest.mark.parametrize("proof", [TokenLogin(Secret("guess")), MqttLogin("", "guess", Secret("guess"))])
async def test_a_guess_proves_nothing(proof: Proof) -> None:
    registry = await proving()
    assert (await refusal(registry, proof=proof)).check == "reprovision.unproved"


async def test_what_another_device_has_proves_nothing() -> None:
    registry = await proving()
    other = await registry.provision(claim("other"), CONTEXT)
    assert isinstance(other.credential, AccessToken)
    assert (await refusal(registry, proof=TokenLogin(other.credential.token))).check == "reprovision.unproved"
    assert (await refusal(registry, proof=await identity(registry, "other"))).check == "reprovision.unproved"


async def test_a_connection_whose_credential_or_device_is_gone_proves_nothing() -> None:
    registry = await proving()
    proven = await identity(registry)
    gone = msgspec.structs.replace(proven, credential=CredentialId("gone"))
    stranger = msgspec.structs.replace(proven, device=DeviceId("nobody"), credential=None)
    for proof in (gone, stranger):
        assert (await refusal(registry, proof=proof)).check == "reprovision.unproved"


async def test_a_proof_with_the_credential_on_trial_ends_the_trial_and_begins_another() -> None:
    registry = await proving()
    first = await ask(registry, TOKEN)
    assert isinstance(first.credential, AccessToken)
    second = await ask(registry, proof=TokenLogin(first.credential.token))
    lookups = {each.lookup: each.trial for each in (await registry.known(NAME)).credentials}
    assert lookups == {registry.issuer.lookup(first.credential): False, registry.issuer.lookup(second.credential): True}


class SilentRepository(FaultyRepository):
    """A repository that does not say whose a credential is, once it is `silent`."""

    silent = False

    async def read(self, query: Query[S]) -> S:
        if self.silent and isinstance(query, LoginQuery):
            raise Refusal(Reason.UNAVAILABLE, "the registry cannot be used now", check="storage.failed", retry_after=5)
        return await super().read(query)


async def test_a_registry_that_cannot_be_asked_is_no_reason_to_doubt() -> None:
    repository = SilentRepository(no_fault)
    registry = await proving(registry=Registry(repository))
    repository.silent = True
    assert (await refusal(registry, proof=TokenLogin(TOKEN.token))).reason is Reason.UNAVAILABLE


async def test_a_registry_that_cannot_be_written_gives_nothing() -> None:
    repository = FaultyRepository(no_fault)
    registry = await proving(registry=Registry(repository))
    repository.fault = unavailable
    assert (await refusal(registry, proof=TokenLogin(TOKEN.token))).reason is Reason.UNAVAILABLE


async def test_a_device_that_goes_meanwhile_is_decided_about_anew() -> None:
    conflicts = 1

    def fault(changes: Changes) -> Exception | None:
        nonlocal conflicts
        conflicts -= bool(changes.insert)
        return Conflict(Guard.VERSION) if changes.insert and conflicts >= 0 else None

    repository = FaultyRepository(no_fault)
    registry = await proving(registry=Registry(repository))
    repository.fault = fault
    assert (await ask(registry, TOKEN)).credential != TOKEN


async def test_revoked_credentials_prove_nothing_and_nothing_is_given() -> None:
    registry = await proving()
    held = (await registry.known(NAME)).credentials
    await registry.repository.commit(Changes(delete=tuple(map(Delete, held))))
    assert (await refusal(registry, TOKEN)).check == "credential.revoked"


async def test_a_user_of_the_directory_is_no_device() -> None:
    registry = await proving()
    secret = Secret("the MQTT secret of a user")
    lookup = registry.issuer.lookup_id(secret_id(secret.reveal()))
    entry = DirectoryEntry(
        id=EntryId("01938a4e-0000-7000-8000-000000000001"),
        tenant=DEFAULT_TENANT,
        kind=EntryKind.END_USER,
        lookup=lookup,
        created_at=1,
        updated_at=1,
    )
    await registry.repository.commit(Changes(insert=(entry,)))
    assert (await registry.authenticate(MqttLogin("", entry.id, secret), CONTEXT)).user
    assert (await refusal(registry, proof=MqttLogin("", entry.id, secret))).check == "reprovision.unproved"
