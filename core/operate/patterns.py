"""Which regular expressions an operator may have searched in names that devices bring: those that end soon, whatever the name.

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
_CHECK = "profile.chain_pattern"


def require_pattern(pattern: str) -> str:
    """Return a regular expression with a group, the one that takes everything for an empty text.

    Raises `Refusal` MALFORMED for one that is too long, cannot be read, has no group or could take long.
    """
    if not pattern:
        return EVERYTHING
    if len(pattern) > PATTERN_CHARACTERS:
        raise malformed(f"chain.pattern: more than {PATTERN_CHARACTERS} characters", _CHECK)
    try:
        groups, parsed = re.compile(pattern).groups, _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise malformed("chain.pattern: this is no regular expression", _CHECK) from error
    if not groups:
        raise malformed("chain.pattern: a group is needed, in parentheses: it finds the device's name", _CHECK)
    if _ways(parsed) * _starts(parsed) > WAYS:
        detail = "chain.pattern: it could take long on some names: begin it with ^, or repeat fewer parts of it"
        raise malformed(detail, _CHECK)
    return pattern


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
    raise malformed("chain.pattern: references, conditions and looks ahead or behind are not possible here", _CHECK)


def _ways_repeated(least: int, most: int, parsed: Any) -> int:
    """Return the ways of a repetition. What has several ways itself must not be repeated: they would multiply."""
    inner = _ways(parsed)
    if most <= 1:
        return inner + (least == 0)
    if inner > 1 or parsed.getwidth()[0] == 0:
        detail = "chain.pattern: a part that varies or may be empty must not be repeated, as in (a+)+ or (a|b)*"
        raise malformed(detail, _CHECK)
    return min(most, NAME_CHARACTERS) - min(least, NAME_CHARACTERS) + 1
