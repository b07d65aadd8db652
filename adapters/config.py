"""Reads the settings from the environment, and tells what they came to."""

import base64
import binascii
import difflib
import math
import types
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import msgspec

from adapters.answering import AnsweringConfig
from adapters.coap.config import CoapConfig
from adapters.http.config import HttpConfig
from adapters.mqtt.config import MqttConfig
from core.crypto.vault import MASTER_KEY_BYTES
from core.limits import Rate
from core.model import Secret

PREFIX: Final = "FIRSTLIGHT_"
DIALECTS: Final = ("thingsboard",)
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("console", "json")
SECRETS: Final = ("ADMIN_TOKEN", "MASTER_KEY")
LATER: Final = ("HTTPS", "COAPS", "MQTTS")
CLIENT: Final = ("URL", "TOKEN", "TOKEN_FILE")  # what the command line reads for itself
ADMIN_TOKEN_CHARACTERS: Final = 20


class SettingError(Exception):
    """A setting that stops the start: one line that names the variable, the fault and the mend."""


class Address(msgspec.Struct, frozen=True):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. Secrets show nothing in a `repr`."""

    http: tuple[Address, ...] = (Address("127.0.0.1", 8080),)
    coap: tuple[Address, ...] = (Address("127.0.0.1", 5683),)
    mqtt: tuple[Address, ...] = (Address("127.0.0.1", 1883),)
    data: Path = Path("data")
    database: str = "sqlite:data/firstlight.db"
    admin_token: Secret | None = None
    master_key: Secret | None = None
    dialects: tuple[str, ...] = DIALECTS
    device_limit: int | None = None
    events_keep: int = 1_000_000
    drain_seconds: float = 10.0
    log_level: str = "info"
    log_format: str = "console"
    log_lines: float = 100.0
    limit_source: Rate = Rate(50.0, 500.0)
    limit_claim_key: Rate = Rate(500.0, 5_000.0)
    limit_failures: Rate = Rate(1.0, 100.0)
    limit_events: Rate = Rate(200.0, 2_000.0)
    requests: AnsweringConfig = AnsweringConfig()
    http_bounds: HttpConfig = HttpConfig()
    coap_bounds: CoapConfig = CoapConfig()
    mqtt_bounds: MqttConfig = MqttConfig()
    warnings: tuple[str, ...] = ()


_BOUNDS: Final[dict[str, tuple[str, type[msgspec.Struct]]]] = {
    "REQUEST_": ("requests", AnsweringConfig),
    "HTTP_": ("http_bounds", HttpConfig),
    "COAP_": ("coap_bounds", CoapConfig),
    "MQTT_": ("mqtt_bounds", MqttConfig),
}
"""Every field of these is a setting: `max_body_bytes` of `HTTP_` is `FIRSTLIGHT_HTTP_MAX_BODY_BYTES`."""


def from_environment(environ: MutableMapping[str, str]) -> Config:
    """Read the settings, and take the secrets out of the environment once they are read.

    Raises `SettingError` for the first setting that is wrong.
    """
    given = _take(environ)
    values: dict[str, Any] = {}
    data = Path(given.get("DATA", "data"))
    values["data"] = data
    values["database"] = f"sqlite:{data / 'firstlight.db'}"
    for name, (field, read) in _SETTINGS.items():
        if name in given:
            values[field] = _read(name, given[name], read)
    for prefix, (field, bounds) in _BOUNDS.items():
        values[field] = _read_bounds(prefix, bounds, given)
    for name in LATER:
        if given.get(name):
            raise SettingError(f"{PREFIX}{name}: TLS listeners are not in this version; leave it empty")
    return Config(**values, warnings=_warnings(given, values))


def describe(config: Config) -> list[tuple[str, str]]:
    """Return every setting and its effective value, secrets hidden."""
    rows = [(PREFIX + name, _shown(getattr(config, field))) for name, (field, _) in _SETTINGS.items()]
    for prefix, (field, _) in _BOUNDS.items():
        bounds = getattr(config, field)
        rows += [(f"{PREFIX}{prefix}{name.upper()}", _shown(getattr(bounds, name))) for name in bounds.__struct_fields__]
    return rows


def _take(environ: MutableMapping[str, str]) -> dict[str, str]:
    given = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX)}
    for name in SECRETS:
        environ.pop(PREFIX + name, None)
        file = given.pop(f"{name}_FILE", None)
        if file is None:
            continue
        if name in given:
            raise SettingError(f"{PREFIX}{name}: set it or {PREFIX}{name}_FILE, not both")
        given[name] = _read_file(f"{name}_FILE", file)
    return given


def _read_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingError(f"{PREFIX}{name}: cannot read {path}: {reason}") from error


def _read(name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except ValueError as error:
        shown = "" if name in SECRETS else f"{text!r} "
        raise SettingError(f"{PREFIX}{name}: {shown}{error}") from error


def _addresses(text: str) -> tuple[Address, ...]:
    return tuple(_address(part.strip()) for part in text.split(",") if part.strip())


def _address(text: str) -> Address:
    if "=" in text:
        raise ValueError("names dialects for one address, which is not in this version; write HOST:PORT alone")
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError("is no address; write HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080")
    return Address(host, int(port))


def _database(text: str) -> str:
    if text == "memory:" or (text.startswith("sqlite:") and len(text) > len("sqlite:")):
        return text
    if text.startswith("postgresql:"):
        raise ValueError("PostgreSQL is not in this version; use sqlite:PATH")
    raise ValueError("is no database; use sqlite:PATH or memory:")


def _dialects(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in DIALECTS]
    if unknown:
        raise ValueError(f"names no dialect of this version; there is {', '.join(DIALECTS)}")
    return names


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"is not one of {', '.join(choices)}")
        return text.lower()

    return read


def _number(least: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError as error:
            raise ValueError("is not a number") from error
        if not least <= number < math.inf:
            raise ValueError(f"must be {least:g} or more")
        return number

    return read


def _count(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or int(text) < least:
            raise ValueError(f"must be a whole number, {least} or more")
        return int(text)

    return read


def _rate(text: str) -> Rate:
    """Read `PER_SECOND` or `PER_SECOND:BURST`; 0 turns the limit off."""
    per_second, _, burst = text.partition(":")
    try:
        rate = _number(0)(per_second)
        return Rate(rate, _number(1)(burst) if burst else max(rate, 1.0))
    except ValueError as error:
        raise ValueError("is no rate; write PER_SECOND or PER_SECOND:BURST, for example 50:500, or 0 for no limit") from error


def _admin_token(text: str) -> Secret:
    if len(text) < ADMIN_TOKEN_CHARACTERS:
        raise ValueError(f"the token is too short; use at least {ADMIN_TOKEN_CHARACTERS} random characters")
    return Secret(text)


def _master_key(text: str) -> Secret:
    parse_master_key(text)
    return Secret(text)


def parse_master_key(text: str) -> bytes:
    """Read 32 bytes written as hex or base64. Raises `ValueError`, which does not show them."""
    for parse in (bytes.fromhex, _from_base64):
        try:
            key = parse(text)
        except ValueError:
            continue
        if len(key) == MASTER_KEY_BYTES:
            return key
    raise ValueError(f"the key is not {MASTER_KEY_BYTES} bytes in hex or base64; make one with: openssl rand -hex 32")


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


_SETTINGS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "HTTP": ("http", _addresses),
    "COAP": ("coap", _addresses),
    "MQTT": ("mqtt", _addresses),
    "DATA": ("data", Path),
    "DATABASE": ("database", _database),
    "ADMIN_TOKEN": ("admin_token", _admin_token),
    "MASTER_KEY": ("master_key", _master_key),
    "DIALECTS": ("dialects", _dialects),
    "DEVICE_LIMIT": ("device_limit", _count(0)),
    "EVENTS_KEEP": ("events_keep", _count(1)),
    "DRAIN_SECONDS": ("drain_seconds", _number(0)),
    "LOG_LEVEL": ("log_level", _one_of(LOG_LEVELS)),
    "LOG_FORMAT": ("log_format", _one_of(LOG_FORMATS)),
    "LOG_LINES": ("log_lines", _number(0)),
    "LIMIT_SOURCE": ("limit_source", _rate),
    "LIMIT_CLAIM_KEY": ("limit_claim_key", _rate),
    "LIMIT_FAILURES": ("limit_failures", _rate),
    "LIMIT_EVENTS": ("limit_events", _rate),
}


def _read_bounds(prefix: str, bounds: type[msgspec.Struct], given: Mapping[str, str]) -> msgspec.Struct:
    values: dict[str, Any] = {}
    for field, kind in get_type_hints(bounds).items():
        name = prefix + field.upper()
        if name in given:
            values[field] = _read(name, given[name], _reader(kind))
    try:
        return bounds(**values)
    except ValueError as error:
        raise SettingError(f"{PREFIX}{prefix}*: {error}") from error


def _reader(kind: Any) -> Callable[[str], Any]:
    if kind is bool:
        return lambda text: _one_of(("true", "false"))(text) == "true"
    if kind is int:
        return _count(0)
    if kind is float:
        return _number(0)
    if isinstance(kind, types.GenericAlias) and get_args(kind) == (float, float):
        return _span
    raise TypeError(f"no setting can be of type {kind}")


def _span(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    try:
        span = _number(0)(low), _number(0)(high or low)
    except ValueError as error:
        raise ValueError("is no span of seconds; write LEAST-MOST, for example 1-5") from error
    if span[0] > span[1]:
        raise ValueError("ends before it begins; write LEAST-MOST, for example 1-5")
    return span


def _warnings(given: Mapping[str, str], values: Mapping[str, Any]) -> tuple[str, ...]:
    known = {*_SETTINGS, *LATER, *CLIENT}
    for prefix, (_, bounds) in _BOUNDS.items():
        known |= {prefix + field.upper() for field in bounds.__struct_fields__}
    warnings = []
    for name in sorted(given.keys() - known):
        near = difflib.get_close_matches(name, known, 1)
        warnings.append(f"{PREFIX}{name} is not a setting" + (f"; did you mean {PREFIX}{near[0]}?" if near else ""))
    warnings += [
        f"{PREFIX}{name}: {address} carries secrets in the clear beyond this machine"
        for name in ("HTTP", "COAP", "MQTT")
        for address in values.get(name.lower(), ())
        if not _is_loopback(address.host)
    ]
    if values["database"] == "memory:":
        warnings.append(f"{PREFIX}DATABASE: memory: forgets every device when the gateway stops")
    return tuple(warnings)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _shown(value: Any) -> str:
    match value:
        case Secret():
            return "(set)"
        case None:
            return "(not set)"
        case Rate():
            return f"{value.per_second:g}:{value.burst:g}" if value.per_second else "0 (no limit)"
        case (float(low), float(high)):
            return f"{low:g}-{high:g}"
        case tuple():
            return ",".join(map(str, value)) or "(off)"
        case float():
            return f"{value:g}"
        case bool():
            return str(value).lower()
        case _:
            return str(value)
