"""Which regular expressions an operator may have sought in names that devices bring: those that end soon, whatever the name.

An expression that goes back over its steps may take a time that grows with each of them. So the ways are counted that a name
of full length can be tried in, and an expression with more of them than a moment allows is refused.
"""

import re
from re import _constants, _parser  # type: ignore[attr-defined]  # the only reader of Python's syntax; it has no public name
from typing import Any

from core.certificate_logins import NAME_CHARACTERS
from core.operate.values import malformed

PATTERN_CHARACTERS = 255
EVERYTHING = "(.*)"
WAYS = (NAME_CHARACTERS + 1) ** 3

_ONE_WAY = frozenset(
    {_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN, _constants.CATEGORY, _constants.AT}
)
_REPEATS = frozenset({_constants.MAX_REPEAT, _constants.MIN_REPEAT})
_BEGINNINGS = frozenset({_constants.AT_BEGINNING, _constants.AT_BEGINNING_STRING})


class _Unfit(Exception):
    """An expression that is not taken, and why, in words for the operator."""


def require_pattern(pattern: str) -> str:
    """Return a regular expression with a group, the one that takes everything for an empty text.

    Raises `Refusal` MALFORMED for one that is too long, cannot be read, has no group or could take long.
    """
    if not pattern:
        return EVERYTHING
    try:
        groups, parsed = _read(pattern)
        if not groups:
            raise _Unfit("a group is needed, in parentheses: it finds the device's name")
        if _ways(parsed) * _starts(parsed) > WAYS:
            raise _Unfit("it could take long on some names: begin it with ^, or repeat fewer parts of it")
    except _Unfit as unfit:
        raise malformed(f"chain.pattern: {unfit}", "profile.chain_pattern") from unfit
    return pattern


def require_name_pattern(pattern: str) -> str:
    """Return a regular expression that whole names are to match, or an empty text. Raises `Refusal` MALFORMED, too."""
    try:
        if pattern and _ways(_read(pattern)[1]) > WAYS:
            raise _Unfit("it could take long on some names: repeat fewer parts of it")
    except _Unfit as unfit:
        raise malformed(f"claims.pattern: {unfit}", "profile.claim_pattern") from unfit
    return pattern


def _read(pattern: str) -> tuple[int, Any]:
    """Return how many groups an expression has, and its parts."""
    if len(pattern) > PATTERN_CHARACTERS:
        raise _Unfit(f"more than {PATTERN_CHARACTERS} characters")
    try:
        return re.compile(pattern).groups, _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise _Unfit("this is no regular expression") from error


def _starts(parsed: Any) -> int:
    """Return from how many places an expression is tried."""
    first = parsed[0] if len(parsed) else None
    return 1 if first is not None and first[0] is _constants.AT and first[1] in _BEGINNINGS else NAME_CHARACTERS + 1


def _ways(parsed: Any) -> int:
    """Return in how many ways at most a part of an expression is tried from one place."""
    ways = 1
    for operation, arguments in parsed:
        ways *= _ways_of(operation, arguments)
    return ways


def _ways_of(operation: Any, arguments: Any) -> int:
    if operation in _ONE_WAY:
        return 1
    if operation is _constants.SUBPATTERN:
        return _ways(arguments[-1])
    if operation is _constants.BRANCH:
        return sum(map(_ways, arguments[1]))
    if operation in _REPEATS:
        return _ways_repeated(*arguments)
    raise _Unfit("references, conditions and looks ahead or behind are not possible here")


def _ways_repeated(least: int, most: int, parsed: Any) -> int:
    """Return the ways of a repetition. What has several ways itself must not be repeated: they would multiply."""
    inner = _ways(parsed)
    if most <= 1:
        return inner + (least == 0)
    if inner > 1 or parsed.getwidth()[0] == 0:
        raise _Unfit("a part that varies or may be empty must not be repeated, as in (a+)+ or (a|b)*")
    return min(most, NAME_CHARACTERS) - min(least, NAME_CHARACTERS) + 1
