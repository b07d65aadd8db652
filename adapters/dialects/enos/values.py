"""The vendor's formats of values: names in several languages, and time zones.

Sources: EnOS data catalogue, "Internationalization" (StringI18n); Device Provisioning Service, "Bootstrap Device" (timezone).
"""

import functools
import re
import zoneinfo
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from adapters.dialects.enos.errors import InvalidArgument
from adapters.dialects.enos.members import checked_text

UTC: Final = "+00:00"
MAX_LOCALES: Final = 32

_LOCALE = re.compile(r"[a-z]{2,3}([_-][A-Z][a-z]{3})?([_-]([A-Z]{2}|[0-9]{3}))?", re.ASCII)
_OFFSET = re.compile(r"([+-])([0-9]{2}):([0-5][0-9])", re.ASCII)
_WEST, _EAST = -12 * 60, 14 * 60  # in minutes


class StringI18n(msgspec.Struct, frozen=True):
    """A text, and what it is in some locales (`en_US`)."""

    default_value: str
    i18n_value: dict[str, str]

    def plain(self) -> dict[str, Any]:
        """Return it as the vendor writes it."""
        return {"defaultValue": self.default_value, "i18nValue": self.i18n_value}


def read_string_i18n(value: Any, name: str) -> StringI18n:
    """Read a text in several languages; a bare text is its default. Raises `InvalidArgument`."""
    if isinstance(value, str):
        return StringI18n(_trimmed(value, name), {})
    if not isinstance(value, Mapping):
        raise InvalidArgument(name, "a string or an object with defaultValue is needed")
    default = _trimmed(value.get("defaultValue"), f"{name}.defaultValue")
    return StringI18n(default, _locales(value.get("i18nValue"), f"{name}.i18nValue"))


def read_timezone(value: Any, name: str) -> str:
    """Read an offset from UTC or the name of a zone, as sent. Raises `InvalidArgument`."""
    text = checked_text(value, name)
    if not _is_offset(text) and text not in known_zones():
        raise InvalidArgument(name, "an offset such as +08:00 or an IANA time zone is needed")
    return text


@functools.cache
def known_zones() -> frozenset[str]:
    """Return the names of the IANA time zones that this host knows; looked up once, as they are files."""
    return frozenset(zoneinfo.available_timezones())


def _is_offset(text: str) -> bool:
    found = _OFFSET.fullmatch(text)
    if found is None:
        return False
    sign, hours, minutes = found.groups()
    return _WEST <= int(f"{sign}1") * (int(hours) * 60 + int(minutes)) <= _EAST


def _trimmed(value: Any, name: str) -> str:
    text = value.strip() if isinstance(value, str) else value
    return checked_text(text, name)


def _locales(value: Any, name: str) -> dict[str, str]:
    """Read the texts of locales; `-` becomes `_`."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidArgument(name, "an object is needed")
    if len(value) > MAX_LOCALES:
        raise InvalidArgument(name, f"more than {MAX_LOCALES} locales")
    found = {}
    for locale, text in value.items():
        if not isinstance(locale, str) or _LOCALE.fullmatch(locale) is None:
            raise InvalidArgument(name, "locales such as en_US are needed")
        found[locale.replace("-", "_")] = checked_text(text, f"{name}.{locale}")
    return found
