"""Which proxies are believed."""

import ipaddress

import msgspec

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

X_FORWARDED_FOR = "x-forwarded-for"
FORWARDED = "forwarded"
HEADERS = (X_FORWARDED_FOR, FORWARDED)
"""What HTTP proxies tell their clients' addresses in: the field of habit, and that of RFC 7239."""


class TrustedProxies(msgspec.Struct, frozen=True, kw_only=True):
    """The networks that proxies are in, and the field that these write.

    Only one field is read: a proxy that writes one hands on the other as its client sent it.
    """

    networks: tuple[Network, ...] = ()
    header: str = X_FORWARDED_FOR

    def trusts(self, address: str) -> bool:
        """Tell whether the word of whoever has this address is taken; nobody's is who has none."""
        if not self.networks:
            return False
        try:
            parsed = plain(ipaddress.ip_address(address))
        except ValueError:
            return False
        return any(parsed in network for network in self.networks)


def is_wide(network: Network) -> bool:
    """Tell whether a network holds more than the largest that are private: 10.0.0.0/8 (RFC 1918), fc00::/7 (RFC 4193)."""
    return network.prefixlen < (8 if network.version == 4 else 7)


def plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an IPv4 address that is written as an IPv6 one (RFC 4291, section 2.5.5.2) as what it is."""
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address
