"""How the expression of a search is read: comparisons joined by `and`, of a field with one text or with several.

`groupId = 'G7' and deviceData.deviceSn in ('SN-1', 'SN-2')`. A quote within a text is written twice. Master data that is a
number or truth is compared as JSON has it; of texts in several languages the default counts.
"""

import re
from typing import Final

import msgspec

from adapters.dialects.enos.application_bodies import BATCH_TAG, BESIDE, DEFAULT, DESC, DEVICE_NAME
from adapters.dialects.enos.errors import InvalidArgument
from adapters.dialects.enos.words import ALLOCATED, CONNECTED, STATES
from core.model import DeviceState
from core.operate.allocating import Member

CHARACTERS: Final = 65_536
COMPARISONS: Final = 32
_FIELD: Final = "expression"
_GROUPS, _NAMES, _SERIALS = "groups", "names", "serials"
_TEXTS: Final = {"groupId": _GROUPS, "sn": _NAMES, "deviceSn": _SERIALS, "deviceData.deviceSn": _SERIALS}
_WORDS: Final = {
    "status.currentStatus": STATES,
    "status": STATES,
    "allocateStatus": ALLOCATED,
    "connectStatus": CONNECTED,
}
_DATA: Final = "deviceData."
_MEMBERS: Final = {
    BATCH_TAG: (BATCH_TAG, DEFAULT),
    DESC: (DESC,),
    f"{_DATA}{DEVICE_NAME}": (DEVICE_NAME, DEFAULT),
}
_TOKEN = re.compile(r"""\s*(?:(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<word>[A-Za-z_][A-Za-z0-9_.]*)|(?P<sign>[=(),]))""")


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What the devices have to be; None: anything."""

    groups: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    serials: tuple[str, ...] | None = None
    states: tuple[DeviceState, ...] | None = None
    members: tuple[Member, ...] = ()


def read_expression(text: str) -> Filters:
    """Read an expression; an empty one asks for everything. Raises `InvalidArgument`."""
    if len(text) > CHARACTERS:
        raise InvalidArgument(_FIELD, f"more than {CHARACTERS} characters")
    tokens = _Tokens(text)
    filters = Filters()
    left = COMPARISONS
    while not tokens.at_end:
        left -= 1
        if left < 0:
            raise _broken(f"more than {COMPARISONS} comparisons")
        filters = _narrowed(filters, *tokens.comparison())
    return filters


class _Tokens:
    """The words, texts and signs of an expression, one after the other."""

    def __init__(self, text: str) -> None:
        self._text = text.rstrip()
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._text)

    def comparison(self) -> tuple[str, tuple[str, ...]]:
        """Return field and values of the next comparison, and pass the `and` behind it."""
        _, field = self._next("word")
        kind, sign = self._next("sign", "word")
        if sign == "=":
            values = [self._value()]
        elif kind == "word" and sign.lower() == "in":
            values = self._list()
        else:
            raise _broken(f"= or in is needed behind {field}")
        if not self.at_end:
            _, joint = self._next("word")
            if joint.lower() != "and" or self.at_end:
                raise _broken("comparisons are joined by and")
        return field, tuple(values)

    def _list(self) -> list[str]:
        if self._next("sign")[1] != "(":
            raise _broken("( is needed behind in")
        values = [self._value()]
        while (sign := self._next("sign")[1]) == ",":
            values.append(self._value())
        if sign != ")":
            raise _broken(") is needed behind a list")
        return values

    def _value(self) -> str:
        _, quoted = self._next("text")
        quote = quoted[0]
        return quoted[1:-1].replace(quote * 2, quote)

    def _next(self, *kinds: str) -> tuple[str, str]:
        match = _TOKEN.match(self._text, self._at)
        kind = match.lastgroup if match else None
        if match is None or kind not in kinds:
            raise _broken(f"a {' or '.join(kinds)} is needed at character {self._at + 1}")
        self._at = match.end()
        return kind, match[kind]


def _narrowed(filters: Filters, field: str, values: tuple[str, ...]) -> Filters:
    """Return the filters with one more: of a field that is compared twice, what both allow."""
    if field in _TEXTS:
        name = _TEXTS[field]
        before: tuple[str, ...] | None = getattr(filters, name)
        allowed = frozenset(values if before is None else before)
        return msgspec.structs.replace(filters, **{name: tuple(each for each in dict.fromkeys(values) if each in allowed)})
    if field in _WORDS:
        return _in_states(filters, field, values)
    return msgspec.structs.replace(filters, members=(*filters.members, Member(_path(field), frozenset(values))))


def _path(field: str) -> tuple[str, ...]:
    """Return where in the metadata a field is."""
    if field in _MEMBERS:
        return _MEMBERS[field]
    name = field.removeprefix(_DATA)
    if name in ("", field, *BESIDE):
        fields = ", ".join((*_TEXTS, *_WORDS, BATCH_TAG, DESC))
        raise InvalidArgument(_FIELD, f"a field is not known, known are {fields} and {_DATA}*")
    return (name,)


def _in_states(filters: Filters, field: str, values: tuple[str, ...]) -> Filters:
    words = _WORDS[field]
    states: set[DeviceState] = set()
    for value in values:
        if value not in words:
            raise InvalidArgument(_FIELD, f"{field} is one of {', '.join(words)}")
        states |= words[value]
    before = DeviceState if filters.states is None else filters.states
    return msgspec.structs.replace(filters, states=tuple(state for state in before if state in states))


def _broken(fault: str) -> InvalidArgument:
    return InvalidArgument(_FIELD, fault)
