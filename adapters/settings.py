"""Reads one setting's text into one value; a text that is wrong raises `ValueError` with the fault and the mend."""

import base64
import binascii
import ipaddress
import math
import re
import types
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, get_args
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

from adapters.brokers.address import BrokerAddress
from adapters.facing import PlainRules
from adapters.proxying.trust import Network
from core.addresses import is_http_address, is_mqtt_address
from core.crypto.vault import MASTER_KEY_BYTES
from core.limits import Rate
from core.model import Plain, Secret
from core.topic_spaces import is_one_level

ADMIN_TOKEN_CHARACTERS: Final = 20
_PASSWORD_PARAMETER: Final = re.compile(r"([?&](?:ssl)?password=)[^&]*")
_PASSWORD: Final = re.compile(r"(//[^/@:]*:).*@")


class Address(msgspec.Struct, frozen=True):
    """Where to listen, and what is spoken there; no dialects: all of them."""

    host: str
    port: int
    dialects: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return f"{place}={'+'.join(self.dialects)}" if self.dialects else place


def addresses(known: tuple[str, ...]) -> Callable[[str], tuple[Address, ...]]:
    """Return a reader of addresses, several separated by commas; empty turns the protocol off.

    Each is `HOST:PORT` or `HOST:PORT=DIALECTS`, with known dialects separated by `+`.
    """

    def read(text: str) -> tuple[Address, ...]:
        found = tuple(_address(part.strip(), known) for part in text.split(",") if part.strip())
        places = [(each.host, each.port) for each in found if each.port]
        if len(set(places)) < len(places):
            raise ValueError("has an address twice; write each once, with all of its dialects and + between them")
        return found

    return read


def _address(text: str, known: tuple[str, ...]) -> Address:
    place, equals, words = text.partition("=")
    host, _, port = place.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError("is no address; write HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080")
    dialects = tuple(word.strip() for word in words.split("+")) if equals else ()
    if any(word not in known for word in dialects):
        raise ValueError(f"names an unknown dialect; after HOST:PORT= write some of {', '.join(known)}, with + between")
    return Address(host, int(port), tuple(dict.fromkeys(dialects)))


def database(text: str) -> str:
    """Read a database URL."""
    if text == "memory:" or (text.startswith("sqlite:") and len(text) > len("sqlite:")):
        return text
    if text.startswith(("postgresql:", "postgres:")):
        return _postgres(text)
    raise ValueError("is no database; use sqlite:PATH, postgresql://USER@HOST/NAME or memory:")


def _postgres(text: str) -> str:
    url = urlsplit(text)
    if not url.netloc or len(url.path) < len("/n"):
        raise ValueError("names no database; write postgresql://USER@HOST/NAME, several hosts with commas between")
    if "password" in dict(parse_qsl(url.query)):
        raise ValueError("holds a password behind its question mark; give it as FIRSTLIGHT_DATABASE_PASSWORD")
    return text


def parted(url: str) -> tuple[str, str]:
    """Return a database URL without its password, and the password; empty: it has none."""
    user, colon, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    return (url.replace(f"{user}:{password}@", f"{user}@", 1), unquote(password)) if colon else (url, "")


def joined(url: str, password: str) -> str:
    """Return a database URL with a password."""
    user = urlsplit(url).netloc.rpartition("@")[0]
    return url.replace(f"//{user}@", f"//{user}:{quote(password, safe='')}@", 1) if password and user else url


def optional_path(text: str) -> Path | None:
    """Read the path of a file; empty is none."""
    return Path(text) if text else None


def some_of(choices: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Return a reader of a list of these words, separated by commas."""

    def read(text: str) -> tuple[str, ...]:
        words = tuple(part.strip() for part in text.split(",") if part.strip())
        if any(word not in choices for word in words):
            raise ValueError(f"names something else than {', '.join(choices)}")
        return words

    return read


def plain_rules(known: tuple[str, ...]) -> Callable[[str], PlainRules]:
    """Return a reader of what is done without TLS: a word for all dialects, `DIALECT=WORD` for one, separated by commas."""
    words = ", ".join(each.value for each in Plain)

    def read(text: str) -> PlainRules:
        rules: dict[str, Plain] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            dialect, _, word = part.rpartition("=")
            if word not in (each.value for each in Plain) or (dialect and dialect not in known):
                raise ValueError(f"is no rule; write one of {words}, or DIALECT=WORD with one of {', '.join(known)}")
            if dialect in rules:
                raise ValueError(f"says twice what {dialect or 'all dialects'} may do; keep one of them")
            rules[dialect] = Plain(word)
        return PlainRules(rules.pop("", Plain.EVERYTHING), MappingProxyType(rules))

    return read


def one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    """Return a reader of one of these words."""

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"is not one of {', '.join(choices)}")
        return text.lower()

    return read


def number(least: float) -> Callable[[str], float]:
    """Return a reader of a number, at least so much."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError as error:
            raise ValueError("is not a number") from error
        if not least <= number < math.inf:
            raise ValueError(f"must be {least:g} or more")
        return number

    return read


def count(least: int) -> Callable[[str], int]:
    """Return a reader of a whole number, at least so much."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or int(text) < least:
            raise ValueError(f"must be a whole number, {least} or more")
        return int(text)

    return read


def networks(text: str) -> tuple[Network, ...]:
    """Read networks, separated by commas; an address is a network of its own."""
    try:
        found = [ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ValueError("is no list of networks; write for example 10.1.0.0/24,fd00:1::/64,192.0.2.7") from error
    return tuple(dict.fromkeys(found))


def mqtt_url(text: str) -> str:
    """Read where devices go over MQTT; empty: the gateway's own address."""
    if text and not is_mqtt_address(text):
        raise ValueError("is no address for devices; write tcp://HOST:PORT or ssl://HOST:PORT")
    return text


def without_password(text: str) -> str:
    """Return a setting as it may be shown: of an address that holds a password, that one is left out."""
    return _PASSWORD_PARAMETER.sub(r"\1...", _PASSWORD.sub(r"\1...@", text))


def broker(text: str) -> BrokerAddress | None:
    """Read where a broker is, `mqtt://HOST:PORT` or `mqtts://USER@HOST:PORT`; empty: there is none."""
    if not text:
        return None
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if not host or not port or url.scheme not in ("mqtt", "mqtts") or url.path or url.query or url.fragment:
        raise ValueError("is no broker; write mqtt://HOST:PORT or mqtt://USER@HOST:PORT, or mqtts:// for TLS")
    if url.password is not None:
        raise ValueError("holds a password; give it in the variable beside this one that ends in _PASSWORD")
    return BrokerAddress(host, port, unquote(url.username or ""), url.scheme == "mqtts")


def http_api(text: str) -> str:
    """Read the address of a management interface, `http://USER@HOST:PORT` or with https; empty: there is none."""
    if not text:
        return text
    try:
        url = urlsplit(text)
        complete = url.scheme in ("http", "https") and bool(url.hostname) and bool(url.port)
    except ValueError:
        complete = False
    if not complete or url.query or url.fragment:
        raise ValueError("is no address; write http://USER@HOST:PORT")
    if url.password is not None:
        raise ValueError("holds a password; give it in the variable beside this one that ends in _PASSWORD")
    return text.rstrip("/")


def topic_level(text: str) -> str:
    """Read one level of a topic."""
    if not is_one_level(text) or text.startswith("$"):
        raise ValueError("is not one level of a topic; use letters and digits")
    return text


def broker_secret(text: str) -> Secret | None:
    """Read what a broker proves itself with; empty: no broker may ask."""
    if text and len(text) < ADMIN_TOKEN_CHARACTERS:
        raise ValueError(f"the secret is too short; use at least {ADMIN_TOKEN_CHARACTERS} random characters")
    return Secret(text) if text else None


def http_url(text: str) -> str:
    """Read where devices go over HTTP; empty: the gateway's own address."""
    if text and not is_http_address(text):
        raise ValueError("is no address for devices; write http://HOST:PORT or https://HOST, without a path")
    return text


def rate(text: str) -> Rate:
    """Read `PER_SECOND` or `PER_SECOND:BURST`; 0 turns the limit off."""
    per_second, _, burst = text.partition(":")
    try:
        rate = number(0)(per_second)
        return Rate(rate, number(1)(burst) if burst else max(rate, 1.0))
    except ValueError as error:
        raise ValueError("is no rate; write PER_SECOND or PER_SECOND:BURST, for example 50:500, or 0 for no limit") from error


def admin_token(text: str) -> Secret:
    """Read a token, which must be long enough not to be guessed."""
    if len(text) < ADMIN_TOKEN_CHARACTERS:
        raise ValueError(f"the token is too short; use at least {ADMIN_TOKEN_CHARACTERS} random characters")
    return Secret(text)


def master_key(text: str) -> Secret:
    """Read a master key and keep it as it was written."""
    parse_master_key(text)
    return Secret(text)


def optional_secret(text: str) -> Secret | None:
    """Read a secret; empty is none."""
    return Secret(text) if text else None


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


def span(text: str) -> tuple[float, float]:
    """Read `LEAST-MOST` in seconds."""
    low, _, high = text.partition("-")
    try:
        span = number(0)(low), number(0)(high or low)
    except ValueError as error:
        raise ValueError("is no span of seconds; write LEAST-MOST, for example 1-5") from error
    if span[0] > span[1]:
        raise ValueError("ends before it begins; write LEAST-MOST, for example 1-5")
    return span


def reader(kind: Any) -> Callable[[str], Any]:
    """Return the reader for a bound of this type. Raises `TypeError` where no text can be one."""
    if kind is bool:
        return lambda text: one_of(("true", "false"))(text) == "true"
    if kind is int:
        return count(0)
    if kind is float:
        return number(0)
    if isinstance(kind, types.GenericAlias) and get_args(kind) == (float, float):
        return span
    raise TypeError(f"no setting can be of type {kind}")
