import stat

import pytest

from adapters import keys
from adapters.config import SettingError, from_environment
from adapters.system import SystemEntropy


def config_in(path):
    return from_environment({"FIRSTLIGHT_DATA": str(path)})


def test_keys_are_made_once_and_are_nobody_elses_to_read(tmp_path):
    config = config_in(tmp_path / "data")
    first = keys.load(config, SystemEntropy())
    again = keys.load(config, SystemEntropy())
    assert [path.name for path in first.made] == ["master-key", "admin-token"]
    assert again.made == ()
    assert again.master() == first.master()
    assert again.admin_token == first.admin_token
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    for path in first.made:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_given_keys_leave_no_files(tmp_path):
    config = from_environment(
        {"FIRSTLIGHT_DATA": str(tmp_path / "data"), "FIRSTLIGHT_MASTER_KEY": "11" * 32, "FIRSTLIGHT_ADMIN_TOKEN": "t" * 20}
    )
    assert keys.load(config, SystemEntropy()).master() == b"\x11" * 32
    assert not (tmp_path / "data").exists()


def test_a_damaged_key_file_stops_the_start(tmp_path):
    (tmp_path / "master-key").write_text("damaged")
    with pytest.raises(SettingError, match="master-key: the key is not 32 bytes"):
        keys.load(config_in(tmp_path), SystemEntropy())


def test_a_data_directory_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="or set FIRSTLIGHT_MASTER_KEY"):
        keys.load(config_in(tmp_path / "file" / "data"), SystemEntropy())
