"""What state 0 keeps out: the client secret of a device whose configuration is not active, and nothing else."""

import pytest

from core.errors import Reason, Refusal
from core.limits import Rate
from core.lockout import Lockout
from core.messages import BootstrapRequest, Identity, PlainKey
from core.model import EventKind, Secret
from core.operate.configuring import ChangeConfig, DeleteConfig, ShownConfig
from core.operate.messages import AddCredential, ChangeDevice, ProposedToken
from core.queries import ConfigQuery, Query, S
from tests.operating import ContendedRepository, Desk

TOKEN = "Zk3vQ0pR7uWnT1xYb2Lc"


class CountingRepository(ContendedRepository):
    """A registry that remembers what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[object] = []

    async def read(self, query: Query[S]) -> S:
        """Answer."""
        self.asked.append(query)
        return await super().read(query)


async def log_in(desk: Desk, made: ShownConfig) -> Identity:
    assert made.secret is not None
    return await desk.login(made.device.id, made.secret.reveal())


async def refused(desk: Desk, username: str, password: str) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await desk.login(username, password)
    return refusal.value


async def switch(desk: Desk, made: ShownConfig, *, active: bool) -> None:
    await desk(ChangeConfig(id=made.config.id, active=active))


async def test_a_new_configuration_keeps_its_device_out_until_it_is_active() -> None:
    desk = Desk()
    made = await desk.config()
    assert made.secret is not None
    refusal = await refused(desk, made.device.id, made.secret.reveal())
    assert (refusal.reason, refusal.check) == (Reason.UNAUTHENTICATED, "config.inactive")
    event = await desk.last_event(EventKind.LOGIN_REFUSED)
    assert (event.check, event.device) == ("config.inactive", made.device.id)
    await switch(desk, made, active=True)
    assert (await log_in(desk, made)).device == made.device.id


async def test_what_was_proved_holds_while_the_configuration_is_active() -> None:
    desk = Desk()
    made = await desk.config()
    await switch(desk, made, active=True)
    identity = await log_in(desk, made)
    for active in (True, False, True):
        await switch(desk, made, active=active)
        assert (await desk.authenticate.holds(identity)).holds is active


async def test_a_device_without_a_configuration_has_no_state() -> None:
    desk = Desk()
    made = await desk.config()
    await desk(DeleteConfig(id=made.config.id))
    identity = await log_in(desk, made)
    assert (await desk.authenticate.holds(identity)).holds


async def test_other_credentials_do_not_ask_for_the_state() -> None:
    desk = Desk(repository=CountingRepository())
    made = await desk.config()
    await desk(AddCredential(ref=made.device.id, credential=ProposedToken(Secret(TOKEN))))
    assert isinstance(desk.repository, CountingRepository)
    desk.repository.asked.clear()
    by_token = await desk.login(TOKEN, "")
    assert by_token.device == made.device.id
    assert (await desk.authenticate.holds(by_token)).holds
    assert ConfigQuery(by_token.tenant, by_token.device) not in desk.repository.asked
    by_key = await desk.login("aa:bb", "external key")
    assert by_key.credential is None
    assert (await desk.authenticate.holds(by_key)).holds
    request = BootstrapRequest(external_id="aa:bb", proof=PlainKey(Secret("external key")))
    assert (await desk.bootstrap(request)).device.id == made.device.id


async def test_a_client_secret_costs_one_more_read() -> None:
    desk = Desk(repository=CountingRepository())
    made = await desk.config()
    await switch(desk, made, active=True)
    await log_in(desk, made)  # the first login is written down
    assert isinstance(desk.repository, CountingRepository)
    desk.repository.asked.clear()
    await log_in(desk, made)
    assert len(desk.repository.asked) == 2
    assert desk.repository.asked[1] == ConfigQuery(made.device.tenant, made.device.id)


async def test_a_stranger_cannot_tell_the_state() -> None:
    """The state is looked at when the secret was proved, and not before."""
    desk = Desk(repository=CountingRepository())
    made = await desk.config()
    assert isinstance(desk.repository, CountingRepository)
    told, asked = [], []
    for active in (False, True):
        await switch(desk, made, active=active)
        desk.repository.asked.clear()
        refusal = await refused(desk, made.device.id, "wrong")
        told.append((type(refusal), refusal.reason, refusal.detail, refusal.check))
        asked.append([type(query) for query in desk.repository.asked])
    assert told[0] == told[1]
    assert asked[0] == asked[1]
    assert ConfigQuery not in asked[0]


async def test_a_device_that_waits_to_be_active_counts_against_nobody() -> None:
    desk = Desk()
    desk.authenticate = type(desk.authenticate)(desk.repository, desk.issuer, desk.audit, Lockout(Rate(1.0, 1.0)))
    made = await desk.config()
    assert made.secret is not None
    for _ in range(3):
        assert (await refused(desk, made.device.id, made.secret.reveal())).check == "config.inactive"
    await refused(desk, made.device.id, "wrong")
    assert (await refused(desk, made.device.id, made.secret.reveal())).check == "limit.login"


async def test_a_disabled_device_is_told_nothing_of_its_state() -> None:
    desk = Desk()
    made = await desk.config()
    await desk(ChangeDevice(ref=made.device.name, enabled=False))
    assert made.secret is not None
    refusal = await refused(desk, made.device.id, made.secret.reveal())
    assert refusal.check == "device.disabled"


async def test_a_device_that_is_defined_stays_so_while_it_is_kept_out() -> None:
    desk = Desk()
    made = await desk.config()
    assert made.secret is not None
    await refused(desk, made.device.id, made.secret.reveal())
    assert not await desk.events(EventKind.DEVICE_CONNECTED)
