"""What the header fields of HTTP say about the client behind proxies: `X-Forwarded-For`, and `Forwarded` of RFC 7239."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

from adapters.proxying.trust import FORWARDED, X_FORWARDED_FOR, TrustedProxies, plain

X_FORWARDED_PROTO = "x-forwarded-proto"
FIELDS = {X_FORWARDED_FOR: (X_FORWARDED_FOR, X_FORWARDED_PROTO), FORWARDED: (FORWARDED,)}
"""What is read, by the header that the proxies write."""

MOST_CHARACTERS = 2_000  # the nearest proxies' words are at the end; what is further left is a stranger's

Fields = Callable[[str], Sequence[str]]
"""Returns the lines of a field, by its name in lower case."""

_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9A-Za-z._-]+))?|([0-9A-Fa-f:.]+)")
_PAIR = re.compile(r"""\s*(?:([\w!#$%&'*+.^`|~-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]*))?\s*(?:;|$)""")


class Hop(msgspec.Struct, frozen=True):
    """Who asked a proxy, and whether nobody else could read that; None: it did not say. No address: it did not say that."""

    address: str
    port: int = 0
    protected: bool | None = None


def client(trusted: TrustedProxies, sender: Hop, lines: Fields) -> Hop:
    """Return who is behind `sender`, which is trusted: the nearest that is not, or the furthest that is known.

    Never raises: behind words that make no sense, nobody is known.
    """
    nearest = sender
    hops = _forwarded(lines) if trusted.header == FORWARDED else _x_forwarded(lines)
    for hop in hops:
        if not hop.address:
            return msgspec.structs.replace(nearest, protected=hop.protected)
        nearest = hop
        if not trusted.trusts(hop.address):
            break
    return nearest


def _x_forwarded(lines: Fields) -> Iterator[Hop]:
    """Yield the hops from the nearest on; the scheme is one word for all of them."""
    words = ",".join(lines(X_FORWARDED_PROTO))[-MOST_CHARACTERS:]
    # Proxies that add their own word leave the client's in front of it, so one word alone proves nothing.
    protected = all(word.strip().lower() == "https" for word in words.split(",")) if words else None
    for element in _from_the_right(",".join(lines(X_FORWARDED_FOR))):
        address, port = _node(element.strip())
        yield Hop(address, port, protected)
    yield Hop("", 0, protected)


def _forwarded(lines: Fields) -> Iterator[Hop]:
    """Yield the hops from the nearest on, each with its own scheme."""
    for element in _from_the_right(",".join(lines(FORWARDED))):
        said = _pairs(element)
        address, port = _node(said.get("for", ""))
        scheme = said.get("proto")
        yield Hop(address, port, None if scheme is None else scheme.lower() == "https")


def _from_the_right(text: str) -> Iterator[str]:
    """Yield the elements of a list, the last one first.

    Read from the right because what is on the left is a stranger's: a quote that he never closes would swallow what a proxy
    wrote behind it.
    """
    whole, text = len(text) <= MOST_CHARACTERS, text[-MOST_CHARACTERS:]
    end, quoted = len(text), False
    for at in range(end - 1, -1, -1):
        if text[at] == '"' and not _is_escaped(text, at):
            quoted = not quoted
        elif text[at] == "," and not quoted:
            yield text[at + 1 : end]
            end = at
    if text and whole:  # otherwise it may be the end of a longer one
        yield text[:end]


def _is_escaped(text: str, at: int) -> bool:
    """Tell whether a quote is part of what is quoted: an odd number of backslashes is in front of it."""
    start = at
    while start and text[start - 1] == "\\":
        start -= 1
    return bool((at - start) % 2)


def _pairs(element: str) -> dict[str, str]:
    """Read one element (RFC 7239, section 4); of what is none, nothing."""
    found: dict[str, str] = {}
    at = 0
    while at < len(element):
        pair = _PAIR.match(element, at)
        if pair is None or pair.end() == at:
            return {}
        if pair[1]:
            found.setdefault(pair[1].lower(), pair[2].strip('"'))
        at = pair.end()
    return found


def _node(text: str) -> tuple[str, int]:
    """Read an address, with or without a port (section 6); of `unknown` and of what is none, nothing."""
    found = _NODE.fullmatch(text)
    if found is None:
        return "", 0
    try:
        address = str(plain(ipaddress.ip_address(found[1] or found[2] or found[4])))
    except ValueError:
        return "", 0
    port = found[3] or ""
    return address, int(port) if port.isdigit() and len(port) <= 5 and int(port) <= 0xFFFF else 0
