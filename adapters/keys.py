"""The two secrets a gateway makes for itself at its first start: the master key and the admin token, in files of mode 0600."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from adapters.config import Config, SettingError
from adapters.settings import parse_master_key
from core.crypto.tokens import random_text
from core.model import Secret
from core.ports import Entropy

MASTER_KEY_FILE = "master-key"
ADMIN_TOKEN_FILE = "admin-token"  # noqa: S105 - the name of a file
ADMIN_TOKEN_CHARACTERS = 40


class Keys(msgspec.Struct, frozen=True):
    """What the gateway is opened with. `made` names the files that did not exist before."""

    master_key: Secret
    admin_token: Secret
    made: tuple[Path, ...] = ()

    def master(self) -> bytes:
        """Return the bytes of the master key."""
        return parse_master_key(self.master_key.reveal())


def load(config: Config, entropy: Entropy) -> Keys:
    """Take the keys from the settings, or else from their files, which are made where there are none.

    Raises `SettingError`.
    """
    made: list[Path] = []

    def take(given: Secret | None, variable: str, name: str, make: Callable[[], str]) -> Secret:
        return given or _from_file(config.data / name, variable, make, made)

    master_key = take(config.master_key, "FIRSTLIGHT_MASTER_KEY", MASTER_KEY_FILE, lambda: entropy.draw(32).hex())
    token = take(
        config.admin_token,
        "FIRSTLIGHT_ADMIN_TOKEN",
        ADMIN_TOKEN_FILE,
        lambda: random_text(ADMIN_TOKEN_CHARACTERS, entropy),
    )
    try:
        parse_master_key(master_key.reveal())
    except ValueError as error:
        raise SettingError(f"{config.data / MASTER_KEY_FILE}: {error}") from error
    return Keys(master_key, token, tuple(made))


def _from_file(path: Path, variable: str, make: Callable[[], str], made: list[Path]) -> Secret:
    try:
        text = _read(path)
        if text is None:
            text = make()
            _write(path, text)
            made.append(path)
    except OSError as error:
        raise SettingError(f"{path}: {error.strerror}; make it readable and writable, or set {variable}") from error
    return Secret(text)


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        return None


def _write(path: Path, text: str) -> None:
    """Write a secret so that it is whole or not there, on disk, and nobody else's to read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
