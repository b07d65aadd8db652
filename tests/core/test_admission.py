from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.hooking import AGAIN_SECONDS, no_answer
from core.messages import AccessToken, Certificate, ProvenChain, Provisioned, ProvisionRequest
from core.model import (
    DEFAULT_TENANT,
    ChainPolicy,
    Channel,
    ChannelId,
    DeviceState,
    EventKind,
    Profile,
    Reprovision,
    Secret,
    Strategy,
    Verdict,
)
from core.ports import Changes, HookAnswer, HookQuestion
from core.queries import ApprovalQuery, ClaimQuery, ClaimSnapshot, ConfigQuery, Query
from storage.memory import MemoryRepository
from tests.core.faulty import Conflicting, FaultyRepository, RacedRepository
from tests.core.hooked import HOST, SECRET, URL, TellingHooks, hook, with_hook
from tests.core.registry import CONTEXT, OTHER_TENANT, Registry, claim

NAME = "meter-0042"
ANYTHING_ELSE = HookAnswer(allow=True)


def yes(**said: Any) -> HookAnswer:
    return HookAnswer(allow=True, **said)


def deep(levels: int) -> list[Any]:
    return [deep(levels - 1)] if levels else []


async def hooked(
    says: Callable[[HookQuestion], HookAnswer] | HookAnswer = ANYTHING_ELSE,
    strategy: Strategy = Strategy.CREATE_NEW,
    reprovision: Reprovision = Reprovision.SAME,
    **fields: Any,
) -> tuple[Registry, TellingHooks, Profile]:
    registry, hooks = Registry(), TellingHooks(says)
    with_hook(registry, hooks)
    return registry, hooks, await hook(registry, await registry.profile(strategy, reprovision, **fields))


async def refused(registry: Registry, request: ProvisionRequest | None = None) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await registry.provision(request or claim(), CONTEXT)
    return refusal.value


async def channel(registry: Registry, number: int = 1, **fields: Any) -> str:
    identity = ChannelId(f"channel-{number}")
    plain: dict[str, Any] = {"id": identity, "tenant": DEFAULT_TENANT, "created_at": 1, "updated_at": 1}
    made = Channel(**plain | fields)
    await registry.repository.commit(Changes(insert=(made,)))
    return identity


async def test_a_hook_is_asked_before_a_device_is_made() -> None:
    registry, hooks, profile = await hooked()
    request = msgspec.structs.replace(claim(), metadata={"site": "Ulm"})
    given = await registry.provision(request, CONTEXT)
    assert hooks.questions == [
        HookQuestion(
            url=URL,
            secret=Secret(SECRET),
            seconds=3,
            correlation=CONTEXT.correlation,
            at=registry.clock.now(),
            tenant=profile.tenant,
            profile=profile.id,
            profile_name=profile.name,
            dialect="thingsboard",
            protocol="http",
            source=CONTEXT.source,
            secure=False,
            decision="create",
            name=NAME,
            metadata={"site": "Ulm"},
        )
    ]
    (event,) = await registry.events()
    assert (event.kind, event.detail) == (EventKind.PROVISION_SUCCEEDED, f"create; hook {HOST}")
    assert given.device == (await registry.known(NAME)).device


async def test_a_hook_that_says_no_keeps_the_device_out_and_its_reason_to_operators() -> None:
    registry, _, _ = await hooked(HookAnswer(allow=False, reason="stolen\x1b[2J" + "!" * 300))
    refusal = await refused(registry)
    assert (refusal.reason, refusal.check, refusal.detail) == (Reason.FORBIDDEN, "hook.refused", "the device may not be let in")
    assert "stolen" not in str(refusal)
    (event,) = await registry.events()
    assert (event.kind, event.check) == (EventKind.PROVISION_REFUSED, "hook.refused")
    assert event.detail == f"{HOST}: stolen [2J" + "!" * (255 - 10)
    assert await registry.devices() == ()


async def test_a_hook_need_not_give_a_reason() -> None:
    registry, _, _ = await hooked(HookAnswer(allow=False))
    await refused(registry)
    assert (await registry.events())[0].detail == f"{HOST}: it gave no reason"


async def test_without_an_answer_nobody_is_let_in() -> None:
    def says(_question: HookQuestion) -> HookAnswer:
        raise no_answer(f"{HOST}: broken", check="hook.unreachable")

    registry, _, _ = await hooked(says)
    refusal = await refused(registry)
    assert (refusal.reason, refusal.check, refusal.retry_after) == (Reason.UNAVAILABLE, "hook.unreachable", AGAIN_SECONDS)
    assert (await registry.events())[0].detail == f"{HOST}: broken"
    with_hook(registry, None)
    assert (await refused(registry)).check == "hook.unreachable"
    assert await registry.devices() == ()


async def test_who_is_refused_anyway_is_not_asked_about() -> None:
    registry, hooks, profile = await hooked(strategy=Strategy.PRE_PROVISIONED)
    assert (await refused(registry)).check == "device.unknown"
    assert (await refused(registry, claim(secret="wrong"))).check == "claim.secret"
    await registry.device(profile, NAME, state=DeviceState.DISCARDED)
    assert (await refused(registry)).check == "device.discarded"
    assert hooks.questions == []


@pytest.mark.parametrize(
    ("strategy", "state", "reprovision", "decision"),
    [
        (Strategy.PRE_PROVISIONED, DeviceState.DEFINED, Reprovision.DENY, "activate"),
        (Strategy.CREATE_NEW, DeviceState.CONNECTED, Reprovision.SAME, "repeat"),
        (Strategy.CREATE_NEW, DeviceState.CONNECTED, Reprovision.ROTATE, "rotate"),
    ],
)
@pytest.mark.parametrize("allow", [True, False])
async def test_a_hook_is_asked_about_devices_that_are_known(
    strategy: Strategy, state: DeviceState, reprovision: Reprovision, decision: str, allow: bool
) -> None:
    registry, hooks, profile = await hooked(HookAnswer(allow=allow, metadata={"seen": 1}), strategy, reprovision)
    device = await registry.device(profile, NAME, AccessToken(Secret("token-of-meter")), state=state)
    device = await registry.alter(device, metadata={"site": "Ulm"})
    if not allow:
        assert (await refused(registry)).check == "hook.refused"
        assert (await registry.known(NAME)).device == device
        return
    given = await registry.provision(claim(), CONTEXT)
    assert (hooks.decisions, hooks.questions[0].device) == ([decision], device.id)
    assert hooks.questions[0].metadata == {"site": "Ulm"}
    found = (await registry.known(NAME)).device
    assert found == given.device
    assert (found.metadata, found.version) == ({"site": "Ulm", "seen": 1}, device.version + 1)


async def test_what_a_hook_adds_twice_changes_nothing() -> None:
    registry, _, _ = await hooked(yes(metadata={"seen": 1}))
    first = await registry.provision(claim(), CONTEXT)
    assert first.device.metadata == {"seen": 1}
    assert (await registry.provision(claim(), CONTEXT)).device == first.device
    assert first.device.version == 1


async def test_a_conflict_is_decided_anew_and_not_asked_about_again() -> None:
    repository = FaultyRepository(Conflicting(Conflict(Guard.VERSION), 2))
    before = Registry(repository.inner)
    hooks = TellingHooks()
    await hook(before, await before.profile())
    registry = Registry(repository)
    with_hook(registry, hooks)
    assert isinstance(await registry.provision(claim(), CONTEXT), Provisioned)
    assert hooks.decisions == ["create"]


async def test_a_conflict_that_changes_the_decision_is_asked_about() -> None:
    repository = RacedRepository()
    registry, hooks = Registry(repository), TellingHooks(lambda asked: HookAnswer(allow=asked.decision == "create"))
    with_hook(registry, hooks)
    profile = await hook(registry, await registry.profile(reprovision=Reprovision.SAME))
    rival = Registry()
    device = msgspec.structs.replace(await rival.device(await rival.profile(), NAME), profile=profile.id)
    token = await registry.issuer.issue(AccessToken(Secret("of the rival")), device.id, keep=True)
    repository.rival = Changes(insert=(msgspec.structs.replace(device, state=DeviceState.CONNECTED), token))
    assert (await refused(registry)).check == "hook.refused"
    assert hooks.decisions == ["create", "repeat"]


async def test_a_device_is_called_what_the_hook_says_whenever_it_comes() -> None:
    registry, hooks, _ = await hooked(yes(name=" pump 7 "))
    given = await registry.provision(claim(), CONTEXT)
    assert given.device.name == "pump 7"
    assert (await registry.events())[0].detail == f"create; hook {HOST} name"
    again = await registry.provision(claim(), CONTEXT)
    assert (again.device, again.credential) == (given.device, given.credential)
    assert hooks.decisions == ["create", "create", "repeat"]
    assert await registry.snapshot(NAME) is None


async def test_what_comes_of_another_name_has_to_be_agreed_to() -> None:
    registry, hooks, profile = await hooked(
        lambda asked: HookAnswer(allow=asked.decision == "create", name="pump 7"), reprovision=Reprovision.ROTATE
    )
    await registry.device(profile, "pump 7", AccessToken(Secret("token-of-pump")), state=DeviceState.CONNECTED)
    assert (await refused(registry)).check == "hook.refused"
    assert hooks.decisions == ["create", "rotate"]
    assert [question.name for question in hooks.questions] == [NAME, "pump 7"]


async def test_a_hook_has_to_stay_with_what_it_said() -> None:
    registry, _, profile = await hooked(lambda asked: yes(name="pump 7" if asked.decision == "create" else "pump 8"))
    await registry.device(profile, "pump 7", AccessToken(Secret("token-of-pump")), state=DeviceState.CONNECTED)
    refusal = await refused(registry)
    assert (refusal.reason, refusal.check) == (Reason.UNAVAILABLE, "hook.unsteady")


async def test_an_unnamed_device_is_named() -> None:
    registry, _, _ = await hooked(yes(name="pump 7"))
    assert (await registry.provision(claim(None), CONTEXT)).device.name == "pump 7"


async def test_a_device_goes_to_the_profile_that_the_hook_says_whenever_it_comes() -> None:
    registry, hooks, _ = await hooked(yes(profile="profile others"))
    other = await registry.profile(key="others", reprovision=Reprovision.SAME)
    given = await registry.provision(claim(), CONTEXT)
    assert (given.device.profile, given.profile) == (other.id, other)
    again = await registry.provision(claim(), CONTEXT)
    assert (again.device, again.credential) == (given.device, given.credential)
    assert hooks.decisions == ["create", "move", "repeat"]
    hooks.says = ANYTHING_ELSE
    assert (await refused(registry)).check == "device.other_profile"
    hooks.says = yes(profile=other.id)
    assert (await registry.provision(claim(), CONTEXT)).device == given.device


async def test_devices_are_named_by_the_hook_where_they_are_expected() -> None:
    registry, hooks, _ = await hooked(yes(profile="profile others", name="pump 7"), Strategy.PRE_PROVISIONED)
    other = await registry.profile(Strategy.PRE_PROVISIONED, key="others")
    await registry.device(other, NAME, AccessToken(Secret("token-of-meter")))
    pump = await registry.device(other, "pump 7", AccessToken(Secret("token-of-pump")))
    given = await registry.provision(claim(), CONTEXT)
    assert (given.device.id, given.credential) == (pump.id, AccessToken(Secret("token-of-pump")))
    assert hooks.decisions == ["move", "activate"]


async def test_a_hook_names_no_profile_that_devices_cannot_go_to() -> None:
    registry, hooks, _ = await hooked()
    await registry.tenant()
    await registry.profile(key="far", tenant=OTHER_TENANT)
    await registry.profile(Strategy.PRE_PROVISIONED, key="others")
    for ref in ("profile far", "profile nowhere", "profile others", ""):
        hooks.says = yes(profile=ref)
        refusal = await refused(registry)
        assert (refusal.reason, refusal.check) == (Reason.UNAVAILABLE, "hook.profile")
    assert await registry.devices() == ()


class Forgetful(MemoryRepository):
    """A registry that a profile vanishes from just when it was found."""

    vanishing = ""

    async def read(self, query: Query[Any]) -> Any:
        found = await super().read(query)
        gone = isinstance(query, ClaimQuery) and query.provision_key == self.vanishing
        return ClaimSnapshot() if gone else found


async def test_a_profile_that_goes_away_meanwhile_is_looked_for_again() -> None:
    repository = Forgetful()
    registry = Registry(repository)
    with_hook(registry, TellingHooks(yes(profile="profile others")))
    await hook(registry, await registry.profile())
    await registry.profile(key="others")
    repository.vanishing = "others"
    assert (await refused(registry)).check == "registry.conflict"


@pytest.mark.parametrize(
    ("said", "check", "told"),
    [
        ({"name": "a\nb"}, "hook.name", "a name that cannot be: the device name holds control characters or markup"),
        ({"name": " "}, "hook.name", "a name that cannot be: the device name is blank"),
        ({"name": ""}, "hook.name", "an empty name"),
        ({"name": "x" * 256}, "hook.name", "a name that cannot be: a device name has at most 255 characters"),
        ({"channels": ("nowhere",)}, "hook.channels", "a channel that is not there"),
        ({"channels": tuple(map(str, range(1_001)))}, "hook.channels", "more than 1000 channels"),
        ({"metadata": {"a": "x" * 16_384}}, "hook.metadata", "metadata of more than 16384 bytes"),
        ({"metadata": {"a": deep(16)}}, "hook.metadata", "metadata of more than 16 levels"),
    ],
)
async def test_half_an_answer_lets_nobody_in(said: dict[str, Any], check: str, told: str) -> None:
    registry, _, _ = await hooked(yes(**said))
    refusal = await refused(registry)
    assert (refusal.reason, refusal.check, refusal.aside) == (Reason.UNAVAILABLE, check, f"{HOST}: {told}")
    assert await registry.devices() == ()


async def test_metadata_counts_together_with_what_is_there() -> None:
    registry, _, _ = await hooked(yes(metadata={"b": "x" * 9_000}))
    request = msgspec.structs.replace(claim(), metadata={"a": "x" * 9_000})
    assert (await refused(registry, request)).check == "hook.metadata"


async def test_a_device_gets_the_channels_that_the_hook_says() -> None:
    registry, hooks, profile = await hooked()
    first, second = [await channel(registry, number) for number in (1, 2)]
    hooks.says = yes(channels=(second, first, second))
    given = await registry.provision(claim(), CONTEXT)
    query = ConfigQuery(profile.tenant, given.device.id)
    found = await registry.repository.read(query)
    assert found is not None
    assert [each.id for each in found.channels] == [second, first]
    assert (found.config.active, found.config.external_id) == (True, given.device.id)
    await registry.provision(claim(), CONTEXT)
    assert await registry.repository.read(query) == found
    hooks.says = yes(channels=())
    await registry.provision(claim(), CONTEXT)
    changed = await registry.repository.read(query)
    assert changed is not None
    assert (changed.channels, changed.config.version) == ((), 2)
    events = [
        (event.kind, event.detail) for event in await registry.events() if event.kind is not EventKind.PROVISION_SUCCEEDED
    ]
    told = f"{given.device.id}: channels, {HOST}"
    assert events == [(EventKind.CONFIG_CREATED, told), (EventKind.CONFIG_CHANGED, told)]


async def test_no_channels_make_no_configuration() -> None:
    registry, _, profile = await hooked(yes(channels=()))
    given = await registry.provision(claim(), CONTEXT)
    assert await registry.repository.read(ConfigQuery(profile.tenant, given.device.id)) is None


async def test_channels_of_another_tenant_are_not_there() -> None:
    registry, hooks, _ = await hooked()
    await registry.tenant()
    hooks.says = yes(channels=(await channel(registry, tenant=OTHER_TENANT),))
    assert (await refused(registry)).check == "hook.channels"


async def test_nobody_waits_for_an_operator_whom_the_hook_does_not_want() -> None:
    registry, hooks, profile = await hooked(HookAnswer(allow=False), options=("approve-new",))
    assert (await refused(registry)).check == "hook.refused"
    assert hooks.decisions == ["create"]
    assert await registry.repository.read(ApprovalQuery(profile.id, NAME)) is None
    hooks.says = yes(name="pump 7")
    assert (await refused(registry)).check == "approval.waiting"
    entry = await registry.repository.read(ApprovalQuery(profile.id, "pump 7"))
    assert entry is not None
    granted = msgspec.structs.replace(entry, verdict=Verdict.GRANTED, version=2)
    await registry.repository.commit(Changes(replace=(granted,)))
    assert (await registry.provision(claim(), CONTEXT)).device.name == "pump 7"


CHAIN = ChainPolicy(anchor="0a" * 32, anchor_name="0b" * 32, authorities=("TUlJQg==",))


async def test_a_hook_is_asked_about_devices_with_a_chain() -> None:
    registry, hooks, _ = await hooked(yes(metadata={"seen": 1}), Strategy.CERTIFICATE_CHAIN, chain=CHAIN)

    def shown(text: str) -> ProvisionRequest:
        return ProvisionRequest(evidence=ProvenChain("k3y0demo0demo0demo00"), device_name=NAME, credential=Certificate(text))

    first = await registry.provision(shown("TUlJQ0E="), CONTEXT)
    hooks.says = yes(metadata={"seen": 2})
    second = await registry.provision(shown("TUlJQ0I="), CONTEXT)
    assert hooks.decisions == ["create", "renew"]
    assert (first.device.metadata, second.device.metadata) == ({"seen": 1}, {"seen": 2})
    assert (await registry.known(NAME)).device == second.device
    assert f"x509_certificate; hook {HOST} metadata" in [event.detail for event in await registry.events()]
    hooks.says = HookAnswer(allow=False)
    assert (await refused(registry, shown("TUlJQ0M="))).check == "hook.refused"


async def test_profiles_without_a_hook_ask_nobody() -> None:
    registry, hooks = Registry(), TellingHooks(HookAnswer(allow=False))
    with_hook(registry, hooks)
    await registry.profile()
    await registry.provision(claim(), CONTEXT)
    assert hooks.questions == []
