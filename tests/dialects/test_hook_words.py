"""What devices are told, in the words of each dialect, where the hook of a profile keeps them out: nothing of its reason."""

import json

import pytest

from adapters.dialects import device_api, enos, thingsboard, xively
from adapters.dialects.mainflux import FLAVOURS, DialectOptions, open_dialect
from adapters.exchange import Carrier, Closing, Dialect, Inbound, Peer, Success
from core.errors import Reason, Refusal
from core.hooking import no_answer, require_consent
from core.model import Hook, Sealed, Strategy
from core.ports import HookAnswer, HookQuestion
from tests.core.hooked import HOST, URL, TellingHooks, hook, with_hook
from tests.core.registry import Registry
from tests.dialects.thingsboard_server import FAILURE, Server, body, failed

REASON = "st0len on Friday"
over_all = pytest.mark.parametrize("carrier", Carrier)
ENOS = enos.open_dialect(enos.DialectOptions())
DIALECTS: list[Dialect] = [
    thingsboard,
    ENOS,
    xively,
    device_api,
    *(open_dialect(flavours[0], DialectOptions()) for flavours in FLAVOURS.values()),
]


async def serving(hooks: TellingHooks) -> Server:
    registry = Registry()
    with_hook(registry, hooks)
    await hook(registry, await registry.profile(Strategy.CREATE_NEW))
    return Server(registry)


def unreachable(_question: HookQuestion) -> HookAnswer:
    raise no_answer(f"{HOST}: {REASON}", check="hook.unreachable")


@over_all
async def test_a_thingsboard_device_that_a_hook_refuses_is_told_failure(carrier: Carrier) -> None:
    server = await serving(TellingHooks(HookAnswer(allow=False, reason=REASON)))
    assert await server.ask(carrier, body()) == failed(carrier, FAILURE)
    (event,) = await server.events()
    assert (event.check, event.detail) == ("hook.refused", f"{HOST}: {REASON}")


@over_all
async def test_a_thingsboard_device_is_asked_to_come_again_where_a_hook_does_not_answer(carrier: Carrier) -> None:
    server = await serving(TellingHooks(unreachable))
    told = await server.ask(carrier, body())
    assert (told.outcome, told.retry_after) == (Reason.UNAVAILABLE, 10.0)
    assert told.closing is (Closing.YES if carrier is Carrier.MQTT else Closing.NO)
    assert REASON.encode() not in told.body


def refusals() -> list[Refusal]:
    answer = HookAnswer(allow=False, reason=REASON)
    with pytest.raises(Refusal) as refused:
        require_consent(answer, Hook(url=URL, secret=Sealed(b"")))
    return [refused.value, no_answer(f"{HOST}: {REASON}", check="hook.slow")]


@over_all
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: str(each.NAME))
@pytest.mark.parametrize("form", ["", "json"])
def test_nothing_of_a_reason_reaches_a_device(carrier: Carrier, dialect: Dialect, form: str) -> None:
    inbound = Inbound(carrier=carrier, method="POST", path="/", peer=Peer("192.0.2.7"))
    for refusal in refusals():
        told = dialect.refuse(refusal, form, inbound)
        assert REASON not in repr(told)
        assert HOST not in repr(told)
        assert told.outcome not in (Success.CREATED, Success.CHANGED)


def test_an_enos_device_is_told_that_it_may_not() -> None:
    inbound = Inbound(carrier=Carrier.HTTP, method="POST", path="/", peer=Peer("192.0.2.7"))
    told = [ENOS.refuse(refusal, "", inbound) for refusal in refusals()]
    assert [json.loads(each.body)["code"] for each in told] == [35603, 35500]
