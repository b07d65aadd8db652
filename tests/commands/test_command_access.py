import os
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.commands.access import DEFAULT_URL, access_from
from adapters.commands.failure import UsageError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_environment_says_where_and_with_what(file: Callable[..., str]) -> None:
    access = access_from({"FIRSTLIGHT_URL": "https://gateway.example/sub/", "FIRSTLIGHT_TOKEN": " abc\n"})
    assert access.url == "https://gateway.example/sub"
    assert access.token.reveal() == "abc"
    assert access_from({"FIRSTLIGHT_TOKEN_FILE": file("from-file\n")}).token.reveal() == "from-file"


def test_the_admin_token_beside_the_database_is_the_last_resort(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/admin-token").write_text("admin\n")
    access = access_from({})
    assert (access.url, access.token.reveal()) == (DEFAULT_URL, "admin")
    assert access_from({"FIRSTLIGHT_TOKEN": "own"}).token.reveal() == "own"


def test_a_token_shows_nowhere() -> None:
    assert "abc" not in repr(access_from({"FIRSTLIGHT_TOKEN": "abc"}))


def test_without_a_token_it_says_how_to_get_one() -> None:
    with pytest.raises(UsageError, match=r"no token: set FIRSTLIGHT_TOKEN .*token create"):
        access_from({})


def test_token_and_file_together_are_a_question() -> None:
    with pytest.raises(UsageError, match="not both"):
        access_from({"FIRSTLIGHT_TOKEN": "a", "FIRSTLIGHT_TOKEN_FILE": "b"})


@pytest.mark.parametrize("content", [b"", b"two words", b"line\nline", b"\xff\xfe", "tökén".encode()])
def test_a_file_without_a_token_is_named(content: bytes, file: Callable[..., str]) -> None:
    with pytest.raises(UsageError, match="FIRSTLIGHT_TOKEN_FILE"):
        access_from({"FIRSTLIGHT_TOKEN_FILE": file(content)})


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="cannot read missing: No such file"):
        access_from({"FIRSTLIGHT_TOKEN_FILE": "missing"})


def test_an_empty_admin_token_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/admin-token").touch()
    with pytest.raises(UsageError, match=os.path.join("data", "admin-token")):
        access_from({})


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8080",
        "ftp://host",
        "http://",
        "http://host:0",
        "http://host:99999",
        "http://u:p@host",
        "http://h?q",
        "http://h#f",
    ],
)
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(UsageError, match="FIRSTLIGHT_URL is not the address of a gateway"):
        access_from({"FIRSTLIGHT_URL": url, "FIRSTLIGHT_TOKEN": "abc"})
