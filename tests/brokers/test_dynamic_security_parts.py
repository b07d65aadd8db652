"""The parts of what keeps dynamic security in step that need no broker."""

import asyncio

import pytest

from adapters.brokers.dynamic_security.changes import plan
from adapters.brokers.dynamic_security.inventory import Inventory, describe
from adapters.brokers.dynamic_security.queue import Queue, Turn
from adapters.brokers.dynamic_security.reading import Reader
from adapters.brokers.dynamic_security.wanted import Account, Unkept, Wanted, ownership, role_name, want
from adapters.brokers.dynamic_security.wire import (
    Acl,
    CreateClient,
    DeleteClient,
    DeleteRole,
    DisableClient,
    EnableClient,
    ListedClient,
    ListedRole,
    ModifyClient,
    ModifyRole,
    RoleName,
)
from core.crypto.vault import Vault
from core.issuer import Issuer
from core.messages import AccessToken, Certificate, ClientSecret, CredentialValue, Lwm2m, MqttBasic, Oscore, Triple
from core.model import Device, DeviceId, DeviceState, ProfileId, Secret, TenantId
from core.notices import EVERYTHING, session_key
from core.operate.configuring import CreateTenant
from core.operate.messages import CreateProfile, DefineDevice
from tests.fakes import FrozenClock, PlainKeys, SeededEntropy
from tests.operating import Desk

MARK = "firstlight 00"
DEVICE = DeviceId("device-1")
ROLE = role_name(DEVICE)
ACLS = frozenset({Acl("publishClientSend", "a/#")})


def issuer() -> Issuer:
    entropy = SeededEntropy()
    return Issuer(Vault(bytes(32), entropy), FrozenClock(), entropy, PlainKeys())


def device(**fields: object) -> Device:
    given = {
        "id": DEVICE,
        "tenant": TenantId("default"),
        "profile": ProfileId("p"),
        "name": "d",
        "created_at": 1,
        "updated_at": 1,
    }
    return Device(**(given | fields))  # type: ignore[arg-type]  # fields of many types


@pytest.mark.parametrize(
    ("value", "unkept"),
    [
        (AccessToken(Secret("t")), (Unkept.NO_PASSWORD,)),
        (Certificate("c"), (Unkept.NO_PASSWORD,)),
        (Lwm2m("e"), ()),
        (Oscore("01", "", Secret("00" * 16)), ()),
        (Triple("pk", "dk", Secret("s")), (Unkept.SIGNED,)),
        (MqttBasic("c", "", Secret("")), (Unkept.NO_PASSWORD,)),
        (MqttBasic("", "u", Secret("")), (Unkept.NO_PASSWORD,)),
        (ClientSecret(Secret("half a pair \ud800")), (Unkept.NO_PASSWORD,)),
    ],
)
async def test_what_cannot_be_kept_has_its_reason(value: CredentialValue, unkept: tuple[Unkept, ...]) -> None:
    here = issuer()
    credential = await here.issue(value, DEVICE, keep=True)
    wanted = want(device(), (credential,), None, ACLS, here)
    assert (wanted.accounts, wanted.unkept) == ((), unkept)


async def test_what_another_key_sealed_cannot_be_kept() -> None:
    credential = await Issuer(Vault(bytes(range(32)), SeededEntropy()), FrozenClock(), SeededEntropy(), PlainKeys()).issue(
        ClientSecret(Secret("s")), DEVICE, keep=True
    )
    assert want(device(), (credential,), None, ACLS, issuer()).unkept == (Unkept.NOT_SEALED,)


async def test_a_stamp_differs_with_whatever_makes_a_login() -> None:
    here = issuer()
    stamps = set()
    for value in (
        MqttBasic("", "u", Secret("p")),
        MqttBasic("", "u", Secret("q")),
        MqttBasic("", "v", Secret("p")),
        MqttBasic("c", "u", Secret("p")),
        MqttBasic("", "u", Secret("p")),  # the same again, under another id
    ):
        (account,) = want(device(), (await here.issue(value, DEVICE, keep=True),), None, ACLS, here).accounts
        stamps.add(account.stamp)
        assert len(account.stamp) == 16
    assert len(stamps) == 5


async def test_a_discarded_device_has_nothing() -> None:
    here = issuer()
    credential = await here.issue(ClientSecret(Secret("s")), DEVICE, keep=True, expires_at=here.clock.now() + 1)
    assert want(device(), (credential,), None, ACLS, here).until == here.clock.now() + 1
    assert want(device(state=DeviceState.DISCARDED), (credential,), None, ACLS, here) == Wanted(DEVICE)


def test_the_mark_is_of_the_key_and_tells_nothing_of_it() -> None:
    marks = {ownership(Vault(bytes([number]) * 32, SeededEntropy())) for number in range(3)}
    assert len(marks) == 3
    assert all(len(mark) == len("firstlight ") + 12 for mark in marks)


def account(username: str = "u", *, enabled: bool = True, stamp: str = "s", client_id: str = "") -> Account:
    return Account(username, Secret("p"), client_id, stamp, enabled)


def there(username: str = "u", *, disabled: bool = False, whose: DeviceId = DEVICE, stamp: str = "s") -> ListedClient:
    return ListedClient(username, "", MARK, describe(whose, stamp), disabled, (RoleName(role_name(whose)),))


def inventory(*clients: ListedClient, acls: frozenset[Acl] = ACLS) -> Inventory:
    return Inventory(MARK, clients, [ListedRole(ROLE, MARK, tuple(acls))])


def test_what_is_as_it_should_be_needs_nothing() -> None:
    assert plan(Wanted(DEVICE, (account(),), ACLS), inventory(there())).changes == ()
    assert plan(Wanted(DEVICE, (account(enabled=False),)), inventory(there(disabled=True))).changes == ()


def test_what_takes_away_comes_first_and_what_lets_in_last() -> None:
    accounts = (account("kept", stamp="new"), account("out", enabled=False, stamp="new"), account("in"))
    here = inventory(there("gone"), there("kept"), there("out"), there("in", disabled=True), acls=frozenset())
    changes = plan(Wanted(DEVICE, accounts, ACLS), here).changes
    assert [type(change) for change in changes] == [
        DeleteClient,
        ModifyRole,
        ModifyClient,
        DisableClient,
        ModifyClient,
        EnableClient,
    ]
    for change in changes:
        here.apply(change)
    assert plan(Wanted(DEVICE, accounts, ACLS), here).changes == ()
    assert [type(change) for change in plan(Wanted(DEVICE), here).changes] == [DeleteClient] * 3 + [DeleteRole]


def test_a_client_of_ours_without_a_device_goes() -> None:
    here = Inventory(MARK, [ListedClient("u", "", MARK, "nonsense")])
    assert here.devices() == {DeviceId("")}
    (change,) = plan(Wanted(DeviceId("")), here).changes
    assert isinstance(change, DeleteClient)
    here.apply(change)
    here.apply(change)
    assert here.devices() == set()


def test_passwords_are_in_no_repr() -> None:
    (_, made) = plan(Wanted(DEVICE, (account("u", stamp="x"),), ACLS), Inventory(MARK)).changes
    (modified,) = plan(Wanted(DEVICE, (account("u", stamp="x"),), ACLS), inventory(there())).changes
    assert (repr(made), repr(modified)) == ("CreateClient(username='u')", "ModifyClient(username='u')")
    assert isinstance(made, CreateClient)


async def test_the_queue_takes_turns() -> None:
    queue = Queue(2)
    one, two, three = map(DeviceId, "123")
    assert queue.pop(Turn) is None
    await queue.wait(0.0)
    queue.begin((one, two, three))
    queue.put_off(three)
    queue.told(frozenset({session_key(two), "2", "channel"}))
    assert queue.pop((Turn.CHANGED,)) == (two, Turn.CHANGED)
    assert queue.pop((Turn.CHANGED,)) is None
    assert queue.is_waiting()
    assert [queue.pop(Turn), queue.pop(Turn), queue.pop(Turn)] == [(three, Turn.NEW), (one, Turn.LOOK), None]
    assert not queue.is_waiting()
    queue.depends(one, ("1", "channel", "other"))
    queue.depends(two, ("2", "channel"))
    queue.depends(one, ("1", "other"))
    queue.told(frozenset({"channel"}))
    assert queue.pop(Turn) == (two, Turn.CHANGED)
    queue.depends(two, ())
    queue.told(frozenset({"channel"}))
    assert queue.pop(Turn) is None


async def test_what_changes_while_a_device_is_read_is_not_missed() -> None:
    queue = Queue(10)
    for told, is_read_again in (("channel", True), ("another", False)):
        with queue.reading():
            queue.told(frozenset({told}))
            queue.depends(DEVICE, (DEVICE, "channel"))
        queue.told(frozenset({"another"}))
        assert (queue.pop(Turn) == (DEVICE, Turn.CHANGED)) is is_read_again


async def test_the_queue_is_bounded() -> None:
    queue = Queue(1)
    for put in (queue.put, queue.put_off):
        put(DeviceId("1"))
        assert not queue.overflowed
        put(DeviceId("2"))
        assert queue.overflowed
        queue.clear()
        assert not queue.overflowed


async def test_where_nobody_knows_what_changed_all_are_to_be_looked_at() -> None:
    queue = Queue(10)
    waiting = asyncio.ensure_future(queue.wait(60.0))
    await asyncio.sleep(0)
    queue.told(frozenset({EVERYTHING}))
    await waiting
    assert queue.overflowed
    queue.clear()
    assert not queue.overflowed


async def test_waiting_ends_with_a_change() -> None:
    queue = Queue(10)
    async with asyncio.timeout(20):
        waiting = asyncio.create_task(queue.wait(600.0))
        await asyncio.sleep(0)
        queue.put(DEVICE)
        await waiting
        await queue.wait(600.0)  # it is there still


async def test_all_devices_of_all_tenants_are_read() -> None:
    desk = Desk()
    await desk(CreateTenant(name="more", id="more"))
    await desk(CreateProfile(name="meters"), tenant="more")
    await desk(DefineDevice(name="m", profile="meters"), tenant="more")
    await desk.profile()
    for number in range(5):
        await desk.device(f"d-{number}")
    for page in (1, 2, 3, 100):
        reader = Reader(desk.repository, desk.issuer, desk.permit, (), page)
        found = [device async for device in reader.devices()]
        assert len(found) == len(set(found)) == await reader.count() == 6
