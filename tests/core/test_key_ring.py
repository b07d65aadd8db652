"""The key ring is founded from the first master key, opened by any that is on it, and never by fewer than all of them."""

import pytest

from core.crypto.key_ring import MasterKeyMissing, MasterKeys, Opened, RingEmpty, RingKey, open_ring
from core.crypto.session_tokens import Audience, Session, read, sign
from core.crypto.vault import SealBroken, Vault
from core.model import DEFAULT_TENANT, Secret
from tests.core.registry import MASTER_KEY
from tests.fakes import SeededEntropy

NEW_KEY = bytes(32)
NOW = 1_795_228_438_123
FIRST = MasterKeys(MASTER_KEY)
BOTH = MasterKeys(NEW_KEY, MASTER_KEY)


def opened(ring: list[RingKey], masters: MasterKeys = FIRST) -> Opened:
    return open_ring(ring, masters, SeededEntropy(), NOW)


def founded() -> list[RingKey]:
    """Return the ring after a start with the first key."""
    addition = opened([]).addition
    assert addition is not None
    return [addition]


def turned() -> list[RingKey]:
    """Return the ring after a start with both keys."""
    addition = opened(founded(), BOTH).addition
    assert addition is not None
    return [*founded(), addition]


def digests(vault: Vault) -> tuple[bytes, bytes]:
    return vault.lookup("credential", "meter"), vault.digest("configuration", b"{}")


def test_a_registry_from_before_there_were_rings_keeps_its_digests() -> None:
    found = opened([])
    assert digests(found.vault) == digests(Vault(MASTER_KEY, SeededEntropy()))
    assert found.addition is not None
    assert (found.addition.id, found.addition.purpose, found.addition.created_at) == (FIRST.id, "lookup", NOW)


def test_the_key_that_is_on_the_ring_adds_nothing() -> None:
    assert opened(founded()).addition is None


def test_digests_stay_when_another_key_seals_and_when_the_first_is_gone() -> None:
    first, new = turned()
    expected = digests(opened([first]).vault)
    assert digests(opened([first], BOTH).vault) == expected
    assert digests(opened([first, new], BOTH).vault) == expected
    assert digests(opened([new], MasterKeys(NEW_KEY)).vault) == expected
    assert digests(Vault(NEW_KEY, SeededEntropy())) != expected


def test_the_new_key_is_added_once() -> None:
    first, new = turned()
    assert (first.id, new.id) == (FIRST.id, BOTH.id)
    assert opened([first, new], BOTH).addition is None


def test_a_key_that_only_opens_is_not_added() -> None:
    assert opened(founded(), MasterKeys(MASTER_KEY, NEW_KEY)).addition is None


def test_what_one_of_two_gateways_seals_the_other_opens_whichever_key_it_has_first() -> None:
    one, other = opened(turned(), BOTH).vault, opened(turned(), MasterKeys(MASTER_KEY, NEW_KEY)).vault
    for here, there in ((one, other), (other, one)):
        assert there.open(here.seal(Secret("field"), b"row"), b"row") == Secret("field")


def test_a_master_key_that_is_on_no_ring() -> None:
    with pytest.raises(MasterKeyMissing, match=FIRST.id) as missing:
        opened(founded(), MasterKeys(NEW_KEY))
    assert not missing.value.known


@pytest.mark.parametrize("key", [MASTER_KEY, NEW_KEY])
def test_one_of_two_keys_is_not_enough(key: bytes) -> None:
    with pytest.raises(MasterKeyMissing) as missing:
        opened(turned(), MasterKeys(key))
    assert missing.value.known
    assert set(str(missing.value).split(", ")) == {FIRST.id, BOTH.id} - {MasterKeys(key).id}


def test_two_keys_cannot_found_a_ring() -> None:
    with pytest.raises(RingEmpty):
        opened([], BOTH)


def test_an_altered_ring() -> None:
    (first,) = founded()
    broken = RingKey(id=first.id, sealed=type(first.sealed)(first.sealed[:-1] + b"?"), created_at=NOW)
    with pytest.raises(SealBroken):
        opened([broken])


def test_two_rings_that_were_mixed() -> None:
    (first,) = founded()
    addition = open_ring([], MasterKeys(NEW_KEY), SeededEntropy(), NOW).addition
    assert addition is not None
    with pytest.raises(SealBroken, match="two keys"):
        opened([first, addition], BOTH)


def test_master_keys_show_nothing() -> None:
    assert repr(BOTH) == "MasterKeys()"


def test_sessions_end_with_the_key_that_signed_them() -> None:
    session = Session(subject="u-1", tenant=DEFAULT_TENANT, mark="m", expires_at=NOW // 1000 + 60)
    token = sign(session, Audience.OPERATOR, opened(founded()).vault)
    assert read(token, Audience.OPERATOR, opened(turned(), BOTH).vault, NOW) == session
    assert read(token, Audience.OPERATOR, opened(turned()[1:], MasterKeys(NEW_KEY)).vault, NOW) is None
    newer = sign(session, Audience.OPERATOR, opened(turned(), BOTH).vault)
    assert read(newer, Audience.OPERATOR, opened(turned(), MasterKeys(MASTER_KEY, NEW_KEY)).vault, NOW) == session
