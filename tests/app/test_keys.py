import stat

import pytest

from adapters import keys
from adapters.config import SettingError, from_environment
from adapters.system import SystemClock, SystemEntropy
from core.crypto.key_ring import MasterKeys, RingKey
from core.model import Sealed


def config_in(path):
    return from_environment({"FIRSTLIGHT_DATA": str(path)})


def test_keys_are_made_once_and_are_nobody_elses_to_read(tmp_path):
    config = config_in(tmp_path / "data")
    first = keys.load(config, SystemEntropy())
    again = keys.load(config, SystemEntropy())
    assert [path.name for path in first.made] == ["master-key", "admin-token"]
    assert again.made == ()
    assert again.masters().sealing == first.masters().sealing
    assert again.admin_token == first.admin_token
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    for path in first.made:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_given_keys_leave_no_files(tmp_path):
    config = from_environment(
        {"FIRSTLIGHT_DATA": str(tmp_path / "data"), "FIRSTLIGHT_MASTER_KEY": "11" * 32, "FIRSTLIGHT_ADMIN_TOKEN": "t" * 20}
    )
    assert keys.load(config, SystemEntropy()).masters().sealing == b"\x11" * 32
    assert not (tmp_path / "data").exists()


def test_a_damaged_key_file_stops_the_start(tmp_path):
    (tmp_path / "master-key").write_text("damaged")
    with pytest.raises(SettingError, match="master-key: the key is not 32 bytes"):
        keys.load(config_in(tmp_path), SystemEntropy())


def test_a_data_directory_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="or set FIRSTLIGHT_MASTER_KEY"):
        keys.load(config_in(tmp_path / "file" / "data"), SystemEntropy())


def test_a_previous_key_comes_from_its_setting_or_from_its_file(tmp_path):
    given = {"FIRSTLIGHT_DATA": str(tmp_path), "FIRSTLIGHT_MASTER_KEY": "11" * 32, "FIRSTLIGHT_ADMIN_TOKEN": "t" * 20}
    assert keys.load(from_environment(dict(given)), SystemEntropy()).masters().previous is None
    (tmp_path / "master-key-previous").write_text("22" * 32 + "\n")
    assert keys.load(from_environment(dict(given)), SystemEntropy()).masters().previous == b"\x22" * 32
    both = given | {"FIRSTLIGHT_MASTER_KEY_PREVIOUS": "33" * 32}
    assert keys.load(from_environment(both), SystemEntropy()).masters().previous == b"\x33" * 32
    assert "FIRSTLIGHT_MASTER_KEY_PREVIOUS" not in both


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"damaged", "the key is not 32 bytes"), (b"\xff\xfe", "it is not text; make it readable")]
)
def test_a_previous_key_that_is_no_key(tmp_path, content, sentence):
    (tmp_path / "master-key").write_text("11" * 32)
    (tmp_path / "master-key-previous").write_bytes(content)
    with pytest.raises(SettingError, match=f"master-key-previous: {sentence}"):
        keys.load_masters(config_in(tmp_path))


def test_a_previous_key_that_cannot_be_read(tmp_path):
    (tmp_path / "master-key").write_text("11" * 32)
    (tmp_path / "master-key-previous").mkdir()
    with pytest.raises(SettingError, match="Is a directory; make it readable, or set FIRSTLIGHT_MASTER_KEY_PREVIOUS"):
        keys.load_masters(config_in(tmp_path))


def test_a_command_makes_no_key(tmp_path):
    with pytest.raises(SettingError, match="FIRSTLIGHT_MASTER_KEY: set it as for the gateway"):
        keys.load_masters(config_in(tmp_path))
    assert list(tmp_path.iterdir()) == []


class Ring:
    """A key ring in memory, as far as a gateway's start needs one."""

    def __init__(self, *there):
        self.there = list(there)

    async def keys(self):
        return tuple(self.there)

    async def add(self, key):
        self.there.append(key)


FIRST, BOTH, NEW = MasterKeys(b"\x11" * 32), MasterKeys(b"\x22" * 32, b"\x11" * 32), MasterKeys(b"\x22" * 32)


async def opened(ring, masters):
    return await keys.open_vault(ring, masters, SystemClock(), SystemEntropy())


async def test_the_key_that_seals_is_put_on_the_ring_once():
    ring = Ring()
    await opened(ring, FIRST)
    await opened(ring, FIRST)
    assert [key.id for key in ring.there] == [FIRST.id]
    first = await opened(ring, BOTH)
    assert [key.id for key in ring.there] == [FIRST.id, BOTH.id]
    ring.there.pop(0)
    assert (await opened(ring, NEW)).lookup("a", "b") == first.lookup("a", "b")


async def test_two_keys_for_a_registry_that_has_noted_none():
    with pytest.raises(SettingError, match="start once with that key alone, then with both"):
        await opened(Ring(), BOTH)


async def test_one_key_of_two_is_not_enough_and_another_one_is_the_wrong_one():
    ring = Ring()
    await opened(ring, FIRST)
    await opened(ring, BOTH)
    for masters, missing in ((FIRST, NEW), (NEW, FIRST)):
        with pytest.raises(SettingError, match=f"FIRSTLIGHT_MASTER_KEY_PREVIOUS: .*id {missing.id}"):
            await opened(ring, masters)
    with pytest.raises(SettingError, match="FIRSTLIGHT_MASTER_KEY: the registry was sealed with another master key"):
        await opened(ring, MasterKeys(b"\x33" * 32))


async def test_an_altered_ring_stops_the_start():
    ring = Ring(RingKey(id=FIRST.id, sealed=Sealed(b"\x01altered"), created_at=1))
    with pytest.raises(SettingError, match="key ring was altered"):
        await opened(ring, FIRST)


async def stayed(ring, masters):
    return await keys.stay(ring, masters, SystemClock(), SystemEntropy())


async def test_a_gateway_that_serves_keeps_its_key_on_the_ring():
    ring = Ring()
    await opened(ring, FIRST)
    assert await stayed(ring, FIRST) == ""
    await opened(ring, BOTH)
    ring.there.pop(0)
    old_first = MasterKeys(FIRST.sealing, BOTH.sealing)
    assert f"(id {FIRST.id})" in await stayed(ring, old_first)
    assert {key.id for key in ring.there} == {FIRST.id, BOTH.id}
    assert await stayed(ring, old_first) == ""


async def test_a_gateway_that_was_left_behind_says_so():
    ring = Ring()
    await opened(ring, FIRST)
    await opened(ring, BOTH)
    assert "does not fit the registry any more: FIRSTLIGHT_MASTER_KEY_PREVIOUS" in await stayed(ring, FIRST)
