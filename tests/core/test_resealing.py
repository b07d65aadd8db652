"""Everything sealed is sealed again, whatever is written meanwhile, and the old key goes when nothing is left under it."""

from collections.abc import Callable, Sequence

import pytest

from core.admission import hook_row
from core.attestation import secret_row
from core.configuration import config_row
from core.crypto.key_ring import MasterKeys, RingKey, open_ring
from core.crypto.vault import SealBroken, Vault
from core.issuer import credential_row
from core.model import CredentialId, DeviceId, Event, EventKind, ProfileId, Sealed, Secret
from core.resealing import BATCH, Rotated, Rotation, SealedPlace, SealedRow, Unfinished, require_opens
from tests.core.registry import MASTER_KEY
from tests.fakes import FrozenClock, SeededEntropy

NEW_KEY = bytes(32)
MASTERS = MasterKeys(NEW_KEY, MASTER_KEY)
PROFILE, DEVICE, CREDENTIAL = ProfileId("p-1"), DeviceId("d-1"), CredentialId("c-1")


class FakeRing:
    """A registry's key ring, and what is sealed there. `meanwhile` happens after each batch that is read."""

    def __init__(self, keys: Sequence[RingKey]) -> None:
        self.ring = list(keys)
        self.rows: dict[SealedPlace, dict[str, tuple[Sealed | None, ...]]] = {place: {} for place in SealedPlace}
        self.events: list[Event] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def keys(self) -> Sequence[RingKey]:
        return tuple(self.ring)

    async def add(self, key: RingKey) -> None:
        self.ring.append(key)

    async def retire(self, keep: str, event: Event) -> int:
        before = len(self.ring)
        self.ring = [key for key in self.ring if key.id == keep]
        self.events.append(event)
        return before - len(self.ring)

    async def count(self, place: SealedPlace) -> int:
        return len(self.rows[place])

    async def batch(self, place: SealedPlace, after: str, limit: int) -> Sequence[SealedRow]:
        found = [SealedRow(key, values) for key, values in sorted(self.rows[place].items()) if key > after][:limit]
        self.meanwhile()
        return found

    async def replace(self, place: SealedPlace, changes: Sequence[tuple[SealedRow, SealedRow]]) -> int:
        done = [after for before, after in changes if self.rows[place].get(before.id) == before.values]
        self.rows[place] |= {row.id: row.values for row in done}
        return len(done)


class World:
    """A registry after its gateway was started with a new key: everything in it is sealed under the old one."""

    def __init__(self) -> None:
        self.old = Vault(MASTER_KEY, SeededEntropy(1))
        first = open_ring((), MasterKeys(MASTER_KEY), SeededEntropy(2), 1).addition
        assert first is not None
        opened = open_ring((first,), MASTERS, SeededEntropy(3), 2)
        assert opened.addition is not None
        self.vault = opened.vault
        self.ring = FakeRing((first, opened.addition))
        self.paused: list[float] = []
        self.reached: list[int] = []
        rows = self.ring.rows
        rows[SealedPlace.PROFILES][PROFILE] = (
            self._old("secret", secret_row(PROFILE)),
            self._old("before", secret_row(PROFILE)),
            self._old("hook", hook_row(PROFILE)),
        )
        rows[SealedPlace.PROFILES]["p-2"] = (self._old("secret", secret_row(ProfileId("p-2"))), None, None)
        rows[SealedPlace.CREDENTIALS][CREDENTIAL] = (self._old("token", credential_row(CREDENTIAL)),)
        rows[SealedPlace.CONFIGS][DEVICE] = (self._old("external", config_row(DEVICE, "external key")),)
        rows[SealedPlace.CONFIGS]["d-2"] = (Sealed(b""),)
        rows[SealedPlace.DOCUMENTS][DEVICE] = (self._old("content", config_row(DEVICE, "content")), None)

    def _old(self, text: str, row: bytes) -> Sealed:
        return self.old.seal(Secret(text), row)

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)

    async def rotate(self) -> Rotated:
        rotation = Rotation(self.ring, self.vault, MASTERS.id, FrozenClock(), SeededEntropy(4), self.pause, self.reached.append)
        return await rotation(20.0)

    async def unfinished(self) -> str:
        with pytest.raises(Unfinished) as fault:
            await self.rotate()
        return str(fault.value)


def assert_opens(sealed: Sealed | None, row: bytes, text: str) -> None:
    """Look that the new key alone opens a value."""
    assert sealed is not None
    assert Vault(NEW_KEY, SeededEntropy()).open(sealed, row) == Secret(text)


async def test_everything_is_sealed_again_and_opens_with_the_new_key_alone() -> None:
    world = World()
    assert await world.rotate() == Rotated(resealed=5, verified=6, retired=1)
    rows = world.ring.rows
    secret, before, hook = rows[SealedPlace.PROFILES][PROFILE]
    assert_opens(secret, secret_row(PROFILE), "secret")
    assert_opens(before, secret_row(PROFILE), "before")
    assert_opens(hook, hook_row(PROFILE), "hook")
    (token,) = rows[SealedPlace.CREDENTIALS][CREDENTIAL]
    assert_opens(token, credential_row(CREDENTIAL), "token")
    (key,) = rows[SealedPlace.CONFIGS][DEVICE]
    assert_opens(key, config_row(DEVICE, "external key"), "external")
    assert rows[SealedPlace.CONFIGS]["d-2"] == (b"",)
    content, certificates = rows[SealedPlace.DOCUMENTS][DEVICE]
    assert_opens(content, config_row(DEVICE, "content"), "content")
    assert certificates is None


async def test_it_waits_for_requests_under_way_before_the_last_walk_and_tells_how_far_it_is() -> None:
    world = World()
    await world.rotate()
    assert world.paused == [20.0]
    assert world.reached == [2, 3, 5, 6, 2, 3, 5, 6]


async def test_it_is_recorded_and_the_old_key_is_off_the_ring() -> None:
    world = World()
    await world.rotate()
    (event,) = world.ring.events
    assert (event.kind, event.detail, event.tenant) == (EventKind.KEYS_ROTATED, "5 rows", "default")
    assert [key.id for key in world.ring.ring] == [MASTERS.id]


async def test_once_more_does_nothing() -> None:
    world = World()
    await world.rotate()
    assert await world.rotate() == Rotated(resealed=0, verified=6, retired=0)
    assert len(world.paused) == len(world.ring.events) == 1


async def test_one_that_was_broken_off_before_its_end_waits_before_the_old_key_goes() -> None:
    world = World()
    await world.rotate()
    world.ring.ring += World().ring.ring[:1]
    assert await world.rotate() == Rotated(resealed=0, verified=6, retired=1)
    assert world.paused == [20.0, 20.0]


async def test_batches_follow_each_other() -> None:
    world = World()
    for number in range(2 * BATCH + 1):
        identity = CredentialId(f"c-{number:04}x")
        world.ring.rows[SealedPlace.CREDENTIALS][identity] = (world.old.seal(Secret("token"), credential_row(identity)),)
    assert (await world.rotate()).resealed == 2 * BATCH + 6


async def test_what_a_request_puts_back_is_found_again() -> None:
    world = World()
    was = dict(world.ring.rows[SealedPlace.CONFIGS])
    pause = world.pause

    async def put_back(seconds: float) -> None:
        if not world.paused:
            world.ring.rows[SealedPlace.CONFIGS] |= was
        await pause(seconds)

    world.pause = put_back  # type: ignore[method-assign]  # what happens while it waits
    assert (await world.rotate()).resealed == 6
    assert world.paused == [20.0, 20.0]


async def test_what_changes_between_its_reading_and_its_writing_is_left_alone() -> None:
    world = World()
    row = config_row(DEVICE, "external key")
    changes = [world.vault.seal(Secret("changed"), row)]

    def change() -> None:
        if changes:
            world.ring.rows[SealedPlace.CONFIGS][DEVICE] = (changes.pop(),)

    world.ring.meanwhile = change
    await world.rotate()
    (key,) = world.ring.rows[SealedPlace.CONFIGS][DEVICE]
    assert_opens(key, row, "changed")


async def test_a_gateway_that_goes_on_with_the_old_key_is_noticed() -> None:
    world = World()

    def seal() -> None:
        identity = CredentialId("c-0")
        world.ring.rows[SealedPlace.CREDENTIALS][identity] = (world.old.seal(Secret("t"), credential_row(identity)),)

    world.ring.meanwhile = seal
    assert "a gateway runs that has that one first" in await world.unfinished()
    assert len(world.ring.ring) == 2


async def test_a_key_that_no_gateway_was_started_with() -> None:
    world = World()
    world.ring.ring.pop()
    assert "no gateway has been started with the new master key" in await world.unfinished()
    assert not world.reached


async def test_a_value_that_does_not_open_is_named_and_left() -> None:
    world = World()
    world.ring.rows[SealedPlace.CREDENTIALS][CREDENTIAL] = (Sealed(b"\x01nonsense"),)
    assert "sealed as credential:c-1 cannot be opened" in await world.unfinished()
    assert world.ring.rows[SealedPlace.CREDENTIALS][CREDENTIAL] == (b"\x01nonsense",)
    assert len(world.ring.ring) == 2


async def test_the_keys_at_hand_open_something_of_each_kind() -> None:
    world = World()
    await require_opens(world.ring, world.vault)
    with pytest.raises(SealBroken):
        await require_opens(world.ring, Vault(bytes(range(50, 82)), SeededEntropy()))
