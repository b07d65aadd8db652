import msgspec
import pytest

from core.errors import Reason, Refusal
from core.messages import AccessToken, Certificate, ClientSecret, CredentialValue, Lwm2m, MqttBasic, ProvisionRequest
from core.model import DEFAULT_TENANT, CredentialKind, DeviceState, Reprovision, Secret, Strategy
from core.ports import Changes
from core.queries import TenantQuery
from tests.core.registry import CONTEXT, OTHER_TENANT, Registry, claim

NAME = "meter-0042"
TOKEN = AccessToken(Secret("0wnT0kenOfTheDevice0"))
BASIC = MqttBasic("meter-0042", "field", Secret("pw-0042"))
CERTIFICATE = Certificate("MIIBszCCAVmgAwIBAgIU")
OWN: list[CredentialValue] = [TOKEN, BASIC, MqttBasic("", "field"), MqttBasic("meter-0042"), CERTIFICATE]


async def refused(registry: Registry, request: ProvisionRequest) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await registry.provision(request, CONTEXT)
    return refusal.value


# A new device


async def test_a_new_device_gets_a_token_of_20_characters_and_is_provisioned() -> None:
    registry = Registry()
    profile = await registry.profile()
    given = await registry.provision(claim(), CONTEXT)
    assert isinstance(given.credential, AccessToken)
    assert len(given.credential.token.reveal()) == 20
    found = await registry.known(NAME)
    assert found.device == given.device
    assert (found.device.state, found.device.profile, found.device.enabled) == (DeviceState.PROVISIONED, profile.id, True)
    assert [credential.lookup for credential in found.credentials] == [registry.issuer.lookup(given.credential)]


@pytest.mark.parametrize("name", [None, ""])
async def test_a_device_without_a_name_gets_one_of_20_characters(name: str | None) -> None:
    registry = Registry()
    await registry.profile()
    first = await registry.provision(claim(name), CONTEXT)
    second = await registry.provision(claim(name), CONTEXT)
    assert len(first.device.name) == 20
    assert first.device.name != second.device.name
    assert await registry.known(first.device.name)


async def test_a_name_is_taken_without_the_white_space_around_it() -> None:
    registry = Registry()
    await registry.profile()
    assert (await registry.provision(claim("  m1 "), CONTEXT)).device.name == "m1"


async def test_metadata_is_kept_with_a_device_that_is_created() -> None:
    registry = Registry()
    await registry.profile()
    await registry.provision(msgspec.structs.replace(claim(), metadata={"gateway": True}), CONTEXT)
    assert (await registry.known(NAME)).device.metadata == {"gateway": True}


@pytest.mark.parametrize("value", OWN)
async def test_a_device_may_bring_its_own_credential(value: CredentialValue) -> None:
    registry = Registry()
    await registry.profile()
    assert (await registry.provision(claim(value=value), CONTEXT)).credential == value
    assert await registry.is_taken(value)


@pytest.mark.parametrize("reprovision", [Reprovision.DENY, Reprovision.SAME])
async def test_its_value_is_kept_only_where_it_may_be_asked_for_again(reprovision: Reprovision) -> None:
    registry = Registry()
    await registry.profile(reprovision=reprovision)
    await registry.provision(claim(), CONTEXT)
    (credential,) = (await registry.known(NAME)).credentials
    assert (credential.sealed is not None) is (reprovision is Reprovision.SAME)


@pytest.mark.parametrize(
    ("value", "check"),
    [
        (AccessToken(Secret("")), "credential.empty"),
        (AccessToken(Secret("a\nb")), "credential.characters"),
        (MqttBasic(password=Secret("pw")), "credential.mqtt_basic"),
        (MqttBasic("c", "", Secret("pw")), "credential.mqtt_basic"),
        (Lwm2m(""), "credential.empty"),
    ],
)
async def test_a_credential_that_cannot_be_leaves_no_device(value: CredentialValue, check: str) -> None:
    registry = Registry()
    await registry.profile()
    refusal = await refused(registry, claim(value=value))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, check)
    assert await registry.devices() == ()


@pytest.mark.parametrize("value", OWN)
async def test_a_credential_that_another_device_has_leaves_no_device(value: CredentialValue) -> None:
    registry = Registry()
    await registry.tenant()
    await registry.profile(tenant=OTHER_TENANT, key="elsewhere")
    await registry.profile()
    await registry.provision(claim("first", value, key="elsewhere"), CONTEXT)
    refusal = await refused(registry, claim(value=value))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "credential.taken")
    assert await registry.devices() == ()
    assert await registry.provision(claim(), CONTEXT)


async def test_a_user_name_can_be_no_devices_token() -> None:
    registry = Registry()
    await registry.profile()
    await registry.provision(claim("first", TOKEN), CONTEXT)
    refusal = await refused(registry, claim(value=MqttBasic("", TOKEN.token.reveal(), Secret("pw"))))
    assert refusal.check == "credential.taken"


async def test_tenants_do_not_share_names() -> None:
    registry = Registry()
    await registry.tenant()
    await registry.profile(tenant=OTHER_TENANT, key="elsewhere")
    await registry.profile()
    await registry.provision(claim(), CONTEXT)
    assert (await registry.provision(claim(key="elsewhere"), CONTEXT)).device.tenant == OTHER_TENANT


async def test_a_name_of_another_profile_is_refused() -> None:
    registry = Registry()
    await registry.profile(key="other")
    await registry.profile(reprovision=Reprovision.SAME)
    await registry.provision(claim(key="other"), CONTEXT)
    refusal = await refused(registry, claim())
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "device.other_profile")


async def test_a_full_tenant_gets_no_more_devices() -> None:
    registry = Registry()
    await registry.profile()
    await registry.limit_devices(1)
    await registry.provision(claim("first"), CONTEXT)
    refusal = await refused(registry, claim("second"))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "tenant.device_limit")


# Again


async def test_a_second_request_is_denied() -> None:
    registry = Registry()
    await registry.profile()
    await registry.provision(claim(), CONTEXT)
    refusal = await refused(registry, claim())
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "device.exists")


@pytest.mark.parametrize("value", [None, *OWN])
async def test_a_second_request_is_answered_the_same(value: CredentialValue | None) -> None:
    registry = Registry()
    await registry.profile(reprovision=Reprovision.SAME)
    first = await registry.provision(claim(value=value), CONTEXT)
    again = await registry.provision(claim(value=value), CONTEXT)
    assert again == first
    assert len((await registry.known(NAME)).credentials) == 1


async def test_the_same_answer_is_given_though_another_token_is_proposed_and_none_is_kept_of_it() -> None:
    registry = Registry()
    await registry.profile(reprovision=Reprovision.SAME)
    await registry.provision(claim("other", TOKEN), CONTEXT)
    first = await registry.provision(claim(), CONTEXT)
    assert (await registry.provision(claim(value=TOKEN), CONTEXT)).credential == first.credential


async def test_a_value_that_was_not_kept_cannot_be_given_again() -> None:
    registry = Registry()
    profile = await registry.profile()
    await registry.provision(claim(), CONTEXT)
    later = msgspec.structs.replace(profile, reprovision=Reprovision.SAME, version=2)
    await registry.repository.commit(Changes(replace=(later,)))
    refusal = await refused(registry, claim())
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "credential.not_kept")


async def test_revoked_credentials_are_not_given_again() -> None:
    registry = Registry()
    profile = await registry.profile(reprovision=Reprovision.SAME)
    await registry.device(profile, NAME, state=DeviceState.PROVISIONED)
    refusal = await refused(registry, claim())
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "credential.revoked")


async def test_a_second_request_rotates_the_credential_and_the_old_one_stays_until_the_new_is_used() -> None:
    registry = Registry()
    await registry.profile(reprovision=Reprovision.ROTATE)
    first = await registry.provision(claim(), CONTEXT)
    again = await registry.provision(claim(), CONTEXT)
    assert again.credential != first.credential
    assert (again.device.id, again.device.version) == (first.device.id, 2)
    held = {each.lookup: each.trial for each in (await registry.known(NAME)).credentials}
    assert held == {registry.issuer.lookup(first.credential): False, registry.issuer.lookup(again.credential): True}


async def test_a_device_may_rotate_to_the_credential_it_has() -> None:
    registry = Registry()
    await registry.profile(reprovision=Reprovision.ROTATE)
    await registry.provision(claim(value=TOKEN), CONTEXT)
    assert (await registry.provision(claim(value=TOKEN), CONTEXT)).credential == TOKEN
    assert len((await registry.known(NAME)).credentials) == 1


async def test_a_device_may_not_rotate_to_the_credential_of_another_one_or_to_a_bad_one() -> None:
    registry = Registry()
    await registry.profile(reprovision=Reprovision.ROTATE)
    await registry.provision(claim("other", TOKEN), CONTEXT)
    first = await registry.provision(claim(), CONTEXT)
    assert (await refused(registry, claim(value=TOKEN))).check == "credential.taken"
    assert (await refused(registry, claim(value=AccessToken(Secret(""))))).check == "credential.empty"
    assert await registry.is_taken(first.credential)


# A device that is expected


@pytest.mark.parametrize("value", [*OWN, Lwm2m("urn:imei:490154203237518")])
async def test_an_expected_device_gets_the_credential_it_has(value: CredentialValue) -> None:
    registry = Registry()
    device = await registry.device(await registry.profile(Strategy.PRE_PROVISIONED), NAME, value)
    given = await registry.provision(claim(), CONTEXT)
    assert given.credential == value
    assert (given.device.id, given.device.state) == (device.id, DeviceState.DEFINED)
    assert (await registry.known(NAME)).device.state is DeviceState.PROVISIONED


async def test_the_newest_of_several_credentials_is_given() -> None:
    registry = Registry()
    device = await registry.device(await registry.profile(Strategy.PRE_PROVISIONED), NAME, CERTIFICATE)
    registry.clock.advance(1.0)
    await registry.repository.commit(Changes(insert=(await registry.issuer.issue(TOKEN, device.id, keep=True),)))
    assert (await registry.provision(claim(), CONTEXT)).credential == TOKEN


@pytest.mark.parametrize("proposed", [TOKEN, MqttBasic(password=Secret("x")), AccessToken(Secret(""))])
async def test_what_an_expected_device_proposes_is_ignored(proposed: CredentialValue) -> None:
    registry = Registry()
    profile = await registry.profile(Strategy.PRE_PROVISIONED)
    await registry.device(profile, "other", TOKEN)
    await registry.device(profile, NAME, CERTIFICATE)
    request = msgspec.structs.replace(claim(value=proposed), metadata={"gateway": True})
    assert (await registry.provision(request, CONTEXT)).credential == CERTIFICATE
    assert (await registry.known(NAME)).device.metadata == {}


async def test_an_expected_device_provisions_once() -> None:
    registry = Registry()
    await registry.device(await registry.profile(Strategy.PRE_PROVISIONED), NAME, TOKEN)
    await registry.provision(claim(), CONTEXT)
    refusal = await refused(registry, claim())
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "device.already_provisioned")


async def test_an_operator_may_let_it_provision_once_more() -> None:
    registry = Registry()
    await registry.device(await registry.profile(Strategy.PRE_PROVISIONED), NAME, TOKEN)
    await registry.provision(claim(), CONTEXT)
    await registry.alter((await registry.known(NAME)).device, state=DeviceState.DEFINED)
    assert (await registry.provision(claim(), CONTEXT)).credential == TOKEN


async def test_an_expected_device_may_be_answered_the_same_for_ever() -> None:
    registry = Registry()
    await registry.device(await registry.profile(Strategy.PRE_PROVISIONED, Reprovision.SAME), NAME, BASIC)
    assert [(await registry.provision(claim(), CONTEXT)).credential for _ in range(3)] == [BASIC] * 3


async def test_an_expected_device_that_rotates_gets_a_token_whatever_it_proposes() -> None:
    registry = Registry()
    await registry.device(await registry.profile(Strategy.PRE_PROVISIONED, Reprovision.ROTATE), NAME, BASIC)
    await registry.provision(claim(), CONTEXT)
    given = await registry.provision(claim(value=CERTIFICATE), CONTEXT)
    assert isinstance(given.credential, AccessToken)
    assert await registry.is_taken(BASIC)
    assert (await registry.provision(claim(), CONTEXT)).credential != given.credential


async def test_an_expected_device_without_a_credential_is_refused() -> None:
    registry = Registry()
    await registry.device(await registry.profile(Strategy.PRE_PROVISIONED), NAME)
    assert (await refused(registry, claim())).check == "credential.revoked"


# The evidence


@pytest.mark.parametrize(
    ("request_", "check"),
    [
        (claim(key="unknown"), "claim.key"),
        (claim(secret="wrong"), "claim.secret"),
        (claim(key=""), "claim.empty"),
        (claim(secret=""), "claim.empty"),
        (claim(key="off"), "profile.disabled"),
    ],
)
async def test_evidence_that_is_not_right(request_: ProvisionRequest, check: str) -> None:
    registry = Registry()
    await registry.profile()
    await registry.profile(Strategy.DISABLED, key="off")
    refusal = await refused(registry, request_)
    assert (refusal.reason, refusal.check) == (Reason.UNAUTHENTICATED, check)
    assert await registry.devices() == ()


async def test_a_blank_name_is_refused_before_the_key_is_looked_at() -> None:
    registry = Registry()
    refusal = await refused(registry, claim("   ", key="unknown"))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "device.name_blank")
    assert registry.vault.opened == 0


async def test_the_tenant_counts_what_was_made() -> None:
    registry = Registry()
    await registry.profile()
    await registry.provision(claim("m1"), CONTEXT)
    await refused(registry, claim("m1"))
    tenant = await registry.repository.read(TenantQuery(DEFAULT_TENANT))
    assert tenant is not None
    assert tenant.devices == 1


# Profiles whose devices have one kind of credential


async def test_a_device_gets_the_kind_that_its_profile_has() -> None:
    registry = Registry()
    await registry.profile(credential_kind=CredentialKind.CLIENT_SECRET)
    assert isinstance((await registry.provision(claim(), CONTEXT)).credential, ClientSecret)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (CredentialKind.CLIENT_SECRET, TOKEN),
        (CredentialKind.ACCESS_TOKEN, BASIC),
        (CredentialKind.X509_CERTIFICATE, None),
        (CredentialKind.MQTT_BASIC, None),
    ],
)
async def test_no_device_gets_another_kind(kind: CredentialKind, value: CredentialValue | None) -> None:
    registry = Registry()
    await registry.profile(credential_kind=kind)
    refusal = await refused(registry, claim(value=value))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "credential.kind")
    assert await registry.devices() == ()


async def test_a_credential_whose_time_is_over_is_not_given_again() -> None:
    registry = Registry()
    await registry.profile(reprovision=Reprovision.SAME)
    given = await registry.provision(claim(), CONTEXT)
    (credential,) = (await registry.known(NAME)).credentials
    over = msgspec.structs.replace(credential, expires_at=registry.clock.now(), version=2)
    await registry.repository.commit(Changes(replace=(over,)))
    assert (await refused(registry, claim())).check == "credential.not_kept"
    fresh = await registry.issuer.issue(TOKEN, given.device.id, keep=True)
    await registry.repository.commit(Changes(insert=(fresh,)))
    assert (await registry.provision(claim(), CONTEXT)).credential == TOKEN
