"""What HTTP proxies say about whom they speak for, and what strangers would like them to say."""

import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.proxying.forwarding import MOST_CHARACTERS, Hop, client
from adapters.proxying.trust import FORWARDED, X_FORWARDED_FOR, TrustedProxies, is_wide

NETWORKS = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "fd00::/8", "192.0.2.1/32")))
SENDER = Hop("10.0.0.1", 5_000)
CLIENT, FORGED = "203.0.113.7", "198.51.100.66"


def through(header: str, **lines: Sequence[str]) -> Hop:
    """Return the client of a request with these fields that `SENDER` sent."""
    fields = {name.replace("_", "-"): values for name, values in lines.items()}
    return client(TrustedProxies(networks=NETWORKS, header=header), SENDER, lambda name: fields.get(name, ()))


def by_habit(*lines: str, scheme: Sequence[str] = ()) -> Hop:
    return through(X_FORWARDED_FOR, x_forwarded_for=lines, x_forwarded_proto=scheme, forwarded=(f"for={FORGED}",))


def by_standard(*lines: str) -> Hop:
    return through(FORWARDED, forwarded=lines, x_forwarded_for=(FORGED,), x_forwarded_proto=("https",))


X_FORWARDED: dict[str, tuple[tuple[str, ...], tuple[str, int]]] = {
    "one": ((CLIENT,), (CLIENT, 0)),
    "with a port": ((f"{CLIENT}:40000",), (CLIENT, 40_000)),
    "with a port that is none": ((f"{CLIENT}:99999",), (CLIENT, 0)),
    "of IPv6": (("2001:db8::7",), ("2001:db8::7", 0)),
    "of IPv6 in brackets": (("[2001:db8::7]:40000",), ("2001:db8::7", 40_000)),
    "of IPv4 in IPv6": ((f"::ffff:{CLIENT}",), (CLIENT, 0)),
    "behind proxies": ((f"{CLIENT}, 10.9.9.9,fd00::1 , 192.0.2.1",), (CLIENT, 0)),
    "in several lines": ((FORGED, CLIENT, "10.9.9.9"), (CLIENT, 0)),
    "what a stranger wrote in front": ((f"10.0.0.2, {FORGED}, {CLIENT}",), (CLIENT, 0)),
    "nonsense in front": ((f'",\x00 \ud800 for=x, {CLIENT}',), (CLIENT, 0)),
    "proxies alone": (("10.0.0.3, 10.0.0.2",), ("10.0.0.3", 0)),
    "nonsense": (("over there",), ("10.0.0.1", 5_000)),
    "nonsense behind a proxy": (("unknown, 10.0.0.2",), ("10.0.0.2", 0)),
    "a zero in front": ((f"0{CLIENT}",), ("10.0.0.1", 5_000)),
    "a zone": (("fe80::1%eth0",), ("10.0.0.1", 5_000)),
    "nothing": (("",), ("10.0.0.1", 5_000)),
    "commas": ((",,,",), ("10.0.0.1", 5_000)),
    "none": ((), ("10.0.0.1", 5_000)),
}
STANDARD: dict[str, tuple[tuple[str, ...], tuple[str, int, bool | None]]] = {
    "one": ((f"for={CLIENT}",), (CLIENT, 0, None)),
    "over TLS": ((f"for={CLIENT};proto=https;by=10.0.0.1",), (CLIENT, 0, True)),
    "in the clear": ((f"by=10.0.0.1; PROTO=http ; For={CLIENT}",), (CLIENT, 0, False)),
    "in quotes": ((f'for="{CLIENT}:40000";proto="HTTPS"',), (CLIENT, 40_000, True)),
    "of IPv6": (('for="[2001:db8::7]:40000"',), ("2001:db8::7", 40_000, None)),
    "with a port of its own": ((f'for="{CLIENT}:_port"',), (CLIENT, 0, None)),
    "the client's part of the way": ((f"for={CLIENT};proto=https, for=10.9.9.9;proto=http",), (CLIENT, 0, True)),
    "the client's part in the clear": ((f"for={CLIENT};proto=http", "for=10.9.9.9;proto=https"), (CLIENT, 0, False)),
    "the scheme alone": (("proto=https",), ("10.0.0.1", 5_000, True)),
    "unknown": (("for=unknown;proto=https",), ("10.0.0.1", 5_000, True)),
    "hidden": (("for=_hidden, for=10.9.9.9;proto=https",), ("10.9.9.9", 0, None)),
    "what a stranger wrote in front": ((f"for={FORGED};proto=https, for={CLIENT};proto=http",), (CLIENT, 0, False)),
    "a quote that never ends": ((f'for={FORGED};by="', f'for="{CLIENT}"'), (CLIENT, 0, None)),
    "a quote that ends in the next": ((f'for={FORGED};by="\\"', f"for={CLIENT};proto=http"), (CLIENT, 0, False)),
    "a quote in what is quoted": ((f'for={CLIENT};host="a\\", for={FORGED};x=\\""',), (CLIENT, 0, None)),
    "a pair in what is quoted": ((f'by="x;for={FORGED}";for={CLIENT}',), (CLIENT, 0, None)),
    "twice": ((f"for={CLIENT};for={FORGED}",), (CLIENT, 0, None)),
    "nonsense": ((f"for={CLIENT} and others",), ("10.0.0.1", 5_000, None)),
    "nonsense with a quote": ((f'for={CLIENT};x="y"z',), ("10.0.0.1", 5_000, None)),
    "nothing": (("",), ("10.0.0.1", 5_000, None)),
}


@pytest.mark.parametrize("name", X_FORWARDED)
def test_the_client_is_the_nearest_that_is_no_proxy(name: str) -> None:
    lines, (address, port) = X_FORWARDED[name]
    assert by_habit(*lines) == Hop(address, port)


@pytest.mark.parametrize("name", STANDARD)
def test_forwarded_says_it_with_the_scheme(name: str) -> None:
    lines, (address, port, protected) = STANDARD[name]
    assert by_standard(*lines) == Hop(address, port, protected)


@pytest.mark.parametrize(
    ("words", "protected"),
    [
        ((), None),
        (("https",), True),
        (("HTTPS ",), True),
        (("http",), False),
        (("https, http",), False),
        (("http", "https"), False),
        (("https,https",), True),
        (("wss",), False),
        (("https,",), False),
    ],
)
def test_the_scheme_is_believed_where_all_say_the_same(words: tuple[str, ...], protected: bool | None) -> None:
    assert by_habit(CLIENT, scheme=words) == Hop(CLIENT, 0, protected)
    assert by_habit(scheme=words).protected is protected


@given(st.text(max_size=300), st.sampled_from((", ", ",")))
def test_no_text_in_front_changes_what_a_proxy_said(forged: str, joint: str) -> None:
    assert by_habit(f"{forged}{joint}{CLIENT}").address == CLIENT
    assert by_standard(f'{forged}{joint}for="{CLIENT}";proto=https') == Hop(CLIENT, 0, True)


@given(st.text(alphabet='for=";,\\[]:.10aproto ', max_size=80))
def test_no_text_is_too_odd(text: str) -> None:
    for hop in (by_habit(text), by_standard(text)):
        ipaddress.ip_address(hop.address)


@pytest.mark.parametrize("text", [",", '"', "\\", '\\"', "for=10.0.0.2,", "10.0.0.2,", ";", "a=b;", " "])
def test_only_so_much_of_a_long_field_is_read(text: str) -> None:
    assert by_habit(text * 30_000).address in ("10.0.0.1", "10.0.0.2")
    assert by_standard(text * 30_000).address in ("10.0.0.1", "10.0.0.2")


def test_an_address_that_is_cut_is_none() -> None:
    """The last that is read of these would be 10.0.0.3, the end of 210.0.0.3."""
    behind = ",10.0.0.2".rjust(MOST_CHARACTERS - len("10.0.0.3"))
    assert by_habit(f"10.0.0.3{behind}").address == "10.0.0.3"
    assert by_habit(f"210.0.0.3{behind}").address == "10.0.0.2"


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("::ffff:10.0.0.1", True),
        ("fd12::1", True),
        ("fd12::1%eth0", True),
        ("2001:db8::1", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_a_network_is_trusted_whole(address: str, trusted: bool) -> None:
    assert TrustedProxies(networks=NETWORKS).trusts(address) is trusted
    assert not TrustedProxies().trusts(address)


def test_wide_networks_are_known() -> None:
    wide = ("0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/3")
    assert all(is_wide(ipaddress.ip_network(each)) for each in wide)
    assert not any(is_wide(ipaddress.ip_network(each)) for each in ("10.0.0.0/8", "fc00::/7", "192.0.2.1"))
