"""The secrets that a gateway is opened with: the master key and the admin token, which it makes for itself at its first start.

Files that it makes are of mode 0600.
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from adapters.config import Config, SettingError
from adapters.settings import parse_master_key
from core.crypto.key_ring import MasterKeyMissing, MasterKeys, Opened, RingEmpty, open_ring
from core.crypto.tokens import random_text
from core.crypto.vault import SealBroken, Vault
from core.model import Secret
from core.ports import Clock, Entropy
from core.resealing import KeyRing

MASTER_KEY_FILE = "master-key"
PREVIOUS_KEY_FILE = "master-key-previous"
ADMIN_TOKEN_FILE = "admin-token"  # noqa: S105 - the name of a file
ADMIN_TOKEN_CHARACTERS = 40
WRONG_KEY = "FIRSTLIGHT_MASTER_KEY: the registry was sealed with another master key; give the one it was made with"


class Keys(msgspec.Struct, frozen=True):
    """What the gateway is opened with. `made` names the files that did not exist before.

    `previous_key` is there while the master key is rotated.
    """

    master_key: Secret
    admin_token: Secret
    previous_key: Secret | None = None
    made: tuple[Path, ...] = ()

    def masters(self) -> MasterKeys:
        """Return the bytes of the master keys."""
        return _masters(self.master_key, self.previous_key)


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
    _require_key(master_key, config.data / MASTER_KEY_FILE)
    return Keys(master_key, token, _previous(config), tuple(made))


def load_masters(config: Config) -> MasterKeys:
    """Take the master keys from the settings, or else from their files; nothing is made. Raises `SettingError`."""
    file = config.data / MASTER_KEY_FILE
    key = config.master_key or _given(file, "FIRSTLIGHT_MASTER_KEY")
    if key is None:
        raise SettingError(f"FIRSTLIGHT_MASTER_KEY: set it as for the gateway, or make {file} readable: it is not there")
    _require_key(key, file)
    return _masters(key, _previous(config))


async def open_vault(ring: KeyRing, masters: MasterKeys, clock: Clock, entropy: Entropy) -> Vault:
    """Open the registry's key ring with the master keys, and put the one that seals on it. Raises as `look` does."""
    opened = await look(ring, masters, clock, entropy)
    if opened.addition is not None:
        await ring.add(opened.addition)
    return opened.vault


async def stay(ring: KeyRing, masters: MasterKeys, clock: Clock, entropy: Entropy) -> str:
    """See to it that the key of a gateway that serves stays on the ring; return what its operator has to know, mostly nothing.

    A rotation that came too early took it off: what is sealed since is under it, and no gateway is to start without it. Raises
    `Refusal` UNAVAILABLE.
    """
    try:
        opened = await look(ring, masters, clock, entropy)
    except SettingError as error:
        return f"a key of this gateway does not fit the registry any more: {error}"
    if opened.addition is None:
        return ""
    await ring.add(opened.addition)
    return (
        f"the keys were rotated while this gateway seals under the one before (id {masters.id}), which is on the ring again: "
        "give it the new one as FIRSTLIGHT_MASTER_KEY, this one as FIRSTLIGHT_MASTER_KEY_PREVIOUS, and rotate again"
    )


async def look(ring: KeyRing, masters: MasterKeys, clock: Clock, entropy: Entropy) -> Opened:
    """Open the registry's key ring with the master keys, and change nothing.

    Raises `SettingError` where they are not those that the registry is sealed under, `Refusal` UNAVAILABLE.
    """
    try:
        return open_ring(await ring.keys(), masters, entropy, clock.now())
    except MasterKeyMissing as missing:
        raise SettingError(_explained(missing)) from missing
    except RingEmpty as error:
        raise SettingError(
            "FIRSTLIGHT_MASTER_KEY_PREVIOUS: the registry has not noted yet which master key it was made with; "
            "start once with that key alone, then with both"
        ) from error
    except SealBroken as error:
        raise SettingError("FIRSTLIGHT_DATABASE: the registry's key ring was altered; restore it from a backup") from error


def _explained(missing: MasterKeyMissing) -> str:
    if not missing.known:
        return WRONG_KEY
    return (
        f"FIRSTLIGHT_MASTER_KEY_PREVIOUS: secrets of the registry are sealed under another master key still (id {missing}); "
        "give that one here until firstlight key rotate says that it can go"
    )


def _masters(key: Secret, previous: Secret | None) -> MasterKeys:
    return MasterKeys(parse_master_key(key.reveal()), None if previous is None else parse_master_key(previous.reveal()))


def _previous(config: Config) -> Secret | None:
    file = config.data / PREVIOUS_KEY_FILE
    key = config.master_key_previous or _given(file, "FIRSTLIGHT_MASTER_KEY_PREVIOUS")
    if key is not None:
        _require_key(key, file)
    return key


def _given(path: Path, variable: str) -> Secret | None:
    try:
        text = _read(path)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, variable, error) from error
    return None if text is None else Secret(text)


def _require_key(key: Secret, path: Path) -> None:
    """Refuse what is no key: it can only come from a file here, that of a setting has been looked at."""
    try:
        parse_master_key(key.reveal())
    except ValueError as error:
        raise SettingError(f"{path}: {error}") from error


def _unreadable(path: Path, variable: str, error: OSError | UnicodeDecodeError) -> SettingError:
    reason = error.strerror if isinstance(error, OSError) else "it is not text"
    return SettingError(f"{path}: {reason}; make it readable, or set {variable}")


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
