"""Guessers are kept out, from one source and from a hundred; owners get in, elsewhere and behind the same address."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from core.audit import Audit
from core.bootstrap import Bootstrap
from core.errors import Refusal
from core.limits import Rate
from core.lockout import CHECK, Lockout
from core.messages import (
    AccessToken,
    BootstrapRequest,
    Context,
    Identity,
    MqttBasic,
    MqttLogin,
    PlainKey,
    PresharedQuestion,
    ProvenLogin,
    TokenLogin,
)
from core.model import DEFAULT_TENANT, EventKind, Secret
from core.operate import messages
from core.operate.access import Access, bearer_lookup
from core.operate.directing import LogIn
from core.queries import EventPage
from tests.core.directing import PASSWORD, Reception
from tests.core.registry import CONTEXT, Registry
from tests.operating import ADMIN

SOURCE, PAIR = Rate(1.0, 100.0), Rate(0.1, 20.0)
GUESSES = 10_000
BASIC = MqttBasic("m1", "meter-1", Secret("right"))
RIGHT, WRONG = MqttLogin("m1", "meter-1", Secret("right")), MqttLogin("m1", "meter-1", Secret("a guess"))
TOKEN = AccessToken(Secret("a-token-of-20-letters"))


def at(address: str) -> Context:
    return msgspec.structs.replace(CONTEXT, source=address)


def hundred(number: int) -> Context:
    return at(f"198.51.100.{number % 100}")


async def guarded(value: MqttBasic | AccessToken = BASIC) -> Registry:
    registry = Registry()
    registry.authenticate = msgspec.structs.replace(registry.authenticate, failures=Lockout(SOURCE, PAIR))
    registry.handshakes = msgspec.structs.replace(registry.handshakes, failures=registry.authenticate.failures)
    await registry.device(await registry.profile(), "m1", value)
    return registry


async def checks(tries: Callable[[int], Awaitable[object]], count: int = GUESSES) -> dict[str, int]:
    """Return how often which check refused; one that gets in is `in`."""
    found: dict[str, int] = {}
    for number in range(count):
        try:
            await tries(number)
            check = "in"
        except Refusal as refusal:
            check = refusal.check
        found[check] = found.get(check, 0) + 1
    return found


async def test_guesses_at_one_device_from_one_source_end_with_the_pair() -> None:
    registry = await guarded()
    found = await checks(lambda _: registry.authenticate(WRONG, CONTEXT))
    assert found == {"login.password": 20, "limit.login": GUESSES - 20}
    assert await registry.authenticate(RIGHT, at("192.0.2.99"))  # the owner, elsewhere
    with pytest.raises(Refusal, match="too many"):
        await registry.authenticate(RIGHT, CONTEXT)  # a right guess comes too late


async def test_guesses_from_a_hundred_sources_raise_an_alarm_and_are_given_a_tenth_of_the_tries() -> None:
    registry = await guarded()
    counted: list[str] = []
    registry.audit = Audit(registry.repository, registry.clock, registry.entropy, Rate(0, 0), counted.append)
    registry.authenticate = msgspec.structs.replace(registry.authenticate, audit=registry.audit)
    assert await registry.authenticate(RIGHT, at("192.0.2.99"))
    found = await checks(lambda number: registry.authenticate(WRONG, hundred(number)))
    assert found["login.password"] + found["limit.login"] == GUESSES
    assert found["login.password"] < 300
    (event,) = await registry.repository.read(EventPage(DEFAULT_TENANT, kind=EventKind.IDENTITY_GUESSED))
    assert (event.check, event.device_name, counted) == (CHECK, "meter...", [CHECK])
    assert await registry.authenticate(RIGHT, at("192.0.2.99"))  # the owner that came from there before
    assert await registry.authenticate(RIGHT, at("192.0.2.98"))  # and from anywhere


async def test_a_device_that_came_before_goes_on_behind_the_address_of_a_guesser() -> None:
    registry = await guarded()
    assert await registry.authenticate(RIGHT, CONTEXT)
    names = await checks(lambda number: registry.authenticate(MqttLogin(f"m{number + 2}", "u", Secret("p")), CONTEXT), 500)
    assert names["limit.login"] == 400
    for _ in range(3):
        assert await registry.authenticate(RIGHT, CONTEXT)
    registry.clock.advance(3_600)
    assert await registry.authenticate(RIGHT, CONTEXT)


@pytest.mark.parametrize("guesses", ["one source", "a hundred"])
async def test_guesses_at_tokens_shut_their_sources_out_and_keep_no_device_out_that_came_before(guesses: str) -> None:
    registry = await guarded(TOKEN)
    login = TokenLogin(TOKEN.token)
    assert await registry.authenticate(login, CONTEXT)

    async def guess(number: int) -> Identity:
        context = CONTEXT if guesses == "one source" else hundred(number)
        return await registry.authenticate(TokenLogin(Secret(f"guess {number} of a token")), context)

    found = await checks(guess)
    assert found["login.token"] == (100 if guesses == "one source" else GUESSES)
    assert await registry.authenticate(login, CONTEXT)
    assert await registry.authenticate(login, at("192.0.2.99"))


async def test_a_token_that_could_be_guessed_is_known_by_nothing() -> None:
    registry = await guarded(AccessToken(Secret("short")))
    login = TokenLogin(Secret("short"))
    assert await registry.authenticate(login, CONTEXT)
    await checks(lambda number: registry.authenticate(TokenLogin(Secret(str(number))), CONTEXT), 100)
    with pytest.raises(Refusal, match="too many"):
        await registry.authenticate(login, CONTEXT)


async def test_wrong_keys_of_handshakes_count_against_the_device_they_name() -> None:
    registry = await guarded()
    device = (await registry.known("m1")).device
    proven = Identity(device.tenant, device.id, device.name, (await registry.known("m1")).credentials[0].id)
    assert await registry.authenticate(ProvenLogin(proven), CONTEXT)
    for _ in range(100):
        registry.handshakes.mistrust(CONTEXT)  # somebody else's key, behind the same address
    assert await registry.authenticate(ProvenLogin(proven), CONTEXT)
    with pytest.raises(Refusal, match="too many"):
        await registry.handshakes.preshared(PresharedQuestion("nobody"), CONTEXT)
    for number in range(GUESSES):
        registry.handshakes.mistrust(hundred(number), proven)
    with pytest.raises(Refusal, match="too many"):
        await registry.authenticate(ProvenLogin(proven), hundred(1))
    assert await registry.authenticate(ProvenLogin(proven), at("192.0.2.99"))


async def test_guesses_at_a_password_lock_no_user_out_elsewhere() -> None:
    desk = Reception()
    await desk.user()
    desk.log_in = msgspec.structs.replace(desk.log_in, failures=Lockout(SOURCE, PAIR))

    def guess(number: int) -> Awaitable[object]:
        return desk.log_in(LogIn("default", "ann@example.com", Secret(f"{number}")), hundred(number))

    found = await checks(guess, 3_000)
    assert found["login.password"] < 300
    assert [event.device_name for event in await desk.events(EventKind.IDENTITY_GUESSED)] == ["ann@example.com"]
    assert await desk.log_in(LogIn("default", "ann@example.com", PASSWORD), at("192.0.2.99"))


async def test_guesses_at_an_external_key_keep_no_device_out_elsewhere() -> None:
    desk = Reception()
    await desk.config()
    desk.failures = Lockout(SOURCE, PAIR)
    use_case = Bootstrap(desk.repository, desk.issuer, desk.audit, desk.failures, desk.shared_key)

    def fetch(key: str, context: Context) -> Awaitable[object]:
        return use_case(BootstrapRequest(external_id="aa:bb", proof=PlainKey(Secret(key))), context)

    found = await checks(lambda number: fetch(f"guess {number}", hundred(number)), 3_000)
    assert found["bootstrap.key"] < 300
    assert [event.device_name for event in await desk.events(EventKind.IDENTITY_GUESSED)] == ["aa:bb"]
    assert await fetch("external key", at("192.0.2.99"))


async def test_alarms_are_counted_where_there_is_no_room_for_their_events() -> None:
    registry = await guarded()
    counted: list[str] = []
    audit = Audit(registry.repository, registry.clock, registry.entropy, Rate(0.001, 1), counted.append)
    for _ in range(3):
        await audit.guessed(CONTEXT, "ann")
    assert counted == [CHECK] * 3
    assert len(await registry.events()) == 1


async def test_a_bearer_that_came_before_goes_on_behind_the_address_of_a_guesser() -> None:
    desk = Reception(failures=SOURCE)
    await desk(messages.ListProfiles())
    context = Context("c", "http", "operator", "192.0.2.1")
    admin = bearer_lookup(desk.vault, ADMIN)
    access = Access(desk.repository, desk.issuer, admin, Lockout(SOURCE, PAIR))
    assert await access.identify(ADMIN, context.stranger)
    found = await checks(lambda number: access.identify(Secret(f"guess {number}"), context.stranger))
    assert found == {"bearer.unknown": 100, "limit.bearer": GUESSES - 100}
    assert await access.identify(ADMIN, context.stranger)


def test_an_alarm_ends_and_is_raised_again() -> None:
    lockout = Lockout(Rate(1.0, 1_000), Rate(1.0, 10))
    raised = [lockout.wrong(f"s{number}", "ann", 0.0) for number in range(300)]
    assert (raised.count(True), raised.index(True)) == (1, 100)
    assert lockout.wait("s0", "ann", 0.0) == 10.0  # one try, refilled ten times slower
    assert lockout.wait("another", "ann", 0.0) == 0.0
    assert lockout.wait("s0", "ann", 3_600.0) == 0.0
    assert [lockout.wrong(f"t{number}", "ann", 3_600.0) for number in range(101)].count(True) == 1


def test_who_came_in_before_has_all_of_its_tries_in_an_alarm() -> None:
    lockout = Lockout(Rate(1.0, 1_000), Rate(1.0, 10))
    lockout.right("home", "ann")
    for number in range(300):
        lockout.wrong(f"s{number}", "ann", 0.0)
    waits = [lockout.wait("home", "ann", 0.0) for _ in range(11) if not lockout.wrong("home", "ann", 0.0)]
    assert waits.index(1.0) == 9


def test_what_is_remembered_is_bounded() -> None:
    lockout = Lockout(Rate(1.0, 1.0), entries=2)
    for name in ("ann", "bob", "cid"):
        lockout.right("home", name)
    lockout.wrong("home", "", 0.0)
    assert [lockout.wait("home", name, 0.0) for name in ("ann", "bob", "cid", "")] == [1.0, 0.0, 0.0, 1.0]


def test_nobody_is_neither_counted_nor_remembered() -> None:
    lockout = Lockout(Rate(1.0, 2.0))
    lockout.right("home", "")
    assert not lockout.wrong("home", "", 0.0)
    assert lockout.wait("home", "", 0.0) == 0.0
    assert not lockout.wrong("home", "", 0.0)
    assert lockout.wait("home", "", 0.0) == 1.0


def test_without_a_limit_nobody_waits() -> None:
    lockout = Lockout(Rate(0, 0))
    assert not any(lockout.wrong("home", "ann", 0.0) for _ in range(1_000))
    assert lockout.wait("home", "ann", 0.0) == lockout.wait_pair("home", "ann", 0.0) == 0.0
